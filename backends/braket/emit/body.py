"""The body of a program for Braket: gates as methods of `Circuit`, whose circuits have no `if`: a
measured bit is a qubit of its own, and what depends on it is controlled."""

from __future__ import annotations

from collections.abc import Iterator

from qrlang.analysis.circuits import FlatGate
from qrlang.backends.braket.channels import line
from qrlang.backends.braket.gates import Call, calls
from qrlang.backends.emit.body import Body, bit_name
from qrlang.backends.emit.names import Names
from qrlang.backends.emit.spaces import Space
from qrlang.backends.emit.text import text_of
from qrlang.gates import CHANNELS
from qrlang.ir.program import Program


class BraketBody(Body):
    def __init__(self, program: Program, names: Names, native: frozenset[str]) -> None:
        super().__init__(program, names)
        self.native = native

    def gate(self, g: FlatGate, angles: list[object], space: Space) -> Iterator[str]:
        if g.name in CHANNELS:
            numbers = [float(a) for a in angles if isinstance(a, float)]
            if len(numbers) < len(angles) or self.conditions:
                raise ValueError(
                    f"`{g.name}` of a computed strength, or under a measured bit, has "
                    "no form in a circuit of Braket's SDK"
                )
            yield line(g.name, [self.wire(q, space) for q in g.qubits], numbers)
            return
        on = [f"q[{bit_name(v, i)}]" for v, i, wanted in self.conditions if wanted]
        off = [f"q[{bit_name(v, i)}]" for v, i, wanted in self.conditions if not wanted]
        # `calls` only hands the qubits on: here they are words.
        for call in calls(
            g.name,
            [self.wire(q, space) for q in g.qubits],  # type: ignore[misc]
            angles,
            [*(self.wire(q, space) for q in g.controls), *on],  # type: ignore[list-item]
            [*(self.wire(q, space) for q in g.zeros), *off],  # type: ignore[list-item]
            self.native,
        ):
            yield _line(call)

    def guarded(self, lines: list[str]) -> list[str]:
        if self.conditions and any(line.startswith("play(") for line in lines):
            raise ValueError("a state or a unitary that is a value, under a measured bit, has no "
                             "form in a circuit of Braket's SDK; `qrlc run` has")  # fmt: skip
        return lines

    def reset(self, qubit: int, depth: int) -> None:
        space = self.of_qubit[qubit]
        if not self.conditions:
            self.say(f"{space.name}.reset({space.key(qubit)})", depth)
            return
        # Under measured bits the qubit and a fresh one are exchanged where they say so.
        self.say(f'{space.name}.begin(["fresh"])', depth)
        self.words[-1] = '"fresh"'
        self.one_piece([FlatGate("swap", (qubit, -1))], space, depth)

    def ancilla(self, readout: str) -> str:
        return f'"ancilla{readout}"'

    def weak_word(self, space: Space, ancilla: str, bit: str, depth: int) -> str:
        return ancilla  # nobody touches it again: it is measured with all the others


def _line(call: Call) -> str:
    return f"circuit.{call.name}({', '.join([*map(str, call.qubits), *map(text_of, call.angles)])})"
