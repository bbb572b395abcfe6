"""Arithmetic of angles."""

from __future__ import annotations

import math

from qrlang.ir.program import Angle, Term

TAU = 2 * math.pi
CLOSE = 1e-12


def add(a: Angle, b: Angle) -> Angle:
    """The sum; terms of the same element of the same value are one."""
    if not a.terms and not b.terms:
        return Angle(a.constant + b.constant)
    terms: dict[tuple[int, int], Term] = {}
    for term in (*a.terms, *b.terms):
        key = (term.value.id, term.index)
        known = terms.get(key)
        if known is not None:
            term = Term(known.coefficient + term.coefficient, term.value, term.index)
        terms[key] = term
    left = tuple(t for t in terms.values() if abs(t.coefficient) > CLOSE)
    return Angle(a.constant + b.constant, left)


def scaled(angle: Angle, factor: float) -> Angle:
    if factor == 1.0:
        return angle
    terms = tuple(Term(factor * t.coefficient, t.value, t.index) for t in angle.terms)
    return Angle(factor * angle.constant, terms if factor else ())


def is_multiple(angle: Angle, of: float) -> bool:
    """A constant that is a whole number of `of`."""
    if angle.terms:
        return False
    turns = angle.constant / of
    return abs(turns - round(turns)) < CLOSE * max(1.0, abs(turns))


def wrapped(angle: Angle, period: float) -> Angle:
    """A constant angle brought into (-period/2, period/2]."""
    if angle.terms:
        return angle
    constant = math.remainder(angle.constant, period)
    return Angle(0.0 if abs(constant) < CLOSE else constant)
