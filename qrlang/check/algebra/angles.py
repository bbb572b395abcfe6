"""Affine sums of run-time values: what an angle of a gate, and every coefficient, is."""

from __future__ import annotations

from qrlang.ir import program as ir


def add_angles(a: ir.Angle, b: ir.Angle, sign: float = 1.0) -> ir.Angle:
    if not b.terms:
        return ir.Angle(a.constant + sign * b.constant, a.terms)
    terms: dict[tuple[int, int], ir.Term] = {(t.value.id, t.index): t for t in a.terms}
    for t in b.terms:
        key = (t.value.id, t.index)
        old = terms.get(key)
        c = sign * t.coefficient + (old.coefficient if old else 0.0)
        if c:
            terms[key] = ir.Term(c, t.value, t.index)
        else:
            terms.pop(key, None)
    return ir.Angle(a.constant + sign * b.constant, tuple(terms.values()))


def scale_angle(a: ir.Angle, factor: float) -> ir.Angle:
    if not factor:
        return ir.Angle()
    return ir.Angle(
        a.constant * factor,
        tuple(ir.Term(t.coefficient * factor, t.value, t.index) for t in a.terms),
    )
