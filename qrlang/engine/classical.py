"""Lowers classical ops to the few nodes a printer knows; whole-sequence ops become loops."""

from __future__ import annotations

import math
from collections.abc import Callable

from qrlang.engine import nodes
from qrlang.engine.lower import Sum, Unsupported, number
from qrlang.engine.scope import Lowering
from qrlang.ir import program as ir
from qrlang.ir.walk import uses

BIG = 1e30


def lower_classical(low: Lowering, op: ir.Op) -> None:
    match op:
        case ir.Shift():
            view = low.sequences[op.x.id]
            start = float(op.start)
            if view.shift and view.start != start:
                view = low.materialise(view)
            low.sequences[op.out.id] = nodes.View(view.source, view.reverse, view.shift + 1, start)
        case ir.Reverse():
            view = low.sequences[op.x.id]
            if view.shift:
                view = low.materialise(view)
            low.sequences[op.out.id] = nodes.View(view.source, not view.reverse)
        case ir.Last() | ir.Pool() | ir.SoftmaxOver() | ir.WeightedSum() | ir.Attend():
            _over_time(low, op)
        case _:
            out: ir.Value | None = getattr(op, "out", None)
            if out is None:
                raise Unsupported(f"the operation {type(op).__name__}")
            if out.type.seq:
                _moment_by_moment(low, op, out)
            else:
                low.env[out.id] = _one(low, op)


def _moment_by_moment(low: Lowering, op: ir.Op, out: ir.Value) -> None:
    """An ordinary op on sequences: a loop that does it to every moment."""
    along = [v for v in dict.fromkeys(uses(op)) if v.type.seq]

    def step(items: list[int], _: list[int]) -> tuple[list[int], list[int]]:
        for value, item in zip(along, items, strict=True):
            low.env[value.id] = item
        return [], [_one(low, op)]

    _, (view,) = low.over([low.sequences[v.id] for v in along], [], step)
    for value in along:
        del low.env[value.id]
    low.sequences[out.id] = view


def _one(low: Lowering, op: ir.Op) -> int:
    env = low.env
    match op:
        case ir.Const():
            return low.constants(op.data)
        case ir.UseWeight():
            out = low.slot(op.out.type.count)
            low.add(nodes.WeightRows(out, low.weights[op.weight]))
            return out
        case ir.Pointwise():
            args = [env[a.id] for a in op.args]
            if op.fn == "identity":
                return args[0]
            return low.map(op.fn, *args)
        case ir.Linear():
            out = low.slot(op.out.type.count)
            bias = low.weights[op.bias] if op.bias is not None else -1
            low.add(nodes.Linear(out, env[op.x.id], low.weights[op.weight], bias, op.gain))
            return out
        case ir.Embed():
            width = op.out.type.count
            out = low.slot(width)
            low.add(nodes.Embed(out, env[op.token.id], low.weights[op.weight], width))
            return out
        case ir.Dropout():
            out = low.slot(op.out.type.count)
            low.add(nodes.Dropout(out, env[op.x.id], op.p, out))
            return out
        case ir.Concat():
            out = low.slot(op.out.type.count)
            parts, at = [], 0
            for a in op.args:
                count = low.rows[env[a.id]]
                parts.append((at, env[a.id], 0, count))
                at += count
            low.add(nodes.Copy(out, tuple(parts)))
            return out
        case ir.Gather():
            return low.pick(env[op.x.id], list(op.indices))
        case ir.Reshape():
            return env[op.x.id]
        case ir.Reduce():
            shape = op.x.type.shape
            axis = shape[-1] if op.last_axis and shape else op.x.type.count
            return _reduce(low, op.fn, env[op.x.id], max(1, axis))
        case ir.Matmul():
            left, right = op.a.type.shape, op.b.type.shape
            m, k = (left[0], left[1]) if len(left) == 2 else (1, left[0])
            n = right[1] if len(right) == 2 else 1
            out = low.slot(m * n)
            low.add(nodes.Matmul(out, env[op.a.id], env[op.b.id], m, k, n))
            return out
        case ir.Softmax():
            shape = op.x.type.shape
            return _softmax(low, env[op.x.id], shape[-1] if shape else 1)
        case ir.LayerNorm():
            return _layer_norm(low, op)
    raise Unsupported(f"the operation {type(op).__name__}")


def _columns(low: Lowering, x: int, axis: int) -> list[int]:
    """The elements along the last axis, each a slot with one row for every other index."""
    groups = low.rows[x] // axis
    return [low.pick(x, [g * axis + j for g in range(groups)]) for j in range(axis)]


def _reduce(low: Lowering, fn: str, x: int, axis: int) -> int:
    groups = low.rows[x] // axis
    if fn in ("sum", "mean"):
        factor = 1.0 if fn == "sum" else 1.0 / axis
        return low.sums(
            [
                Sum(0.0, tuple(((x, g * axis + j), factor) for j in range(axis)))
                for g in range(groups)
            ]
        )
    if fn == "norm":
        squares = _reduce(low, "sum", low.map("mul", x, x), axis)
        # Of zeros it is zero, and so is its slope.
        some = low.map("sign", squares)
        none = low.map("sub", low.constants((1.0,) * groups), some)
        return low.map("mul", some, low.map("sqrt", low.map("add", squares, none)))
    name = {"max": "maximum", "min": "minimum", "prod": "mul"}[fn]
    columns = _columns(low, x, axis)
    total = columns[0]
    for column in columns[1:]:
        total = low.map(name, total, column)
    return total


def _spread(low: Lowering, x: int, axis: int) -> int:
    """Each row `axis` times: the opposite of a reduction."""
    groups = low.rows[x]
    return x if groups == 1 else low.pick(x, [g for g in range(groups) for _ in range(axis)])


