"""The one table of layers: what they are called and what they are given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Setting:
    name: str
    type: str
    default: object = None  # None: may be left out, and is worked out from the use


@dataclass(frozen=True, slots=True)
class LayerKind:
    """A row of the table."""

    name: str
    words: tuple[str, ...]  # how it may be declared
    settings: tuple[Setting, ...]
    tensors: str  # what it trains, for `init` and `freeze`; "" if nothing
    doc: str


REQUIRED: Any = object()


_DENSE = (Setting("bias", "bool", True),)
LAYERS: Mapping[str, LayerKind] = {
    k.name: k
    for k in (
        LayerKind(
            "linear",
            ("layer", "controller"),
            (Setting("out", "width"), Setting("gain", "real"), *_DENSE),
            "w, b",
            "an affine map: gain * (W x) + b",
        ),
        LayerKind(
            "mlp",
            ("controller", "layer"),
            (
                Setting("hidden", "width"),
                Setting("activation", "activation", "relu"),
                Setting("out", "width"),
                Setting("gain", "real"),
                *_DENSE,
            ),
            "w1, b1, w2, b2, …",
            "affine maps with a function between them",
        ),
        LayerKind(
            "embedding",
            ("layer",),
            (Setting("width", "width"),),
            "table",
            "a row of a table for each token",
        ),
        LayerKind(
            "layer_norm",
            ("layer",),
            (),
            "scale, shift",
            "mean 0 and variance 1, then a scale and a shift of its own",
        ),
        LayerKind(
            "dropout",
            ("layer",),
            (Setting("p", "real", 0.1),),
            "",
            "zeroes numbers at random while training",
        ),
        LayerKind("dot", ("attention",), (), "", "attention by q·k"),
        LayerKind("scaled", ("attention",), (), "", "attention by q·k / sqrt(d)"),
        LayerKind("bilinear", ("attention",), (), "w", "attention by q·(W k)"),
        LayerKind(
            "additive",
            ("attention",),
            (Setting("width", "width", 64),),
            "a, b, bias, v",
            "attention by v·tanh(A q + B k + b)",
        ),
        LayerKind(
            "scored",
            ("attention",),
            (Setting("circuit", "circuit", REQUIRED),),
            "those of the circuit",
            "attention by a circuit's value for a query and a key",
        ),
    )
}
