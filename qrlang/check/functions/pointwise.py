"""Functions of one number after another, and of whole numbers and lists."""

from __future__ import annotations

import math
from collections.abc import Callable

from qrlang.check.algebra.numbers import Wrong, checked, is_number
from qrlang.check.classical.arithmetic import combine, pointwise
from qrlang.check.classical.tensors import as_numbers, of_value
from qrlang.check.core.elaborator import Elaborator
from qrlang.check.core.values import POISON, Qubits, Tensor, describe
from qrlang.check.functions.table import Functions, Given
from qrlang.ir.functions import FUNCTIONS as POINTWISE
from qrlang.syntax import ast

FUNCTIONS = Functions()


# --- pointwise ---


def _pointwise(name: str) -> Callable[..., object]:
    def handler(e: Elaborator, node: ast.Call, given: Given) -> object:
        at, x = given[0]
        return pointwise(e, node, name, x, at)

    return handler


def _pair(name: str) -> Callable[..., object]:
    def handler(e: Elaborator, node: ast.Call, given: Given) -> object:
        (at_a, a), (at_b, b) = given
        if is_number(a) and is_number(b):
            return min(a, b) if name == "minimum" else max(a, b)
        x, y = as_numbers(e, given[0]), as_numbers(e, given[1])
        if not isinstance(x, Tensor) or not isinstance(y, Tensor):
            return POISON
        return combine(e, node, name, x, y, (at_a, at_b))

    return handler


for _f in POINTWISE.values():
    if _f.args == 1 and _f.name != "neg":
        FUNCTIONS.define(_f.name, 1, 1, f"{_f.name}(x): {_f.doc}", _pointwise(_f.name))
for _name in ("minimum", "maximum"):
    FUNCTIONS.define(_name, 2, 2, f"{_name}(x, y): {POINTWISE[_name].doc}", _pair(_name))


@FUNCTIONS.function("where", 3, doc="where(x, y, z): y where x is above 0.5, else z")
def _where(e: Elaborator, node: ast.Call, given: Given) -> object:
    ts = [as_numbers(e, g) for g in given]
    tensors = [t for t in ts if isinstance(t, Tensor)]
    if len(tensors) != 3:
        return POISON
    shapes = {t.type.shape for t in tensors if t.type.shape}
    if len(shapes) > 1:
        return e.error(
            "E0401",
            node,
            "shapes don't match: " + ", ".join(str(t.type) for t in tensors),
            help="a scalar goes with any shape; otherwise all need the same",
        )
    e.count_op(node)
    b = e.builder
    bits = all(t.type.kind == "bit" for t in tensors)
    return of_value(
        b.pointwise("where", *[(b.whole if bits else b.real_whole)(t) for t in tensors])
    )


@FUNCTIONS.function("clamp", 3, doc="clamp(x, lo, hi): x, kept between lo and hi")
def _clamp(e: Elaborator, node: ast.Call, given: Given) -> object:
    low = _pair("maximum")(e, node, given[:2])
    return _pair("minimum")(e, node, [(node, low), given[2]])


@FUNCTIONS.function("glu", 1, doc="glu(x): the first half of x times the sigmoid of the second")
def _glu(e: Elaborator, node: ast.Call, given: Given) -> object:
    t = as_numbers(e, given[0])
    if not isinstance(t, Tensor):
        return POISON
    n = t.type.count
    if n % 2:
        return e.error("E0401", given[0][0], f"`glu` needs an even width, found {t.type}")
    return of_value(e.builder.glu(e.builder.real_whole(t)))


# --- whole numbers and lists, at compile time ---


def _integral(name: str, f: Callable[[float], int], doc: str) -> None:
    def handler(e: Elaborator, node: ast.Call, given: Given) -> object:
        at, x = given[0]
        if not is_number(x):
            return e.error(
                "E0303", at, f"`{name}` needs a number known at compile time, found {describe(x)}"
            )
        try:
            return checked(f(x))
        except (Wrong, ValueError, OverflowError):
            return e.error("E0309", node, f"`{name}` of {x} is not a number")

    FUNCTIONS.define(name, 1, 1, f"{name}(x): {doc}, at compile time", handler)


_integral("floor", math.floor, "the next whole number below")
_integral("ceil", math.ceil, "the next whole number above")
_integral("round", round, "the nearest whole number, of two the even one")
_integral("log2", math.log2, "the logarithm to base 2")  # type: ignore[arg-type]


@FUNCTIONS.function("len", 1, doc="len(x): how many elements, qubits or rows x has")
def _len(e: Elaborator, node: ast.Call, given: Given) -> object:
    at, x = given[0]
    if isinstance(x, (tuple, range, str)):
        return len(x)
    if isinstance(x, Qubits):
        return len(x.qubits)
    if isinstance(x, Tensor) and x.type.shape and not x.type.seq:
        return x.type.shape[0]
    return e.error("E0310", at, f"{describe(x)} has no length")