def _softmax(low: Lowering, x: int, axis: int) -> int:
    top = _spread(low, _reduce(low, "max", x, axis), axis)
    e = low.map("exp", low.map("sub", x, top))
    return low.map("div", e, _spread(low, _reduce(low, "sum", e, axis), axis))


def _layer_norm(low: Lowering, op: ir.LayerNorm) -> int:
    x = low.env[op.x.id]
    axis = op.x.type.shape[-1]
    centred = low.map("sub", x, _spread(low, _reduce(low, "mean", x, axis), axis))
    variance = _reduce(low, "mean", low.map("mul", centred, centred), axis)
    root = low.map("sqrt", low.map("add", variance, low.constants((1e-5,))))
    unit = low.map("div", centred, _spread(low, root, axis))
    scale, shift = low.slot(axis), low.slot(axis)
    low.add(nodes.WeightRows(scale, low.weights[op.weight]))
    low.add(nodes.WeightRows(shift, low.weights[op.bias]))
    groups = low.rows[x] // axis
    if groups > 1:
        repeat = [j for _ in range(groups) for j in range(axis)]
        scale, shift = low.pick(scale, repeat), low.pick(shift, repeat)
    return low.map("add", low.map("mul", unit, scale), shift)


# --- over time


def _over_time(low: Lowering, op: ir.Op) -> None:
    match op:
        case ir.Last():
            view = low.sequences[op.x.id]
            rows = low.clocks[view.source][0]

            def push(items: list[int], carried: list[int]) -> tuple[list[int], list[int]]:
                out = low.slot(rows * op.count)
                kept = rows * (op.count - 1)
                older = ((0, carried[0], rows, kept),) if kept else ()
                low.add(nodes.Copy(out, (*older, (kept, items[0], 0, rows))))
                return [out], []

            zero = low.constants((0.0,) * (rows * op.count))
            low.env[op.out.id] = low.over([view], [zero], push)[0][0]
        case ir.Pool():
            low.env[op.out.id] = _pool(low, low.sequences[op.x.id], op.fn)
        case ir.SoftmaxOver():
            low.sequences[op.out.id] = _softmax_over(low, low.sequences[op.x.id])
        case ir.WeightedSum():
            low.env[op.out.id] = _weighted(
                low, low.sequences[op.weights.id], low.sequences[op.values.id]
            )
        case ir.Attend():
            _attend(low, op)


def _fold(low: Lowering, view: nodes.View, start: float, step: Callable[[int, int], int]) -> int:
    rows = low.clocks[view.source][0]
    initial = low.constants((start,) * rows)
    outs, _ = low.over([view], [initial], lambda items, kept: ([step(kept[0], items[0])], []))
    return outs[0]


def _pool(low: Lowering, view: nodes.View, fn: str) -> int:
    if fn == "max":
        return _fold(low, view, -BIG, lambda kept, item: low.map("maximum", kept, item))
    total = _fold(low, view, 0.0, lambda kept, item: low.map("add", kept, item))
    if fn == "sum":
        return total

    def count(_: list[int], kept: list[int]) -> tuple[list[int], list[int]]:
        return [low.sums([number(1.0) + Sum(0.0, (((kept[0], 0), 1.0),))])], []

    length = low.over([view], [low.constants((0.0,))], count)[0][0]
    return low.map("div", total, length)


def _softmax_over(low: Lowering, view: nodes.View) -> nodes.View:
    top = _pool(low, view, "max")

    def exponent(items: list[int], kept: list[int]) -> tuple[list[int], list[int]]:
        e = low.map("exp", low.map("sub", items[0], top))
        return [low.map("add", kept[0], e)], [e]

    (total,), (e,) = low.over([view], [low.constants((0.0,))], exponent)
    return low.over([e], [], lambda items, _: ([], [low.map("div", items[0], total)]))[1][0]


def _weighted(low: Lowering, weights: nodes.View, values: nodes.View) -> int:
    rows = low.clocks[values.source][0]

    def step(items: list[int], kept: list[int]) -> tuple[list[int], list[int]]:
        return [low.map("add", kept[0], low.map("mul", items[1], items[0]))], []

    return low.over([weights, values], [low.constants((0.0,) * rows)], step)[0][0]


def _attend(low: Lowering, op: ir.Attend) -> None:
    query = low.env[op.query.id]
    keys, values = low.sequences[op.keys.id], low.sequences[op.values.id]
    d = low.rows[query]
    weights = [low.weights[w] for w in op.weights]
    if op.score == "additive":
        width = low.program.weights[weights[0]].shape[0]
        asked = low.slot(width)
        low.add(nodes.Linear(asked, query, weights[0], weights[2]))
        v = low.slot(width)
        low.add(nodes.WeightRows(v, weights[3]))

    def score(items: list[int], _: list[int]) -> tuple[list[int], list[int]]:
        key = items[0]
        if op.score == "additive":
            seen = low.slot(width)
            low.add(nodes.Linear(seen, key, weights[1]))
            hidden = low.map("tanh", low.map("add", asked, seen))
            return [], [_reduce(low, "sum", low.map("mul", v, hidden), width)]
        if op.score == "bilinear":
            seen = low.slot(d)
            low.add(nodes.Linear(seen, key, weights[0]))
            key = seen
        dot = _reduce(low, "sum", low.map("mul", query, key), d)
        if op.score == "scaled":
            dot = low.sums([Sum(0.0, (((dot, 0), 1 / math.sqrt(d)),))])
        return [], [dot]

    if op.score not in ("dot", "scaled", "bilinear", "additive"):
        raise Unsupported(f"the attention score `{op.score}`")
    scores = low.over([keys], [], score)[1][0]
    low.env[op.out.id] = _weighted(low, _softmax_over(low, scores), values)
