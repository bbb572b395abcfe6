"""The body of a program for Qiskit: gates as methods of `QuantumCircuit`, `if` as `if_test`."""

from __future__ import annotations

from collections.abc import Iterator

from qrlang.backends.braket.emit.body import Body, Space, _bit
from qrlang.backends.braket.emit.numbers import text_of
from qrlang.backends.braket.gates import Call
from qrlang.backends.qiskit.circuits import CLASSES
from qrlang.circuits import FlatGate
from qrlang.gates import GATES, written_name

# Gates with controls that `QuantumCircuit` has a method for.
_METHODS = frozenset(
    {"cx", "cy", "cz", "ch", "csx", "crx", "cry", "crz", "cp", "ccx", "ccz", "cswap"}
)


class QiskitBody(Body):
    def lowered(self, g: FlatGate, angles: list[object], space: Space) -> Iterator[Call]:
        def wire(q: int) -> str:
            return self.key(q) if space.fixed else f"q[{self.key(q)}]"

        on = [wire(q) for q in (*g.controls, *g.zeros, *g.qubits)]
        said = [text_of(a) for a in angles]
        name = written_name(g.name, len(g.controls)) if not g.zeros else None
        if name in _METHODS or (name == g.name and g.name in CLASSES):
            text = f"circuit.{name}({', '.join([*said, *on])})"
        else:
            text = f"circuit.append({self.gate(g, said)}, [{', '.join(on)}])"
        # The text is the whole of the call: `line` has nothing to add.
        yield Call(self.under_conditions() + text, ())

    def gate(self, g: FlatGate, angles: list[str]) -> str:
        made = {"iswapdg": "iSwapGate", "xx_plus_yy": "XXPlusYYGate"}.get(g.name) or CLASSES[g.name]
        text = f"{made}({', '.join(angles)})" + (".inverse()" if g.name == "iswapdg" else "")
        count = len(g.controls) + len(g.zeros)
        if count:
            ones = (1 << len(g.controls)) - 1  # the first control is the lowest bit
            state = f", ctrl_state={ones}" if g.zeros else ""
            text += f".control({count}{state})"
        assert g.name in GATES
        return text

    def under_conditions(self) -> str:
        """`if`s stand beside one another on devices, never in one another."""
        parts = [f"(q[{_bit(v, i)}], {int(wanted)})" for v, i, wanted in self.conditions]
        if not parts:
            return ""
        if len(parts) == 1:
            return f"with circuit.if_test({parts[0]}): "
        return f"with circuit.if_test(both({', '.join(parts)})): "

    def line(self, call: Call) -> str:
        return call.name
