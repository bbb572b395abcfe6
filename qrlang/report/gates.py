"""Every gate of every circuit, with what its angles are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from qrlang.analysis.circuits import AnyAngle, Circuit, Product, flat
from qrlang.analysis.cost import Roles, gate_name
from qrlang.draw.labels import number
from qrlang.ir.program import (
    CallExtern,
    Embed,
    Evolve,
    Expect,
    If,
    LayerNorm,
    Linear,
    Measure,
    Op,
    Pointwise,
    Probabilities,
    Unitary,
    UseWeight,
    Value,
)
from qrlang.names import qubit_names

DATA_DRIVEN, TRAINED, FIXED = "data-driven", "trained", "fixed"
KIND = {"layer": DATA_DRIVEN, "readout": DATA_DRIVEN, "data": DATA_DRIVEN, "trained": TRAINED,
        "frozen": FIXED, "constant": FIXED}  # fmt: skip


@dataclass(frozen=True)
class Line:
    what: str
    qubits: str
    angles: str
    role: str  # "" for what has no angle


class Gates:
    """The lines of circuits of one program."""

    def __init__(self, roles: Roles) -> None:
        self.roles = roles

    def lines(self, circuit: Circuit) -> list[Line]:
        return list(self._lines(circuit.ops, qubit_names(circuit.registers), ""))

    def _lines(self, ops: tuple[Op, ...], names: dict[int, str], when: str) -> Iterator[Line]:
        for op in ops:
            match op:
                case If():
                    bit = f"{self.source(op.condition)}[{op.index}]"
                    yield from self._lines(op.then, names, f"if {bit}: ")
                    yield from self._lines(op.orelse, names, f"if not {bit}: ")
                case Unitary() | Evolve():
                    for gate in flat(op):
                        at = (*gate.controls, *gate.zeros, *gate.qubits)
                        yield Line(
                            when + gate_name(gate), ", ".join(names.get(q, f"q{q}") for q in at),
                            ", ".join(map(self.angle, gate.angles)),
                            ", ".join(dict.fromkeys(map(self.role, gate.angles))),
                        )  # fmt: skip
                case Expect():
                    yield Line(f"{when}read {op.out.name}", f"{len(op.observables)} observables",
                               "", "")  # fmt: skip
                case _:
                    qubits = [names.get(q, f"q{q}") for q in getattr(op, "qubits", ())]
                    word = _WORDS.get(type(op).__name__, type(op).__name__.lower())
                    yield Line(when + word, ", ".join(qubits), "", "")

    def role(self, angle: AnyAngle) -> str:
        parts = (angle.a, angle.b) if isinstance(angle, Product) else (angle,)
        return KIND[self.roles.angle(*parts)]

    def angle(self, angle: AnyAngle) -> str:
        if isinstance(angle, Product):
            factor = "" if angle.factor == 1 else f"{number(angle.factor)} · "
            return f"{factor}({self.angle(angle.a)}) · ({self.angle(angle.b)})"
        parts = [_term(t.coefficient, self._element(t.value, t.index)) for t in angle.terms]
        if angle.constant or not parts:
            parts.append(number(angle.constant))
        return " + ".join(parts).replace("+ −", "− ")

    def _element(self, value: Value, index: int) -> str:
        name = self.source(value)
        return f"{name}[{index}]" if value.type.count > 1 else name

    def source(self, value: Value) -> str:
        """What a value is called: its own name, or the layer that makes it."""
        op = self.roles.flow.maker.get(value.id)
        match op:
            case UseWeight():
                return op.weight
            case Linear() | Embed() | LayerNorm():
                return op.weight.rpartition(".")[0] or op.weight
            case CallExtern():
                return op.layer
            case Expect() | Probabilities() | Measure() if value.name:
                return value.name
            case Pointwise():
                return f"{op.fn}({', '.join(map(self.source, op.args))})"
        if value.name or op is None:
            return value.name or f"%{value.id}"
        inner = list(dict.fromkeys(map(self.source, self.roles.flow.sources(value))))
        return f"{type(op).__name__.lower()}({', '.join(inner)})"


_WORDS = {"Alloc": "begin in |0…0⟩", "Free": "end", "Probabilities": "read the distribution",
          "ApplyMatrix": "unitary"}  # fmt: skip


def _term(coefficient: float, name: str) -> str:
    if coefficient == 1:
        return name
    return f"−{name}" if coefficient == -1 else f"{number(coefficient)} · {name}"
