"""Ansätze inlined: their parameters, registers and angles bound, their gates written."""

from __future__ import annotations

from itertools import takewhile

from qrlang.check.binding.arguments import evaluate
from qrlang.check.binding.operands import bind_registers
from qrlang.check.binding.parameters import bind_params, default_params
from qrlang.check.binding.values import bind_values
from qrlang.check.core.elaborator import Elaborator
from qrlang.check.core.limits import Rejected
from qrlang.check.core.scope import Scope
from qrlang.check.core.values import Definition, Qubits
from qrlang.check.written.spans import header
from qrlang.diagnostics import Note
from qrlang.syntax import ast


def split_lists(
    e: Elaborator, node: ast.Apply, d: Definition, lists: list[ast.Call]
) -> tuple[dict[str, object], tuple[ast.Arg, ...] | None] | None:
    """Parameters and values: matched from the last list."""
    item = d.item
    assert isinstance(item, (ast.Ansatz, ast.Hamiltonian))
    lists = list(lists)
    values: tuple[ast.Arg, ...] | None = None
    if item.values:
        if not lists:
            shown = ", ".join(f"{p.name}: {p.type.span.text}" for p in item.values)
            e.error(
                "E0403",
                node,
                f"`{item.name}` needs its "
                f"{'angles' if item.values[0].type.name == 'angle' else 'values'}: {shown}",
                help=f"`apply {node.callee.span.text}(…) to …`",
                notes=[Note(f"`{item.name}` is declared here", item.values[0].span)],
            )
            return None
        values = lists.pop().args
    params: dict[str, object] | None
    if len(lists) > 1 or (lists and d.params is not None):
        e.error(
            "E0301",
            lists[0],
            f"too many lists of arguments for `{item.name}`",
            help="parameters come first, then values: `block(2)(angles)`",
        )
        return None
    if lists:
        args = evaluate(e, lists[0])
        if args is None or args.poisoned:
            return None
        if not item.params and args.positional:
            e.error(
                "E0301",
                lists[0],
                f"`{item.name}` takes no " + ("values" if not item.values else "parameters"),
                notes=[Note(f"`{item.name}` is declared here", header(d.item))],
            )
            return None
        params = bind_params(e, item.params, d, lists[0], args)
    else:
        params = default_params(e, d, node)
    return None if params is None else (params, values)


def ansatz(
    e: Elaborator, node: ast.Apply, d: Definition, lists: list[ast.Call], operands: list[Qubits]
) -> None:
    found = split_lists(e, node, d, lists)
    if found is None:
        return
    params, values = found
    scope = Scope(d.module)
    scope.names.update(params)
    if not bind_registers(e, d, scope, operands, node):
        if values:
            for arg in values:
                e.eval(arg.value)
        return
    item = d.item
    assert isinstance(item, ast.Ansatz)
    if not inline(e, d, item, scope, node, leading_requires(item)):
        return
    if values is not None and not bind_values(e, d, scope, node.callee, values):
        return
    inline(e, d, item, scope, node)


def leading_requires(item: ast.Ansatz) -> tuple[ast.Stmt, ...]:
    """They hold before the shapes of the angles are looked at, which may make no sense without."""
    return tuple(takewhile(lambda s: isinstance(s, ast.Require), item.body))


def inline(
    e: Elaborator,
    d: Definition,
    item: ast.Ansatz,
    scope: Scope,
    node: ast.Node,
    body: tuple[ast.Stmt, ...] | None = None,
) -> bool:
    """Writes an ansatz's gates (or only some of its statements) here; False if it is refused."""
    if body == ():
        return True
    if not e.may_inline(node, d):
        return False
    inside = e.here._replace(scope=scope, region="ansatz", in_if=False, place=e.place_of(node))
    with e.inlining(node, d, inside):
        try:
            e.run(item.body if body is None else body)
        except Rejected:
            return False
    return True
