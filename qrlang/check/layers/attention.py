"""Soft attention over what a recurrence has emitted, or over a window that is carried."""

from __future__ import annotations

import math

from qrlang.check.binding.arguments import evaluate
from qrlang.check.classical.tensors import all_numbers, flat, of_value
from qrlang.check.core.blocks import LoopDraft
from qrlang.check.core.elaborator import Elaborator
from qrlang.check.core.values import POISON, Definition, Layer, LayerSpec, Poison, Tensor, describe
from qrlang.check.layers.circuits import run_circuit
from qrlang.check.layers.parts import fan_in, same_width, weight
from qrlang.ir import program as ir
from qrlang.ir.types import real, seq
from qrlang.syntax import ast


def attend(e: Elaborator, layer: Layer, node: ast.Call, wanted: int | None) -> object:
    """`look(query, over: keys, values: values)`."""
    assert isinstance(layer.spec, LayerSpec)
    args = evaluate(e, node)
    if args is None or args.poisoned:
        return POISON
    for name, (arg, _) in args.named.items():
        if name not in ("over", "values"):
            return e.error(
                "E0302",
                arg,
                f"an attention has no argument `{name}`",
                help="it has a query, `over:` and `values:`",
            )
    if "over" not in args.named:
        return e.error(
            "E0301",
            node,
            f"`{layer.name}` needs `over:`, the sequence it looks at",
            help=f"`{layer.name}(query, over: encoder.keys)`",
        )
    if not args.positional:
        return e.error("E0301", node, f"`{layer.name}` needs a query before `over:`")
    queries = all_numbers(e, args.positional)
    if not isinstance(queries, list):
        return POISON
    over_arg, over = args.named["over"]
    keys = _looked_at(e, over, over_arg.value)
    if isinstance(keys, Poison):
        return POISON
    values = keys
    if "values" in args.named:
        values_arg, thing = args.named["values"]
        found = _looked_at(e, thing, values_arg.value)
        if isinstance(found, Poison):
            return POISON
        values = found
        if keys.type.seq != values.type.seq:
            return e.error("E0401", values_arg, f"`over` is {keys.type}, `values` is {values.type}")
    query = flat(e, queries)
    if not keys.type.seq:
        return _window(e, layer, node, query, keys, values)
    assert keys.value is not None and values.value is not None
    q, k = query.type.count, keys.type.count
    if not same_width(e, layer, node, (q, k)):
        return POISON
    e.fact(layer.span, layer.name, f"attention: query {q}, keys {k} -> {values.type.item}")
    kind = layer.spec.kind.name
    if kind == "scored":
        return _scored(e, layer, node, query, keys.value, values.value)
    weights = _weights(e, layer, node, q, k, over_arg)
    if weights is None:
        return POISON
    out = e.builder.value(values.type.item)
    e.builder.like(values.value, out)
    e.builder.classical(ir.Attend(out, kind, query, keys.value, values.value, weights))
    return of_value(out)


def _looked_at(e: Elaborator, thing: object, at: ast.Node) -> Tensor | Poison:
    if isinstance(thing, Tensor) and thing.type.kind == "real":
        if thing.type.seq and len(thing.type.shape) <= 1:
            if not thing.type.shape:
                return e.error(
                    "E0401", at, f"the keys of an attention are vectors, found {thing.type}"
                )
            return thing
        if not thing.type.seq and len(thing.type.shape) == 2:
            return thing
    if isinstance(thing, Tensor) and thing.type.kind in ("token", "class"):
        return e.error(
            "E0405",
            at,
            f"{thing.type} has no vectors to look at",
            help="look at what a recurrence emits: `emit keys = read z`",
        )
    return e.error(
        "E0406",
        at,
        "an attention looks over a sequence of vectors, or a window real[k, m], found "
        + describe(thing),
        help="a recurrence gives one: `emit keys = read z`, then `over: encoder.keys`",
    )


