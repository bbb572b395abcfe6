"""The body of a program for Qiskit: gates as methods of `QuantumCircuit`, `if` as `if_test`."""

from __future__ import annotations

from collections.abc import Iterator

from qrlang.analysis.circuits import FlatGate
from qrlang.backends.emit.body import Body, bit_name
from qrlang.backends.emit.spaces import Space
from qrlang.backends.emit.text import text_of
from qrlang.backends.qiskit.circuits import CLASSES
from qrlang.backends.qiskit.noise import text as channel_text
from qrlang.gates import CHANNELS, written_name

# Gates with controls that `QuantumCircuit` has a method for.
_METHODS = frozenset(
    {"cx", "cy", "cz", "ch", "csx", "crx", "cry", "crz", "cp", "ccx", "ccz", "cswap"}
)


class QiskitBody(Body):
    def gate(self, g: FlatGate, angles: list[object], space: Space) -> Iterator[str]:
        on = [self.wire(q, space) for q in (*g.controls, *g.zeros, *g.qubits)]
        said = [text_of(a) for a in angles]
        if g.name in CHANNELS:
            yield f"circuit.append({channel_text(g.name, said)}, [{', '.join(on)}])"
            return
        name = written_name(g.name, len(g.controls)) if not g.zeros else None
        if name in _METHODS or (name == g.name and g.name in CLASSES):
            yield f"circuit.{name}({', '.join([*said, *on])})"
        else:
            yield f"circuit.append({_gate(g, said)}, [{', '.join(on)}])"

    def guarded(self, lines: list[str]) -> list[str]:
        """`if`s stand beside one another on devices, never in one another."""
        if not self.conditions:
            return lines
        head = f"with circuit.if_test({self.condition()}):"
        return [head, *("    " + line for line in lines)]

    def condition(self) -> str:
        parts = [f"(q[{bit_name(v, i)}], {int(wanted)})" for v, i, wanted in self.conditions]
        return parts[0] if len(parts) == 1 else f"both({', '.join(parts)})"

    def reset(self, qubit: int, depth: int) -> None:
        space = self.of_qubit[qubit]
        if self.conditions:
            when = f"lambda q: {self.condition()}"
            self.say(f"{space.name}.reset_if({when}, {space.key(qubit)})", depth)
        else:
            self.say(f"{space.name}.reset({space.key(qubit)})", depth)

    def ancilla(self, readout: str) -> str:
        return '"ancilla"'  # one for all: it is reset before each

    def weak_word(self, space: Space, ancilla: str, bit: str, depth: int) -> str:
        if self.conditions:
            raise ValueError("a weak readout under a measured bit has no form here; `qrlc run` has")
        self.say(f"{space.name}.measure({ancilla}, {bit})", depth)
        return bit


def _gate(g: FlatGate, angles: list[str]) -> str:
    made = {"iswapdg": "iSwapGate", "xx_plus_yy": "XXPlusYYGate"}.get(g.name) or CLASSES[g.name]
    text = f"{made}({', '.join(angles)})" + (".inverse()" if g.name == "iswapdg" else "")
    count = len(g.controls) + len(g.zeros)
    if count:
        ones = (1 << len(g.controls)) - 1  # the first control is the lowest bit
        state = f", ctrl_state={ones}" if g.zeros else ""
        text += f".control({count}{state}, annotated=False)"
    return text
