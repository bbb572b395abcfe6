"""Functions of whole sequences."""

from __future__ import annotations

from qrlang.check.algebra.numbers import is_whole
from qrlang.check.classical.tensors import of_value, viewed
from qrlang.check.core.elaborator import Elaborator
from qrlang.check.core.values import POISON, Pending, Poison, Tensor, describe
from qrlang.check.functions.table import Functions, Given
from qrlang.ir import program as ir
from qrlang.ir.types import Type
from qrlang.syntax import ast

FUNCTIONS = Functions()


def _sequence(e: Elaborator, name: str, given: tuple[ast.Expr, object]) -> ir.Value | None:
    at, x = given
    if isinstance(x, Tensor) and x.type.seq:
        assert x.value is not None
        return x.value
    if not isinstance(x, (Poison, Pending)):
        e.error("E0406", at, f"`{name}` needs a sequence, found {describe(x)}")
    return None


@FUNCTIONS.function(
    "shifted",
    1,
    2,
    ("start",),
    doc="shifted(seq, start: 0): one moment later, after zeros; of tokens, after the token `start`",
)
def _shifted(e: Elaborator, node: ast.Call, given: Given) -> object:
    x = _sequence(e, "shifted", given[0])
    if x is None:
        return POISON
    start = 0
    if len(given) > 1:
        at, value = given[1]
        if not is_whole(value):
            return e.error(
                "E0312", at, f"`start` is a token's number, found {describe(value)}",
                help="" if x.type.kind in ("token", "class") else "numbers start with zeros",
            )  # fmt: skip
        if value and x.type.kind not in ("token", "class"):
            return e.error(
                "E0312", at, "`start` is for tokens; a sequence of numbers starts with zeros"
            )
        if not 0 <= value < max(x.type.size, 1):
            return e.error("E0306", at, f"token {value} is out of range: {x.type}")
        start = value
    out = e.builder.value(x.type)
    e.builder.classical(ir.Shift(out, x, start))
    return of_value(out)


@FUNCTIONS.function("reversed", 1, doc="reversed(seq): backwards in time")
def _reversed(e: Elaborator, node: ast.Call, given: Given) -> object:
    thing = given[0][1]
    if isinstance(thing, (tuple, range)):
        return tuple(reversed(thing))
    x = _sequence(e, "reversed", given[0])
    if x is None:
        return POISON
    out = e.builder.value(x.type)
    e.builder.like(x, out)
    e.builder.classical(ir.Reverse(out, x))
    return of_value(out)


@FUNCTIONS.function(
    "last", 1, 2, doc="last(seq), last(seq, k): the last moment, or the last k as real[k, …]"
)
def _last(e: Elaborator, node: ast.Call, given: Given) -> object:
    x = _sequence(e, "last", given[0])
    if x is None:
        return POISON
    count = 1
    if len(given) > 1:
        at, value = given[1]
        if not is_whole(value) or value < 1:
            return e.error(
                "E0312", at, f"`last` takes a number of moments, found {describe(value)}"
            )
        count = value
    if x.type.kind not in ("real", "bit"):
        return e.error(
            "E0405",
            given[0][0],
            f"`last` of {x.type} would not be numbers",
            help="embed the tokens first, in a step",
        )
    found = last_of(e, x, count, node)
    if found is None:
        return POISON
    shape = x.type.shape if len(given) == 1 else (count, *x.type.shape)
    return viewed(of_value(found), shape)


def last_of(e: Elaborator, x: ir.Value, count: int, node: ast.Node) -> ir.Value | None:
    """The last moments of a sequence as real[count, …]."""
    if not e.fits((count, *x.type.shape), node):
        return None
    out = e.builder.value(Type(x.type.kind, (count, *x.type.shape)))
    e.builder.like(x, out)
    e.builder.classical(ir.Last(out, x, count))
    return out
