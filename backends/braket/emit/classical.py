"""Classical ops as expressions of NumPy, the sequences of a batch in front: [sequences, …], and
[sequences, moments, …]. What does not depend on the sequence has 1 there."""

from __future__ import annotations

from math import prod

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
    UseWeight,
    Value,
    WeightedSum,
)

_INFIX = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
_CALLS = {
    "pow": "np.power({}, {})",
    "asin": "np.arcsin(np.clip({}, -1, 1))",
    "acos": "np.arccos(np.clip({}, -1, 1))",
    "atan": "np.arctan({})",
    "sigmoid": "1 / (1 + np.exp(-{}))",
    "relu": "np.maximum({}, 0)",
    "leaky_relu": "leaky_relu({})",
    "elu": "elu({})",
    "silu": "silu({})",
    "gelu": "gelu({})",
    "softplus": "np.logaddexp(0, {})",
    "identity": "{}",
    "where": "np.where({} > 0.5, {}, {})",
}


def atom(text: str) -> str:
    """So that it can stand beside an operator or before a dot."""
    depth = 0
    for letter in text:
        depth += (letter in "([{") - (letter in ")]}")
        if depth == 0 and letter in " -+*/<>=":
            return f"({text})"
    return text


def flat(text: str, value: Value) -> str:
    rank = len(value.type.shape)
    if rank == 0:
        return f"{atom(text)}[:, None]"
    return text if rank == 1 else f"flat({text})"


def weight(name: str) -> str:
    return f'w["{name}"]'


def nested(data: tuple[float, ...], shape: tuple[int, ...]) -> str:
    """A constant of one moment."""
    if prod(shape) > 3 and len(set(data)) == 1:
        return f"np.full((1{''.join(f', {d}' for d in shape)}), {float(data[0])!r})"

    def part(items: tuple[float, ...], dims: tuple[int, ...]) -> str:
        if not dims:
            return repr(float(items[0]))
        step = prod(dims[1:])
        inner = (part(items[i * step : (i + 1) * step], dims[1:]) for i in range(dims[0]))
        return f"[{', '.join(inner)}]"

    return f"np.array([{part(data, shape)}])"


def expression(op: Op, args: list[str]) -> str:
    """The op, given the texts of `uses(op)`."""
    match op:
        case Const():
            if op.out.type.kind in ("token", "class"):
                return f"np.array([{int(op.data[0])}])"
            return nested(op.data, op.out.type.shape)
        case UseWeight():
            return f"{weight(op.weight)}[None]"
        case Pointwise():
            return _pointwise(op, args)
        case Linear():
            gain = "" if op.gain == 1 else f"{op.gain:.15g} * "
            x = f"{gain}{atom(flat(args[0], op.x))} @ {weight(op.weight)}.T"
            return x if op.bias is None else f"{x} + {weight(op.bias)}"
        case Embed():
            token = args[0] if op.token.type.shape == () else f"{atom(args[0])}[:, 0]"
            return f"{weight(op.weight)}[np.asarray({token}, int)]"
        case Concat():
            if len(op.args) == 1:
                return flat(args[0], op.args[0])
            return f"join({', '.join(flat(t, v) for t, v in zip(args, op.args, strict=True))})"
        case Gather():
            return _gather(op, args[0])
        case Reshape():
            if op.x.type.shape == op.out.type.shape:
                return args[0]
            return _shaped(args[0], op.out.type.shape)
        case Reduce():
            return _reduce(op, args[0])
        case Matmul():
            return _matmul(op, *args)
        case Softmax():
            return f"softmax({args[0]})"
        case LayerNorm():
            return f"layer_norm({args[0]}, {weight(op.weight)}, {weight(op.bias)})"
        case Dropout():
            return args[0]
    return _over_time(op, args)


def _pointwise(op: Pointwise, args: list[str]) -> str:
    rank = len(op.out.type.shape)
    args = [
        text if len(v.type.shape) == rank else f"{atom(text)}[...{', None' * rank}]"
        for text, v in zip(args, op.args, strict=True)
    ]
    if op.fn in _INFIX:
        return f" {_INFIX[op.fn]} ".join(atom(a) for a in args)
    if op.fn == "neg":
        return f"-{atom(args[0])}"
    pattern = _CALLS.get(op.fn, "np." + op.fn + "(" + ", ".join(["{}"] * len(args)) + ")")
    if "-{}" in pattern or "{} >" in pattern:
        args[0] = atom(args[0])
    return pattern.format(*args)


def _shaped(text: str, shape: tuple[int, ...]) -> str:
    return f"{atom(text)}.reshape({', '.join(map(str, (-1, *shape)))})"


def _gather(op: Gather, text: str) -> str:
    x, shape, index = flat(text, op.x), op.out.type.shape, list(op.indices)
    if shape == ():
        return f"{atom(x)}[:, {index[0]}]"
    if not index:
        return f"np.zeros((1{''.join(f', {d}' for d in shape)}))"
    picked = f"{atom(x)}[:, {index}]"
    if len(index) > 1:
        step = index[1] - index[0]
        if step > 0 and index == list(range(index[0], index[-1] + 1, step)):
            by = f":{step}" if step > 1 else ""
            picked = f"{atom(x)}[:, {index[0]}:{index[-1] + 1}{by}]"
    return picked if len(shape) == 1 else _shaped(picked, shape)


def _reduce(op: Reduce, text: str) -> str:
    x = atom(text) if op.last_axis else atom(flat(text, op.x))
    if op.fn == "norm":
        return f"np.linalg.norm({x}, axis=-1)"
    return f"{x}.{op.fn}(-1)"


def _matmul(op: Matmul, a: str, b: str) -> str:
    ranks = (len(op.a.type.shape), len(op.b.type.shape))
    if ranks == (1, 1):
        return f"({atom(a)} * {atom(b)}).sum(-1)"
    if ranks == (2, 1):
        return f"({atom(a)} @ {atom(b)}[..., None])[..., 0]"
    if ranks == (1, 2):
        return f"({atom(a)}[:, None] @ {atom(b)})[:, 0]"
    return f"{atom(a)} @ {atom(b)}"


def _over_time(op: Op, args: list[str]) -> str:
    match op:
        case Shift():
            return f"shifted({args[0]}, {op.start})"
        case Reverse():
            return f"{atom(args[0])}[:, ::-1]"
        case Last():
            return f"last({args[0]}, {op.count})"
        case Pool():
            return f"{atom(args[0])}.{op.fn}(1)"
        case SoftmaxOver():
            return f"softmax({args[0]}, 1)"
        case WeightedSum():
            return f"weighted({args[0]}, {args[1]})"
        case Attend():
            query, keys, values = args
            more = "".join(f", {weight(name)}" for name in op.weights)
            rows = keys if len(op.keys.type.shape) == 1 else f"moments({keys})"
            score = f"{op.score}({flat(query, op.query)}, {rows}{more})"
            return f"weighted(softmax({score}, 1), {values})"
    raise ValueError(f"{type(op).__name__} has no NumPy form")
