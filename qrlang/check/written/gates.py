"""How a gate line is written: the name of the gate, and how much it takes."""

from __future__ import annotations

from qrlang.diagnostics.words import plural
from qrlang.gates import GATES, SUGAR, GateSpec
from qrlang.syntax import ast


def gate_spec(name: str) -> tuple[GateSpec, int] | None:
    """A written gate name: its base and the controls the name has."""
    if name in GATES:
        return GATES[name], 0
    found = SUGAR.get(name)
    return (GATES[found[0]], found[1]) if found else None


def gate_takes(name: str, angles: int) -> str:
    return f"`{name}` takes {plural(angles, 'angle')}"


def operand_count(node: ast.Gate, total: int) -> str:
    return f"`{_written(node)}` acts on {plural(total, 'qubit')}, found {len(node.operands)}"


def _written(node: ast.Gate) -> str:
    return " ".join([*(f"{m.kind} @" for m in node.modifiers), node.name])
