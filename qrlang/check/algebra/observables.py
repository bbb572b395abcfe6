"""Sums of Pauli strings: `Z(q[0]) * Z(q[1])`, `0.5 * X(q[0]) + Z(q[1])`."""

from __future__ import annotations

from qrlang.check.algebra.angles import add_angles, scale_angle
from qrlang.check.core.values import Observable
from qrlang.ir.program import Angle, PauliString

MAX_TERMS = 20_000

# Product of two Paulis on one qubit: the letter and the power of i.
_PRODUCT = {
    "XY": ("Z", 1),
    "YX": ("Z", 3),
    "YZ": ("X", 1),
    "ZY": ("X", 3),
    "ZX": ("Y", 1),
    "XZ": ("Y", 3),
}


def pauli(letter: str, qubit: int) -> Observable:
    return Observable(((Angle(1.0), ((qubit, letter),)),))


IDENTITY = Observable(((Angle(1.0), ()),))


def add_observables(a: Observable, b: Observable, sign: float = 1.0) -> Observable:
    terms = {p: c for c, p in a.terms}
    for c, p in b.terms:
        old = terms.get(p)
        terms[p] = scale_angle(c, sign) if old is None else add_angles(old, c, sign)
    return Observable(tuple((c, p) for p, c in terms.items()))


def sum_observables(parts: list[Observable]) -> Observable:
    """A long sum in one go."""
    terms: dict[PauliString, Angle] = {}
    for part in parts:
        for c, p in part.terms:
            old = terms.get(p)
            terms[p] = c if old is None else add_angles(old, c)
    return Observable(tuple((c, p) for p, c in terms.items()))


def scale_observable(a: Observable, factor: float) -> Observable:
    return Observable(tuple((scale_angle(c, factor), p) for c, p in a.terms))


def multiply_observables(a: Observable, b: Observable) -> tuple[Observable | None, str]:
    """The product, or why there is none."""
    if len(a.terms) * len(b.terms) > MAX_TERMS:
        return None, f"an observable of more than {MAX_TERMS} terms"
    real: dict[PauliString, Angle] = {}
    imaginary: dict[PauliString, Angle] = {}
    for ca, pa in a.terms:
        for cb, pb in b.terms:
            if ca.terms and cb.terms:
                return None, "the product of two run-time coefficients is not a sum of values"
            string, power = _multiply(pa, pb)
            c = scale_angle(ca, cb.constant) if not cb.terms else scale_angle(cb, ca.constant)
            if power >= 2:
                c = scale_angle(c, -1.0)
            into = imaginary if power % 2 else real
            into[string] = add_angles(into[string], c) if string in into else c
    for string, c in imaginary.items():
        if c.terms or abs(c.constant) > 1e-12:
            letters = " ".join(letter for _, letter in string)
            return None, f"this product is imaginary: it is i times {letters}"
    return Observable(tuple((c, p) for p, c in real.items())), ""


def _multiply(a: PauliString, b: PauliString) -> tuple[PauliString, int]:
    letters = dict(a)
    power = 0
    for q, letter in b:
        mine = letters.get(q)
        if mine is None:
            letters[q] = letter
        elif mine == letter:
            del letters[q]
        else:
            letters[q], p = _PRODUCT[mine + letter]
            power += p
    return tuple(sorted(letters.items())), power % 4
