"""How values depend on one another, through the circuit too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from qrlang.analysis.heisenberg import Backward
from qrlang.ir.program import (
    Angle,
    CallExtern,
    Evolve,
    Expect,
    If,
    Loop,
    Measure,
    Op,
    Postselect,
    Probabilities,
    Program,
    Unitary,
    Value,
)
from qrlang.ir.walk import angles_of, defs, qubits_of, regions, uses, walk

READOUTS = (Expect, Probabilities, Measure, Postselect)


def is_quantum(op: Op) -> bool:
    """Acts on qubits, itself or in a body."""
    if isinstance(op, (Loop, If)):
        return any(is_quantum(inner) for body in regions(op) for inner in body)
    return isinstance(op, Unitary) or bool(_qubit_fields(op))


def _qubit_fields(op: Op) -> bool:
    return hasattr(op, "qubits") or isinstance(op, (Expect, Evolve))


def angle_values(angles: Iterable[Angle]) -> Iterator[Value]:
    for angle in angles:
        for term in angle.terms:
            yield term.value


def used(op: Op) -> Iterable[Value]:
    """`walk.uses`, quickly where it matters: long segments."""
    if isinstance(op, Unitary):
        return angle_values(a for e in op.elements for a in angles_of(e))
    return uses(op)


def touched(ops: Iterable[Op]) -> set[int]:
    """Qubits that ops touch, bodies included."""
    return {q for op in walk(tuple(ops)) for q in qubits_of(op)}


def weights_of(op: Op) -> tuple[str, ...]:
    """Names of the weights that an op reads."""
    names: list[str] = []
    for field in ("weight", "bias"):
        name = getattr(op, field, None)
        if isinstance(name, str):
            names.append(name)
    weights = getattr(op, "weights", ())  # of attention; those of a weighted sum are a value
    if isinstance(weights, tuple):
        names.extend(weights)
    return tuple(names)


class Flow:
    """Which values are defined by what."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.maker: dict[int, Op] = {}
        self.carried: dict[int, tuple[Value, ...]] = {}  # a carry's arg or out -> its sources
        self.parent: dict[int, Op] = {}
        for op in walk(program.body):
            for value in defs(op):
                self.maker[value.id] = op
            for body in regions(op):
                for inner in body:
                    self.parent[id(inner)] = op
            if isinstance(op, Loop):
                for item in op.items:
                    self.carried[item.item.id] = (item.sequence,)
                for carry in op.carries:
                    self.carried[carry.arg.id] = (carry.initial, carry.next)
                    self.carried[carry.out.id] = (carry.initial, carry.next)
                for emit in op.emits:
                    self.carried[emit.out.id] = (emit.value,)
                if op.flag is not None:
                    self.carried[op.flag.id] = ()

    def sources(self, value: Value) -> tuple[Value, ...]:
        """What a value is computed from, by classical means alone."""
        if value.id in self.carried:
            return self.carried[value.id]
        op = self.maker.get(value.id)
        return tuple(used(op)) if op is not None and not isinstance(op, (Loop, If)) else ()

    def behind(
        self,
        values: Iterable[Value],
        until: tuple[type[Op], ...] = (),
        seen: set[int] | None = None,
    ) -> Iterator[Op]:
        """The ops that make these values, those that make what they use, and so on; not what is
        behind those of the kinds `until`, nor behind values `seen`, which all of these join."""
        seen = set() if seen is None else seen
        waiting = list(values)
        while waiting:
            value = waiting.pop()
            if value.id in seen:
                continue
            seen.add(value.id)
            op = self.maker.get(value.id)
            if op is not None:
                yield op
            if not isinstance(op, until):
                waiting.extend(self.sources(value))


class Reach:
    """What reaches an output: `values` ids, `ops` ids of the ops that matter, and the rotations
    that can change a readout that matters (`backward`)."""

    def __init__(self, program: Program, extra: Iterable[Value] = ()) -> None:
        self.flow = Flow(program)
        self.values: set[int] = set()
        self.weights: set[str] = set()
        self.externs: set[str] = set()
        self._by_id = list(walk(program.body))
        self._want([o.value for o in program.outputs])
        self._want(extra)
        while True:
            before = len(self.values)
            self.backward = Backward(program, self._counts)
            self._want(self._quantum_inputs())
            if len(self.values) == before:
                break

    def _counts(self, op: Op) -> bool:
        out = getattr(op, "out", None)
        # A post-selection changes what every later readout is conditioned on.
        return isinstance(op, Postselect) or out is None or out.id in self.values

    def _want(self, values: Iterable[Value]) -> None:
        for op in self.flow.behind(values, seen=self.values):
            self.weights.update(weights_of(op))
            if isinstance(op, CallExtern):
                self.externs.add(op.layer)

    def _quantum_inputs(self) -> list[Value]:
        """Values that steer something which can change a readout that matters."""
        found: list[Value] = []
        backward = self.backward
        for op in self._by_id:
            if isinstance(op, Unitary):
                for element in op.elements:
                    if id(element) in backward.acts:
                        found.extend(angle_values(angles_of(element)))
                    elif hasattr(element, "gates"):
                        for gate in element.gates:
                            if id(gate) in backward.acts:
                                found.extend(angle_values(gate.angles))
            elif isinstance(op, If):
                if any(
                    id(inner) in backward.acts
                    or (isinstance(inner, READOUTS) and self._counts(inner))
                    for inner in _acting(op)
                ):
                    found.append(op.condition)
            elif id(op) in backward.acts:
                found.extend(used(op))
        return found


def _acting(op: If) -> Iterator[object]:
    for inner in walk((*op.then, *op.orelse)):
        yield inner
        if isinstance(inner, Unitary):
            for element in inner.elements:
                yield element
                yield from getattr(element, "gates", ())
