"""Classical ops as expressions of torch."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from qrlang.ir.program import (
    Attend,
    CallExtern,
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
    "pow": "torch.pow({}, {})",
    "minimum": "torch.minimum({}, {})",
    "maximum": "torch.maximum({}, {})",
    "asin": "torch.asin({}.clamp(-1, 1))",
    "acos": "torch.acos({}.clamp(-1, 1))",
    "leaky_relu": "F.leaky_relu({})",
    "elu": "F.elu({})",
    "silu": "F.silu({})",
    "gelu": "F.gelu({})",
    "softplus": "qr.softplus({})",
    "identity": "{}",
    "where": "torch.where({} > 0.5, {}, {})",
}


def is_atom(text: str) -> bool:
    """Whether it can stand beside an operator or before a dot without brackets."""
    depth = 0
    for letter in text:
        depth += (letter in "([{") - (letter in ")]}")
        if depth == 0 and letter in " -+*/<>=":
            return False
    return True


def atom(text: str) -> str:
    return text if is_atom(text) else f"({text})"


def flat(text: str, value: Value) -> str:
    """A value as one vector."""
    rank = len(value.type.shape)
    if rank == 0:
        return f"{atom(text)}[..., None]"
    return text if rank == 1 else f"{atom(text)}.flatten(-{rank})"


def tensor(data: tuple[float, ...], shape: tuple[int, ...], dtype: str = "") -> str:
    """A constant."""

    def nested(items: list[object], dims: tuple[int, ...]) -> object:
        if not dims:
            return items[0]
        step = prod(dims[1:])
        return [nested(items[i * step : (i + 1) * step], dims[1:]) for i in range(dims[0])]

    if len(data) > 3 and len(set(data)) == 1:
        return f"run.tensor({data[0]!r}).expand({', '.join(map(str, shape))})"
    return f"run.tensor({nested(list(data), shape)}{dtype})"


class Expressions:
    """Ops as text, given the text of what they use."""

    def __init__(self, weight: Callable[[str], str]) -> None:
        self.weight = weight

    def text(self, op: Op, args: list[str]) -> str:
        """`args`: the texts of `uses(op)`, in order."""
        method = getattr(self, f"_{type(op).__name__.lower()}")
        result: str = method(op, args)
        return result

    def _const(self, op: Const, args: list[str]) -> str:
        if op.out.type.kind in ("token", "class"):
            return f"run.tensor({int(op.data[0])}, torch.long)"
        return tensor(op.data, op.out.type.shape)

    def _useweight(self, op: UseWeight, args: list[str]) -> str:
        text = self.weight(op.weight)
        return f"qr.unitary({text})" if op.out.type.kind == "unitary" else text

    def _pointwise(self, op: Pointwise, args: list[str]) -> str:
        rank = len(op.out.type.shape)
        args = [
            text if len(v.type.shape) == rank or is_number(text)
            else f"{atom(text)}[...{', None' * rank}]"
            for text, v in zip(args, op.args, strict=True)
        ]  # fmt: skip
        if op.fn in _INFIX:
            if all(is_number(a) for a in args):
                args[0] = f"run.tensor({args[0]})"
            return f" {_INFIX[op.fn]} ".join(atom(a) for a in args)
        if op.fn == "neg":
            return f"-{atom(args[0])}"
        args = [f"run.tensor({a})" if is_number(a) else a for a in args]
        pattern = _CALLS.get(op.fn, f"torch.{op.fn}({{}})")
        before_dot = "}." in pattern or "} >" in pattern
        first = atom(args[0]) if before_dot else args[0]
        return pattern.format(first, *args[1:])

    def _linear(self, op: Linear, args: list[str]) -> str:
        x = flat(args[0], op.x)
        if op.gain != 1:
            x = (
                f"{op.gain:g} * {atom(x)}"
                if op.gain == float(f"{op.gain:g}")
                else f"{op.gain!r} * {atom(x)}"
            )
        bias = "" if op.bias is None else f", {self.weight(op.bias)}"
        return f"F.linear({x}, {self.weight(op.weight)}{bias})"

    def _embed(self, op: Embed, args: list[str]) -> str:
        token = args[0]
        if op.token.type.kind == "bit":
            token = f"{atom(token)}.long()" + ("[..., 0]" if op.token.type.shape else "")
        return f"{self.weight(op.weight)}[{token}]"

    def _concat(self, op: Concat, args: list[str]) -> str:
        if all(v.type.shape == () for v in op.args):
            return f"qr.stack({', '.join(args)})"
        parts = ", ".join(flat(t, v) for t, v in zip(args, op.args, strict=True))
        return f"qr.cat({parts})" if len(args) > 1 else parts

    def _gather(self, op: Gather, args: list[str]) -> str:
        x, shape, index = atom(args[0]), op.out.type.shape, list(op.indices)
        rank = len(op.x.type.shape)
        if rank == 1 and shape == ():
            return f"{x}[..., {index[0]}]"
        if rank == 1 and len(shape) == 1 and len(index) > 1:
            step = index[1] - index[0]
            if step > 0 and index == list(range(index[0], index[-1] + 1, step)):
                by = f":{step}" if step > 1 else ""
                return f"{x}[..., {index[0]}:{index[-1] + 1}{by}]"
        inner = op.x.type.shape[-1] if rank else 1
        row = index[0] // inner if index and inner else 0
        if rank == 2 and shape == (inner,) and index == list(range(row * inner, (row + 1) * inner)):
            return f"{x}[..., {row}, :]"
        if shape == ():
            return f"qr.gather({args[0]}, {rank}, {index}, 1)[..., 0]"
        return f"qr.gather({args[0]}, {rank}, {index}, {', '.join(map(str, shape))})"

    def _reshape(self, op: Reshape, args: list[str]) -> str:
        a, b, x = op.x.type.shape, op.out.type.shape, atom(args[0])
        if a == b:
            return args[0]
        if a == () and b == (1,):
            return f"{x}[..., None]"
        if a == (1,) and b == ():
            return f"{x}[..., 0]"
        if len(b) == 1 and a:
            return f"{x}.flatten(-{len(a)})"
        if len(a) == 1 and len(b) > 1:
            return f"{x}.unflatten(-1, ({', '.join(map(str, b))}))"
        sizes = "".join(f", {d}" for d in b)
        return f"qr.reshape({args[0]}, {len(a)}{sizes})"

    def _reduce(self, op: Reduce, args: list[str]) -> str:
        rank = len(op.x.type.shape)
        x = atom(args[0]) if op.last_axis else atom(flat(args[0], op.x))
        name = {"max": "amax", "min": "amin"}.get(op.fn, op.fn)
        if rank == 0 and op.fn != "norm":
            return args[0]
        if op.fn == "norm":
            return f"torch.linalg.vector_norm({x}, dim=-1)"
        return f"{x}.{name}(-1)"

    def _matmul(self, op: Matmul, args: list[str]) -> str:
        a, b = len(op.a.type.shape), len(op.b.type.shape)
        if (a, b) == (1, 1):
            return f"({atom(args[0])} * {atom(args[1])}).sum(-1)"
        if (a, b) == (2, 1):
            return f"qr.matvec({args[0]}, {args[1]})"
        return f"{atom(args[0])} @ {atom(args[1])}"

    def _softmax(self, op: Softmax, args: list[str]) -> str:
        return f"torch.softmax({args[0]}, -1)"

    def _layernorm(self, op: LayerNorm, args: list[str]) -> str:
        size = op.x.type.shape[-1]
        return (
            f"F.layer_norm({args[0]}, ({size},), {self.weight(op.weight)}, {self.weight(op.bias)})"
        )

    def _dropout(self, op: Dropout, args: list[str]) -> str:
        return f"F.dropout({args[0]}, {op.p!r}, self.training)"

    def _callextern(self, op: CallExtern, args: list[str]) -> str:
        return f"{self.weight(op.layer)}({', '.join(args)})"

    # --- on whole sequences ---------------------------------------------------------------------

    def _shift(self, op: Shift, args: list[str]) -> str:
        return f"{atom(args[0])}.shifted({op.start or ''})"

    def _reverse(self, op: Reverse, args: list[str]) -> str:
        return f"{atom(args[0])}.reversed()"

    def _last(self, op: Last, args: list[str]) -> str:
        return f"{atom(args[0])}.last({op.count})"

    def _pool(self, op: Pool, args: list[str]) -> str:
        return f"{atom(args[0])}.{op.fn}()"

    def _softmaxover(self, op: SoftmaxOver, args: list[str]) -> str:
        return f"{atom(args[0])}.softmax()"

    def _weightedsum(self, op: WeightedSum, args: list[str]) -> str:
        return f"{atom(args[0])}.weighted({args[1]})"

    def _attend(self, op: Attend, args: list[str]) -> str:
        query, keys, values = args
        score = f"qr.{op.score}"
        if op.weights:
            score += f"({', '.join(self.weight(w) for w in op.weights)})"
        return f"{atom(keys)}.attend({score}, {flat(query, op.query)}, {values})"


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
