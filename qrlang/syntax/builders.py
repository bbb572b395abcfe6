"""How each production of the grammar becomes a node of the tree.

`NODES[name](host, c, span)` gets the values of the production's symbols: texts of tokens, nodes,
lists of nodes. `LISTS` are the productions that only collect or pass on: they need no place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from qrlang.diagnostics.diagnostic import Diagnostic, Fix
from qrlang.source import Span
from qrlang.syntax import ast

Values = list[Any]


class Host(Protocol):
    """What builders ask of the parser."""

    def report(self, diagnostic: Diagnostic) -> None: ...

    def doc(self, start: int) -> str:
        """The doc comment that ends right before this offset; it then belongs to the item."""
        ...


Builder = Callable[[Host, Values, Span], Any]

DROPPED = object()  # stands for a statement that could not be kept
MAX_INT = 2**63 - 1


def _append(c: Values) -> Any:
    if c[1] is not DROPPED:
        c[0].append(c[1])
    return c[0]


def _append_after(c: Values) -> Any:
    c[0].append(c[2])
    return c[0]


LISTS: dict[str, Callable[[Values], Any]] = {
    "empty": lambda c: [],
    "nothing": lambda c: [],
    "none": lambda c: None,
    "one": lambda c: [c[0]],
    "same": lambda c: c[0],
    "second": lambda c: c[1],
    "inner": lambda c: c[1],
    "append": _append,
    "append_after": _append_after,
}


# --- items ------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Path:
    parts: list[ast.UseName]
    relative: bool = False


def _path(c: Values, span: Span) -> _Path:
    path = c[0] if isinstance(c[0], _Path) else _Path([], relative=c[0] == ".")
    word = Span(span.source, span.end - len(c[-1]), span.end)
    path.parts.append(ast.UseName(c[-1], span=word))
    return path


def _use(c: Values, span: Span, names: Values | None = None) -> ast.Use:
    path: _Path = c[1]
    if names is None:
        item = path.parts.pop()
        alias = c[3] if len(c) > 2 else None
        place = item.span.to(span) if alias else item.span
        names = [ast.UseName(item.name, alias, span=place)]
    words = tuple(part.name for part in path.parts)
    return ast.Use(words, tuple(names), path.relative, span=span)


def _circuit(host: Host, c: Values, span: Span, params: Values, rest: Values) -> ast.Circuit:
    values, result, body = rest
    for value in values:
        if value.default is not None:
            host.report(
                Diagnostic(
                    "E0125",
                    f"the argument `{value.name}` of a circuit has a default",
                    value.default.span,
                    "not here",
                    "only compile-time parameters have defaults, and they come first: "
                    "`circuit f(n: int = 4)(v: real[n])`",
                )
            )
    return ast.Circuit(
        c[1],
        tuple(params),
        tuple(ast.ValueParam(v.name, v.type, span=v.span) for v in values),
        result,
        tuple(body),
        host.doc(span.start),
        span=span,
    )


def _register_param(host: Host, c: Values, span: Span) -> ast.RegisterParam:
    kind: ast.TypeExpr = c[2]
    size = kind.dims[0] if kind.dims else None
    if kind.name != "qubit" or len(kind.dims) > 1 or isinstance(size, ast.Hole):
        host.report(
            Diagnostic(
                "E0124",
                f"`{c[0]}` stands after `on`, so it is a register: expected `qubit[n]`, "
                f"found `{kind.span.text}`",
                kind.span,
                "not a register",
                f"write `{c[0]}: qubit[n]`, or `{c[0]}: qubit` for a single one; "
                "angles and numbers come after `with`",
            )
        )
        size = None
    return ast.RegisterParam(c[0], size, span=span)


def _extern(host: Host, c: Values, span: Span) -> ast.Extern:
    path = unquote(host, c[9], span)
    return ast.Extern(c[2], tuple(c[3]), tuple(c[5]), c[7], path, host.doc(span.start), span=span)


# --- statements -------------------------------------------------------------------------------


def _gate(c: Values, span: Span) -> ast.Gate:
    modifiers = tuple(c.pop(0)) if isinstance(c[0], list) else ()
    args = tuple(c[2]) if len(c) > 2 else ()
    return ast.Gate(c[0], args, tuple(c[-1]), modifiers, span=span)


def _apply(c: Values, span: Span) -> ast.Apply:
    modifiers = tuple(c.pop(1)) if isinstance(c[1], list) else ()
    time, trotter = c[2] or (None, None)
    return ast.Apply(c[1], tuple(c[4]), modifiers, time, trotter, span=span)


def _for(host: Host, c: Values, span: Span) -> ast.For:
    return ast.For(c[1], _range(host, c[3]), tuple(c[4]), span=span)


def _clause(host: Host, c: Values, span: Span, condition: ast.Expr | None) -> ast.Clause:
    return ast.Clause(c[1], _range(host, c[3]), condition, span=span)


def _range(host: Host, value: ast.Expr) -> ast.Expr:
    """Python's `range(n)`, understood and refused."""
    if not (
        isinstance(value, ast.Call)
        and isinstance(value.func, ast.Name)
        and value.func.id == "range"
        and 1 <= len(value.args) <= 3
        and all(arg.name is None for arg in value.args)
    ):
        return value
    texts = [arg.span.text for arg in value.args]
    text = f"0..{texts[0]}" if len(texts) == 1 else f"{texts[0]}..{texts[1]}"
    text += f" by {texts[2]}" if len(texts) == 3 else ""
    host.report(
        Diagnostic(
            "E0128",
            "a range is written with two dots",
            value.span,
            "not `range(…)`",
            f"write `{text}`: the start is in, the end is not",
            fix=Fix(value.span, text),
        )
    )
    ends = [arg.value for arg in value.args]
    if len(ends) == 1:
        ends.insert(0, ast.Int(0, span=value.span))
    return ast.Range(ends[0], ends[1], ends[2] if len(ends) == 3 else None, span=value.span)