def _weights(
    e: Elaborator, layer: Layer, node: ast.Call, q: int, k: int, at: ast.Node
) -> tuple[str, ...] | None:
    """The tensors of a score, made once; None if the widths can't go together."""
    assert isinstance(layer.spec, LayerSpec)
    kind, name, frozen = layer.spec.kind.name, layer.name, layer.frozen
    if kind in ("dot", "scaled"):
        if q != k:
            e.error(
                "E0401",
                at,
                f"`{kind}` needs query and keys of one width: the query has {q} numbers, a key {k}",
                help="`bilinear` and `additive` take different widths",
            )
            return None
        return ()
    if kind == "bilinear":
        w = weight(e, f"{name}.w", (q, k), fan_in(k), frozen, node)
        return None if w is None else (w,)
    width = layer.spec.args["width"]
    assert isinstance(width, int)
    found = (
        weight(e, f"{name}.a", (width, q), fan_in(q), frozen, node),
        weight(e, f"{name}.b", (width, k), fan_in(k), frozen, node),
        weight(e, f"{name}.bias", (width,), fan_in(q), frozen, node),
        weight(e, f"{name}.v", (width,), fan_in(width), frozen, node),
    )
    return tuple(w for w in found if w is not None) if None not in found else None


def _scored(
    e: Elaborator, layer: Layer, node: ast.Call, query: ir.Value, keys: ir.Value, values: ir.Value
) -> object:
    """A circuit gives the score of each key; a softmax over time makes the weights."""
    assert isinstance(layer.spec, LayerSpec)
    circuit = layer.spec.args["circuit"]
    inner = circuit.spec if isinstance(circuit, Layer) else circuit
    if not isinstance(inner, Definition) or inner.kind != "circuit":
        return e.error("E0312", layer.span, f"`scored` takes a circuit, found {describe(circuit)}")
    b = e.builder
    item = b.value(keys.type.item, "key")
    name = circuit.name if isinstance(circuit, Layer) else layer.name
    both = [(node, of_value(query)), (node, of_value(item))]
    with b.nested() as body:
        with e.qubits.many_times():
            score = run_circuit(e, inner, name, layer.frozen, node, both)
        if not isinstance(score, Tensor):
            return POISON
        if score.type.count != 1 or score.type.seq:
            return e.error(
                "E0409",
                layer.span,
                f"the score of `{inner.item.name}` is {score.type}, not one number",
                help="return one number: `return read Z(q[0])`",
            )
        number = b.real_whole(Tensor(real(), score.value, score.elements))
    scores = b.value(seq(real()), "scores")
    loop = LoopDraft(layer.name, (ir.LoopItem(keys, item),), body)
    loop.emits.append(ir.LoopEmit("", number, scores))
    b.quantum(loop)
    weights = b.value(seq(real()), "weights")
    b.classical(ir.SoftmaxOver(weights, scores))
    out = b.value(values.type.item)
    b.classical(ir.WeightedSum(out, weights, values))
    return of_value(out)


def _window(
    e: Elaborator, layer: Layer, node: ast.Call, query: ir.Value, keys: Tensor, values: Tensor
) -> object:
    """The same over the rows of a matrix."""
    assert isinstance(layer.spec, LayerSpec)
    kind = layer.spec.kind.name
    rows, k = keys.type.shape
    q = query.type.count
    if values.type.shape[0] != rows:
        return e.error(
            "E0401", node, f"`over` has {rows} rows, `values` has {values.type.shape[0]}"
        )
    if kind == "scored":
        return e.error(
            "E0208",
            node,
            "`scored` looks over a sequence, not over a window",
            help="use `additive`, `bilinear`, `scaled` or `dot`",
        )
    if not same_width(e, layer, node, (q, k)):
        return POISON
    weights = _weights(e, layer, node, q, k, node)
    if weights is None:
        return POISON
    b = e.builder
    matrix = b.real_whole(keys)
    if kind == "additive":
        a_name, b_name, bias, v_name = weights
        width = e.draft.weights[bias].shape[0]
        asked = b.linear(query, width, a_name, bias)
        v = b.weight(e.draft.weights[v_name])
        scores = []
        for i in range(rows):
            row = b.gather(matrix, tuple(range(i * k, (i + 1) * k)), (k,))
            both = b.pointwise("add", asked, b.linear(row, width, b_name, None))
            scores.append(b.matmul(v, b.pointwise("tanh", both)))
        score = b.concat(tuple(scores)) if len(scores) > 1 else b.reshape(scores[0], (1,))
    else:
        if kind == "bilinear":
            w = b.weight(e.draft.weights[weights[0]])
            query = b.reshape(b.matmul(b.reshape(query, (1, q)), w), (k,))
        score = b.matmul(matrix, query)
        if kind == "scaled":
            score = b.pointwise("mul", b.const((1 / math.sqrt(k),)), score)
    found = b.matmul(b.reshape(b.softmax(score), (1, rows)), b.real_whole(values))
    return of_value(b.reshape(found, values.type.shape[1:]))
