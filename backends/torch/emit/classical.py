"""Classical ops as expressions of torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from qrlang.backends.emit import classical
from qrlang.backends.emit.text import atom, nested
from qrlang.ir.program import (
    Attend,
    CallExtern,
    Concat,
    Dropout,
    Embed,
    Gather,
    Last,
    LayerNorm,
    Linear,
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


def flat(text: str, value: Value) -> str:
    """A value as one vector."""
    rank = len(value.type.shape)
    if rank == 0:
        return f"{atom(text)}[..., None]"
    return text if rank == 1 else f"{atom(text)}.flatten(-{rank})"


class Expressions(classical.Expressions):
    library = "torch"
    calls: ClassVar[Mapping[str, str]] = {
        "asin": "torch.asin(qr.clipped({}))",
        "acos": "torch.acos(qr.clipped({}))",
        "leaky_relu": "F.leaky_relu({})",
        "elu": "F.elu({})",
        "silu": "F.silu({})",
        "gelu": "F.gelu({})",
        "softplus": "qr.softplus({})",
        "identity": "{}",
        "where": "torch.where({} > 0.5, {}, {})",
    }

    def flat(self, text: str, value: Value) -> str:
        return flat(text, value)

    def constant(self, data: tuple[float, ...], shape: tuple[int, ...], whole: bool) -> str:
        if whole:
            return f"run.tensor({int(data[0])}, torch.long)"
        if len(data) > 3 and len(set(data)) == 1:
            return f"run.tensor({data[0]!r}).expand({', '.join(map(str, shape))})"
        return f"run.tensor({nested(data, shape)})"

    def first(self, x: str, index: str) -> str:
        return f"{atom(x)}[..., {index}]"

    def matvec(self, a: str, b: str) -> str:
        return f"qr.matvec({a}, {b})"

    def vecmat(self, a: str, b: str) -> str:
        return f"{atom(a)} @ {atom(b)}"

    # --- ops ------------------------------------------------------------------------------------

    def _useweight(self, op: UseWeight, args: list[str]) -> str:
        text = self.weight(op.weight)
        return f"qr.unitary({text})" if op.out.type.kind == "unitary" else text

    def _linear(self, op: Linear, args: list[str]) -> str:
        bias = "" if op.bias is None else f", {self.weight(op.bias)}"
        x = self.scaled(op, self.flat(args[0], op.x))
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
        shape, index = op.out.type.shape, list(op.indices)
        rank = len(op.x.type.shape)
        if rank == 1 and (simple := self.picked(op, args[0])):
            return simple
        inner = op.x.type.shape[-1] if rank else 1
        row = index[0] // inner if index and inner else 0
        if rank == 2 and shape == (inner,) and index == list(range(row * inner, (row + 1) * inner)):
            return f"{atom(args[0])}[..., {row}, :]"
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
        if not op.x.type.shape and op.fn != "norm":
            return args[0]
        x = self.reduced(op, args[0])
        if op.fn == "norm":
            return f"torch.linalg.vector_norm({x}, dim=-1)"
        name = {"max": "amax", "min": "amin"}.get(op.fn, op.fn)
        return f"{x}.{name}(-1)"

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
