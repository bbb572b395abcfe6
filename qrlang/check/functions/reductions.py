"""Functions of many numbers that give one: of a list, a tensor or a sequence."""

from __future__ import annotations

import math
from collections.abc import Callable

from qrlang.check.algebra.numbers import Wrong, checked, is_number
from qrlang.check.algebra.observables import sum_observables
from qrlang.check.classical.arithmetic import MANY_TERMS
from qrlang.check.classical.arithmetic import binary as binary_operator
from qrlang.check.classical.tensors import as_tensor, constant, numeric, of_value
from qrlang.check.core.elaborator import Elaborator
from qrlang.check.core.values import POISON, Observable, Pending, Tensor, describe
from qrlang.check.functions.table import MANY, Functions, Given
from qrlang.ir import program as ir
from qrlang.syntax import ast

FUNCTIONS = Functions()


def _reduction(name: str) -> Callable[..., object]:
    def handler(e: Elaborator, node: ast.Call, given: Given) -> object:
        if len(given) > 1:
            items = tuple(v for _, v in given)
            at: ast.Node = node
        else:
            at, thing = given[0]
            if isinstance(thing, Pending):
                return constant(0.0)
            if isinstance(thing, Tensor):
                return _reduce(e, node, name, thing, at)
            if not isinstance(thing, (tuple, range)):
                return e.error(
                    "E0310",
                    at,
                    f"`{name}` works on lists, tensors and sequences, found {describe(thing)}",
                )
            items = tuple(thing)
        if not items:
            if name in ("sum", "prod"):
                return 0 if name == "sum" else 1
            return e.error("E0311", at, f"`{name}` of an empty list")
        return _of_list(e, node, name, items, at)

    return handler


def _of_list(
    e: Elaborator, node: ast.Call, name: str, items: tuple[object, ...], at: ast.Node
) -> object:
    if all(is_number(i) for i in items):
        numbers = [i for i in items if isinstance(i, (int, float))]
        try:
            match name:
                case "sum":
                    return checked(sum(numbers))
                case "mean":
                    return checked(sum(numbers) / len(numbers))
                case "prod":
                    return checked(math.prod(numbers))
                case "norm":
                    return checked(math.hypot(*numbers))
            return max(numbers) if name == "max" else min(numbers)
        except (Wrong, OverflowError):
            return e.error("E0309", node, "the result is too large")
    if any(isinstance(i, Observable) for i in items):
        observables = [i for i in items if isinstance(i, Observable)]
        if name not in ("sum", "prod"):
            return e.error(
                "E0310", at, f"`{name}` can't take observables", help="`sum` and `prod` can"
            )
        if name == "sum" and len(observables) == len(items):
            return sum_observables(observables)
        result: object = items[0]
        link = ast.Binary("+" if name == "sum" else "*", node, node, span=node.span)
        for item in items[1:]:
            result = binary_operator(e, link, result, item)
        return result
    e.tick(node, len(items))
    if (
        name == "sum"
        and len(items) <= MANY_TERMS
        and all(is_number(i) or isinstance(i, Tensor) for i in items)
    ):
        # Scalars stay affine, so that a sum can be an angle; tensors are added one by one.
        total = items[0]
        for item in items[1:]:
            total = binary_operator(e, ast.Binary("+", node, node, span=node.span), total, item)
        return total
    t = as_tensor(e, items, at)
    if not isinstance(t, Tensor):
        return t
    return _reduce(e, node, name, t, at)


def _reduce(e: Elaborator, node: ast.Call, name: str, t: Tensor, at: ast.Node) -> object:
    if t.type.seq:
        if name not in ("sum", "mean", "max"):
            return e.error(
                "E0406",
                at,
                f"`{name}` can't run over a sequence",
                help="`mean`, `sum` and `max` can",
            )
        if t.type.kind != "real":
            numeric(e, Tensor(t.type.item, t.value), at)
            return POISON
        assert t.value is not None
        out = e.builder.value(t.type.item)
        if name != "sum":
            e.builder.like(t.value, out)
        e.builder.classical(ir.Pool(out, name, t.value))
        return of_value(out)
    if not numeric(e, t, at):
        return POISON
    e.count_op(node)
    return of_value(e.builder.reduce(name, e.builder.real_whole(t), False))


for _name, _doc in {
    "sum": "the sum of a list or of a tensor; of a sequence, over its moments",
    "mean": "the mean of a list or of a tensor; of a sequence, over its moments",
    "max": "the largest number of a list or of a tensor; of a sequence, over its moments",
    "min": "the smallest number of a list or of a tensor",
    "norm": "the root of the sum of the squares of a list or of a tensor",
    "prod": "the product of a list or of a tensor",
}.items():
    FUNCTIONS.define(_name, 1, MANY, f"{_name}(x): {_doc}", _reduction(_name))
