"""Calling a layer that has been declared."""

from __future__ import annotations

from collections.abc import Callable

from qrlang.check.core.elaborator import Elaborator
from qrlang.check.core.values import Definition, Layer
from qrlang.check.layers.attention import attend
from qrlang.check.layers.circuits import call_circuit
from qrlang.check.layers.dense import dense, dropout, embedding, layer_norm
from qrlang.check.layers.extern import extern
from qrlang.syntax import ast

# How a layer of each kind is called, its arguments not yet evaluated.
_CALL: dict[str, Callable[[Elaborator, Layer, ast.Call, int | None], object]] = {
    "linear": dense,
    "mlp": dense,
    "embedding": embedding,
    "layer_norm": layer_norm,
    "dropout": dropout,
    "dot": attend,
    "scaled": attend,
    "bilinear": attend,
    "additive": attend,
    "scored": attend,
}


def call_layer(e: Elaborator, layer: Layer, node: ast.Call, wanted: int | None) -> object:
    e.count_op(node)
    if isinstance(layer.spec, Definition):
        if layer.spec.kind == "circuit":
            return call_circuit(e, layer, node)
        return extern(e, layer, node)
    layer.calls += 1
    return _CALL[layer.spec.kind.name](e, layer, node, wanted)
