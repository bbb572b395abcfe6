"""Arithmetic at compile time, with limits instead of explosions."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any, TypeGuard

MAX_BITS = 1023  # of an integer: as large as a real number can be
MAX_LIST = 100_000
MAX_TEXT = 10_000

Number = int | float


class Wrong(Exception):
    """Why there is no result: a code, a message and a way out."""

    def __init__(self, code: str, message: str, help: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.help = help


def is_number(x: object) -> TypeGuard[int | float]:
    return isinstance(x, (int, float)) and not isinstance(x, bool)


def is_whole(x: object) -> TypeGuard[int]:
    return isinstance(x, int) and not isinstance(x, bool)


def checked(x: object) -> Number:
    """A number within limits."""
    if isinstance(x, int):
        if x.bit_length() > MAX_BITS:
            raise Wrong("E0307", f"an integer of more than {MAX_BITS} bits")
        return x
    if isinstance(x, float) and math.isfinite(x):
        return x
    raise Wrong("E0309", "the result is not a real number")


def _power(a: Number, b: Number) -> Number:
    if isinstance(a, int) and isinstance(b, int) and b >= 0:
        if a not in (0, 1, -1) and b * a.bit_length() > 4 * MAX_BITS:
            raise Wrong("E0307", f"an integer of more than {MAX_BITS} bits")
        return int(a**b)
    result = a**b
    if isinstance(result, complex):
        raise Wrong("E0309", f"{a:g} ** {b:g} is not a real number")
    return float(result)


ARITHMETIC: dict[str, Callable[[Number, Number], Number]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": _power,
}
COMPARISON: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def arithmetic(op: str, a: Number, b: Number) -> Number:
    try:
        return checked(ARITHMETIC[op](a, b))
    except ZeroDivisionError:
        raise Wrong("E0304", "division by zero") from None
    except (OverflowError, ValueError):
        raise Wrong("E0309", "the result is too large for a real number") from None


def compare(op: str, a: object, b: object) -> bool | None:
    """None: these can't be compared."""
    numbers = is_number(a) and is_number(b)
    if op in ("==", "!="):
        if not numbers and type(a) is not type(b):
            return None
        return COMPARISON[op](a, b)
    if numbers or (isinstance(a, str) and isinstance(b, str)):
        return COMPARISON[op](a, b)
    return None


MATH: dict[str, Callable[[float], float]] = {
    "sin": math.sin,
    "cos": math.cos,
    "tan": math.tan,
    "asin": lambda x: math.asin(min(1.0, max(-1.0, x))),  # as in the IR
    "acos": lambda x: math.acos(min(1.0, max(-1.0, x))),
    "atan": math.atan,
    "exp": math.exp,
    "log": math.log,
    "sqrt": math.sqrt,
    "tanh": math.tanh,
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "relu": lambda x: max(x, 0.0),
    "leaky_relu": lambda x: x if x > 0 else x / 100,
    "elu": lambda x: x if x > 0 else math.expm1(x),
    "silu": lambda x: x / (1 + math.exp(-x)),
    "gelu": lambda x: x * 0.5 * (1 + math.erf(x / math.sqrt(2))),
    "softplus": lambda x: math.log1p(math.exp(x)),
}


def function(name: str, x: Number) -> Number:
    """A pointwise function of a number known at compile time."""
    try:
        if name == "abs":
            return abs(x)
        if name == "sign":
            return (x > 0) - (x < 0)
        if name == "identity":
            return x
        if name == "neg":
            return -x
        return checked(MATH[name](float(x)))
    except ValueError:
        raise Wrong("E0309", f"{name} of {x:g} is not a real number") from None
    except OverflowError:
        raise Wrong("E0309", f"{name} of {x:g} is too large for a real number") from None
