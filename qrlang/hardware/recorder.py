"""What is done to the qubits of one sequence, as circuits that grow."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from qrlang.analysis.circuits import FlatGate
from qrlang.hardware import synthesis
from qrlang.hardware.device import DeviceError, Floats, Step
from qrlang.hardware.evolution import words_of
from qrlang.hardware.tape import Bit, Tape, When, numbered
from qrlang.hardware.values import Values, values_of
from qrlang.ir.program import (
    Alloc,
    ApplyMatrix,
    Channel,
    Evolve,
    Free,
    Prepare,
    Unitary,
)
from qrlang.ir.walk import qubits_of, uses


class Recorder:
    def __init__(self, values: Values) -> None:
        self.values, self.shared = values, values.shared
        self.turned: Iterator[list[float]] | None = None  # angles of another run, not its own
        self.trace: list[list[float]] = []  # angles, op by op
        self.tapes: dict[int, Tape] = {}  # by space
        self.owner: dict[int, Tape] = {}  # by qubit

    def tape(self, qubit: int, when: When = ()) -> Tape:
        """The circuit of a qubit, with the bits it depends on in it."""
        tape = self.owner[qubit]
        for bit, _ in when:
            if bit.tape is not tape:
                self.join(tape, bit.tape)
        return tape

    def join(self, tape: Tape, other: Tape) -> None:
        tape.join(other)
        for q in tape.wires:
            self.owner[q] = tape
        for space, one in self.tapes.items():
            if one is other:
                self.tapes[space] = tape

    def alloc(self, op: Alloc) -> None:
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

    def free(self, op: Free) -> None:
        for q in op.qubits:
            del self.owner[q].wires[q]
            del self.owner[q]

    def step(self, name: str, qubit: int, when: When) -> None:
        tape = self.tape(qubit, when)
        step = Step(name, (tape.wires[qubit],), when=numbered(when))
        tape.add(step, (step,))

    def channel(self, op: Channel) -> None:
        """Its strength is part of the circuit: no device takes it as a parameter."""
        tape = self.tape(op.qubits[0])
        wires = tuple(tape.wires[q] for q in op.qubits)
        args = tuple(a.constant for a in op.args)
        if any(a.terms for a in op.args):
            if any(self.values.by_shot(v) for v in uses(op)):
                raise DeviceError(f"the strength of a `{op.name}` depends on a measured bit")
            args = tuple(next(self.turned) if self.turned else self._strengths(op))
            self.trace.append(list(args))
        step = Step(op.name, wires, args)
        tape.add(step, (step,))

    def _strengths(self, op: Channel) -> list[float]:
        found = [self.values.number(a, self.values.of) for a in op.args]
        if self.values.checked and not (min(found) >= 0 and sum(found) <= 1 + 1e-12):
            raise DeviceError(f"the strength of a `{op.name}` is {', '.join(map(str, found))}: it "
                              "has to be between 0 and 1")  # fmt: skip
        return [min(1.0, max(0.0, x)) for x in found]

    def measure(self, qubit: int, when: When) -> Bit:
        tape = self.tape(qubit, when)
        cond = numbered(when)
        (bit,) = tape.new_bits(1)
        step = Step("measure", (tape.wires[qubit],), bit=bit.index, when=cond)
        tape.add(step, (step,), bits=1)
        return bit

    def turn(self, op: Unitary | Evolve, when: When) -> None:
        apart: dict[int, list[FlatGate]] = {}
        for g in self.shared.gates(op):
            touched = (*g.controls, *g.zeros, *g.qubits)
            if touched:
                apart.setdefault(id(self.tape(touched[0], when)), []).append(g)
        for mine in apart.values():
            done = 0  # a value may be a number in one moment, and differ by shot in another
            for _, run in itertools.groupby(mine, self._by_shot):
                gates = list(run)
                part, done = (done, done + len(gates)), done + len(gates)
                values = [v for g in gates for v in values_of(g)]
                for cond, known in self.values.outcomes(values, when):
                    self._gates((id(op), part), gates, cond, known)

    def _by_shot(self, g: FlatGate) -> bool:
        return any(map(self.values.by_shot, values_of(g)))

    def _gates(
        self, key: Any, gates: list[FlatGate], when: When, values: Mapping[int, Any]
    ) -> None:
        first = (*gates[0].controls, *gates[0].zeros, *gates[0].qubits)[0]
        tape = self.tape(first, when)
        cond = numbered(when)
        whole = (key, first, tuple(tape.wires.items()), cond)
        steps, angles = self.shared.steps(whole, gates, tape.wires, cond)
        self._add(tape, whole, steps, lambda: [self.values.number(a, values) for a in angles])

    def whole(self, op: Evolve | Prepare | ApplyMatrix, when: When) -> None:
        """A state or a unitary that is a value."""
        qubits = qubits_of(op)
        for case, values in self.values.outcomes(self.shared.uses(op), when):
            tape = self.tape(qubits[0], case)
            cond = numbered(case)
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
        if not self.values.checked:  # readouts are made up, so there may be no such state
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
            energies = np.array([[self.values.number(a, values) for a, _ in op.terms]])
            time = np.array([[self.values.number(op.time, values)]])
            found = synthesis.unitary_angles(synthesis.evolved(words, energies, time))
        if not np.all(np.isfinite(found)):
            raise DeviceError(f"a {type(op).__name__} has no finite angles: nothing has been sent")
        numbers: list[float] = found[0].tolist()
        return numbers
