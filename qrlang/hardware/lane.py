"""One sequence on the host: classical ops are computed, quantum ops recorded, readouts asked for.

A lane is a generator. It yields what it has to know before it can go on, all at once, and is sent
the answers: it never sees a device. What it does depends on nothing but its inputs and these
answers, so a lane that is given the same answers again is where it was.
"""

from __future__ import annotations

import itertools
import math
from collections import ChainMap
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from qrlang.backends.reference import classical, inputs
from qrlang.backends.reference.gates import unitary_from_coefficients
from qrlang.circuits import AnyAngle, FlatGate, Product
from qrlang.hardware import synthesis
from qrlang.hardware.device import DeviceError, Floats, Step
from qrlang.hardware.evolution import words_of
from qrlang.hardware.later import Later, MeasuredBits, Pending, bits_of, parts_of
from qrlang.hardware.readings import BitMean, Distribution, Patterns, Quantity, Share, Word
from qrlang.hardware.shared import Shared
from qrlang.hardware.tape import Bit, Node, Tape, When
from qrlang.ir.program import (
    Alloc,
    Angle,
    ApplyMatrix,
    CallExtern,
    Channel,
    Evolve,
    Expect,
    Free,
    If,
    Loop,
    Measure,
    Op,
    Postselect,
    Prepare,
    Probabilities,
    Reset,
    Unitary,
    UseWeight,
    Value,
)
from qrlang.ir.walk import qubits_of, uses

MOST_PATTERNS = 1 << 16
MOST_LOOKUP = 8  # measured bits that an angle may depend on


@dataclass(frozen=True, slots=True)
class Ask:
    """Quantities of one circuit at one row of angles."""

    node: Node
    angles: tuple[float, ...]
    quantities: tuple[Quantity, ...]
    shots: int  # 0: what the run says


Answers = list[list[Floats]]  # for each ask, each of its quantities
Outputs = dict[str, Any]
LaneRun = Generator[list[Ask], Answers, Outputs]


