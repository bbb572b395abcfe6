"""The pointwise functions of a plan on NumPy arrays, and what a gradient of the result is for each
argument. Kinks are as in torch."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = Any  # of NumPy, whose own types are at odds with its operators

_erf = np.vectorize(math.erf, otypes=[float])


def _sigmoid(a: Array) -> Array:
    return 0.5 + 0.5 * np.tanh(0.5 * a)


def _phi(a: Array) -> Array:
    return 0.5 + 0.5 * _erf(a * math.sqrt(0.5)).astype(a.dtype)


FUNCTIONS: dict[str, Callable[..., Array]] = {
    "neg": np.negative,
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "minimum": np.minimum,
    "maximum": np.maximum,
    "where": lambda c, a, b: np.where(c > 0.5, a, b),
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "sign": np.sign,
    "tanh": np.tanh,
    "sigmoid": _sigmoid,
    "relu": lambda a: np.where(a <= 0, 0.0, a),
    "leaky_relu": lambda a: np.where(a < 0, 0.01 * a, a),
    "elu": lambda a: np.where(a < 0, np.expm1(np.minimum(a, 0.0)), a),
    "silu": lambda a: a * _sigmoid(a),
    "gelu": lambda a: a * _phi(a),
    "softplus": lambda a: np.logaddexp(a, 0.0),
    "asin": lambda a: np.arcsin(np.clip(a, -1.0, 1.0)),
    "acos": lambda a: np.arccos(np.clip(a, -1.0, 1.0)),
    "atan": np.arctan,
    "pow": np.power,
}


def adjoint(name: str, x: list[Array], y: Array, d: Array) -> list[Array | None]:
    """What `d` (for the result y) is for each argument; None for those without a slope."""
    a = x[0]
    match name:
        case "neg":
            return [-d]
        case "add":
            return [d, d]
        case "sub":
            return [d, -d]
        case "mul":
            return [d * x[1], d * a]
        case "div":
            q = d / x[1]
            return [q, -q * y]
        case "minimum" | "maximum":
            first = a < x[1] if name == "minimum" else a > x[1]
            share = np.where(a == x[1], 0.5, first)  # equal arguments share
            return [d * share, d * (1 - share)]
        case "where":
            return [None, np.where(a > 0.5, d, 0.0), np.where(a > 0.5, 0.0, d)]
        case "sign":
            return [None]
        case "pow":
            with np.errstate(divide="ignore", invalid="ignore"):
                logged = np.where(a > 0, np.log(a), 0.0)
                less = np.where(x[1] == 0, 0.0, np.power(a, x[1] - 1))
                return [d * x[1] * less, d * y * logged]
    return [d * _slope(name, a, y)]


def _slope(name: str, a: Array, y: Array) -> Array:
    match name:
        case "sin":
            return np.cos(a)
        case "cos":
            return -np.sin(a)
        case "tan":
            return 1 + y * y
        case "exp":
            return y
        case "log":
            return 1 / a
        case "sqrt":
            return 0.5 / y
        case "abs":
            return np.sign(a)
        case "tanh":
            return 1 - y * y
        case "sigmoid":
            return y * (1 - y)
        case "relu":
            return np.where(a > 0, 1.0, 0.0)
        case "leaky_relu":
            return np.where(a > 0, 1.0, 0.01)
        case "elu":
            return np.where(a > 0, 1.0, y + 1)
        case "silu":
            s = _sigmoid(a)
            return s + a * s * (1 - s)
        case "gelu":
            return _phi(a) + a * np.exp(-0.5 * a * a) / math.sqrt(2 * math.pi)
        case "softplus":
            return _sigmoid(a)
        case "asin" | "acos":
            inside = np.abs(a) < 1
            slope = np.where(inside, 1 / np.sqrt(np.where(inside, 1 - a * a, 1.0)), 0.0)
            return slope if name == "asin" else -slope
        case "atan":
            return 1 / (1 + a * a)
    raise KeyError(name)
