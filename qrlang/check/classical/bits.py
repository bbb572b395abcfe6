"""Measured bits, and lists of 0 and 1, kept apart from numbers."""

from __future__ import annotations

from qrlang.check.algebra.numbers import is_number
from qrlang.check.core.elaborator import Elaborator
from qrlang.check.core.values import Tensor
from qrlang.ir import program as ir
from qrlang.ir.types import Type


def as_bits(thing: object) -> Tensor | None:
    """A 0 or 1, a bit, or a list of such, as bits; None if there is something else in it."""
    if is_number(thing) and thing in (0, 1):
        return Tensor(Type("bit"), None, (ir.Angle(float(thing)),))
    if isinstance(thing, Tensor):
        return thing if thing.type.kind == "bit" and not thing.type.seq else None
    if not isinstance(thing, tuple) or not thing:
        return None
    parts = [as_bits(part) for part in thing]
    first = parts[0]
    elements: list[ir.Angle] = []
    for part in parts:
        if part is None or first is None or part.type != first.type:
            return None
        elements.extend(
            part.elements
            if part.value is None
            else [ir.Angle(0.0, (ir.Term(1.0, part.value, i),)) for i in range(part.type.count)]
        )
    assert first is not None
    return Tensor(Type("bit", (len(parts), *first.type.shape)), None, tuple(elements))


def is_bit(x: object) -> bool:
    return isinstance(x, Tensor) and x.type.kind == "bit" and not x.type.shape and not x.type.seq


def bit_angle(x: object) -> ir.Angle:
    """A bit as an affine sum of the bit itself (not of its copy as a real number)."""
    assert isinstance(x, Tensor)
    if x.value is not None:
        return ir.Angle(0.0, (ir.Term(1.0, x.value, 0),))
    return x.elements[0]


def negated_bit(e: Elaborator, x: object) -> object:
    assert isinstance(x, Tensor)
    a = bit_angle(x)
    flipped = tuple(ir.Term(-t.coefficient, t.value, t.index) for t in a.terms)
    return Tensor(x.type, None, (ir.Angle(1.0 - a.constant, flipped),))
