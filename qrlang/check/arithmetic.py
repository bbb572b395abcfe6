"""Operators on run-time values, observables and lists."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from qrlang.check.angles import add_angles, scale_angle
from qrlang.check.constants import MAX_LIST, Wrong, arithmetic, function, is_number
from qrlang.check.core import Elaborator
from qrlang.check.observables import (
    IDENTITY,
    add_observables,
    multiply_observables,
    scale_observable,
)
from qrlang.check.values import (
    POISON,
    Builtin,
    Definition,
    Observable,
    Pending,
    Poison,
    Probs,
    Qubits,
    Readout,
    Tensor,
    describe,
)
from qrlang.diagnostics import Note
from qrlang.ir import program as ir
from qrlang.ir.types import Type, real
from qrlang.syntax import ast

FUNCTION_OF = {"+": "add", "-": "sub", "*": "mul", "/": "div", "**": "pow"}
NAME_OF = {"+": "added", "-": "subtracted", "*": "multiplied", "/": "divided", "**": "raised"}


MANY_TERMS = 64  # an affine sum of more is worked out by an op


def scalar(angle: ir.Angle) -> Tensor:
    return Tensor(real(), None, (angle,))


def constant(x: float) -> Tensor:
    return Tensor(real(), None, (ir.Angle(float(x)),))


def of_value(value: ir.Value) -> Tensor:
    return Tensor(value.type, value)


def as_tensor(
    e: Elaborator, thing: object, at: ast.Node, what: str = ""
) -> Tensor | Pending | Poison:
    """A number, list or value as a tensor of reals or bits; says what is wrong otherwise."""
    if isinstance(thing, (Tensor, Pending, Poison)):
        return thing
    if is_number(thing):
        return constant(thing)
    if isinstance(thing, tuple):
        parts = []
        for part in thing:
            t = as_tensor(e, part, at, what)
            if not isinstance(t, Tensor):
                return t
            parts.append(t)
        if not parts:
            return e.error("E0311", at, "an empty list has no numbers in it")
        shape = parts[0].type.shape
        for k, t in enumerate(parts):
            if not numeric(e, t, at):
                return POISON
            if t.type.shape != shape:
                return e.error(
                    "E0401",
                    at,
                    f"a list of values must have one shape: element 0 is "
                    f"{parts[0].type}, element {k} is {t.type}",
                    help="use `concat(…)` to put values of several widths into one vector",
                )
        if not e.fits((len(parts), *shape), at):
            return POISON
        elements = tuple(a for t in parts for a in elements_of(e, t))
        return Tensor(real(len(parts), *shape), None, elements)
    if isinstance(thing, (Observable, Probs, Readout)):
        return e.error(
            "E0208",
            at,
            f"{describe(thing)} is not a number until it is read",
            help=f"`read {at.span.text}`"
            if isinstance(at, (ast.Name, ast.Call)) and "\n" not in at.span.text
            else "`read` takes what follows closely: `read Z(q[0])`, `read (Z(q[0]) * Z(q[1]))`",
        )
    return e.error(
        "E0208", at, f"expected {what or 'a number or a tensor'}, found {describe(thing)}"
    )


def as_bits(thing: object) -> Tensor | None:
    """A 0 or 1, a bit, or a list of such, as bits; None if there is something else in it."""
    if is_number(thing) and thing in (0, 1):
        return Tensor(Type("bit"), None, (ir.Angle(float(thing)),))
    if isinstance(thing, Tensor):
        return thing if thing.type.kind == "bit" and not thing.type.seq else None
    if not isinstance(thing, tuple) or not thing:
        return None
    parts = [as_bits(part) for part in thing]
    first = parts[0]
    elements: list[ir.Angle] = []
    for part in parts:
        if part is None or first is None or part.type != first.type:
            return None
        elements.extend(
            part.elements
            if part.value is None
            else [ir.Angle(0.0, (ir.Term(1.0, part.value, i),)) for i in range(part.type.count)]
        )
    assert first is not None
    return Tensor(Type("bit", (len(parts), *first.type.shape)), None, tuple(elements))


def numeric(e: Elaborator, t: Tensor, at: ast.Node) -> bool:
    """Whether the value can take part in arithmetic; says so if not."""
    kind = t.type.kind
    if t.type.seq:
        e.error(
            "E0406",
            at,
            f"this is a whole sequence, {t.type}; one moment of it is needed",
            help="run a `step … in` over it, or use `last`, `mean`, `sum` or `max` of it",
        )
        return False
    if kind in ("token", "class"):
        e.error(
            "E0405",
            at,
            f"a {kind} is not a number: this is {t.type}",
            help="give it to an embedding first: `layer embed = embedding(64)`, then `embed(…)`",
        )
        return False
    if kind in ("state", "unitary"):
        use = "`prepare … on q`" if kind == "state" else "`apply … to q`"
        e.error("E0208", at, f"{t.type} is not a number", help=f"use it by {use}")
        return False
    return True


def elements_of(e: Elaborator, t: Tensor) -> Sequence[ir.Angle]:
    if t.value is None:
        if t.type.kind == "bit":
            return [e.builder.bit_as_real(a) for a in t.elements]
        return t.elements
    value = e.builder.as_real(t.value)
    return [ir.Angle(0.0, (ir.Term(1.0, value, i),)) for i in range(value.type.count)]


def negate(e: Elaborator, node: ast.Expr, x: object) -> object:
    if isinstance(x, (Poison, Pending)):
        return x
    if is_number(x):
        return -x
    if isinstance(x, Observable):
        return scale_observable(x, -1.0)
    t = as_tensor(e, x, node)
    if not isinstance(t, Tensor):
        return t
    if not numeric(e, t, node):
        return POISON
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
        return _observables(e, node, a, b)
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


def element_of(node: ast.Node, t: Tensor) -> str:
    """How the first number of a value is written, if what it is of goes before an index."""
    text, short = node.span.text, (ast.Name, ast.Index, ast.Field, ast.Call)
    if not isinstance(node, short) or "\n" in text or len(text) > 40:
        return ""
    return f"`{text}[{', '.join('0' * len(t.type.shape))}]`"


def _finite(a: ir.Angle) -> bool:
    return math.isfinite(a.constant) and all(math.isfinite(t.coefficient) for t in a.terms)


def _too_large(e: Elaborator, node: ast.Node) -> Poison:
    return e.error("E0309", node, "the result is too large for a real number")


def _zero(t: Tensor) -> bool:
    return t.value is None and not t.elements[0].terms and not t.elements[0].constant


def element(value: ir.Value, index: int, lifted: bool) -> Tensor:
    if not lifted:
        return of_value(value)
    return scalar(ir.Angle(0.0, (ir.Term(1.0, value, index),)))


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
    t = as_tensor(e, x, at)
    if not isinstance(t, Tensor):
        return t
    if not numeric(e, t, at):
        return POISON
    e.count_op(node)
    b = e.builder
    if not t.type.shape:
        angle = b.angle(t)
        if not angle.terms:
            return pointwise(e, node, fn, angle.constant, at)
        values, index, lifted = b.lifted((angle,))
        return element(b.pointwise(fn, *values), index, lifted)
    return of_value(b.pointwise(fn, b.real_whole(t)))


def flat(e: Elaborator, parts: Sequence[Tensor]) -> ir.Value:
    """All numbers of several values as one vector."""
    return e.builder.concat(tuple(e.builder.real_whole(t) for t in parts))


def viewed(t: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The same numbers in another shape."""
    return Tensor(replace(t.type, shape=shape), t.value, t.elements)


