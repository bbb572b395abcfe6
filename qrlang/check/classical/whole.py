"""Whole numbers and ranges, known at compile time."""

from __future__ import annotations

from qrlang.check.algebra.numbers import is_whole
from qrlang.check.core.elaborator import Elaborator
from qrlang.check.core.values import POISON, Pending, Poison, Tensor, describe
from qrlang.syntax import ast


def integer(e: Elaborator, node: ast.Expr, what: str) -> int | None:
    """A whole number known at compile time; says what is wrong otherwise."""
    value = e.eval(node)
    if is_whole(value):
        return value
    if isinstance(value, Poison):
        return None
    if isinstance(value, float):
        help = "`div` divides whole numbers" if "/" in node.span.text else ""
        if value.is_integer() and not help:
            help = f"write {int(value)}"
        e.error("E0305", node, f"{what} must be a whole number, found {value:g}", help=help)
    elif isinstance(value, (Tensor, Pending)):
        e.error(
            "E0303",
            node,
            f"{what} must be known at compile time, found {describe(value)}",
            help="sizes, ranges and indices come from numbers, parameters and constants",
        )
    else:
        e.error("E0305", node, f"{what} must be a whole number, found {describe(value)}")
    return None


def range_(e: Elaborator, node: ast.Range) -> object:
    if node.lo is None or node.hi is None:
        return e.error("E0305", node, "a range needs both ends here")
    lo = integer(e, node.lo, "the start of a range")
    hi = integer(e, node.hi, "the end of a range")
    by = 1 if node.by is None else integer(e, node.by, "the stride of a range")
    if lo is None or hi is None or by is None:
        return POISON
    if by == 0:
        return e.error("E0305", node.by or node, "the stride of a range can't be 0")
    return range(lo, hi, by)
