"""What the classical ops compute, in NumPy, for one sequence."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from qrlang.backends.reference.errors import RunError
from qrlang.backends.reference.state import Array
from qrlang.ir.program import (
    Attend,
    Concat,
    Const,
    Dropout,
    Embed,
    Gather,
    Last,
    LayerNorm,
    Linear,
    Matmul,
    Op,
    Pointwise,
    Pool,
    Reduce,
    Reshape,
    Reverse,
    Shift,
    Softmax,
    SoftmaxOver,
    Value,
    WeightedSum,
)

Values = Mapping[int, Array]
Weights = Mapping[str, Array]

LAYER_NORM_EPSILON = 1e-5

_erf = np.vectorize(math.erf, otypes=[float])


def _sigmoid(x: Array) -> Array:
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, e) / (1.0 + e)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "neg": np.negative,
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "pow": np.power,
    "minimum": np.minimum,
    "maximum": np.maximum,
    "where": lambda x, y, z: np.where(x > 0.5, y, z),
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "asin": lambda x: np.arcsin(np.clip(x, -1, 1)),
    "acos": lambda x: np.arccos(np.clip(x, -1, 1)),
    "atan": np.arctan,
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "sign": np.sign,
    "tanh": np.tanh,
    "sigmoid": _sigmoid,
    "relu": lambda x: np.maximum(x, 0.0),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0.0))),
    "silu": lambda x: x * _sigmoid(x),
    "gelu": lambda x: x * 0.5 * (1.0 + _erf(x / math.sqrt(2.0))),
    "softplus": lambda x: np.logaddexp(0.0, x),
    "identity": lambda x: x,
}

_REDUCTIONS: dict[str, Callable[..., Any]] = {
    "sum": np.sum,
    "mean": np.mean,
    "max": np.max,
    "min": np.min,
    "prod": np.prod,
    "norm": lambda x, axis: np.sqrt(np.sum(x * x, axis=axis)),
}


def softmax(x: Array, axis: int) -> Array:
    e = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return e / np.sum(e, axis=axis, keepdims=True)


def layer_norm(x: Array, scale: Array, shift: Array) -> Array:
    mean = np.mean(x, axis=-1, keepdims=True)
    variance = np.mean((x - mean) ** 2, axis=-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + LAYER_NORM_EPSILON) * scale + shift


def compute(op: Op, v: Values, w: Weights) -> Array | None:
    """The op's result, or None if it is not one of these."""
    result = _compute(op, v, w)
    if result is None:
        return None
    out: Value = op.out  # type: ignore[attr-defined]
    if out.type.kind in ("token", "class"):
        return np.asarray(result, int)
    if out.type.kind in ("state", "unitary"):
        return np.asarray(result, complex)
    array = np.asarray(result, float)
    return array if out.type.seq else array.reshape(out.type.shape)


def _compute(op: Op, v: Values, w: Weights) -> Any:
    match op:
        case Const():
            return np.array(op.data)[0] if op.out.type.kind in ("token", "class") else op.data
        case Pointwise():
            return FUNCTIONS[op.fn](*(v[a.id] for a in op.args))
        case Linear():
            y = op.gain * (w[op.weight] @ v[op.x.id].ravel())
            return y if op.bias is None else y + w[op.bias]
        case Embed():
            return w[op.weight][int(v[op.token.id].flat[0])]
        case Concat():
            return np.concatenate([np.empty(0), *(v[a.id].ravel() for a in op.args)])
        case Gather():
            return v[op.x.id].ravel()[list(op.indices)]
        case Reshape() | Dropout():
            return v[op.x.id]
        case Reduce():
            return _REDUCTIONS[op.fn](v[op.x.id], axis=-1 if op.last_axis else None)
        case Matmul():
            return v[op.a.id] @ v[op.b.id]
        case Softmax():
            return softmax(v[op.x.id], -1)
        case LayerNorm():
            return layer_norm(v[op.x.id], w[op.weight], w[op.bias])
    return _over_time(op, v, w)


def _over_time(op: Op, v: Values, w: Weights) -> Any:
    match op:
        case Shift():
            x = v[op.x.id]
            return np.concatenate([np.full_like(x[:1], op.start), x[:-1]])
        case Reverse():
            return v[op.x.id][::-1]
        case Last():
            x = v[op.x.id]
            before = np.zeros((max(0, op.count - len(x)), *x.shape[1:]))
            return np.concatenate([before, x[-op.count :]])
        case Pool():
            return _REDUCTIONS[op.fn](_some(v[op.x.id], op.x), axis=0)
        case SoftmaxOver():
            return softmax(_some(v[op.x.id], op.x), 0)
        case WeightedSum():
            return _weighted_sum(v[op.weights.id], v[op.values.id], op.values)
        case Attend():
            scores = _scores(op, v[op.query.id].ravel(), _some(v[op.keys.id], op.keys), w)
            return _weighted_sum(softmax(scores, 0), v[op.values.id], op.values)
    return None


def _some(x: Array, value: Value) -> Array:
    if len(x) == 0:
        raise RunError(f"the sequence {value.name or value.id} is empty")
    return x


def _weighted_sum(weights: Array, values: Array, name: Value) -> Array:
    if len(weights) != len(values):
        raise RunError(
            f"{len(weights)} weights for {len(values)} moments of {name.name or name.id}"
        )
    return np.tensordot(weights, values, axes=1)


def _scores(op: Attend, query: Array, keys: Array, w: Weights) -> Array:
    keys = keys.reshape(len(keys), -1)
    match op.score:
        case "dot":
            return keys @ query
        case "scaled":
            return keys @ query / math.sqrt(len(query))
        case "bilinear":
            return keys @ (w[op.weights[0]].T @ query)
    a, b, bias, v = (w[name] for name in op.weights)
    return np.tanh(a @ query + keys @ b.T + bias) @ v
