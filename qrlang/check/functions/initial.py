"""How tensors begin."""

from __future__ import annotations

from qrlang.check.algebra.numbers import is_number
from qrlang.check.core.elaborator import Elaborator
from qrlang.check.core.values import InitialValue, describe
from qrlang.check.functions.table import Functions, Given
from qrlang.syntax import ast

FUNCTIONS = Functions()


def _initial(name: str, least: int, most: int, defaults: tuple[float, ...], doc: str) -> None:
    def handler(e: Elaborator, node: ast.Call, given: Given) -> object:
        numbers: list[float] = []
        for at, x in given:
            if not is_number(x):
                return e.error(
                    "E0303",
                    at,
                    f"`{name}` takes numbers known at compile time, found {describe(x)}",
                )
            numbers.append(float(x))
        numbers += defaults[len(numbers) :]
        if name == "uniform" and numbers[0] > numbers[1]:
            return e.error("E0311", node, f"`uniform` from {numbers[0]:g} down to {numbers[1]:g}")
        if name == "normal" and numbers[1] < 0:
            return e.error("E0311", node, "a standard deviation can't be negative")
        return InitialValue(name, tuple(numbers))

    FUNCTIONS.define(name, least, most, doc, handler)


_initial("uniform", 2, 2, (), "uniform(lo, hi): a tensor begins evenly between lo and hi")
_initial(
    "normal",
    0,
    2,
    (0.0, 1.0),
    "normal(mean, sd): a tensor begins with a normal distribution; 0 and 1 if left out",
)
_initial("constant", 1, 1, (), "constant(c): all numbers of a tensor begin as c")
_initial(
    "orthogonal",
    0,
    1,
    (1.0,),
    "orthogonal(gain): a matrix begins orthogonal, times gain; 1 if left out",
)
