"""The readouts of one sequence: asked for when they stand in the program, known when they are
needed."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from qrlang.analysis.circuits import pauli_rotation
from qrlang.hardware.device import DeviceError, Floats, Step
from qrlang.hardware.later import Pending
from qrlang.hardware.readings import BitMean, Distribution, Quantity, Share, Word
from qrlang.hardware.recorder import Recorder
from qrlang.hardware.tape import Bit, Node, Tape, When, numbered
from qrlang.ir.program import Angle, Expect, Postselect, Probabilities


@dataclass(frozen=True, slots=True)
class Ask:
    """Quantities of one circuit at one row of angles."""

    node: Node
    angles: tuple[float, ...]
    quantities: tuple[Quantity, ...]
    shots: int  # 0: what the run says


Answers = list[list[Floats]]  # for each ask, each of its quantities
Known = Generator[list[Ask], Answers, None]


class Questions:
    def __init__(self, recorder: Recorder) -> None:
        self.recorder, self.values = recorder, recorder.values
        self.known: dict[tuple[Tape, Node, int, Quantity], Floats] = {}
        self.waiting: list[Pending] = []

    def know(self) -> Known:
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

    def ask(
        self, tape: Tape, quantities: tuple[Quantity, ...], shots: int,
        make: Callable[[list[Floats]], Any],
    ) -> Pending:  # fmt: skip
        if tape.node.empty and not tape.node.bits:
            found = make([at_zero(q) for q in quantities])
            return Pending((tape, tape.node, 0), (), make, found)
        made = Pending((tape, tape.node, shots), quantities, make)
        self.waiting.append(made)
        return made

    def expect(self, op: Expect, when: When) -> None:
        if op.weak:
            self._weak(op, when)
            return
        strings = list(dict.fromkeys(s for o in op.observables for _, s in o if s))
        parts: list[tuple[Tape, list[int]]] = []
        for s in strings:
            tape = self.recorder.tape(s[0][0], when)
            for q, _ in s[1:]:
                if self.recorder.owner[q] is not tape:
                    self.recorder.join(tape, self.recorder.owner[q])
        for i, s in enumerate(strings):
            tape = self.recorder.owner[s[0][0]]
            found = next((ids for t, ids in parts if t is tape), None)
            if found is None:
                found = []
                parts.append((tape, found))
            found.append(i)
        pieces: list[tuple[Pending, list[int]]] = []
        for tape, ids in parts:
            cond, kept = (
                numbered(when),
                numbered(tuple(tape.kept)),
            )
            words = tuple(
                Word(tuple(sorted((tape.wires[q], p) for q, p in strings[i])), cond, kept)
                for i in ids
            )
            pieces.append((self.ask(tape, words, op.shots, list), ids))
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
            self.values[op.out] = make([])
            return
        last = next(p for p, _ in reversed(pieces) if p.value is None)
        whole = Pending(last.key, (), make)
        self.waiting.append(whole)
        self.values[op.out] = whole

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
            tape = self.recorder.tape(string[0][0], when)
            cond = numbered(when)
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
            cond, kept = (
                numbered(when),
                numbered(tuple(tape.kept)),
            )
            asked = self.ask(
                tape, (BitMean(bit.index, cond, kept),), op.shots,
                lambda found: [scale * found[0]],
            )  # fmt: skip
            pieces.append((asked, [i]))
        keys = iter(strings)
        tagged = tuple(tuple((c, next(keys) if s else ()) for c, s in o) for o in op.observables)
        self._combine(Expect(op.out, tagged), strings, pieces)

    def probabilities(self, op: Probabilities, when: When) -> None:
        tape = self.recorder.tape(op.qubits[0], when)
        cond, kept = (
            numbered(when),
            numbered(tuple(tape.kept)),
        )
        asked = Distribution(tuple(tape.wires[q] for q in op.qubits), cond, kept)
        self.values[op.out] = self.ask(tape, (asked,), op.shots, lambda found: found[0])

    def postselect(self, op: Postselect, when: When) -> None:
        if when:
            raise DeviceError("a post-selection under a measured bit")
        bits = [self.recorder.measure(q, ()) for q in op.qubits]
        tape = self.recorder.owner[op.qubits[0]]
        before = numbered(tuple(tape.kept))
        wanted = list(zip(bits, op.bits, strict=True))
        share = Share(numbered(tuple(wanted)), before)
        tape.kept += wanted
        self.values[op.out] = self.ask(
            tape, (share,), 0, lambda found: np.array(float(found[0][0]))
        )


def at_zero(q: Quantity) -> Floats:
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
    word = tuple(sorted((*string, (ancilla, "X"))))
    for g in pauli_rotation(word, Angle(theta)):
        (angle,) = g.angles or (Angle(0.0),)
        assert isinstance(angle, Angle)
        yield Step(
            g.name, g.qubits, (angle.constant,) if g.angles else (), g.controls, g.zeros, when=when
        )
    yield Step("sdg", (ancilla,), when=when)
    yield Step("h", (ancilla,), when=when)
