"""A circuit as text: one gate after the other, as OpenQASM 3 writes them.

    rz(theta[0]) q[0]; ry(theta[1]) q[0]; cx q[0], q[1];
    ctrl @ negctrl @ rx(2 * a[3] - pi / 2) q[4], q[5], q[6];

Two forms go beyond OpenQASM: `rz`, `rzz`, `rzzz`, … is exp(-i a/2 Z…Z) on as many qubits, and
`permute(rows…, flips)` is the bit map of `ir.Permutation`. Qubits are numbered within the state.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable, Iterator

from qrlang.gates import GATES, SUGAR, written_name
from qrlang.ir.program import (
    Angle,
    Diagonal,
    Element,
    Gate,
    Permutation,
    Run,
    Term,
    Value,
)
from qrlang.ir.types import real

_STATEMENT = re.compile(
    r"(?P<mods>(?:(?:neg)?ctrl\s*@\s*)*)(?P<name>[a-z_0-9]+)\s*(?P<rest>.*)", re.DOTALL
)


def parse(text: str) -> tuple[tuple[Element, ...], tuple[Value, ...]]:
    """The elements, and the values that their angles name, in the order of first use."""
    values: dict[str, Value] = {}

    def value(name: str) -> Value:
        return values.setdefault(name, Value(len(values), real(0), name))

    lines = (line.split("//")[0] for line in text.splitlines())
    statements = (s.strip() for s in "\n".join(lines).replace("\n", ";").split(";"))
    elements = tuple(_statement(s, value) for s in statements if s)
    return elements, tuple(values.values())


def _statement(text: str, value: Callable[[str], Value]) -> Element:
    match = _STATEMENT.fullmatch(text)
    if match is None:
        raise ValueError(f"not a gate: {text!r}")
    name, rest = match["name"], match["rest"].strip()
    arguments: list[str] = []
    if rest.startswith("("):
        end = _closing(rest)
        arguments, rest = _split(rest[1:end]), rest[end + 1 :]
    try:
        qubits = tuple(int(q) for q in re.findall(r"q\s*\[\s*(\d+)\s*\]", rest))
        if name == "permute":
            *rows, flips = (int(a) for a in arguments)
            return Permutation(qubits, tuple(rows), flips)
        angles = tuple(_angle(a, value) for a in arguments)
    except (ValueError, SyntaxError) as error:
        raise ValueError(f"not a gate: {text!r} ({error})") from None
    if re.fullmatch("rz{3,}", name):
        return Diagonal(((qubits, angles[0]),))
    marks = re.findall(r"(neg)?ctrl", match["mods"])
    base, extra = (name, 0) if name in GATES else SUGAR.get(name, ("", 0))
    if not base:
        raise ValueError(f"no gate {name!r} (in {text!r})")
    spec, count = GATES[base], len(marks)
    if len(qubits) != count + extra + spec.qubits or len(angles) != spec.angles:
        raise ValueError(
            f"{name} takes {spec.angles} angles and {count + extra + spec.qubits} qubits: {text!r}"
        )
    ones = [q for q, mark in zip(qubits, marks, strict=False) if not mark]
    zeros = tuple(q for q, mark in zip(qubits, marks, strict=False) if mark)
    ones += qubits[count : count + extra]
    return Gate(base, qubits[count + extra :], angles, tuple(ones), zeros)


def _closing(text: str) -> int:
    depth = 0
    for i, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if depth == 0:
            return i
    raise ValueError("a bracket is not closed")


def _split(text: str) -> list[str]:
    """At commas that are not inside brackets."""
    parts, depth, start = [], 0, 0
    for i, letter in enumerate(text):
        depth += (letter in "([") - (letter in ")]")
        if letter == "," and depth == 0:
            parts.append(text[start:i])
            start = i + 1
    return [*parts, text[start:]]


def _angle(text: str, value: Callable[[str], Value]) -> Angle:
    """An affine expression of elements of values."""

    def walk(node: ast.expr) -> tuple[float, dict[tuple[str, int], float]]:
        match node:
            case ast.Constant(value=int() | float() as number):
                return float(number), {}
            case ast.Name(id="pi"):
                return math.pi, {}
            case ast.Name(id=name):
                return 0.0, {(name, 0): 1.0}
            case ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=int() as i)):
                return 0.0, {(name, i): 1.0}
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return _scale(walk(operand), -1.0)
            case ast.BinOp(left=left, op=ast.Add() | ast.Sub() as op, right=right):
                a, b = walk(left), walk(right)
                b = b if isinstance(op, ast.Add) else _scale(b, -1.0)
                terms = dict(a[1])
                for key, factor in b[1].items():
                    terms[key] = terms.get(key, 0.0) + factor
                return a[0] + b[0], terms
            case ast.BinOp(left=left, op=ast.Mult(), right=right):
                a, b = walk(left), walk(right)
                if a[1] and b[1]:
                    raise ValueError("an angle is a sum of numbers times elements")
                return _scale(a, b[0]) if a[1] else _scale(b, a[0])
            case ast.BinOp(left=left, op=ast.Div(), right=right):
                a, b = walk(left), walk(right)
                if b[1]:
                    raise ValueError("an angle is divided by numbers only")
                return _scale(a, 1 / b[0])
        raise ValueError(f"{ast.unparse(node)!r} is not part of an angle")

    constant, terms = walk(ast.parse(text.strip(), mode="eval").body)
    return Angle(constant, tuple(Term(f, value(name), i) for (name, i), f in terms.items()))


def _scale(
    expression: tuple[float, dict[tuple[str, int], float]], factor: float
) -> tuple[float, dict[tuple[str, int], float]]:
    return expression[0] * factor, {k: f * factor for k, f in expression[1].items()}


# --- writing --------------------------------------------------------------------------------------


def write(
    elements: tuple[Element, ...], name: Callable[[Value], str], local: dict[int, int]
) -> list[str]:
    """Lines of text, at most 80 letters each; gates on the same qubits stay together."""
    lines: list[str] = []
    previous: tuple[int, ...] | None = None
    for statement, qubits in _statements(elements, name, local):
        piece = statement + ";"
        same = previous is not None and (qubits == previous or len(qubits) > 1 < len(previous))
        if lines and same and len(lines[-1]) + 1 + len(piece) <= 80:
            lines[-1] += " " + piece
        else:
            lines.append(piece)
        previous = qubits
    return lines


def _statements(
    elements: tuple[Element, ...], name: Callable[[Value], str], local: dict[int, int]
) -> Iterator[tuple[str, tuple[int, ...]]]:
    for element in elements:
        match element:
            case Gate():
                yield _gate(element, name, local), element.all_qubits
            case Run(gates=gates):
                for gate in gates:
                    yield _gate(gate, name, local), gate.all_qubits
            case Diagonal(terms=terms):
                for qubits, angle in terms:
                    yield (
                        f"r{'z' * len(qubits)}({angle_text(angle, name)}) {_qubits(qubits, local)}",
                        qubits,
                    )
            case Permutation(qubits=qubits, rows=rows, flips=flips):
                yield (
                    f"permute({', '.join(map(str, (*rows, flips)))}) {_qubits(qubits, local)}",
                    qubits,
                )


def _gate(gate: Gate, name: Callable[[Value], str], local: dict[int, int]) -> str:
    written = None if gate.zeros else written_name(gate.name, len(gate.controls))
    marks = "" if written else "ctrl @ " * len(gate.controls) + "negctrl @ " * len(gate.zeros)
    angles = ", ".join(angle_text(a, name) for a in gate.angles)
    brackets = f"({angles})" if gate.angles else ""
    return f"{marks}{written or gate.name}{brackets} {_qubits(gate.all_qubits, local)}"


def _qubits(qubits: tuple[int, ...], local: dict[int, int]) -> str:
    return ", ".join(f"q[{local[q]}]" for q in qubits)


def angle_text(angle: Angle, name: Callable[[Value], str]) -> str:
    parts: list[str] = []
    for term in angle.terms:
        element = f"{name(term.value)}[{term.index}]"
        size = abs(term.coefficient)
        product = element if size == 1 else f"{number(size)} * {element}"
        _join(parts, product, term.coefficient < 0)
    if angle.constant or not parts:
        _join(parts, number(abs(angle.constant)), angle.constant < 0)
    return " ".join(parts)


def _join(parts: list[str], text: str, negative: bool) -> None:
    if parts:
        parts += ["-" if negative else "+", text]
    else:
        parts.append(f"-{text}" if negative else text)


def number(x: float) -> str:
    """As a person writes it: multiples of pi by name, whole numbers without a point."""
    if x == 0:
        return "0"
    for divisor in (1, 2, 3, 4, 6, 8):
        ratio = x / math.pi * divisor
        if ratio == round(ratio) and 0 < abs(ratio) <= 16 and x == _times_pi(int(ratio), divisor):
            factor = int(ratio)
            head = {1: "pi", -1: "-pi"}.get(factor, f"{factor} * pi")
            return head if divisor == 1 else f"{head} / {divisor}"
    return str(int(x)) if x == int(x) and abs(x) < 1e6 else repr(x)


def _times_pi(factor: int, divisor: int) -> float:
    """What `parse` makes of the text."""
    return factor * math.pi * (1 / divisor) if divisor != 1 else factor * math.pi
