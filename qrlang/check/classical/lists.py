"""Lists, written out or by a rule."""

from __future__ import annotations

from qrlang.check.algebra.numbers import MAX_LIST
from qrlang.check.core.elaborator import Elaborator
from qrlang.check.core.values import POISON, Poison, describe
from qrlang.syntax import ast


def list_(e: Elaborator, node: ast.List) -> object:
    items = [e.eval(item) for item in node.items]
    return _spliced(e, node, items)


def _spliced(e: Elaborator, node: ast.Expr, items: list[object]) -> object:
    if any(isinstance(i, Poison) for i in items):
        return POISON
    if len(items) > MAX_LIST:
        return e.error("E0307", node, f"a list of more than {MAX_LIST} elements")
    return tuple(items)


def comprehension(e: Elaborator, node: ast.Comprehension) -> object:
    items: list[object] = []
    if not _clause(e, node, 0, items):
        return POISON
    return _spliced(e, node, items)


def _clause(e: Elaborator, node: ast.Comprehension, depth: int, items: list[object]) -> bool:
    if depth == len(node.clauses):
        value = e.eval(node.element)
        items.append(value)
        if len(items) > MAX_LIST:
            e.error("E0307", node, f"a list of more than {MAX_LIST} elements")
            return False
        return not isinstance(value, Poison)
    clause = node.clauses[depth]
    values = e.eval(clause.range)
    if isinstance(values, Poison):
        return False
    if not isinstance(values, (range, tuple)):
        e.error(
            "E0305",
            clause.range,
            f"a loop needs a range or a list, found {describe(values)}",
            help="write `0..n`",
        )
        return False
    for value in values:
        e.tick(clause)
        with e.block() as scope:
            scope.begin(clause.var, value)
            if clause.condition is not None:
                condition = e.eval(clause.condition)
                if isinstance(condition, Poison):
                    return False
                if not isinstance(condition, bool):
                    e.error(
                        "E0411",
                        clause.condition,
                        "the condition of a list must be known at compile time, found "
                        + describe(condition),
                    )
                    return False
                if not condition:
                    continue
            if not _clause(e, node, depth + 1, items):
                return False
    return True