def _identity_times(e: Elaborator, x: object, at: ast.Node) -> Observable | None:
    if isinstance(x, Observable):
        return x
    if is_number(x):
        return scale_observable(IDENTITY, float(x))
    if isinstance(x, Tensor) and not x.type.shape and not x.type.seq and x.type.kind == "real":
        return Observable(((e.builder.angle(x), ()),))
    return None


def _observables(e: Elaborator, node: ast.Binary, a: object, b: object) -> object:
    op = node.op
    if isinstance(a, Observable) and isinstance(b, Observable):
        if op in "+-":
            return add_observables(a, b, 1.0 if op == "+" else -1.0)
        if op == "*":
            product, problem = multiply_observables(a, b)
            if product is None:
                return e.error(
                    "E0509", node, problem, help="an observable must be real (Hermitian)"
                )
            return product
    elif op in ("*", "/"):
        obs, other, at = (a, b, node.right) if isinstance(a, Observable) else (b, a, node.left)
        if isinstance(obs, Observable) and (op == "*" or obs is a):
            if is_number(other):
                if op == "/" and not other:
                    return e.error("E0304", node, "division by zero")
                x: float = float(other)
                return scale_observable(obs, 1 / x if op == "/" else x)
            t = as_tensor(e, other, at)
            if not isinstance(t, Tensor):
                return POISON
            if not t.type.shape and numeric(e, t, at):
                angle = e.builder.angle(t)
                if op == "*" and all(not c.terms for c, _ in obs.terms):
                    return Observable(
                        tuple((scale_angle(angle, c.constant), p) for c, p in obs.terms)
                    )
    elif op in ("+", "-"):
        # A number among observables is that many times the identity.
        both = [_identity_times(e, x, side) for x, side in ((a, node.left), (b, node.right))]
        if both[0] is not None and both[1] is not None:
            return add_observables(both[0], both[1], 1.0 if op == "+" else -1.0)
    return e.error(
        "E0310",
        node,
        f"{describe(a)} and {describe(b)} can't be {NAME_OF.get(op, 'combined')}",
        help="observables are multiplied by numbers and each other, and added",
    )
