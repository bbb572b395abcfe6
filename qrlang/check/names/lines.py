"""What each kind of statement and expression means to names; `Names` walks over them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from qrlang.check.names.expressions import expr, type_
from qrlang.check.names.gates import gate_line
from qrlang.check.names.places import misplaced
from qrlang.check.names.scopes import Names
from qrlang.check.written.declared import declared_names
from qrlang.check.written.spans import header, name_span
from qrlang.diagnostics import Note
from qrlang.source import Span
from qrlang.syntax import ast


def statements(r: Names, body: tuple[ast.Stmt, ...]) -> None:
    """Lines of the innermost block, one after the other."""
    here = r.blocks[-1]
    for s in body:
        if isinstance(s, ast.Qubits):
            spans = [x.span for x in s.registers]
        else:
            spans = [s.span]
        for name, span in zip(declared_names(s), spans, strict=False):
            here.later.setdefault(name, span)
    returned: ast.Stmt | None = None
    step: ast.Stmt | None = None
    for s in body:
        wrong = misplaced(s, r.region, r.nested)
        if wrong is not None:
            r.report.misplaced.add(id(s))
            r.error("E0601", header(s), *wrong)
        if returned is not None and not isinstance(s, ast.Init):
            r.error(
                "E0606",
                s.span,
                "nothing can follow `return`",
                "move `return` to the end",
                [Note("the return is here", returned.span)],
            )
            returned = None
        if isinstance(s, ast.Return):
            returned = s
        if isinstance(s, ast.Step):
            if step is not None:
                r.error(
                    "E0604",
                    header(s),
                    "a block has one step",
                    "give each its own block: `recurrent first over xs { … step x { … } }`",
                    [Note("the first step is here", header(step))],
                )
            step = step or s
        _STATEMENTS[type(s)](r, s)


def _simple(word: str) -> Callable[[Names, ast.Stmt], None]:
    def handler(r: Names, s: ast.Stmt) -> None:
        if isinstance(s, (ast.Input, ast.Target, ast.Carry)):
            type_(r, s.type)
        for name in ("initial", "value", "shots", "weak"):
            part = getattr(s, name, None)
            if part is not None:
                expr(r, part)
        r.declare(s.name, getattr(s, "kind", word), name_span(s, s.name))  # type: ignore[attr-defined]

    return handler


def _values(r: Names, s: ast.Stmt) -> None:
    for name in ("value", "target", "outcome", "condition"):
        part = getattr(s, name, None)
        if part is not None:
            expr(r, part)
    for operand in getattr(s, "operands", ()):
        expr(r, operand)


def _update(r: Names, s: ast.Update) -> None:
    expr(r, s.value)
    name = ast.Name(s.name, span=name_span(s, s.name))  # not the whole line
    if r.mention(name.span, s.name) is None:
        r.use(name, f"declare it before the step: `carry {s.name}: real[n] = 0`")
        r.report.reported_names.add((id(s.span.source), s.span.start))


def _emit(r: Names, s: ast.Emit) -> None:
    expr(r, s.value)


def _apply(r: Names, s: ast.Apply) -> None:
    expr(r, s.callee)
    for m in s.modifiers:
        if m.arg is not None:
            expr(r, m.arg)
    for part in (s.time, s.trotter):
        if part is not None:
            expr(r, part)
    for o in s.operands:
        expr(r, o)


def _if(r: Names, s: ast.If) -> None:
    expr(r, s.condition)
    for body in (s.then, s.orelse):
        with r.block(nested=True) as block:
            statements(r, body)
        r.unused(block)


def _for(r: Names, s: ast.For) -> None:
    expr(r, s.range)
    with r.block(nested=True) as block:
        r.declare(s.var, "loop", s.span)
        statements(r, s.body)
    r.unused(block)


def _qubits(r: Names, s: ast.Qubits) -> None:
    if s.initial is not None:
        expr(r, s.initial)
    for register in s.registers:
        expr(r, register.size)
        r.declare(register.name, "qubits", register.span)


def _param(r: Names, s: ast.Param) -> None:
    type_(r, s.type)
    if s.initial is not None:
        expr(r, s.initial)
    r.declare(s.name, "frozen" if s.frozen else "param", name_span(s, s.name))


def _init(r: Names, s: ast.Init) -> None:
    expr(r, s.value)
    target = s.target
    base = target.base if isinstance(target, ast.Field) else target
    if isinstance(base, ast.Name) and r.mention(base.span, base.id) is None:
        r.use(base)


def _step(r: Names, s: ast.Step) -> None:
    for e in s.sequences:
        expr(r, e)
    if s.extra is not None:
        expr(r, s.extra)
    outer = r.region
    with r.block("a step") as block:
        for name in s.items:
            r.declare(name, "item", header(s))
        if s.flag is not None:
            r.declare(s.flag, "item", header(s))
        statements(r, s.body)
    r.unused(block)
    for name, info in block.names.items():
        r.blocks[-1].ended[name] = ("the step", info.span)
    # What a step of the model emits has a name after it.
    for name, span in emits_of(s.body):
        if outer == "a model" and name not in r.blocks[-1].names:
            r.blocks[-1].names[name] = r.known(name, "emit", span, used=False)


def emits_of(body: Iterable[ast.Stmt]) -> Iterable[tuple[str, Span]]:
    """Names that a step emits."""
    for s in body:
        if isinstance(s, ast.Emit) and s.name:
            yield s.name, s.span
        elif isinstance(s, ast.For):
            yield from emits_of(s.body)
        elif isinstance(s, ast.If):
            yield from emits_of((*s.then, *s.orelse))


def _gives_the_result(body: tuple[ast.Stmt, ...]) -> bool:
    """Whether something is emitted without a name: what the model gives at each step."""
    return any(
        (isinstance(s, ast.Emit) and not s.name)
        or (isinstance(s, ast.For) and _gives_the_result(s.body))
        or (isinstance(s, ast.If) and _gives_the_result((*s.then, *s.orelse)))
        for s in body
    )


def _recurrent(r: Names, s: ast.Recurrent) -> None:
    for e in s.sequences:
        expr(r, e)
    steps = [x for x in s.body if isinstance(x, ast.Step)]
    if not steps:
        r.error(
            "E0604",
            header(s),
            f"the recurrence `{s.name}` has no step",
            "say what happens at each moment: `step x { … }`",
        )
    with r.block("a recurrent block") as block:
        block.ended = dict(block.ended)
        statements(r, s.body)
    r.declare(s.name, "recurrent", header(s))
    found = r.blocks[-1].names[s.name]
    emitted = {
        n: r.known(n, "emit", at, used=n[0] == "_") for x in steps for n, at in emits_of(x.body)
    }
    found.members = {**block.names, **emitted}  # as `enc.z` is read
    # What its step emits without a name is the result of the model.
    found.used = any(_gives_the_result(step.body) for step in steps)
    # What it keeps and emits may still be used from outside; told at the end of the model.
    r.blocks[-1].names.update({f"{s.name}.{k}": v for k, v in found.members.items()})
    for name, info in block.names.items():
        r.blocks[-1].ended[name] = (f"the recurrence `{s.name}`", info.span)


_STATEMENTS: dict[type, Callable[[Names, Any], None]] = {
    ast.Let: _simple("let"),
    ast.Const: _simple("const"),
    ast.Readout: _simple("readout"),
    ast.AnsatzBinding: _simple("ansatz"),
    ast.Layer: _simple("layer"),
    ast.Input: _simple("input"),
    ast.Target: _simple("target"),
    ast.Carry: _simple("carry"),
    ast.Param: _param,
    ast.Qubits: _qubits,
    ast.Update: _update,
    ast.Emit: _emit,
    ast.Return: _values,
    ast.Gate: gate_line,
    ast.Apply: _apply,
    ast.Prepare: _values,
    ast.Reset: _values,
    ast.Discard: _values,
    ast.Postselect: _values,
    ast.Require: _values,
    ast.If: _if,
    ast.For: _for,
    ast.Init: _init,
    ast.Step: _step,
    ast.Recurrent: _recurrent,
}
