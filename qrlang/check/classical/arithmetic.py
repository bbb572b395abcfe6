"""Operators and functions of run-time values, element by element."""

from __future__ import annotations

import math

from qrlang.check.algebra.angles import add_angles, scale_angle
from qrlang.check.algebra.numbers import MAX_LIST, Wrong, arithmetic, function, is_number
from qrlang.check.algebra.observables import scale_observable
from qrlang.check.classical.pauli_sums import NAME_OF, combine_observables
from qrlang.check.classical.tensors import (
    as_numbers,
    as_tensor,
    element,
    element_of,
    elements_of,
    numeric,
    of_value,
    scalar,
)
from qrlang.check.core.elaborator import Elaborator
from qrlang.check.core.values import (
    POISON,
    Builtin,
    Definition,
    Observable,
    Pending,
    Poison,
    Qubits,
    Tensor,
    describe,
)
from qrlang.diagnostics import Note
from qrlang.ir import program as ir
from qrlang.ir.types import real
from qrlang.syntax import ast

FUNCTION_OF = {"+": "add", "-": "sub", "*": "mul", "/": "div", "**": "pow"}
MANY_TERMS = 64  # an affine sum of more is worked out by an op


def negate(e: Elaborator, node: ast.Expr, x: object) -> object:
    if isinstance(x, (Poison, Pending)):
        return x
    if is_number(x):
        return -x
    if isinstance(x, Observable):
        return scale_observable(x, -1.0)
    t = as_numbers(e, (node, x))
    if not isinstance(t, Tensor):
        return t
    if t.value is None:
        return Tensor(
            real(*t.type.shape), None, tuple(scale_angle(a, -1.0) for a in elements_of(e, t))
        )
    if not t.type.shape:
        return scalar(scale_angle(e.builder.angle(t), -1.0))
    return of_value(e.builder.pointwise("neg", e.builder.real_whole(t)))


def binary(e: Elaborator, node: ast.Binary, a: object, b: object) -> object:
    op = node.op
    if isinstance(a, Poison) or isinstance(b, Poison):
        return POISON
    if is_number(a) and is_number(b):
        try:
            return arithmetic(op, a, b)
        except Wrong as w:
            return e.error(w.code, node, w.message, help=w.help)
    if isinstance(a, str) and isinstance(b, str) and op == "+":
        if len(a) + len(b) > 10_000:
            return e.error("E0307", node, "a text of more than 10000 characters")
        return a + b
    if isinstance(a, Observable) or isinstance(b, Observable):
        return combine_observables(e, node, a, b)
    if isinstance(a, tuple) and isinstance(b, tuple) and op == "+":
        if len(a) + len(b) > MAX_LIST:
            return e.error("E0307", node, f"a list of more than {MAX_LIST} elements")
        return a + b
    if op not in FUNCTION_OF and not isinstance(a, str) and not isinstance(b, str):
        written = "div" if op == "//" else op
        for side, x in ((node.left, a), (node.right, b)):
            if not is_number(x):
                return e.error(
                    "E0303",
                    side,
                    f"`{written}` needs numbers known at compile time, found {describe(x)}",
                )
    for thing in (a, b):
        if isinstance(thing, (bool, str, range, Definition, Builtin, Qubits)):
            return e.error(
                "E0310",
                node,
                f"{describe(a)} and {describe(b)} can't be {NAME_OF.get(op, 'combined')}",
            )
    if isinstance(a, Pending) or isinstance(b, Pending):
        return _pending(e, node, a, b)
    x = as_tensor(e, a, node.left)
    y = as_tensor(e, b, node.right)
    if not isinstance(x, Tensor) or not isinstance(y, Tensor):
        return POISON
    if not numeric(e, x, node.left) or not numeric(e, y, node.right):
        return POISON
    return combine(e, node, FUNCTION_OF[op], x, y, (node.left, node.right))


def _pending(e: Elaborator, node: ast.Binary, a: object, b: object) -> object:
    """A value of unknown width takes the width of the other side."""
    if isinstance(a, tuple):
        a = as_tensor(e, a, node.left)
    if isinstance(b, tuple):
        b = as_tensor(e, b, node.right)
    if isinstance(a, Poison) or isinstance(b, Poison):
        return POISON
    for x, y in ((a, b), (b, a)):
        if isinstance(x, Pending) and isinstance(y, Tensor) and y.type.shape:
            e.widths.want(x, y.type.shape, node.span)
    return a if isinstance(a, Pending) else b


