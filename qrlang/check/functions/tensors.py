"""Functions of tensors."""

from __future__ import annotations

import math
from collections.abc import Callable

from qrlang.check.algebra.numbers import is_whole
from qrlang.check.classical.tensors import all_numbers, as_numbers, of_value, viewed
from qrlang.check.core.elaborator import Elaborator
from qrlang.check.core.values import POISON, Pending, Tensor, describe
from qrlang.check.functions.table import MANY, Functions, Given
from qrlang.check.layers.parts import weight
from qrlang.ir import program as ir
from qrlang.ir.types import real
from qrlang.syntax import ast

FUNCTIONS = Functions()


@FUNCTIONS.function("softmax", 1, doc="softmax(x): over the last axis")
def _softmax(e: Elaborator, node: ast.Call, given: Given) -> object:
    t = as_numbers(e, given[0])
    if not isinstance(t, Tensor):
        return t
    if not t.type.shape:
        return e.error("E0401", given[0][0], "`softmax` needs a vector, found a single number")
    e.count_op(node)
    return of_value(e.builder.softmax(e.builder.real_whole(t)))


@FUNCTIONS.function("normalize", 1, doc="normalize(x): x divided by its norm")
def _normalize(e: Elaborator, node: ast.Call, given: Given) -> object:
    t = as_numbers(e, given[0])
    if not isinstance(t, Tensor):
        return t
    x = e.builder.real_whole(t)
    return of_value(e.builder.pointwise("div", x, e.builder.reduce("norm", x, False)))


def _product(name: str, wanted_ranks: Callable[[int, int], bool]) -> Callable[..., object]:
    def handler(e: Elaborator, node: ast.Call, given: Given) -> object:
        x, y = as_numbers(e, given[0]), as_numbers(e, given[1])
        for one, other in ((x, y), (y, x)):
            if name == "dot" and isinstance(one, Pending) and isinstance(other, Tensor):
                e.widths.want(one, other.type.shape, node.span)
        if not isinstance(x, Tensor) or not isinstance(y, Tensor):
            return POISON
        a, b = x.type.shape, y.type.shape
        if not wanted_ranks(len(a), len(b)) or a[-1] != b[0]:
            return e.error(
                "E0401",
                node,
                f"`{name}` can't take {x.type} and {y.type}",
                help=FUNCTIONS[name].doc,
            )
        if not e.fits((*a[:-1], *b[1:]), node):
            return POISON
        e.count_op(node)
        return of_value(e.builder.matmul(e.builder.real_whole(x), e.builder.real_whole(y)))

    return handler


FUNCTIONS.define(
    "dot",
    2,
    2,
    "dot(a, b): of two vectors of one width",
    _product("dot", lambda a, b: a == b == 1),
)
FUNCTIONS.define(
    "matmul",
    2,
    2,
    "matmul(a, b): a matrix times a vector or a matrix",
    _product("matmul", lambda a, b: a == 2 and b in (1, 2)),
)


@FUNCTIONS.function("outer", 2, doc="outer(a, b): the products of all pairs, real[n, m]")
def _outer(e: Elaborator, node: ast.Call, given: Given) -> object:
    x, y = as_numbers(e, given[0]), as_numbers(e, given[1])
    if not isinstance(x, Tensor) or not isinstance(y, Tensor):
        return POISON
    n, m = x.type.count, y.type.count
    if not e.fits((n, m), node):
        return POISON
    b = e.builder
    e.count_op(node)
    column = b.reshape(b.real_whole(x), (n, 1))
    return of_value(b.matmul(column, b.reshape(b.real_whole(y), (1, m))))


@FUNCTIONS.function(
    "concat", 1, MANY, doc="concat(a, b, …): all numbers of all values, as one vector"
)
def _concat(e: Elaborator, node: ast.Call, given: Given) -> object:
    parts = all_numbers(e, given)
    if not isinstance(parts, list):
        return POISON
    if not e.fits((sum(t.type.count for t in parts),), node):
        return POISON
    e.count_op(node)
    return of_value(e.builder.concat(tuple(e.builder.real_whole(t) for t in parts)))


@FUNCTIONS.function("flatten", 1, doc="flatten(x): the same numbers as one vector")
def _flatten(e: Elaborator, node: ast.Call, given: Given) -> object:
    t = as_numbers(e, given[0])
    return viewed(t, (t.type.count,)) if isinstance(t, Tensor) else t


