"""The classical ops on numbers known now. Shares its meaning with the reference interpreter."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from qrlang.ir.program import Concat, Gather, Op, Pointwise, Reduce, Reshape
from qrlang.ir.types import Type


def _sigmoid(x: float) -> float:
    e = math.exp(-abs(x))
    return (1.0 if x >= 0 else e) / (1.0 + e)


def _clamped(x: float) -> float:
    return min(1.0, max(-1.0, x))


FUNCTIONS: dict[str, Callable[..., float]] = {
    "neg": lambda x: -x,
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "div": lambda x, y: x / y,
    "pow": math.pow,
    "minimum": min,
    "maximum": max,
    "where": lambda x, y, z: y if x > 0.5 else z,
    "sin": math.sin,
    "cos": math.cos,
    "tan": math.tan,
    "asin": lambda x: math.asin(_clamped(x)),
    "acos": lambda x: math.acos(_clamped(x)),
    "atan": math.atan,
    "exp": math.exp,
    "log": math.log,
    "sqrt": math.sqrt,
    "abs": abs,
    "sign": lambda x: float((x > 0) - (x < 0)),
    "tanh": math.tanh,
    "sigmoid": _sigmoid,
    "relu": lambda x: max(x, 0.0),
    "leaky_relu": lambda x: x if x > 0 else 0.01 * x,
    "elu": lambda x: x if x > 0 else math.expm1(x),
    "silu": lambda x: x * _sigmoid(x),
    "gelu": lambda x: x * 0.5 * (1.0 + math.erf(x / math.sqrt(2.0))),
    "softplus": lambda x: max(x, 0.0) + math.log1p(math.exp(-abs(x))),
    "identity": lambda x: x,
}

_REDUCTIONS: dict[str, Callable[[Sequence[float]], float]] = {
    "sum": math.fsum,
    "mean": lambda x: math.fsum(x) / len(x),
    "max": max,
    "min": min,
    "prod": math.prod,
    "norm": lambda x: math.sqrt(math.fsum(y * y for y in x)),
}

Data = tuple[float, ...]


def evaluate(op: Op, args: Sequence[Data], out: Type) -> Data | None:
    """The numbers that an op gives for these arguments; None if that is left to a run (the op is
    not a simple one, or the result is not finite)."""
    try:
        result = _evaluate(op, args, out)
    except (ValueError, OverflowError, ZeroDivisionError):
        return None
    if result is None or len(result) != out.count or not all(map(math.isfinite, result)):
        return None
    return result


def _evaluate(op: Op, args: Sequence[Data], out: Type) -> Data | None:
    match op:
        case Pointwise() if op.fn in FUNCTIONS:
            function = FUNCTIONS[op.fn]
            wide = [arg * out.count if len(arg) == 1 else arg for arg in args]
            return tuple(float(function(*parts)) for parts in zip(*wide, strict=True))
        case Concat():
            return tuple(x for arg in args for x in arg)
        case Gather():
            return tuple(args[0][i] for i in op.indices)
        case Reshape():
            return args[0]
        case Reduce() if op.fn in _REDUCTIONS:
            width = op.x.type.shape[-1] if op.last_axis else len(args[0])
            rows = [args[0][i : i + width] for i in range(0, len(args[0]), width)] if width else []
            return tuple(float(_REDUCTIONS[op.fn](row)) for row in rows)
    return None
