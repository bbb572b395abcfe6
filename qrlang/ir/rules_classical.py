"""The types of every classical op: one rule an op, yielding what is wrong.

"Numbers" are reals or bits of one moment. Sequences go only into ops on whole sequences, loops,
layers of the user's own and outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import isfinite
from typing import Any

from qrlang.ir.functions import FUNCTIONS
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
    Program,
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
from qrlang.ir.types import Type, real, seq

Rule = Callable[[Any, Program], Iterator[str]]
RULES: dict[type[Op], Rule] = {}


def _rule(op: type[Op]) -> Callable[[Rule], Rule]:
    def register(rule: Rule) -> Rule:
        RULES[op] = rule
        return rule

    return register


def _numbers(*values: Value) -> Iterator[str]:
    for value in values:
        if value.type.kind not in ("real", "bit") or value.type.seq:
            yield f"%{value.id} is {value.type}; it has to be real or bit"


def _sequence_of_numbers(*values: Value) -> Iterator[str]:
    for value in values:
        if value.type.kind not in ("real", "bit") or not value.type.seq:
            yield f"%{value.id} is {value.type}; it has to be a sequence of real or bit"


def _is(value: Value, kind: Type) -> Iterator[str]:
    if value.type != kind:
        yield f"%{value.id} is {value.type}; it has to be {kind}"


def _weight(program: Program, name: str, shape: tuple[int, ...]) -> Iterator[str]:
    """The weight exists, has this shape and is not a unitary."""
    for weight in program.weights:
        if weight.name == name:
            if weight.unitary_qubits:
                yield f"@{name} is a unitary"
            elif weight.shape != shape:
                yield f"@{name} is {list(weight.shape)}; it has to be {list(shape)}"
            return
    yield f"there is no weight @{name}"


@_rule(Const)
def _const(op: Const, _: Program) -> Iterator[str]:
    kind = op.out.type
    if kind.kind in ("real", "bit") and not kind.seq:
        if len(op.data) != kind.count:
            yield f"{len(op.data)} numbers for {kind}"
        if kind.kind == "bit" and any(x not in (0, 1) for x in op.data):
            yield "a bit is 0 or 1"
    elif kind.kind in ("token", "class") and not kind.seq:
        if len(op.data) != 1 or op.data[0] not in range(kind.size):
            yield f"a {kind} is one whole number below {kind.size}"
    else:
        yield f"there are no constants of type {kind}"
    if not all(map(isfinite, op.data)):
        yield "its numbers have to be finite"


@_rule(UseWeight)
def _use_weight(op: UseWeight, p: Program) -> Iterator[str]:
    for weight in p.weights:
        if weight.name == op.weight:
            k = weight.unitary_qubits
            yield from _is(op.out, Type("unitary", (), k) if k else Type("real", weight.shape))
            return
    yield f"there is no weight @{op.weight}"


@_rule(Pointwise)
def _pointwise(op: Pointwise, _: Program) -> Iterator[str]:
    function = FUNCTIONS.get(op.fn)
    if function is None:
        yield f"no function is called {op.fn!r}"
        return
    if len(op.args) != function.args:
        yield f"{op.fn} takes {function.args} arguments, not {len(op.args)}"
    yield from _numbers(*op.args)
    # All shapes are equal, but a scalar goes with any.
    shapes = {a.type.shape for a in op.args} - {()}
    if len(shapes) > 1:
        yield f"the shapes {' and '.join(str(list(s)) for s in sorted(shapes))} differ"
    else:
        shape = shapes.pop() if shapes else ()
        yield from _is(op.out, Type(_kind_of_choice(op), shape))


def _kind_of_choice(op: Pointwise) -> str:
    return "bit" if op.fn == "where" and _bits(*op.args) else "real"


def _bits(*values: Value) -> bool:
    return all(v.type.kind == "bit" for v in values)


@_rule(Linear)
def _linear(op: Linear, p: Program) -> Iterator[str]:
    yield from _numbers(op.x)
    if op.out.type.seq or op.out.type.kind != "real" or len(op.out.type.shape) != 1:
        yield f"%{op.out.id} is {op.out.type}; it has to be a vector of real"
        return
    yield from _weight(p, op.weight, (op.out.type.count, op.x.type.count))
    if op.bias is not None:
        yield from _weight(p, op.bias, (op.out.type.count,))
    if not isfinite(op.gain):
        yield "the gain has to be finite"


@_rule(Embed)
def _embed(op: Embed, p: Program) -> Iterator[str]:
    kind = op.token.type
    rows = 2 if kind.kind == "bit" else kind.size
    if kind.seq or kind.kind not in ("token", "class", "bit") or kind.count != 1:
        yield f"%{op.token.id} is {kind}; it has to be a token, a class or a bit"
        return
    if op.out.type.seq or op.out.type.kind != "real" or len(op.out.type.shape) != 1:
        yield f"%{op.out.id} is {op.out.type}; it has to be a vector of real"
        return
    yield from _weight(p, op.weight, (rows, op.out.type.count))


@_rule(Concat)
def _concat(op: Concat, _: Program) -> Iterator[str]:
    yield from _numbers(*op.args)
    count = sum(a.type.count for a in op.args)
    yield from _is(op.out, Type("bit" if _bits(*op.args) else "real", (count,)))


@_rule(Gather)
def _gather(op: Gather, _: Program) -> Iterator[str]:
    # Elements keep their kind.
    yield from _numbers(op.x)
    if op.out.type.kind != op.x.type.kind or op.out.type.seq:
        yield f"elements of {op.x.type} are not {op.out.type}"
    if op.out.type.count != len(op.indices):
        yield f"{len(op.indices)} elements for {op.out.type}"
    for index in op.indices:
        if not 0 <= index < op.x.type.count:
            yield f"there is no element {index} in {op.x.type}"
            return


@_rule(Reshape)
def _reshape(op: Reshape, _: Program) -> Iterator[str]:
    yield from _numbers(op.x)
    a, b = op.x.type, op.out.type
    if a.kind != b.kind or a.count != b.count or b.seq:
        yield f"{a} can't become {b}"


@_rule(Reduce)
def _reduce(op: Reduce, _: Program) -> Iterator[str]:
    yield from _numbers(op.x)
    if op.fn not in ("sum", "mean", "max", "min", "norm", "prod"):
        yield f"there is no reduction called {op.fn!r}"
    shape = op.x.type.shape
    if op.last_axis and not shape:
        yield "a scalar has no last axis"
        return
    if op.fn in ("max", "min", "mean") and (shape[-1:] == (0,) or op.x.type.count == 0):
        yield f"there is no {op.fn} of nothing"
    yield from _is(op.out, real(*shape[:-1]) if op.last_axis else real())


@_rule(Matmul)
def _matmul(op: Matmul, _: Program) -> Iterator[str]:
    # Matrix times vector, matrix times matrix, vector times vector; the inner sizes agree.
    yield from _numbers(op.a, op.b)
    a, b = op.a.type.shape, op.b.type.shape
    if (len(a), len(b)) not in ((2, 1), (2, 2), (1, 1)) or a[-1] != b[0]:
        yield f"{op.a.type} times {op.b.type} is not a product"
    else:
        yield from _is(op.out, real(*a[:-1], *b[1:]))


@_rule(Softmax)
def _softmax(op: Softmax, _: Program) -> Iterator[str]:
    yield from _numbers(op.x)
    if not op.x.type.shape:
        yield "a scalar has no last axis"
    yield from _is(op.out, real(*op.x.type.shape))


@_rule(LayerNorm)
def _layer_norm(op: LayerNorm, p: Program) -> Iterator[str]:
    # Over the last axis.
    yield from _numbers(op.x)
    yield from _is(op.out, real(*op.x.type.shape))
    if not op.x.type.shape:
        yield "a scalar has no last axis"
        return
    for name in (op.weight, op.bias):
        yield from _weight(p, name, op.x.type.shape[-1:])


@_rule(Dropout)
def _dropout(op: Dropout, _: Program) -> Iterator[str]:
    yield from _numbers(op.x)
    yield from _is(op.out, real(*op.x.type.shape))
    if not 0 <= op.p < 1:
        yield "p has to be at least 0 and below 1"


@_rule(CallExtern)
def _call_extern(op: CallExtern, p: Program) -> Iterator[str]:
    for extern in p.externs:
        if extern.name == op.layer:
            kinds = tuple(a.type for a in op.args)
            if kinds != extern.inputs:
                yield f"it takes {_types(extern.inputs)}, not {_types(kinds)}"
            yield from _is(op.out, extern.result)
            return
    yield f"there is no extern layer {op.layer!r}"


def _types(kinds: tuple[Type, ...]) -> str:
    return f"({', '.join(map(str, kinds))})"


@_rule(Shift)
def _shift(op: Shift, _: Program) -> Iterator[str]:
    kind = op.x.type
    if not kind.seq or kind.kind in ("state", "unitary"):
        yield f"%{op.x.id} is {kind}; it has to be a sequence"
    yield from _is(op.out, kind)
    # Sequences of numbers begin with zeros, others with a token.
    if op.start not in range(max(kind.size, 1)):
        yield f"{op.start} is not a start for {kind}"


@_rule(Reverse)
def _reverse(op: Reverse, _: Program) -> Iterator[str]:
    if not op.x.type.seq:
        yield f"%{op.x.id} is {op.x.type}; it has to be a sequence"
    yield from _is(op.out, op.x.type)


@_rule(Last)
def _last(op: Last, _: Program) -> Iterator[str]:
    yield from _sequence_of_numbers(op.x)
    if op.count < 1:
        yield "at least one moment"
    yield from _is(op.out, Type(op.x.type.kind, (op.count, *op.x.type.shape)))


@_rule(Pool)
def _pool(op: Pool, _: Program) -> Iterator[str]:
    yield from _sequence_of_numbers(op.x)
    if op.fn not in ("mean", "sum", "max"):
        yield f"there is no pooling called {op.fn!r}"
    yield from _is(op.out, real(*op.x.type.shape))


@_rule(SoftmaxOver)
def _softmax_over(op: SoftmaxOver, _: Program) -> Iterator[str]:
    yield from _is(op.x, seq(real()))
    yield from _is(op.out, seq(real()))


@_rule(WeightedSum)
def _weighted_sum(op: WeightedSum, _: Program) -> Iterator[str]:
    yield from _is(op.weights, seq(real()))
    yield from _sequence_of_numbers(op.values)
    yield from _is(op.out, real(*op.values.type.shape))


@_rule(Attend)
def _attend(op: Attend, p: Program) -> Iterator[str]:
    yield from _numbers(op.query)
    yield from _sequence_of_numbers(op.keys, op.values)
    yield from _is(op.out, real(*op.values.type.shape))
    q, k = op.query.type.count, op.keys.type.count
    expected = {"dot": 0, "scaled": 0, "bilinear": 1, "additive": 4}.get(op.score)
    if expected is None:
        yield f"there is no score called {op.score!r}"
    elif len(op.weights) != expected:
        yield f"{op.score} takes {expected} weights, not {len(op.weights)}"
    elif op.score == "bilinear":
        yield from _weight(p, op.weights[0], (q, k))
    elif op.score == "additive":
        width = next((w.shape[0] for w in p.weights if w.name == op.weights[3] and w.shape), None)
        if width is None:
            yield f"@{op.weights[3]} has to be a vector"
            return
        for name, shape in zip(
            op.weights, ((width, q), (width, k), (width,), (width,)), strict=True
        ):
            yield from _weight(p, name, shape)
    elif q != k:
        yield f"a query of {q} numbers and keys of {k}"