def combine(
    e: Elaborator, node: ast.Node, fn: str, x: Tensor, y: Tensor, sides: tuple[ast.Node, ast.Node]
) -> Tensor | Poison:
    """A pointwise function of two values."""
    if x.type.shape and y.type.shape and x.type.shape != y.type.shape:
        ones = [(s, t) for s, t in zip(sides, (x, y), strict=True) if t.type.count == 1]
        taken = next(filter(None, (element_of(s, t) for s, t in ones)), "")
        return e.error(
            "E0401",
            node,
            f"shapes don't match: {x.type} and {y.type}",
            help=f"a scalar goes with any shape: {taken}"
            if taken
            else "a scalar goes with any shape; otherwise both sides need the same",
            notes=[
                Note(f"this is {x.type}", sides[0].span),
                Note(f"this is {y.type}", sides[1].span),
            ],
        )
    b = e.builder
    if not x.type.shape and not y.type.shape:
        affine = _affine(fn, b.angle(x), b.angle(y))
        if affine is not None:
            return scalar(affine) if _finite(affine) else _too_large(e, node)
        e.count_op(node)
        values, index, lifted = b.lifted((b.angle(x), b.angle(y)))
        return element(b.pointwise(fn, *values), index, lifted)
    if (x.value is None and y.value is None) or (x.value is None and not y.type.shape):
        # A list of scalars, and scalars or numbers: stay affine where it can be done.
        xs, ys = elements_of(e, x), elements_of(e, y)
        size = max(len(xs), len(ys))
        out: list[ir.Angle] = []
        for i in range(size):
            affine = _affine(fn, xs[i % len(xs)], ys[i % len(ys)])
            if affine is None:
                break
            out.append(affine)
        if not all(map(_finite, out)):
            return _too_large(e, node)
        if len(out) == size:
            return Tensor(real(*(x.type.shape or y.type.shape)), None, tuple(out))
    if fn == "div" and not y.type.shape and _zero(y):
        return e.error("E0304", sides[1], "division by zero")
    e.count_op(node)
    return of_value(b.pointwise(fn, b.real_whole(x), b.real_whole(y)))


def _finite(a: ir.Angle) -> bool:
    return math.isfinite(a.constant) and all(math.isfinite(t.coefficient) for t in a.terms)


def _too_large(e: Elaborator, node: ast.Node) -> Poison:
    return e.error("E0309", node, "the result is too large for a real number")


def _zero(t: Tensor) -> bool:
    return t.value is None and not t.elements[0].terms and not t.elements[0].constant


def _affine(fn: str, a: ir.Angle, b: ir.Angle) -> ir.Angle | None:
    if fn in ("add", "sub") and len(a.terms) + len(b.terms) > MANY_TERMS:
        return None
    if fn == "add":
        return add_angles(a, b)
    if fn == "sub":
        return add_angles(a, b, -1.0)
    if fn == "mul":
        if not b.terms:
            return scale_angle(a, b.constant)
        if not a.terms:
            return scale_angle(b, a.constant)
    if fn == "div" and not b.terms and b.constant:
        return scale_angle(a, 1.0 / b.constant)
    return None


def pointwise(e: Elaborator, node: ast.Node, fn: str, x: object, at: ast.Node) -> object:
    """A function of one argument, element by element."""
    if isinstance(x, (Poison, Pending)):
        return x
    if is_number(x):
        try:
            return function(fn, x)
        except Wrong as w:
            return e.error(w.code, node, w.message, help=w.help)
    t = as_numbers(e, (at, x))
    if not isinstance(t, Tensor):
        return t
    e.count_op(node)
    b = e.builder
    if not t.type.shape:
        angle = b.angle(t)
        if not angle.terms:
            return pointwise(e, node, fn, angle.constant, at)
        values, index, lifted = b.lifted((angle,))
        return element(b.pointwise(fn, *values), index, lifted)
    return of_value(b.pointwise(fn, b.real_whole(t)))
