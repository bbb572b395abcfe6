"""What a program costs: gates, depth, angles by where they come from, readouts, settings, memory
and floating-point operations of one training step.

Gates are counted as they are written (`cx`, not "x with a control"), depth as Qiskit counts it:
every gate, measurement, reset and `if` takes one layer on all its qubits and bits. Fused elements
and evolutions count as the gates they are emitted as (`qrlang.analysis.circuits`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

from qrlang.analysis.circuits import FlatGate, Product, circuits, flat
from qrlang.analysis.flow import Flow
from qrlang.analysis.own import own_weights
from qrlang.analysis.purity import purity
from qrlang.analysis.settings import measurement_settings
from qrlang.gates import GATES, written_name
from qrlang.ir.program import (
    Angle,
    ApplyMatrix,
    Attend,
    CallExtern,
    Const,
    Diagonal,
    Element,
    Embed,
    Evolve,
    Expect,
    Gate,
    If,
    LayerNorm,
    Linear,
    Loop,
    Matmul,
    Measure,
    Op,
    Permutation,
    Postselect,
    Probabilities,
    Program,
    Reset,
    Run,
    Unitary,
    UseWeight,
    Value,
)
from qrlang.ir.walk import angles_of, defs, qubits_of, regions, walk

ROLES = ("layer", "trained", "readout", "data", "frozen", "constant")
"""Where an angle comes from; the first that applies. `layer`: a controller or another layer with
weights of its own; `trained`, `frozen`: a param; `readout`: straight from one; `data`: an input."""


@dataclass(slots=True)
class Gates:
    """Of one circuit."""

    counts: Counter[str] = field(default_factory=Counter)
    two_qubit: int = 0  # gates on exactly two qubits
    depth: int = 0
    angles: Counter[str] = field(default_factory=Counter)  # by role, those that are not constant

    @property
    def total(self) -> int:
        return self.counts.total()


def gate_name(gate: FlatGate | Gate) -> str:
    """As it is written: `cx`; with more controls than there are names for, `ctrl(2) @ ry`."""
    controls = len(gate.controls) + len(gate.zeros)
    if not gate.zeros:
        name = written_name(gate.name, controls)
        if name:
            return name
    parts = []
    for word, some in (("ctrl", gate.controls), ("negctrl", gate.zeros)):
        if some:
            parts.append(f"{word}({len(some)}) @" if len(some) > 1 else f"{word} @")
    return " ".join([*parts, gate.name])


Wire = int | tuple[int, int]  # a qubit, or a bit: the measured value's id and the position in it


def gates_of(ops: Iterable[Op], roles: Roles | None = None) -> Gates:
    """The gates of a circuit's ops. Both branches of an `if` count; it is one layer of the depth,
    on all that it touches."""
    out = Gates()
    level: dict[Wire, int] = {}
    for op in ops:
        for wires in _layers(op, out, roles):
            top = 1 + max((level.get(wire, 0) for wire in wires), default=0)
            level.update(dict.fromkeys(wires, top))
            out.depth = max(out.depth, top)
    return out


def _layers(op: Op, out: Gates, roles: Roles | None) -> Iterator[Sequence[Wire]]:
    """What each instruction of an op lies on; counts its gates."""
    if isinstance(op, (Unitary, Evolve)):
        for gate in flat(op):
            qubits = gate.controls + gate.zeros + gate.qubits
            out.counts[gate_name(gate)] += 1
            out.two_qubit += len(qubits) == 2
            if roles is not None:
                for angle in gate.angles:
                    parts = (angle.a, angle.b) if isinstance(angle, Product) else (angle,)
                    role = roles.angle(*parts)
                    if role != "constant":
                        out.angles[role] += 1
            yield qubits
    elif isinstance(op, ApplyMatrix):
        qubits = op.controls + op.zeros + op.qubits
        out.counts["unitary"] += 1
        out.two_qubit += len(qubits) == 2
        yield qubits
    elif isinstance(op, Measure):
        for i, q in enumerate(op.qubits):
            yield (q, (op.out.id, i))
    elif isinstance(op, Reset):
        for q in op.qubits:
            yield (q,)
    elif isinstance(op, If):
        inside: dict[Wire, None] = {(op.condition.id, op.index): None}
        for part in (*op.then, *op.orelse):
            for wires in _layers(part, out, roles):
                inside.update(dict.fromkeys(wires))
        yield tuple(inside)


class Roles:
    """Where the values that steer angles come from."""

    def __init__(self, program: Program) -> None:
        self.flow = Flow(program)
        self.trained = {w.name for w in program.weights if w.trained}
        self.known: dict[int, int] = {}

    def angle(self, *angles: Angle) -> str:
        ranks = [self._rank(t.value) for angle in angles for t in angle.terms]
        return ROLES[min(ranks, default=len(ROLES) - 1)]

    def _rank(self, value: Value) -> int:
        """The best role among everything that a value is made of, without going into layers."""
        if value.id in self.known:
            return self.known[value.id]
        seen: set[int] = set()
        waiting = [value]
        best = ROLES.index("constant")
        while waiting:
            v = waiting.pop()
            if v.id in seen:
                continue
            seen.add(v.id)
            op = self.flow.maker.get(v.id)
            role = self._made(op, v)
            if role:
                best = min(best, ROLES.index(role))
            else:
                waiting.extend(self.flow.sources(v))
        self.known[value.id] = best
        return best

    def _made(self, op: Op | None, value: Value) -> str:
        match op:
            case None:
                return "data"
            case Linear() | Embed() | CallExtern() | LayerNorm():
                return "layer"
            case Attend():
                return "layer" if op.weights else ""
            case UseWeight():
                return "trained" if op.weight in self.trained else "frozen"
            case Expect() | Probabilities() | Measure() | Postselect():
                return "readout"
            case Const():
                return "constant"
            case Loop() if op.flag is not None and op.flag.id == value.id:
                return "data"
        return ""


# --- a whole program ----------------------------------------------------------------------------


@dataclass(slots=True)
class Part:
    """The step of a recurrence, or what stands outside of all (`loop` empty)."""

    loop: str
    gates: Gates
    readouts: int  # numbers read (expectations, probabilities, bits)
    settings: int  # circuits that a device needs to have them all


@dataclass(slots=True)
class Cost:
    classical: int  # trained numbers that never turn a gate directly
    quantum: int  # trained numbers that are angles themselves
    frozen: int
    parts: list[Part]
    circuits: dict[str, Gates]
    qubits: dict[int, int]  # by space
    pure: bool
    program: Program

    def part(self, loop: str = "") -> Part | None:
        return next((p for p in self.parts if p.loop == loop), None)

    def training(self, batch: int, steps: int) -> Training:
        return training_step(self.program, batch, steps)


def cost(program: Program) -> Cost:
    roles = Roles(program)
    parts = [_part("", tuple(op for op in program.body if not isinstance(op, Loop)), roles)]
    parts += [_part(op.name, op.body, roles) for op in walk(program.body) if isinstance(op, Loop)]
    quantum = own_weights(program, roles.flow)
    sizes = {w.name: prod(w.shape) for w in program.weights}
    trained = {w.name for w in program.weights if w.trained}
    return Cost(
        classical=sum(sizes[name] for name in trained - quantum),
        quantum=sum(sizes[name] for name in quantum),
        frozen=sum(size for name, size in sizes.items() if name not in trained),
        parts=parts,
        circuits={c.name: gates_of(c.ops, roles) for c in circuits(program)},
        qubits={s: len(qubits) for s, qubits in program.spaces.items()},
        pure=purity(program).all_pure,
        program=program,
    )


def _part(loop: str, ops: tuple[Op, ...], roles: Roles) -> Part:
    readouts = settings = 0
    own = list(_without_loops(ops))
    for op in own:
        if isinstance(op, Expect):
            readouts += len(op.observables)
            settings += len(measurement_settings(op))
        elif isinstance(op, Probabilities):
            readouts += 1 << len(op.qubits)
            settings += 1
        elif isinstance(op, Measure):
            readouts += len(op.qubits)
    gates = gates_of([op for op in ops if not isinstance(op, Loop)], roles)
    return Part(loop, gates, readouts, settings)


def _without_loops(ops: Iterable[Op]) -> Iterator[Op]:
    for op in ops:
        if isinstance(op, Loop):
            continue
        yield op
        for body in regions(op):
            yield from _without_loops(body)


# --- one training step --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Training:
    """Of one step (forward, backward, update) over a batch of sequences of `steps` moments.

    Quantum operations for one sequence and moment, a state of N = 2^n amplitudes (N = 4^n when it
    is mixed): a gate on one qubit 14 N (complex 2x2; real 4 N), a controlled one half of it for
    each control, a rotation about a word of two qubits 14 N, a diagonal 6 N, a permutation none, an
    expectation 3 N a word. Backward un-applies every gate on the state and on its costate, and
    takes 4 N for each angle that is not constant. Classical ops: 2 for each weight of a matrix
    product and moment, twice that backward, 1 a number elsewhere.

    Memory: state and costate in single precision; every value of every moment (readouts,
    activations, angles), 4 bytes; weights with gradient and two moments of Adam, 16 bytes each.
    A state is never stored for each moment.
    """

    quantum_operations: int
    classical_operations: int
    state_bytes: int
    value_bytes: int
    weight_bytes: int

    @property
    def operations(self) -> int:
        return self.quantum_operations + self.classical_operations

    @property
    def bytes(self) -> int:
        return self.state_bytes + self.value_bytes + self.weight_bytes


def training_step(program: Program, batch: int, steps: int) -> Training:
    mixed = purity(program).causes
    amplitudes = {s: (4 if s in mixed else 2) ** len(q) for s, q in program.spaces.items()}
    space = program.space_of
    weights = {w.name: prod(w.shape) for w in program.weights}
    quantum = classical = values = 0

    def visit(ops: tuple[Op, ...], times: int) -> None:
        nonlocal quantum, classical, values
        for op in ops:
            if isinstance(op, Loop):
                visit(op.body, times * (steps + op.extra if op.items else op.extra))
                continue
            for body in regions(op):
                visit(body, times)
            touched = qubits_of(op)
            n = amplitudes.get(space.get(touched[0], 0), 1) if touched else 0
            mine = _quantum_work(op, n, amplitudes, space)
            quantum += times * mine
            if not touched:
                classical += times * 3 * _classical_work(op, weights)
            values += times * sum(v.type.count for v in defs(op) if not v.type.seq)

    visit(program.body, 1)
    return Training(
        quantum_operations=batch * quantum,
        classical_operations=batch * classical,
        state_bytes=batch * sum(amplitudes.values()) * 8 * 2,
        value_bytes=batch * values * 4,
        weight_bytes=sum(weights.values()) * 16,
    )


def _quantum_work(op: Op, n: int, amplitudes: Mapping[int, int], space: Mapping[int, int]) -> int:
    if isinstance(op, Unitary):
        total = 0
        for element in op.elements:
            qubits = qubits_of(element)
            size = amplitudes.get(space.get(qubits[0], 0), 1) if qubits else 0
            angles = sum(bool(a.terms) for a in angles_of(element))
            total += 3 * _forward(element, size) + 4 * size * angles
        return total
    if isinstance(op, Evolve):
        gates = sum(14 * n for _ in op.terms) * max(1, op.trotter)
        return 3 * gates + 4 * n * len(op.terms)
    if isinstance(op, ApplyMatrix):
        return 24 * n << len(op.qubits)
    if isinstance(op, Expect):
        words = sum(len(o) for o in op.observables)
        return 2 * 3 * n * words
    if isinstance(op, Probabilities):
        return 2 * 3 * n
    return 0


def _forward(element: Element, n: int) -> int:
    match element:
        case Gate():
            spec = GATES[element.name]
            if spec.permutation:
                return 0
            work = 6 * n if spec.diagonal else 4 * n if spec.real else 14 * n
            return work >> (len(element.controls) + len(element.zeros))
        case Run():
            return 14 * n
        case Diagonal():
            return 6 * n
        case Permutation():
            return 0


def _classical_work(op: Op, weights: Mapping[str, int]) -> int:
    match op:
        case Linear():
            return 2 * weights.get(op.weight, 0)
        case Matmul():
            inner = op.a.type.shape[-1] if op.a.type.shape else 1
            return 2 * op.out.type.count * inner
        case Attend():
            return 2 * sum(weights.get(name, 0) for name in op.weights) + op.out.type.count
    return sum(v.type.count for v in defs(op))
