"""Weights as modules: which ops make up a layer, and the layer as a class.

Weights are called `layer.weight`; a chain of ops that use the weights of one layer, with
functions of one argument in between, becomes the `forward` of its class. Where a layer's calls
differ, or nothing chains, its class only holds the weights and the model's `forward` uses them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from qrlang.backends.emit.names import Names
from qrlang.backends.torch.circuits.text import number
from qrlang.backends.torch.emit.classical import Expressions
from qrlang.backends.torch.emit.names import attribute, camel
from qrlang.ir.functions import FUNCTIONS
from qrlang.ir.program import (
    Attend,
    Dropout,
    Embed,
    LayerNorm,
    Linear,
    Op,
    Pointwise,
    Program,
    Softmax,
    UseWeight,
    Value,
    Weight,
)
from qrlang.ir.walk import regions, uses, walk


def weights_of(op: Op) -> tuple[str, ...]:
    match op:
        case Linear(weight=weight, bias=bias):
            return (weight,) if bias is None else (weight, bias)
        case LayerNorm(weight=weight, bias=bias):
            return weight, str(bias)
        case Embed(weight=weight) | UseWeight(weight=weight):
            return (weight,)
        case Attend(weights=weights):
            return weights
    return ()


def prefix(name: str) -> str:
    return name.rpartition(".")[0]


@dataclass
class Layer:
    name: str  # as in the program: "steer"
    path: str  # "self.steer"
    weights: list[Weight]
    cls: str = ""  # "" if it only holds weights
    lines: list[str] = field(default_factory=list)  # of its `forward`
    doc: str = ""


@dataclass
class Layers:
    layers: dict[str, Layer]
    chains: dict[int, tuple[Layer, tuple[Op, ...]]]  # by the id of the chain's result
    inside: set[int]  # ids of values that exist only inside a layer

    def weight(self, name: str) -> str:
        """A weight in the text of the model's `forward`."""
        layer = self.layers.get(prefix(name))
        return f"{layer.path if layer else 'self'}.{attribute(name.rpartition('.')[2])}"


def find(program: Program, taken: Names) -> Layers:
    layers: dict[str, Layer] = {}
    for weight in program.weights:
        name = prefix(weight.name)
        if name:
            path = "self." + ".".join(attribute(p) for p in name.split("."))
            layers.setdefault(name, Layer(name, path, [])).weights.append(weight)
    chains = _chains(program)
    by_layer: dict[str, list[tuple[Op, ...]]] = {}
    for chain in chains:
        by_layer.setdefault(_layer_of(chain), []).append(chain)
    kept: dict[int, tuple[Layer, tuple[Op, ...]]] = {}
    inside: set[int] = set()
    outside = {
        prefix(w)
        for op in walk(program.body)
        if isinstance(op, (UseWeight, Attend))
        for w in weights_of(op)
    }
    for name, found in by_layer.items():
        shapes = {tuple(_shape(op) for op in chain) for chain in found}
        if not name or len(shapes) > 1 or name in outside:
            continue
        layer = layers[name]
        layer.cls = taken.free(camel(name.rpartition(".")[2]))
        layer.lines, layer.doc = _forward(found[0])
        for chain in found:
            kept[chain[-1].out.id] = (layer, chain)  # type: ignore[attr-defined]
            inside |= {op.out.id for op in chain[:-1]}  # type: ignore[attr-defined]
    return Layers(layers, kept, inside)


def _layer_of(chain: tuple[Op, ...]) -> str:
    return prefix(weights_of(chain[0])[0])


def _chains(program: Program) -> list[tuple[Op, ...]]:
    counts: Counter[int] = Counter()
    for op in walk(program.body):
        counts.update(v.id for v in uses(op))
    counts.update(o.value.id for o in program.outputs)
    used: set[int] = set()
    chains = []
    for body in _bodies(program.body):
        reader = {v.id: op for op in body for v in uses(op)}
        for op in body:
            names = weights_of(op)
            if not names or isinstance(op, (UseWeight, Attend)) or id(op) in used:
                continue
            name = prefix(names[0])
            chain, length = [op], 1
            while True:
                out: Value = chain[-1].out  # type: ignore[attr-defined]
                following = reader.get(out.id)
                if counts[out.id] != 1 or following is None or not _continues(following, out, name):
                    break
                chain.append(following)
                if weights_of(following):
                    length = len(chain)
            chain = chain[:length]
            used |= {id(o) for o in chain}
            chains.append(tuple(chain))
    return chains


def _bodies(ops: tuple[Op, ...]) -> Iterator[tuple[Op, ...]]:
    yield ops
    for op in ops:
        for body in regions(op):
            yield from _bodies(body)


def _continues(op: Op, x: Value, name: str) -> bool:
    names = weights_of(op)
    if names:
        return isinstance(op, (Linear, LayerNorm)) and prefix(names[0]) == name
    if isinstance(op, Pointwise):
        return FUNCTIONS[op.fn].args == 1
    return isinstance(op, (Dropout, Softmax))


def _shape(op: Op) -> tuple[object, ...]:
    """What makes two calls of a layer the same text."""
    types = tuple(v.type for v in uses(op))
    extra = [getattr(op, name, None) for name in ("fn", "gain", "p", "score")]
    return (type(op), types, weights_of(op), *extra)


def _forward(chain: tuple[Op, ...]) -> tuple[list[str], str]:
    first = chain[0]
    expressions = Expressions(lambda w: f"self.{attribute(w.rpartition('.')[2])}")
    lines, argument = [], "token" if isinstance(first, Embed) else "x"
    for op in chain:
        lines.append(f"x = {expressions.text(op, [argument])}")
        argument = "x"
    lines[-1] = "return" + lines[-1][3:]
    return lines, _doc(chain)


def _doc(chain: tuple[Op, ...]) -> str:
    sizes = []
    for op in chain:
        if isinstance(op, Embed):
            sizes.append(f"{op.token.type}")
        elif isinstance(op, Linear) and not sizes:
            sizes.append(str(op.x.type.count))
        if isinstance(op, (Linear, Embed)):
            sizes.append(str(op.out.type.count))
        elif isinstance(op, Pointwise):
            sizes.append(op.fn)
    return " -> ".join(sizes) if sizes else type(chain[0]).__name__


def start(weight: Weight) -> str:
    """`qr.uniform(-pi, pi)`: how a weight begins."""
    return f"qr.{weight.initial.kind}({', '.join(map(_number, weight.initial.args))})"


def _number(x: float) -> str:
    """`1 / math.sqrt(36)` where that is the same number."""
    for factor in (1.0, 0.1):
        size = round((factor / x) ** 2) if 1e-3 < abs(x) < 1 else 0
        if size > 1 and math.isqrt(size) ** 2 != size and abs(x) == factor / math.sqrt(size):
            return f"{'-' * (x < 0)}{factor:g} / math.sqrt({size})"
    return number(x).replace("pi", "math.pi")
