"""Classical ops in NumPy, the sequences of a batch in front: [sequences, …], and [sequences,
moments, …]. What does not depend on the sequence has 1 there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from qrlang.backends.emit.classical import Expressions
from qrlang.backends.emit.text import atom, nested, sliced
from qrlang.ir.program import (
    Attend,
    Concat,
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


class Arrays(Expressions):
    library = "np"
    calls: ClassVar[Mapping[str, str]] = {
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

    def __init__(self) -> None:
        super().__init__(lambda name: f'w["{name}"]')

    def flat(self, text: str, value: Value) -> str:
        rank = len(value.type.shape)
        if rank == 0:
            return f"{atom(text)}[:, None]"
        return text if rank == 1 else f"flat({text})"

    def constant(self, data: tuple[float, ...], shape: tuple[int, ...], whole: bool) -> str:
        if whole:
            return f"np.array([{int(data[0])}])"
        if len(data) > 3 and len(set(data)) == 1:
            return f"np.full((1{''.join(f', {d}' for d in shape)}), {float(data[0])!r})"
        return f"np.array([{nested([float(x) for x in data], shape)}])"

    def first(self, x: str, index: str) -> str:
        return f"{atom(x)}[:, {index}]"

    def matvec(self, a: str, b: str) -> str:
        return f"({atom(a)} @ {atom(b)}[..., None])[..., 0]"

    def vecmat(self, a: str, b: str) -> str:
        return f"({atom(a)}[:, None] @ {atom(b)})[:, 0]"

    # --- ops ------------------------------------------------------------------------------------

    def _useweight(self, op: UseWeight, args: list[str]) -> str:
        if op.out.type.kind == "unitary":
            return f"trained_unitary({self.weight(op.weight)})[None]"
        return f"{self.weight(op.weight)}[None]"

    def _linear(self, op: Linear, args: list[str]) -> str:
        x = self.flat(args[0], op.x)
        x = f"{atom(x) if op.gain == 1 else self.scaled(op, x)} @ {self.weight(op.weight)}.T"
        return x if op.bias is None else f"{x} + {self.weight(op.bias)}"

    def _embed(self, op: Embed, args: list[str]) -> str:
        token = args[0] if op.token.type.shape == () else f"{atom(args[0])}[:, 0]"
        return f"{self.weight(op.weight)}[np.asarray({token}, int)]"

    def _concat(self, op: Concat, args: list[str]) -> str:
        parts = [self.flat(t, v) for t, v in zip(args, op.args, strict=True)]
        return parts[0] if len(parts) == 1 else f"join({', '.join(parts)})"

    def _reshape(self, op: Reshape, args: list[str]) -> str:
        if op.x.type.shape == op.out.type.shape:
            return args[0]
        return _shaped(args[0], op.out.type.shape)

    def _gather(self, op: Gather, args: list[str]) -> str:
        x, shape = self.flat(args[0], op.x), op.out.type.shape
        if not op.indices:
            return f"np.zeros((1{''.join(f', {d}' for d in shape)}))"
        if simple := self.picked(op, x):
            return simple
        found = self.first(x, sliced(op.indices) or str(list(op.indices)))
        return found if len(shape) == 1 else _shaped(found, shape)

    def _reduce(self, op: Reduce, args: list[str]) -> str:
        x = self.reduced(op, args[0])
        return f"np.linalg.norm({x}, axis=-1)" if op.fn == "norm" else f"{x}.{op.fn}(-1)"

    def _softmax(self, op: Softmax, args: list[str]) -> str:
        return f"softmax({args[0]})"

    def _layernorm(self, op: LayerNorm, args: list[str]) -> str:
        return f"layer_norm({args[0]}, {self.weight(op.weight)}, {self.weight(op.bias)})"

    # --- on whole sequences ---------------------------------------------------------------------

    def _shift(self, op: Shift, args: list[str]) -> str:
        return f"shifted({args[0]}, {op.start})"

    def _reverse(self, op: Reverse, args: list[str]) -> str:
        return f"{atom(args[0])}[:, ::-1]"

    def _last(self, op: Last, args: list[str]) -> str:
        return f"last({args[0]}, {op.count})"

    def _pool(self, op: Pool, args: list[str]) -> str:
        return f"{atom(args[0])}.{op.fn}(1)"

    def _softmaxover(self, op: SoftmaxOver, args: list[str]) -> str:
        return f"softmax({args[0]}, 1)"

    def _weightedsum(self, op: WeightedSum, args: list[str]) -> str:
        return f"weighted({args[0]}, {args[1]})"

    def _attend(self, op: Attend, args: list[str]) -> str:
        query, keys, values = args
        more = "".join(f", {self.weight(name)}" for name in op.weights)
        rows = keys if len(op.keys.type.shape) == 1 else f"moments({keys})"
        score = f"{op.score}({self.flat(query, op.query)}, {rows}{more})"
        return f"weighted(softmax({score}, 1), {values})"


def _shaped(text: str, shape: tuple[int, ...]) -> str:
    return f"{atom(text)}.reshape({', '.join(map(str, (-1, *shape)))})"