@dataclass(eq=False)
class Lane:
    shared: Shared
    given: Mapping[str, Any]
    targets: Mapping[str, Any] = field(default_factory=dict)
    checked: bool = True  # angles have to be finite; not in a rehearsal without numbers
    turned: Iterator[list[float]] | None = None  # angles of another run, instead of its own
    trace: list[list[float]] = field(default_factory=list)  # angles, op by op
    values: dict[int, Any] = field(default_factory=dict)
    tapes: dict[int, Tape] = field(default_factory=dict)  # by space
    owner: dict[int, Tape] = field(default_factory=dict)  # by qubit
    known: dict[tuple[Tape, Node, int, Quantity], Floats] = field(default_factory=dict)
    waiting: list[Pending] = field(default_factory=list)
    count: Iterator[int] = field(default_factory=itertools.count)

    def run(self) -> LaneRun:
        program = self.shared.program
        self.values.update(inputs.inputs_of(program, self.given, self.targets))
        yield from self._ops(program.body, ())
        yield from self._know()
        found: Outputs = {}
        for o in program.outputs:
            found[o.name] = yield from self._mean(self.values[o.value.id])
        return found

    # --- order ----------------------------------------------------------------------------------

    def _ops(self, ops: Sequence[Op], when: When) -> Generator[list[Ask], Answers, None]:
        for op in ops:
            match op:
                case Unitary():
                    yield from self._need(op, deep=True)
                    self._turn(op, when)
                case Evolve():
                    yield from self._need(op, deep=True)
                    simple, wide = self.shared.parts(op)
                    for part in simple:
                        self._turn(part, when)
                    for part in wide:
                        self._whole(part, when)
                case Prepare() | ApplyMatrix():
                    yield from self._need(op, deep=True)
                    self._whole(op, when)
                case Loop():
                    yield from self._loop(op, when)
                case If():
                    yield from self._if(op, when)
                case Alloc():
                    self._alloc(op)
                case Free():
                    self._free(op)
                case Reset():
                    for q in op.qubits:
                        self._step("reset", q, when)
                case Channel():
                    yield from self._need(op)
                    self._channel(op)
                case Measure():
                    bits = [self._measure(q, when) for q in op.qubits]
                    self.values[op.out.id] = MeasuredBits(tuple(bits), op.out.type.shape)
                case Expect():
                    self._expect(op, when)
                case Probabilities():
                    self._probabilities(op, when)
                case Postselect():
                    self._postselect(op, when)
                case _:
                    yield from self._need(op)
                    self._compute(op)

    def _loop(self, op: Loop, when: When) -> Generator[list[Ask], Answers, None]:
        v = self.values
        yield from self._need(op)
        lengths = [len(self._plain_sequence(v[i.sequence.id])) for i in op.items]
        if len(set(lengths)) > 1:
            raise DeviceError(f"the sequences of `{op.name}` have different lengths: {lengths}")
        steps = lengths[0] if lengths else 0
        carried = [v[c.initial.id] for c in op.carries]
        emitted: list[list[Any]] = [[] for _ in op.emits]
        for t in range(steps + op.extra):
            for item in op.items:
                if t < steps:
                    v[item.item.id] = self._plain_sequence(v[item.sequence.id])[t]
                else:
                    kind = item.item.type
                    token = kind.kind in ("token", "class")
                    v[item.item.id] = np.array(0) if token else np.zeros(inputs.moment_shape(kind))
            for carry, value in zip(op.carries, carried, strict=True):
                v[carry.arg.id] = value
            if op.flag is not None:
                v[op.flag.id] = np.array(float(t >= steps))
            yield from self._ops(op.body, when)
            for i, emit in enumerate(op.emits):
                emitted[i].append(v[emit.value.id])
            carried = [v[c.next.id] for c in op.carries]
        for carry, value in zip(op.carries, carried, strict=True):
            v[carry.out.id] = value
        yield from self._know()
        for emit, found in zip(op.emits, emitted, strict=True):
            items = [x.value if isinstance(x, Pending) else x for x in found]
            if any(isinstance(x, (Later, MeasuredBits)) for x in items):
                v[emit.out.id] = Later(None, tuple(items))
            else:
                shape = inputs.moment_shape(emit.value.type)
                v[emit.out.id] = np.array(items) if items else np.zeros((0, *shape))

    def _plain_sequence(self, x: Any) -> Any:
        return x.needs if isinstance(x, Later) and x.op is None else x

    def _if(self, op: If, when: When) -> Generator[list[Ask], Answers, None]:
        condition = self.values[op.condition.id]
        if isinstance(condition, MeasuredBits):
            bit = condition.bits[op.index]
            for value, ops in ((1, op.then), (0, op.orelse)):
                if (bit, value) in when:  # within an `if` on the same bit
                    yield from self._ops(ops, when)
                elif (bit, 1 - value) not in when:
                    yield from self._ops(ops, (*when, (bit, value)))
        elif isinstance(condition, Later):
            raise DeviceError("an `if` on a number that is computed from measured bits")
        else:
            yield from self._need(op)
            chosen = np.asarray(self.values[op.condition.id]).flat[op.index] > 0.5
            yield from self._ops(op.then if chosen else op.orelse, when)

    # --- what is known --------------------------------------------------------------------------

    def _need(self, op: Op, deep: bool = False) -> Generator[list[Ask], Answers, None]:
        """The values that an op uses are numbers, if they can be; `deep`: also what those that
        differ from shot to shot are computed from."""
        for value in self.shared.uses(op):
            found = self.values.get(value.id)
            if isinstance(found, Pending) and found.value is None:
                yield from self._know()
            if (
                deep
                and isinstance(found, Later)
                and any(isinstance(x, Pending) and x.value is None for x in parts_of(found))
            ):
                yield from self._know()
            if isinstance(found, Pending):
                self.values[value.id] = found.value

    def _know(self) -> Generator[list[Ask], Answers, None]:
        """Everything that has been asked for."""
        wanted: dict[tuple[Tape, Node, int], dict[Quantity, None]] = {}
        for p in self.waiting:
            for q in p.quantities:
                if (*p.key, q) not in self.known:
                    wanted.setdefault(p.key, {})[q] = None
        asks = [
            Ask(node, tuple(tape.angles[: node.parameters]), tuple(qs), shots)
            for (tape, node, shots), qs in wanted.items()
        ]
        if asks:
            answers = yield asks
            for key, ask, found in zip(wanted, asks, answers, strict=True):
                for q, value in zip(ask.quantities, found, strict=True):
                    self.known[(*key, q)] = value
        for p in self.waiting:
            p.value = p.make([self.known[(*p.key, q)] for q in p.quantities])
        self.waiting.clear()

    def _ask(
        self, tape: Tape, quantities: tuple[Quantity, ...], shots: int,
        make: Callable[[list[Floats]], Any],
    ) -> Pending:  # fmt: skip
        if tape.node.empty and not tape.node.bits:
            found = make([_at_zero(q) for q in quantities])
            return Pending((tape, tape.node, 0), (), make, found)
        made = Pending((tape, tape.node, shots), quantities, make)
        self.waiting.append(made)
        return made

    # --- quantum ops ----------------------------------------------------------------------------

    def _tape(self, qubit: int, when: When = ()) -> Tape:
        """The circuit of a qubit, with the bits it depends on in it."""
        tape = self.owner[qubit]
        for bit, _ in when:
            if bit.tape is not tape:
                self._join(tape, bit.tape)
        return tape

    def _join(self, tape: Tape, other: Tape) -> None:
        tape.join(other)
        for q in tape.wires:
            self.owner[q] = tape
        for space, one in self.tapes.items():
            if one is other:
                self.tapes[space] = tape

    def _alloc(self, op: Alloc) -> None:
        for q in op.qubits:
            space = self.shared.space[q]
            tape = self.tapes.get(space)
            if tape is None or not tape.wires:
                tape = Tape(self.shared.tree, self.shared.tree.root)
                self.tapes[space] = tape
            wire = tape.node.qubits
            tape.wires[q], self.owner[q] = wire, tape
            if op.mixed:  # half of an entangled pair whose other half nobody reads
                pair = (Step("h", (wire + 1,)), Step("x", (wire,), controls=(wire + 1,)))
                tape.add("mixed", pair, qubits=2)
            else:
                tape.add("qubit", (), qubits=1)

    def _free(self, op: Free) -> None:
        for q in op.qubits:
            del self.owner[q].wires[q]
            del self.owner[q]

    def _conditions(self, tape: Tape, when: When) -> tuple[tuple[int, int], ...]:
        del tape  # `_tape` has seen to it that they are all in it
        return tuple((bit.index, value) for bit, value in when)

    def _step(self, name: str, qubit: int, when: When) -> None:
        tape = self._tape(qubit, when)
        step = Step(name, (tape.wires[qubit],), when=self._conditions(tape, when))
        tape.add(step, (step,))

    def _channel(self, op: Channel) -> None:
        """Its strength is part of the circuit: no device takes it as a parameter."""
        tape = self._tape(op.qubits[0])
        wires = tuple(tape.wires[q] for q in op.qubits)
        args = tuple(a.constant for a in op.args)
        if any(a.terms for a in op.args):
            if any(isinstance(self.values[v.id], (Later, MeasuredBits)) for v in uses(op)):
                raise DeviceError(f"the strength of a `{op.name}` depends on a measured bit")
            args = tuple(next(self.turned) if self.turned else self._strengths(op))
            self.trace.append(list(args))
        step = Step(op.name, wires, args)
        tape.add(step, (step,))

    def _strengths(self, op: Channel) -> list[float]:
        found = [self._number(a, self.values) for a in op.args]
        if self.checked and not (min(found) >= 0 and sum(found) <= 1 + 1e-12):
            raise DeviceError(f"the strength of a `{op.name}` is {', '.join(map(str, found))}: it "
                              "has to be between 0 and 1")  # fmt: skip
        return [min(1.0, max(0.0, x)) for x in found]

    def _measure(self, qubit: int, when: When) -> Bit:
        tape = self._tape(qubit, when)
        cond = self._conditions(tape, when)
        (bit,) = tape.new_bits(1)
        step = Step("measure", (tape.wires[qubit],), bit=bit.index, when=cond)
        tape.add(step, (step,), bits=1)
        return bit

    def _turn(self, op: Unitary | Evolve, when: When) -> None:
        apart: dict[int, list[FlatGate]] = {}
        for g in self.shared.gates(op):
            touched = (*g.controls, *g.zeros, *g.qubits)
            if touched:
                apart.setdefault(id(self._tape(touched[0], when)), []).append(g)
        for mine in apart.values():
            for part, (_, run) in enumerate(itertools.groupby(mine, self._by_shot)):
                gates = list(run)
                values = [v for g in gates for v in _values_of(g)]
                for cond, known in self._outcomes(values, when):
                    self._gates((id(op), part), gates, cond, known)

    def _by_shot(self, g: FlatGate) -> bool:
        return any(isinstance(self.values[v.id], (Later, MeasuredBits)) for v in _values_of(g))

    def _gates(
        self, key: Any, gates: list[FlatGate], when: When, values: Mapping[int, Any]
    ) -> None:
        first = (*gates[0].controls, *gates[0].zeros, *gates[0].qubits)[0]
        tape = self._tape(first, when)
        cond = self._conditions(tape, when)
        whole = (key, first, tuple(tape.wires.items()), cond)
        steps, angles = self.shared.steps(whole, gates, tape.wires, cond)
        self._add(tape, whole, steps, lambda: [self._number(a, values) for a in angles])

    def _whole(self, op: Evolve | Prepare | ApplyMatrix, when: When) -> None:
        """A state or a unitary that is a value."""
        qubits = qubits_of(op)
        for case, values in self._outcomes(self.shared.uses(op), when):
            tape = self._tape(qubits[0], case)
            cond = self._conditions(tape, case)
            key = (id(op), tuple(tape.wires.items()), cond)
            steps = self.shared.synthesised(key, op, tape.wires, cond)
            self._add(tape, key, steps, partial(self._synthesis, op, values, steps))

    def _add(
        self, tape: Tape, key: Any, steps: tuple[Step, ...], numbers: Callable[[], list[float]]
    ) -> None:
        """Steps with their angles, which may be another run's."""
        found = next(self.turned) if self.turned else numbers()
        self.trace.append(found)
        tape.add(key, steps, found)

    def _synthesis(
        self, op: Evolve | Prepare | ApplyMatrix, values: Mapping[int, Any], steps: Sequence[Step]
    ) -> list[float]:
        if not self.checked:  # readouts are made up, so there may be no such state
            return [0.0] * sum(len(s.angles) for s in steps)
        found: Floats
        if isinstance(op, Prepare):
            kind = complex if op.amplitudes.type.kind == "state" else float
            found = synthesis.state_angles(np.asarray(values[op.amplitudes.id], kind)[None])
        elif isinstance(op, ApplyMatrix):
            matrix = np.asarray(values[op.matrix.id])[None]
            matrix = matrix.conj().swapaxes(-1, -2) if op.adjoint else matrix
            found = (
                synthesis.controlled_angles(matrix, len(op.controls), len(op.zeros))
                if op.controls or op.zeros
                else synthesis.unitary_angles(matrix)
            )
        else:
            words = words_of(op)
            energies = np.array([[self._number(a, values) for a, _ in op.terms]])
            time = np.array([[self._number(op.time, values)]])
            found = synthesis.unitary_angles(synthesis.evolved(words, energies, time))
        if not np.all(np.isfinite(found)):
            raise DeviceError(f"a {type(op).__name__} has no finite angles: nothing has been sent")
        numbers: list[float] = found[0].tolist()
        return numbers

    def _outcomes(
        self, asked: Sequence[Value], when: When
    ) -> Iterator[tuple[When, Mapping[int, Any]]]:
        """For each outcome of the measured bits that some values depend on, the values; all gates
        that use them go under an `if` on it. Most values depend on none."""
        shots = [v for v in asked if isinstance(self.values[v.id], (Later, MeasuredBits))]
        if not shots:
            yield when, self.values
            return
        bits = list(dict.fromkeys(b for v in shots for b in bits_of(self.values[v.id])))
        known = {bit: float(value) for bit, value in when}
        free = [bit for bit in bits if bit not in known]
        if len(free) > MOST_LOOKUP:
            raise DeviceError(
                f"an angle depends on {len(free)} measured bits: a device would need a gate for "
                f"each of their 2^{len(free)} outcomes",
                f"let it depend on {MOST_LOOKUP} bits at most, for example on those of one moment",
            )
        for pattern in itertools.product((0, 1), repeat=len(free)):
            outcome = known | dict(zip(free, map(float, pattern), strict=True))
            memo: dict[int, Any] = {}
            found = {v.id: self._of_shot(self.values[v.id], outcome, memo) for v in shots}
            case = (*when, *zip(free, pattern, strict=True))
            yield case, ChainMap(found, self.values)

    def _number(self, angle: AnyAngle, values: Mapping[int, Any]) -> float:
        if isinstance(angle, Product):
            return angle.factor * self._number(angle.a, values) * self._number(angle.b, values)
        total = angle.constant
        for term in angle.terms:
            total += term.coefficient * float(np.asarray(values[term.value.id]).flat[term.index])
        if self.checked and not math.isfinite(total):
            names = ", ".join(str(t.value.name or t.value.id) for t in angle.terms)
            raise DeviceError(
                f"an angle from {names} is {total}: nothing has been sent to the device",
                "mend the weights or the inputs: every angle has to be a finite number",
            )
        return total

    # --- readouts -------------------------------------------------------------------------------

    def _expect(self, op: Expect, when: When) -> None:
        if op.weak:
            self._weak(op, when)
            return
        strings = list(dict.fromkeys(s for o in op.observables for _, s in o if s))
        parts: list[tuple[Tape, list[int]]] = []
        for s in strings:
            tape = self._tape(s[0][0], when)
            for q, _ in s[1:]:
                if self.owner[q] is not tape:
                    self._join(tape, self.owner[q])
        for i, s in enumerate(strings):
            tape = self.owner[s[0][0]]
            found = next((ids for t, ids in parts if t is tape), None)
            if found is None:
                found = []
                parts.append((tape, found))
            found.append(i)
        pieces: list[tuple[Pending, list[int]]] = []
        for tape, ids in parts:
            cond, kept = self._conditions(tape, when), self._conditions(tape, tuple(tape.kept))
            words = tuple(
                Word(tuple(sorted((tape.wires[q], p) for q, p in strings[i])), cond, kept)
                for i in ids
            )
            pieces.append((self._ask(tape, words, op.shots, list), ids))
        self._combine(op, strings, pieces)

    def _combine(
        self, op: Expect, strings: list[Any], pieces: list[tuple[Pending, list[int]]]
    ) -> None:
        def make(_: list[Floats]) -> Any:
            of: dict[Any, float] = {(): 1.0}
            for pending, ids in pieces:
                for i, value in zip(ids, pending.value, strict=True):
                    of[strings[i]] = float(value[0])
            return np.array([sum(c * of[s] for c, s in o) for o in op.observables])

        if all(p.value is not None for p, _ in pieces):
            self.values[op.out.id] = make([])
            return
        last = next(p for p, _ in reversed(pieces) if p.value is None)
        whole = Pending(last.key, (), make)
        self.waiting.append(whole)
        self.values[op.out.id] = whole

    def _weak(self, op: Expect, when: When) -> None:
        """Each word turns an ancilla, whose Y is measured at once."""
        strings: list[Any] = []
        pieces: list[tuple[Pending, list[int]]] = []
        scale = -1.0 / math.sin(op.weak)
        for observable in op.observables:
            for _, string in observable:
                if string:
                    strings.append((len(strings), string))
        bits: list[Bit] = []
        for _, string in strings:
            tape = self._tape(string[0][0], when)
            cond = self._conditions(tape, when)
            wires = tuple((tape.wires[q], p) for q, p in string)
            fresh = tape.ancilla < 0
            if fresh:
                tape.ancilla = tape.node.qubits
            (bit,) = tape.new_bits(1)
            steps = (
                *_coupling(wires, tape.ancilla, op.weak, cond),
                Step("measure", (tape.ancilla,), bit=bit.index, when=cond),
                Step("reset", (tape.ancilla,), when=cond),
            )
            tape.add(("weak", op.weak, wires, bit.index, cond), steps, qubits=int(fresh), bits=1)
            bits.append(bit)
        for i, bit in enumerate(bits):
            tape = bit.tape
            cond, kept = self._conditions(tape, when), self._conditions(tape, tuple(tape.kept))
            asked = self._ask(
                tape, (BitMean(bit.index, cond, kept),), op.shots,
                lambda found: [scale * found[0]],
            )  # fmt: skip
            pieces.append((asked, [i]))
        keys = iter(strings)
        tagged = tuple(tuple((c, next(keys) if s else ()) for c, s in o) for o in op.observables)
        self._combine(Expect(op.out, tagged), strings, pieces)

    def _probabilities(self, op: Probabilities, when: When) -> None:
        tape = self._tape(op.qubits[0], when)
        cond, kept = self._conditions(tape, when), self._conditions(tape, tuple(tape.kept))
        asked = Distribution(tuple(tape.wires[q] for q in op.qubits), cond, kept)
        self.values[op.out.id] = self._ask(tape, (asked,), op.shots, lambda found: found[0])

    def _postselect(self, op: Postselect, when: When) -> None:
        if when:
            raise DeviceError("a post-selection under a measured bit")
        bits = [self._measure(q, ()) for q in op.qubits]
        tape = self.owner[op.qubits[0]]
        before = self._conditions(tape, tuple(tape.kept))
        wanted = list(zip(bits, op.bits, strict=True))
        share = Share(self._conditions(tape, tuple(wanted)), before)
        tape.kept += wanted
        self.values[op.out.id] = self._ask(
            tape, (share,), 0, lambda found: np.array(float(found[0][0]))
        )

    # --- classical ops --------------------------------------------------------------------------

    def _compute(self, op: Op) -> None:
        out: Value = op.out  # type: ignore[attr-defined]
        needs = [self.values.get(u.id) for u in self.shared.uses(op)]
        if any(isinstance(x, (Later, MeasuredBits)) for x in needs):
            self.values[out.id] = Later(op, tuple(needs))
        else:
            self.values[out.id] = self._result(op, self.values)

    def _result(self, op: Op, values: Mapping[int, Any]) -> Any:
        if isinstance(op, UseWeight):
            found = self.shared.weights[op.weight]
            trained = op.out.type.kind == "unitary"
            return unitary_from_coefficients(found, op.out.type.size) if trained else found
        if isinstance(op, CallExtern):
            if op.layer not in self.shared.externs:
                raise DeviceError(f"the extern layer `{op.layer}` was not given")
            return np.asarray(self.shared.externs[op.layer](*(values[a.id] for a in op.args)))
        with np.errstate(all="ignore"):
            result = classical.compute(op, values, self.shared.weights)
        if result is None:
            raise DeviceError(f"a device has no {type(op).__name__}")
        return result

    # --- averages over shots --------------------------------------------------------------------

    def _mean(self, x: Any) -> Generator[list[Ask], Answers, Any]:
        if isinstance(x, Pending):
            return x.value
        if isinstance(x, Later) and x.op is None:
            found = []
            for item in x.needs:
                found.append((yield from self._mean(item)))
            return np.array(found)
        if not isinstance(x, (Later, MeasuredBits)):
            return np.asarray(x)
        bits = list(dict.fromkeys(bits_of(x)))
        for bit in bits[1:]:
            if bit.tape is not bits[0].tape:
                self._join(bits[0].tape, bit.tape)
        tape = bits[0].tape
        asked = Patterns(tuple(b.index for b in bits), (), self._conditions(tape, tuple(tape.kept)))
        pending = self._ask(tape, (asked,), 0, lambda found: found[0])
        yield from self._know()
        table = np.asarray(pending.value).reshape(-1, len(bits) + 1)
        if len(table) > MOST_PATTERNS:
            raise DeviceError(f"{len(table)} different outcomes of measured bits are needed")
        total: Any = 0.0
        for row in table:
            pattern = dict(zip(bits, row[:-1], strict=True))
            total = total + row[-1] * self._of_shot(x, pattern, {})
        return np.asarray(total)

    def _of_shot(self, x: Any, pattern: Mapping[Bit, float], memo: dict[int, Any]) -> Any:
        if isinstance(x, Pending):
            return x.value
        if isinstance(x, MeasuredBits):
            return np.array([pattern[b] for b in x.bits]).reshape(x.shape)
        if not isinstance(x, Later):
            return x
        if id(x) not in memo:
            needs = [self._of_shot(n, pattern, memo) for n in x.needs]
            if x.op is None:
                memo[id(x)] = np.array(needs)
            else:
                names = [u.id for u in self.shared.uses(x.op)]
                memo[id(x)] = self._result(x.op, dict(zip(names, needs, strict=True)))
        return memo[id(x)]