def _qubits(c: Values, span: Span) -> ast.Qubits:
    return ast.Qubits(tuple(c[1]), c[3] if len(c) > 2 else None, span=span)


def _readout(c: Values, span: Span) -> ast.Readout:
    options = dict(zip(c[4::2], c[5::2], strict=True))
    return ast.Readout(c[1], c[3], options.get("shots"), options.get("weak"), span=span)


def _layer(c: Values, span: Span) -> ast.Layer:
    frozen = c[0] == "frozen"
    kind, name, _, value = c[1:] if frozen else c
    return ast.Layer(kind, name, value, frozen, span=span)


def _param(c: Values, span: Span) -> ast.Param:
    return ast.Param(c[1], c[3], c[5] if len(c) > 4 else None, c[0] == "frozen", span=span)


def _carry(c: Values, span: Span) -> ast.Carry:
    return ast.Carry(c[1], c[3], c[5] if len(c) > 4 else None, span=span)


def _step(c: Values, span: Span) -> ast.Step:
    names, sequences = c[1]
    extra, flag = c[2] or (None, None)
    return ast.Step(tuple(names), tuple(sequences), tuple(c[3]), extra, flag, span=span)


# --- literals ---------------------------------------------------------------------------------


def _int(host: Host, c: Values, span: Span) -> ast.Int:
    digits = c[0].replace("_", "").lstrip("0")
    if not digits.isdigit():  # 0, or not a number at all: then the lexer has said so
        return ast.Int(0, span=span)
    value = int(digits) if len(digits) < 20 else MAX_INT + 1
    if value > MAX_INT:
        host.report(
            Diagnostic(
                "E0116",
                "this number does not fit into 64 bits",
                span,
                f"more than {MAX_INT}",
                "write a real number, such as `1e20`",
            )
        )
        value = MAX_INT
    return ast.Int(value, span=span)


def _real(host: Host, c: Values, span: Span) -> ast.Real:
    try:
        value = float(c[0].replace("_", ""))
    except ValueError:  # the lexer has said so
        value = 0.0
    if value == float("inf"):
        host.report(
            Diagnostic(
                "E0116",
                "this number is too large for a real",
                span,
                "more than about 1.8e308",
                "write a smaller number",
            )
        )
        value = 0.0
    return ast.Real(value, c[0], span=span)


ESCAPES = {"n": "\n", "t": "\t", '"': '"', "\\": "\\"}


def unquote(host: Host, text: str, span: Span) -> str:
    """The text that a literal means; `span` ends where the literal ends."""
    if "\\" not in text:
        return text[1:-1]
    out = []
    at = 1
    while at < len(text) - 1:
        if text[at] != "\\":
            out.append(text[at])
            at += 1
            continue
        escaped = text[at + 1]
        if escaped not in ESCAPES:
            start = span.end - len(text) + at
            place = Span(span.source, start, start + 2)
            host.report(
                Diagnostic(
                    "E0119",
                    f"a text has no escape `\\{escaped if escaped.isprintable() else '…'}`",
                    place,
                    "unknown escape",
                    'the escapes are `\\n`, `\\t`, `\\"` and `\\\\`',
                )
            )
        out.append(ESCAPES.get(escaped, escaped))
        at += 2
    return "".join(out)


