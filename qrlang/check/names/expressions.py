"""What each kind of expression, and a written type, means to names."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from qrlang.check.names.scopes import Mention, Names
from qrlang.check.written.spans import end_of
from qrlang.syntax import ast


def expr(r: Names, node: ast.Expr) -> None:
    while isinstance(node, ast.Binary):
        expr(r, node.right)
        node = node.left
    handler = _EXPRESSIONS.get(type(node))
    if handler is not None:
        handler(r, node)


def type_(r: Names, node: ast.TypeExpr, free: bool = False) -> None:
    """A written type. `free`: a name that nobody knows is a dimension that a caller binds."""
    if node.element is not None:
        type_(r, node.element, free)
    for d in node.dims:
        if isinstance(d, ast.Hole):
            continue
        if free and isinstance(d, ast.Name) and not r.mark(d):
            r.blocks[-1].names[d.id] = r.known(d.id, "width", d.span)
            continue
        expr(r, d)


def _call(r: Names, e: ast.Call) -> None:
    expr(r, e.func)
    if isinstance(e.func, ast.Name):
        r.named(e.func.id, e.args)
    for a in e.args:
        expr(r, a.value)


def _index(r: Names, e: ast.Index) -> None:
    expr(r, e.base)
    for i in e.items:
        expr(r, i)


def _range(r: Names, e: ast.Range) -> None:
    for part in (e.lo, e.hi, e.by):
        if part is not None:
            expr(r, part)


def _field(r: Names, e: ast.Field) -> None:
    expr(r, e.base)
    if isinstance(e.base, ast.Name):
        found = r.find(e.base.id)
        if found is not None and found.members is not None and e.name in found.members:
            member = found.members[e.name]
            member.used = True
            r.mentions.append(Mention(end_of(e.span, e.name), e.name, member))


def _list(r: Names, e: ast.List) -> None:
    for item in e.items:
        expr(r, item)


def _comprehension(r: Names, e: ast.Comprehension) -> None:
    with ExitStack() as blocks:
        for clause in e.clauses:
            expr(r, clause.range)
            blocks.enter_context(r.block())
            r.declare(clause.var, "loop", clause.span)
            if clause.condition is not None:
                expr(r, clause.condition)
        expr(r, e.element)


def _read(r: Names, e: ast.Read) -> None:
    expr(r, e.target)
    if e.last is not None:
        expr(r, e.last)


_EXPRESSIONS: dict[type, Callable[[Names, Any], None]] = {
    ast.Name: lambda r, e: r.use(e),
    ast.Unary: lambda r, e: expr(r, e.operand),
    ast.Call: _call,
    ast.Index: _index,
    ast.Range: _range,
    ast.Field: _field,
    ast.List: _list,
    ast.Comprehension: _comprehension,
    ast.Read: _read,
    ast.Measure: lambda r, e: expr(r, e.target),
}
