"""What reports and emitted files say: of a value its own name, or how it was made; of a qubit, of a
tensor's beginning, of what stands in for a parameter."""

from __future__ import annotations

import math
from collections.abc import Iterable

from qrlang.ir.program import (
    Attend,
    CallExtern,
    Embed,
    Initial,
    LayerNorm,
    Linear,
    Loop,
    Op,
    Pointwise,
    Program,
    Reduce,
    Register,
    UseWeight,
    Value,
)
from qrlang.ir.walk import defs, walk
from qrlang.syntax import ast


def quantity(x: int, unit: str, base: int) -> str:
    """`1.4 G`, `12 MiB`."""
    prefixes = ["", "k", "M", "G", "T", "P", "E"]
    value, k = float(x), 0
    while value >= base and k < len(prefixes) - 1:
        value, k = value / base, k + 1
    binary = "i" if base == 1024 and k else ""
    prefix = prefixes[k].upper() if base == 1024 else prefixes[k]
    return (
        f"{value:.3g} {prefix}{binary}{unit}".strip()
        if value < 1000
        else f"{value:.0f} {prefix}{binary}{unit}"
    )


_LONGEST = 60
_SIGNS = {"add": "+", "sub": "-", "mul": "*", "div": "/"}


def value_names(program: Program) -> dict[int, str]:
    """By `Value.id`; a layer's result has the layer's name."""
    names: dict[int, str] = {v.id: v.name or f"%{v.id}" for v in program.inputs}
    for op in walk(program.body):
        for value in defs(op):
            made = "" if isinstance(op, Loop) else _made(op, names)
            names[value.id] = value.name or (made if 0 < len(made) <= _LONGEST else f"%{value.id}")
    return names


def _made(op: Op, names: dict[int, str]) -> str:
    def of(*values: Value) -> str:
        return ", ".join(names.get(v.id, f"%{v.id}") for v in values)

    match op:
        case UseWeight():
            return op.weight
        case Linear() | Embed() | LayerNorm():
            return op.weight.rsplit(".", 1)[0]
        case Attend() if op.weights:
            return op.weights[0].rsplit(".", 1)[0]
        case CallExtern():
            return op.layer
        case Pointwise() if op.fn in _SIGNS and len(op.args) == 2:
            return f"({of(op.args[0])} {_SIGNS[op.fn]} {of(op.args[1])})"
        case Pointwise():
            return f"{op.fn}({of(*op.args)})"
        case Reduce():
            return f"{op.fn}({of(op.x)})"
    return ""


def moved_registers(declaration: ast.Item) -> dict[tuple[str, str], str]:
    """What a recurrence calls the qubits that it took over, by its name and their first name:
    `qubits m[n] = enc.memory`."""
    found: dict[tuple[str, str], str] = {}
    first: dict[str, str] = {}
    for stmt in declaration.body if isinstance(declaration, ast.Model) else ():
        if not isinstance(stmt, ast.Recurrent):
            continue
        for inner in stmt.body:
            match inner:
                case ast.Qubits(registers, ast.Field(ast.Name(block), old)) if len(registers) == 1:
                    own, before = f"{stmt.name}.{registers[0].name}", f"{block}.{old}"
                    first[own] = first.get(before, before)
                    found[stmt.name, first[own]] = own
    return found


def assumption(name: str, value: object) -> str:
    """What stands where a parameter has no default and nobody gave a value."""
    return f"nobody says what {name} is: {value} stands in for it; --set {name}=… says it"


def qubit_names(registers: Iterable[Register]) -> dict[int, str]:
    """`memory[2]` of each qubit."""
    return {r.start + i: f"{r.name}[{i}]" for r in registers for i in range(r.size)}


def initial(how: Initial) -> str:
    """How a tensor begins: `uniform(-π, π)`."""
    if not how.args:
        return how.kind
    if len(how.args) > 4:
        return f"{how.kind}({len(how.args)} numbers)"
    return f"{how.kind}({', '.join(map(_number, how.args))})"


def _number(x: float) -> str:
    sign = "-" if x < 0 else ""
    return f"{sign}π" if abs(abs(x) - math.pi) < 1e-12 else f"{x:.4g}"
