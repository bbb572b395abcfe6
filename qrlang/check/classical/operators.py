"""Literals, signs, sums and products, comparisons, `and` and `or`."""

from __future__ import annotations

from qrlang.check.algebra.numbers import (
    ARITHMETIC,
    COMPARISON,
    MAX_TEXT,
    Wrong,
    checked,
    compare,
    is_number,
)
from qrlang.check.algebra.observables import scale_observable, sum_observables
from qrlang.check.classical.arithmetic import binary, negate
from qrlang.check.classical.bits import is_bit, negated_bit
from qrlang.check.core.elaborator import Elaborator
from qrlang.check.core.values import POISON, Observable, Pending, Poison, Tensor, describe
from qrlang.syntax import ast


def literal(e: Elaborator, node: ast.Int | ast.Real | ast.Bool | ast.Str) -> object:
    value = node.value
    if isinstance(value, str):
        if len(value) > MAX_TEXT:
            return e.error("E0307", node, f"a text of more than {MAX_TEXT} characters")
        return value
    try:
        return value if isinstance(value, bool) else checked(value)
    except Wrong as w:
        return e.error(w.code, node, w.message, help=w.help)


def unary(e: Elaborator, node: ast.Unary) -> object:
    minus = 0
    inner: ast.Expr = node
    while isinstance(inner, ast.Unary) and inner.op == "-":
        minus += 1
        inner = inner.operand
    if minus:
        x = e.eval(inner)
        return negate(e, node, x) if minus % 2 else x
    x = e.eval(node.operand)
    if isinstance(x, (bool, Poison)):
        return (not x) if isinstance(x, bool) else x
    if is_bit(x):
        return negated_bit(e, x)
    return e.error("E0310", node, f"`not` needs a truth value or a bit, found {describe(x)}")


def binary_chain(e: Elaborator, node: ast.Binary) -> object:
    # Long sums lean to the left; walk down without recursion.
    chain = [node]
    while isinstance(chain[-1].left, ast.Binary):
        chain.append(chain[-1].left)
    value = e.eval(chain[-1].left)
    terms: list[Observable] = []  # of a sum of observables: put together at its end
    for link in reversed(chain):
        if link.op in ("+", "-") and isinstance(value, Observable):
            right = e.eval(link.right)
            if isinstance(right, Observable):
                terms = terms or [value]
                terms.append(right if link.op == "+" else scale_observable(right, -1.0))
                continue
            value = binary(e, link, _summed(value, terms), right)
        else:
            value = _binary(e, link, _summed(value, terms))
        terms = []
    return _summed(value, terms)


def _summed(value: object, terms: list[Observable]) -> object:
    return sum_observables(terms) if terms else value


def _binary(e: Elaborator, node: ast.Binary, left: object) -> object:
    op = node.op
    if op in ("and", "or"):
        if isinstance(left, bool):
            if left == (op == "or"):
                return left
            right = e.eval(node.right)
            if isinstance(right, (bool, Poison)) or is_bit(right):
                return right
            return e.error(
                "E0310", node.right, f"`{op}` needs truth values, found {describe(right)}"
            )
        if isinstance(left, Poison):
            return POISON
        if is_bit(left):
            return e.error(
                "E0310",
                node,
                f"measured bits can't be joined by `{op}` in one condition",
                help="put one `if` inside another",
            )
        return e.error("E0310", node.left, f"`{op}` needs truth values, found {describe(left)}")
    right = e.eval(node.right)
    if op not in ARITHMETIC and op not in COMPARISON:
        return POISON  # not an operator: the parser has said so
    if op in COMPARISON:
        return _compare(e, node, left, right)
    return binary(e, node, left, right)


def _compare(e: Elaborator, node: ast.Binary, left: object, right: object) -> object:
    if isinstance(left, Poison) or isinstance(right, Poison):
        return POISON
    for bit, other in ((left, right), (right, left)):
        if is_bit(bit) and is_number(other) and node.op in ("==", "!=") and other in (0, 1):
            return bit if (other == 1) == (node.op == "==") else negated_bit(e, bit)
    if is_bit(left) and is_bit(right):
        return e.error(
            "E0310",
            node,
            f"two measured bits can't be held against each other by `{node.op}`",
            help="put one `if` inside another",
        )
    if isinstance(left, (Tensor, Pending)) or isinstance(right, (Tensor, Pending)):
        side = node.left if isinstance(left, (Tensor, Pending)) else node.right
        return e.error(
            "E0303",
            side,
            "run-time values can't be compared",
            help=f"compare one bit: `{side.span.text}[0] {node.op} …`"
            if any(isinstance(x, Tensor) and x.type.kind == "bit" for x in (left, right))
            else "`where(x, a, b)` chooses a where x is above 0.5",
        )
    result = compare(node.op, left, right)
    if result is None:
        return e.error(
            "E0310",
            node,
            f"{describe(left)} and {describe(right)} can't be compared by `{node.op}`",
        )
    return result
