"""Affine layers, embeddings, norms and dropout.

How the tensors begin is what was found to train: U(±1/sqrt(fan in)) everywhere, except the last
layer of a controller, whose matrix is ten times smaller and whose bias spreads over all angles.
"""

from __future__ import annotations

import math

from qrlang.check.binding.arguments import evaluate
from qrlang.check.classical.tensors import flat, numeric, of_value
from qrlang.check.core.elaborator import Elaborator
from qrlang.check.core.values import POISON, Layer, LayerSpec, Pending, Tensor, describe
from qrlang.check.layers.parts import fan_in, inputs, same_width, uniform, weight, width_of
from qrlang.ir import program as ir
from qrlang.ir.types import real
from qrlang.syntax import ast

READOUT_GAIN = 16.0
CONTROLLER_SCALE = 0.1


def dense(e: Elaborator, layer: Layer, node: ast.Call, wanted: int | None) -> object:
    """linear and mlp: a chain of affine maps with a function between them."""
    assert isinstance(layer.spec, LayerSpec)
    settings = layer.spec.args
    parts = inputs(e, layer, node)
    if not isinstance(parts, list):
        return POISON
    width = sum(t.type.count for t in parts)
    if not same_width(e, layer, node, (width,)):
        return POISON
    out = width_of(e, layer, node, settings["out"], wanted)
    if out is None:
        return Pending(layer.name)
    single = layer.spec.kind.name == "linear"
    hidden = settings.get("hidden", ())
    assert isinstance(hidden, tuple)
    widths = [width, *hidden, out]
    x = flat(e, parts)
    gain = settings.get("gain")
    if gain is None:
        heads = single and layer.word == "layer" and all(e.builder.only_readouts(t) for t in parts)
        gain = READOUT_GAIN if heads else 1.0
    assert isinstance(gain, float)
    last = len(widths) - 2
    for k in range(last + 1):
        n, m = widths[k], widths[k + 1]
        number = "" if single else str(k + 1)
        gated = k < last and settings["activation"] == "glu"
        m = 2 * m if gated else m
        w_initial, b_initial = fan_in(n), fan_in(n)
        if k == last and layer.word == "controller":
            w_initial = uniform(CONTROLLER_SCALE / math.sqrt(n))
            b_initial = uniform(math.pi)
        w = weight(e, f"{layer.name}.w{number}", (m, n), w_initial, layer.frozen, node)
        if w is None:
            return POISON
        b = None
        if settings["bias"]:
            b = weight(e, f"{layer.name}.b{number}", (m,), b_initial, layer.frozen, node)
        x = e.builder.linear(x, m, w, b, gain if k == last else 1.0)
        if gated:
            x = e.builder.glu(x)
        elif k < last:
            x = e.builder.pointwise(str(settings["activation"]), x)
    between = f", {settings['activation']}" if not single else ""
    shown = f", gain {gain:g}" if gain != 1.0 else ""
    e.fact(layer.span, layer.name, f"{layer.word}: {' -> '.join(map(str, widths))}{between}{shown}")
    return of_value(x)


def embedding(e: Elaborator, layer: Layer, node: ast.Call, wanted: int | None) -> object:
    assert isinstance(layer.spec, LayerSpec)
    args = evaluate(e, node)
    if args is None or args.poisoned:
        return POISON
    if len(args.positional) != 1 or args.named:
        return e.error("E0301", node, f"`{layer.name}` takes one token, found {len(node.args)}")
    at, value = args.positional[0]
    if not isinstance(value, Tensor) or value.type.kind not in ("token", "class"):
        return e.error(
            "E0405",
            at,
            f"an embedding takes a token, found {describe(value)}",
            help="for numbers use `linear(…)`",
        )
    if value.type.seq:
        numeric(e, value, at)
        return POISON
    size = value.type.size
    if not same_width(e, layer, node, (size,)):
        return POISON
    out = width_of(e, layer, node, layer.spec.args["width"], wanted)
    if out is None:
        return Pending(layer.name)
    table = weight(
        e, f"{layer.name}.table", (size, out), ir.Initial("normal", (0.0, 1.0)), layer.frozen, node
    )
    if table is None:
        return POISON
    result = e.builder.value(real(out))
    assert value.value is not None
    e.builder.classical(ir.Embed(result, value.value, table))
    e.fact(layer.span, layer.name, f"layer: token[{size}] -> {out}")
    return of_value(result)


def layer_norm(e: Elaborator, layer: Layer, node: ast.Call, wanted: int | None) -> object:
    parts = inputs(e, layer, node)
    if not isinstance(parts, list):
        return POISON
    x = flat(e, parts)
    n = x.type.count
    if not same_width(e, layer, node, (n,)):
        return POISON
    scale = weight(
        e, f"{layer.name}.scale", (n,), ir.Initial("constant", (1.0,)), layer.frozen, node
    )
    shift = weight(
        e, f"{layer.name}.shift", (n,), ir.Initial("constant", (0.0,)), layer.frozen, node
    )
    assert scale is not None and shift is not None
    out = e.builder.value(real(n))
    e.builder.classical(ir.LayerNorm(out, x, scale, shift))
    e.fact(layer.span, layer.name, f"layer: {n} -> {n}")
    return of_value(out)


def dropout(e: Elaborator, layer: Layer, node: ast.Call, wanted: int | None) -> object:
    assert isinstance(layer.spec, LayerSpec)
    parts = inputs(e, layer, node)
    if not isinstance(parts, list):
        return POISON
    p = layer.spec.args["p"]
    assert isinstance(p, float)
    if not 0 <= p < 1:
        return e.error(
            "E0510", layer.span, f"a dropout probability is at least 0 and below 1, found {p:g}"
        )
    x = e.builder.real_whole(parts[0]) if len(parts) == 1 else flat(e, parts)
    out = e.builder.value(x.type)
    e.builder.like(x, out)
    e.builder.classical(ir.Dropout(out, x, p))
    return of_value(out)