# --- the table --------------------------------------------------------------------------------

NODES: dict[str, Builder] = {
    "file": lambda h, c, s: c[0],
    # items
    "path": lambda h, c, s: _path(c, s),
    "path_relative": lambda h, c, s: _path(c, s),
    "path_append": lambda h, c, s: _path(c, s),
    "use": lambda h, c, s: _use(c, s),
    "use_as": lambda h, c, s: _use(c, s),
    "use_group": lambda h, c, s: _use(c, s, c[4]),
    "use_name": lambda h, c, s: ast.UseName(c[0], span=s),
    "use_name_as": lambda h, c, s: ast.UseName(c[0], c[2], span=s),
    "const": lambda h, c, s: ast.Const(c[1], c[3], h.doc(s.start), span=s),
    "ansatz_binding": lambda h, c, s: ast.AnsatzBinding(c[1], c[3], span=s),
    "ansatz": lambda h, c, s: ast.Ansatz(
        c[1], tuple(c[2]), tuple(c[4]), tuple(c[5]), tuple(c[6]), h.doc(s.start), span=s
    ),
    "readout_def": lambda h, c, s: ast.ReadoutDef(
        c[1], tuple(c[2]), tuple(c[4]), c[6], h.doc(s.start), span=s
    ),
    "hamiltonian": lambda h, c, s: ast.Hamiltonian(
        c[1], tuple(c[2]), tuple(c[4]), tuple(c[5]), c[7], h.doc(s.start), span=s
    ),
    "circuit": lambda h, c, s: _circuit(h, c, s, [], c[2:]),
    "circuit_of": lambda h, c, s: _circuit(h, c, s, c[2], c[3:]),
    "extern": _extern,
    "model": lambda h, c, s: ast.Model(c[1], tuple(c[2]), tuple(c[3]), h.doc(s.start), span=s),
    "train": lambda h, c, s: ast.Train(c[1], (), tuple(c[3]), h.doc(s.start), span=s),
    "train_of": lambda h, c, s: ast.Train(c[1], tuple(c[3]), tuple(c[6]), h.doc(s.start), span=s),
    "govern": lambda h, c, s: ast.Govern(c[1], tuple(c[3]), h.doc(s.start), span=s),
    "setting": lambda h, c, s: ast.Setting(c[0], c[2], span=s),
    "parameter": lambda h, c, s: ast.Parameter(c[0], c[2], span=s),
    "parameter_default": lambda h, c, s: ast.Parameter(c[0], c[2], c[4], span=s),
    "register_param": _register_param,
    "value_param": lambda h, c, s: ast.ValueParam(c[0], c[2], span=s),
    # statements
    "let": lambda h, c, s: ast.Let(c[1], c[3], span=s),
    "update": lambda h, c, s: ast.Update(c[0], c[2], span=s),
    "emit": lambda h, c, s: ast.Emit(c[1], span=s),
    "emit_named": lambda h, c, s: ast.Emit(c[3], c[1], span=s),
    "return": lambda h, c, s: ast.Return(c[1], span=s),
    "gate": lambda h, c, s: _gate(c, s),
    "gate_args": lambda h, c, s: _gate(c, s),
    "gate_modified": lambda h, c, s: _gate(c, s),
    "gate_modified_args": lambda h, c, s: _gate(c, s),
    "modifier": lambda h, c, s: ast.Modifier(c[0], span=s),
    "modifier_arg": lambda h, c, s: ast.Modifier(c[0], c[2], span=s),
    "apply": lambda h, c, s: _apply(c, s),
    "apply_modified": lambda h, c, s: _apply(c, s),
    "evolution": lambda h, c, s: (c[1], None),
    "evolution_trotter": lambda h, c, s: (c[1], c[3]),
    "prepare": lambda h, c, s: ast.Prepare(c[1], tuple(c[3]), span=s),
    "reset": lambda h, c, s: ast.Reset(tuple(c[1]), span=s),
    "discard": lambda h, c, s: ast.Discard(ast.Measure(c[1], span=s), span=s),
    "postselect": lambda h, c, s: ast.Postselect(c[1], c[3], span=s),
    "if": lambda h, c, s: ast.If(c[1], tuple(c[2]), span=s),
    "if_else": lambda h, c, s: ast.If(c[1], tuple(c[2]), tuple(c[4]), span=s),
    "if_elif": lambda h, c, s: ast.If(
        c[1], tuple(c[2]), () if c[4] is DROPPED else (c[4],), span=s
    ),
    "for": _for,
    "require": lambda h, c, s: ast.Require(c[1], unquote(h, c[3], s), span=s),
    # declarations
    "input": lambda h, c, s: ast.Input(c[1], c[3], span=s),
    "target": lambda h, c, s: ast.Target(c[1], c[3], span=s),
    "qubits": lambda h, c, s: _qubits(c, s),
    "qubits_from": lambda h, c, s: _qubits(c, s),
    "register": lambda h, c, s: ast.Register(c[0], c[2], span=s),
    "readout": lambda h, c, s: _readout(c, s),
    "readout_shots": lambda h, c, s: _readout(c, s),
    "readout_weak": lambda h, c, s: _readout(c, s),
    "layer": lambda h, c, s: _layer(c, s),
    "layer_frozen": lambda h, c, s: _layer(c, s),
    "param": lambda h, c, s: _param(c, s),
    "param_from": lambda h, c, s: _param(c, s),
    "frozen": lambda h, c, s: _param(c, s),
    "frozen_from": lambda h, c, s: _param(c, s),
    "carry": lambda h, c, s: _carry(c, s),
    "carry_from": lambda h, c, s: _carry(c, s),
    "init": lambda h, c, s: ast.Init(c[1], c[3], span=s),
    "step": lambda h, c, s: _step(c, s),
    "step_over_none": lambda h, c, s: ((), ()),
    "step_over_names": lambda h, c, s: (c[0], ()),
    "step_over": lambda h, c, s: (c[0], c[2]),
    "then": lambda h, c, s: (c[1], None),
    "then_as": lambda h, c, s: (c[1], c[3]),
    "recurrent": lambda h, c, s: ast.Recurrent(c[1], tuple(c[3]), tuple(c[4]), span=s),
    # types
    "type": lambda h, c, s: ast.TypeExpr(c[0], span=s),
    "type_dims": lambda h, c, s: ast.TypeExpr(c[0], tuple(c[2]), span=s),
    "type_seq": lambda h, c, s: ast.TypeExpr("seq", (), c[2], span=s),
    "hole": lambda h, c, s: ast.Hole(span=s),
    # expressions
    "binary": lambda h, c, s: ast.Binary("//" if c[1] == "div" else c[1], c[0], c[2], span=s),
    "unary": lambda h, c, s: ast.Unary(c[0], c[1], span=s),
    "read": lambda h, c, s: ast.Read(c[1], span=s),
    "read_last": lambda h, c, s: ast.Read(c[1], c[4], span=s),
    "measure": lambda h, c, s: ast.Measure(c[1], span=s),
    "call": lambda h, c, s: ast.Call(c[0], tuple(c[2]), span=s),
    "index": lambda h, c, s: ast.Index(c[0], tuple(c[2]), span=s),
    "field": lambda h, c, s: ast.Field(c[0], c[2], span=s),
    "name": lambda h, c, s: ast.Name(c[0], span=s),
    "int": _int,
    "real": _real,
    "string": lambda h, c, s: ast.Str(unquote(h, c[0], s), span=s),
    "true": lambda h, c, s: ast.Bool(True, span=s),
    "false": lambda h, c, s: ast.Bool(False, span=s),
    "list_empty": lambda h, c, s: ast.List((), span=s),
    "list": lambda h, c, s: ast.List(tuple(c[1]), span=s),
    "comprehension": lambda h, c, s: ast.Comprehension(c[1], tuple(c[2]), span=s),
    "clause": lambda h, c, s: _clause(h, c, s, None),
    "clause_if": lambda h, c, s: _clause(h, c, s, c[5]),
    "range": lambda h, c, s: ast.Range(c[0], c[2], span=s),
    "range_by": lambda h, c, s: ast.Range(c[0], c[2], c[4], span=s),
    "slice_from": lambda h, c, s: ast.Range(c[0], None, span=s),
    "slice_from_by": lambda h, c, s: ast.Range(c[0], None, c[3], span=s),
    "slice_to": lambda h, c, s: ast.Range(None, c[1], span=s),
    "slice_to_by": lambda h, c, s: ast.Range(None, c[1], c[3], span=s),
    "slice": lambda h, c, s: ast.Range(None, None, span=s),
    "slice_by": lambda h, c, s: ast.Range(None, None, c[2], span=s),
    "arg": lambda h, c, s: ast.Arg(c[0], span=s),
    "arg_named": lambda h, c, s: ast.Arg(c[2], c[0], span=s),
}
