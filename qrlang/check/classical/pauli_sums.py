"""Operators on observables: sums of Pauli strings, times numbers that a run may decide."""

from __future__ import annotations

from qrlang.check.algebra.angles import scale_angle
from qrlang.check.algebra.numbers import is_number
from qrlang.check.algebra.observables import (
    IDENTITY,
    add_observables,
    multiply_observables,
    scale_observable,
)
from qrlang.check.classical.tensors import as_tensor, numeric
from qrlang.check.core.elaborator import Elaborator
from qrlang.check.core.values import POISON, Observable, Tensor, describe
from qrlang.syntax import ast

NAME_OF = {"+": "added", "-": "subtracted", "*": "multiplied", "/": "divided", "**": "raised"}


def _identity_times(e: Elaborator, x: object, at: ast.Node) -> Observable | None:
    if isinstance(x, Observable):
        return x
    if is_number(x):
        return scale_observable(IDENTITY, float(x))
    if isinstance(x, Tensor) and not x.type.shape and not x.type.seq and x.type.kind == "real":
        return Observable(((e.builder.angle(x), ()),))
    return None


def combine_observables(e: Elaborator, node: ast.Binary, a: object, b: object) -> object:
    op = node.op
    if isinstance(a, Observable) and isinstance(b, Observable):
        if op in "+-":
            return add_observables(a, b, 1.0 if op == "+" else -1.0)
        if op == "*":
            product, problem = multiply_observables(a, b)
            if product is None:
                return e.error(
                    "E0509", node, problem, help="an observable must be real (Hermitian)"
                )
            return product
    elif op in ("*", "/"):
        obs, other, at = (a, b, node.right) if isinstance(a, Observable) else (b, a, node.left)
        if isinstance(obs, Observable) and (op == "*" or obs is a):
            if is_number(other):
                if op == "/" and not other:
                    return e.error("E0304", node, "division by zero")
                x: float = float(other)
                return scale_observable(obs, 1 / x if op == "/" else x)
            t = as_tensor(e, other, at)
            if not isinstance(t, Tensor):
                return POISON
            if not t.type.shape and numeric(e, t, at):
                angle = e.builder.angle(t)
                if op == "*" and all(not c.terms for c, _ in obs.terms):
                    return Observable(
                        tuple((scale_angle(angle, c.constant), p) for c, p in obs.terms)
                    )
    elif op in ("+", "-"):
        # A number among observables is that many times the identity.
        both = [_identity_times(e, x, side) for x, side in ((a, node.left), (b, node.right))]
        if both[0] is not None and both[1] is not None:
            return add_observables(both[0], both[1], 1.0 if op == "+" else -1.0)
    return e.error(
        "E0310",
        node,
        f"{describe(a)} and {describe(b)} can't be {NAME_OF.get(op, 'combined')}",
        help="observables are multiplied by numbers and each other, and added",
    )
