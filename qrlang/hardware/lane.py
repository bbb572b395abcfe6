"""One sequence on the host: classical ops are computed, quantum ops recorded, readouts asked for.

A lane is a generator. It yields what it has to know before it can go on, all at once, and is sent
the answers: it never sees a device. What it does depends on nothing but its inputs and these
answers, so a lane that is given the same answers again is where it was.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any

import numpy as np

from qrlang.backends.reference import inputs
from qrlang.hardware.device import DeviceError
from qrlang.hardware.later import Later, MeasuredBits, Pending, bits_of, parts_of
from qrlang.hardware.questions import Answers, Ask, Known, Questions
from qrlang.hardware.readings import Patterns
from qrlang.hardware.recorder import Recorder
from qrlang.hardware.shared import Shared
from qrlang.hardware.tape import When, numbered
from qrlang.hardware.values import Values
from qrlang.ir.program import (
    Alloc,
    ApplyMatrix,
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
)

MOST_PATTERNS = 1 << 16

Outputs = dict[str, Any]
LaneRun = Generator[list[Ask], Answers, Outputs]


class Lane:
    def __init__(
        self, shared: Shared, given: Mapping[str, Any], targets: Mapping[str, Any] | None = None,
        checked: bool = True,
    ) -> None:  # fmt: skip
        """`checked`: angles have to be finite; not in a rehearsal without numbers."""
        self.shared, self.given, self.targets = shared, given, targets or {}
        self.values = Values(shared, checked)
        self.circuits = Recorder(self.values)
        self.readouts = Questions(self.circuits)

    def run(self) -> LaneRun:
        program = self.shared.program
        self.values.of.update(inputs.inputs_of(program, self.given, self.targets))
        yield from self._ops(program.body, ())
        yield from self.readouts.know()
        found: Outputs = {}
        for o in program.outputs:
            found[o.name] = yield from self._mean(self.values[o.value])
        return found

    def _ops(self, ops: Sequence[Op], when: When) -> Known:
        for op in ops:
            match op:
                case Unitary():
                    yield from self._need(op, deep=True)
                    self.circuits.turn(op, when)
                case Evolve():
                    yield from self._need(op, deep=True)
                    simple, wide = self.shared.parts(op)
                    for part in simple:
                        self.circuits.turn(part, when)
                    for part in wide:
                        self.circuits.whole(part, when)
                case Prepare() | ApplyMatrix():
                    yield from self._need(op, deep=True)
                    self.circuits.whole(op, when)
                case Loop():
                    yield from self._loop(op, when)
                case If():
                    yield from self._if(op, when)
                case Alloc():
                    self.circuits.alloc(op)
                case Free():
                    self.circuits.free(op)
                case Reset():
                    for q in op.qubits:
                        self.circuits.step("reset", q, when)
                case Channel():
                    yield from self._need(op)
                    self.circuits.channel(op)
                case Measure():
                    bits = [self.circuits.measure(q, when) for q in op.qubits]
                    self.values[op.out] = MeasuredBits(tuple(bits), op.out.type.shape)
                case Expect():
                    self.readouts.expect(op, when)
                case Probabilities():
                    self.readouts.probabilities(op, when)
                case Postselect():
                    self.readouts.postselect(op, when)
                case _:
                    yield from self._need(op)
                    self.values.compute(op)

    def _loop(self, op: Loop, when: When) -> Known:
        v = self.values.of
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
        yield from self.readouts.know()
        for emit, found in zip(op.emits, emitted, strict=True):
            items = [x.value if isinstance(x, Pending) else x for x in found]
            if any(isinstance(x, (Later, MeasuredBits)) for x in items):
                v[emit.out.id] = Later(None, tuple(items))
            else:
                shape = inputs.moment_shape(emit.value.type)
                v[emit.out.id] = np.array(items) if items else np.zeros((0, *shape))

    def _plain_sequence(self, x: Any) -> Any:
        return x.needs if isinstance(x, Later) and x.op is None else x

    def _if(self, op: If, when: When) -> Known:
        condition = self.values[op.condition]
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
            chosen = np.asarray(self.values[op.condition]).flat[op.index] > 0.5
            yield from self._ops(op.then if chosen else op.orelse, when)

    def _need(self, op: Op, deep: bool = False) -> Known:
        """The values that an op uses are numbers, if they can be; `deep`: also what those that
        differ from shot to shot are computed from."""
        for value in self.shared.uses(op):
            found = self.values.of.get(value.id)
            if isinstance(found, Pending) and found.value is None:
                yield from self.readouts.know()
            if (
                deep
                and isinstance(found, Later)
                and any(isinstance(x, Pending) and x.value is None for x in parts_of(found))
            ):
                yield from self.readouts.know()
            if isinstance(found, Pending):
                self.values[value] = found.value

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
                self.circuits.join(bits[0].tape, bit.tape)
        tape = bits[0].tape
        asked = Patterns(tuple(b.index for b in bits), (), numbered(tuple(tape.kept)))
        pending = self.readouts.ask(tape, (asked,), 0, lambda found: found[0])
        yield from self.readouts.know()
        table = np.asarray(pending.value).reshape(-1, len(bits) + 1)
        if len(table) > MOST_PATTERNS:
            raise DeviceError(f"{len(table)} different outcomes of measured bits are needed")
        total: Any = 0.0
        for row in table:
            pattern = dict(zip(bits, row[:-1], strict=True))
            total = total + row[-1] * self.values.of_shot(x, pattern, {})
        return np.asarray(total)