def _values_of(g: FlatGate) -> Iterator[Value]:
    for angle in g.angles:
        for one in (angle.a, angle.b) if isinstance(angle, Product) else (angle,):
            yield from (term.value for term in one.terms)


def _at_zero(q: Quantity) -> Floats:
    """Of qubits that nothing has happened to."""
    match q:
        case Word():
            return np.array([0.0 if any(p != "Z" for _, p in q.string) else 1.0])
        case Distribution():
            return np.asarray(np.eye(1, 1 << len(q.qubits))[0])
    raise AssertionError(q)


def _coupling(
    string: tuple[tuple[int, str], ...], ancilla: int, theta: float,
    when: tuple[tuple[int, int], ...],
) -> Iterator[Step]:  # fmt: skip
    """`exp(-i θ/2 P ⊗ X)`, then Y of the ancilla as its Z."""
    from qrlang.circuits import pauli_rotation

    word = tuple(sorted((*string, (ancilla, "X"))))
    for g in pauli_rotation(word, Angle(theta)):
        (angle,) = g.angles or (Angle(0.0),)
        assert isinstance(angle, Angle)
        yield Step(
            g.name, g.qubits, (angle.constant,) if g.angles else (), g.controls, g.zeros, when=when
        )
    yield Step("sdg", (ancilla,), when=when)
    yield Step("h", (ancilla,), when=when)
