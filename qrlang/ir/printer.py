"""A program as text. `parser.py` reads it back: equal, and printed again the same."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from qrlang.gates import GATES, written_name
from qrlang.ir import codecs as c
from qrlang.ir.forms import BY_OP
from qrlang.ir.lexer import quoted
from qrlang.ir.program import (
    Diagonal,
    Element,
    Extern,
    Gate,
    If,
    Loop,
    Op,
    Permutation,
    Pointwise,
    Program,
    Register,
    Run,
    Unitary,
    Value,
    Weight,
)

_WIDTH = 100
_INDENT = "  "
Setting = tuple[str, int | float | bool | str]


def print_program(program: Program) -> str:
    lines = list(_header(program))
    body = list(_block(program.body, 1))
    if body:
        lines += ["", *body] if len(lines) > 1 else body
    if program.outputs:
        lines.append("")
    for output in program.outputs:
        name = f"{quoted(output.name)} = " if output.name else ""
        lines.append(f"{_INDENT}return {name}{c.show_value(output.value)}")
    return "\n".join([*lines, "}", ""])


def print_op(op: Op) -> str:
    """One op on one line as far as it goes: bodies and long segments are cut to `…`."""
    match op:
        case Unitary(elements):
            text = "  ".join(map(print_element, elements[:4]))
            return f"unitary {{ {text}{'  …' if len(elements) > 4 else ''} }}"
        case If():
            return f"if {c.show_element(op.condition, op.index)} {{ … }}"
        case Loop():
            return f"loop {quoted(op.name)} {{ … }}"
    text = _plain(op)
    return text if len(text) <= 200 else text[:199] + "…"


def print_element(element: Element) -> str:
    """A gate or what gates were fused to."""
    match element:
        case Gate():
            return _gate(element)
        case Run(qubit, gates):
            return f"run q{qubit} {{ {'  '.join(map(_gate, gates))} }}"
        case Diagonal(terms):
            rotations = [
                f"rz({c.show_angle(angle)}) {c.show_qubits(qubits)}".rstrip()
                for qubits, angle in terms
            ]
            return f"diagonal {{ {'  '.join(rotations)} }}"
        case Permutation():
            return f"permutation {{ {', '.join(_permuted(element))} }}"


def _header(program: Program) -> Iterator[str]:
    yield f"program {quoted(program.name)}{_settings(program.settings)} {{"
    for value in program.inputs:
        yield f"{_INDENT}input {c.show_definition(value)}"
    for value in program.targets:
        yield f"{_INDENT}target {c.show_definition(value)}"
    for weight in program.weights:
        yield f"{_INDENT}{_weight(weight)}"
    for extern in program.externs:
        yield f"{_INDENT}{_extern(extern)}"
    for register in program.registers:
        yield f"{_INDENT}{_register(register)}"


def _settings(settings: Iterable[Setting]) -> str:
    parts = [f"{quoted(name)} = {_scalar(value)}" for name, value in settings]
    return f"({', '.join(parts)})" if parts else ""


def _scalar(value: int | float | bool | str) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return json.dumps(value, ensure_ascii=False)
        case int():
            return str(value)
    return c.show_float(value)


def _weight(weight: Weight) -> str:
    shape = f"real[{', '.join(map(str, weight.shape))}]" if weight.shape else "real"
    initial = quoted(weight.initial.kind)
    if weight.initial.args:
        initial += f"({', '.join(map(c.show_float, weight.initial.args))})"
    frozen = "" if weight.trained else " frozen"
    unitary = f" unitary {weight.unitary_qubits}" if weight.unitary_qubits else ""
    return f"weight @{quoted(weight.name)} : {shape} = {initial}{frozen}{unitary}"


def _extern(extern: Extern) -> str:
    inputs = ", ".join(map(str, extern.inputs))
    return (
        f"extern {quoted(extern.name)} : ({inputs}) -> {extern.result}"
        f" = {json.dumps(extern.path)}{_settings(extern.settings)}"
    )


def _register(register: Register) -> str:
    space = f" space {register.space}" if register.space else ""
    return f"qubits {quoted(register.name)}[{register.size}] at q{register.start}{space}"


def _block(ops: Iterable[Op], depth: int) -> Iterator[str]:
    indent = _INDENT * depth
    for op in ops:
        match op:
            case Unitary(elements):
                yield from _unitary(elements, indent)
            case If():
                yield f"{indent}if {c.show_element(op.condition, op.index)} {{"
                yield from _block(op.then, depth + 1)
                if op.orelse:
                    yield f"{indent}}} else {{"
                    yield from _block(op.orelse, depth + 1)
                yield f"{indent}}}"
            case Loop():
                yield from _clauses(f"{indent}loop {quoted(op.name)}", _loop_head(op), indent)
                yield from _block(op.body, depth + 1)
                yield from _tail(op, indent)
            case _:
                yield indent + _plain(op)


def _loop_head(loop: Loop) -> Iterator[str]:
    if loop.items:
        items = [f"{c.show_definition(i.item)} in {c.show_value(i.sequence)}" for i in loop.items]
        yield f"({', '.join(items)})"
    if loop.carries:
        carries = [f"{c.show_definition(k.arg)} = {c.show_value(k.initial)}" for k in loop.carries]
        yield f"carry({', '.join(carries)})"
    if loop.extra:
        yield f"extra {loop.extra}"
    if loop.flag is not None:
        yield f"flag {c.show_definition(loop.flag)}"


def _tail(loop: Loop, indent: str) -> Iterator[str]:
    clauses = []
    if loop.carries:
        kept = [f"{c.show_definition(k.out)} = {c.show_value(k.next)}" for k in loop.carries]
        clauses.append(f"next({', '.join(kept)})")
    if loop.emits:
        emits = [
            f"{quoted(e.name)} {c.show_definition(e.out)} = {c.show_value(e.value)}"
            for e in loop.emits
        ]
        clauses.append(f"emit({', '.join(emits)})")
    one = " ".join([f"{indent}}}", *clauses])
    if len(one) <= _WIDTH or not clauses:
        yield one
    else:
        yield f"{indent}}} {clauses[0]}"
        yield from (f"{indent}  {clause}" for clause in clauses[1:])


def _clauses(head: str, clauses: Iterable[str], indent: str) -> Iterator[str]:
    """All on one line, or each on its own when that is too long."""
    found = list(clauses)
    one = " ".join([head, *found, "{"])
    if len(one) <= _WIDTH:
        yield one
        return
    yield f"{head} {found[0]}"
    yield from (f"{indent}{_INDENT}{clause}" for clause in found[1:])
    yield f"{indent}{{"


def _unitary(elements: tuple[Element, ...], indent: str) -> Iterator[str]:
    """As many elements to a line as fit."""
    texts = list(map(print_element, elements))
    one = "  ".join(texts)
    if len(indent) + len(one) + len("unitary {  }") <= _WIDTH:
        yield f"{indent}unitary {{ {one} }}" if texts else f"{indent}unitary {{ }}"
        return
    yield f"{indent}unitary {{"
    inner = indent + _INDENT
    line = ""
    for text in texts:
        if line and len(inner) + len(line) + 2 + len(text) > _WIDTH:
            yield inner + line
            line = ""
        line += ("  " if line else "") + text
    yield inner + line
    yield f"{indent}}}"


def _gate(gate: Gate) -> str:
    angles = f"({', '.join(map(c.show_angle, gate.angles))})" if gate.angles else ""
    name = written_name(gate.name, len(gate.controls)) if gate.name in GATES else None
    if gate.zeros or (name is None and gate.controls):
        controls = c.show_controls((gate.controls, gate.zeros))
        return f"ctrl({controls}) {quoted(gate.name)}{angles} {c.show_qubits(gate.qubits)}"
    qubits = c.show_qubits(gate.controls + gate.qubits)
    return f"{name or quoted(gate.name)}{angles} {qubits}"


def _permuted(permutation: Permutation) -> Iterator[str]:
    """`q0 = q0 ^ q2`: the new bit as a parity of the old ones, `1 ^` for a flip."""
    for i, (qubit, row) in enumerate(zip(permutation.qubits, permutation.rows, strict=False)):
        parts = [f"q{q}" for j, q in enumerate(permutation.qubits) if row >> j & 1]
        if permutation.flips >> i & 1:
            parts.insert(0, "1")
        yield f"q{qubit} = {' ^ '.join(parts) or '0'}"


def _plain(op: Op) -> str:
    out = getattr(op, "out", None)
    result = f"{c.show_definition(out)} = " if isinstance(out, Value) else ""
    if isinstance(op, Pointwise):
        return f"{result}{quoted(op.fn)}({', '.join(map(c.show_value, op.args))})"
    form = BY_OP[type(op)]
    text = result + form.keyword
    for part in form.parts:
        value = part.get(op)
        if part.optional and value == part.default:
            continue
        lead = part.lead if part.lead == "," or not part.lead else f" {part.lead}"
        shown = part.codec.show(value)
        tight = shown.startswith(("(", "[")) and part.codec in _TIGHT
        text += lead + ("" if tight or not shown else " ") + shown
    return text


_TIGHT = (c.INDICES, c.ANGLES, c.ARGUMENTS, c.CONTROLS)  # written right after what they belong to