def _dims(e: Elaborator, given: Given) -> tuple[int, ...] | None:
    """A shape that is written as one argument for each dimension; None if it is wrong (said)."""
    dims: list[int] = []
    for at, d in given:
        if not is_whole(d) or d < 1:
            e.error("E0311", at, f"a dimension is a whole number above 0, found {describe(d)}")
            return None
        dims.append(d)
    return tuple(dims)


@FUNCTIONS.function("reshape", 2, 10, doc="reshape(x, d, …): the same numbers in another shape")
def _reshape(e: Elaborator, node: ast.Call, given: Given) -> object:
    t = as_numbers(e, given[0])
    dims = _dims(e, given[1:])
    if dims is None:
        return POISON
    if isinstance(t, Pending):
        e.widths.want(t, dims, node.span)
    if not isinstance(t, Tensor):
        return POISON
    if math.prod(dims) != t.type.count:
        shown = ", ".join(map(str, dims))
        return e.error(
            "E0401",
            node,
            f"{t.type} has {t.type.count} numbers, real[{shown}] has {math.prod(dims)}",
        )
    return (
        viewed(t, dims)
        if t.type.kind == "real"
        else of_value(e.builder.reshape(e.builder.real_whole(t), dims))
    )


@FUNCTIONS.function("transpose", 1, doc="transpose(x): of a matrix")
def _transpose(e: Elaborator, node: ast.Call, given: Given) -> object:
    t = as_numbers(e, given[0])
    if not isinstance(t, Tensor):
        return t
    if len(t.type.shape) != 2:
        return e.error("E0401", given[0][0], f"`transpose` needs a matrix, found {t.type}")
    n, m = t.type.shape
    e.count_op(node)
    order = tuple(i * m + j for j in range(m) for i in range(n))
    return of_value(e.builder.gather(e.builder.real_whole(t), order, (m, n)))


def _filled(name: str, number: float) -> None:
    def handler(e: Elaborator, node: ast.Call, given: Given) -> object:
        dims = _dims(e, given)
        if dims is None:
            return POISON
        count = math.prod(dims)
        if count > MANY:
            return e.error("E0307", node, f"a constant of more than {MANY} numbers")
        return Tensor(real(*dims), None, (ir.Angle(number),) * count)

    FUNCTIONS.define(name, 1, 10, f"{name}(d, …): a tensor of {name}", handler)


_filled("zeros", 0.0)
_filled("ones", 1.0)


@FUNCTIONS.function(
    "push", 2, doc="push(window, v): the window without its oldest row, v as its newest"
)
def _push(e: Elaborator, node: ast.Call, given: Given) -> object:
    w, v = as_numbers(e, given[0]), as_numbers(e, given[1])
    if isinstance(v, Pending) and isinstance(w, Tensor):
        e.widths.want(v, w.type.shape[1:], node.span)
    if not isinstance(w, Tensor) or not isinstance(v, Tensor):
        return POISON
    shape = w.type.shape
    if not shape or math.prod(shape[1:]) != v.type.count:
        return e.error(
            "E0401",
            node,
            f"a window of {w.type} takes rows of {math.prod(shape[1:])} numbers, found {v.type}"
            if shape
            else f"a window is a tensor real[k, m], found {w.type}",
            help="`carry window: real[k, m] = 0`, then `window <- push(window, v)`",
        )
    b = e.builder
    e.count_op(node)
    row, whole = v.type.count, b.real_whole(w)
    if shape[0] == 1:
        return of_value(b.reshape(b.real_whole(v), shape))
    kept = b.gather(whole, tuple(range(row, w.type.count)), (w.type.count - row,))
    return of_value(b.reshape(b.concat((kept, b.real_whole(v))), shape))


@FUNCTIONS.function("one_hot", 1, doc="one_hot(t): a token or a class as a vector with a single 1")
def _one_hot(e: Elaborator, node: ast.Call, given: Given) -> object:
    at, x = given[0]
    if not isinstance(x, Tensor) or x.type.kind not in ("token", "class") or x.type.seq:
        return e.error("E0405", at, f"`one_hot` takes one token or class, found {describe(x)}")
    size = x.type.size
    table = weight(e, f"one_hot_{size}", (size, size), ir.Initial("identity"), True, node)
    if table is None or x.value is None:
        return POISON
    out = e.builder.value(real(size))
    e.builder.classical(ir.Embed(out, x.value, table))
    return of_value(out)
