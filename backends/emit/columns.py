"""The angles of a piece of circuit as columns [sequences, angles]."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from qrlang.analysis.circuits import AnyAngle, Product
from qrlang.backends.emit.arrays import Arrays
from qrlang.backends.emit.text import affine, atom, number
from qrlang.ir.program import Angle, Value

Texts = Mapping[int, str]  # what values are called


def columns(angles: list[AnyAngle], texts: Texts) -> Iterator[str]:
    """Angles in order; elements of one vector in a row as a slice."""
    start = 0
    while start < len(angles):
        end = start + 1
        while end < len(angles) and _follows(angles[end - 1], angles[end]):
            end += 1
        first = angles[start]
        if end - start > 1 and isinstance(first, Angle):
            [term] = first.terms
            x = _vector(term.value, texts)
            last = term.index + end - start
            whole = (term.index, last) == (0, term.value.type.count)
            text = x if whole else f"{x}[:, {term.index}:{last}]"
            yield affine([(term.coefficient, text)], first.constant)
        else:
            yield angle_text(first, texts)
        start = end


def angle_text(angle: AnyAngle, texts: Texts) -> str:
    if isinstance(angle, Product):
        factor = "" if angle.factor == 1 else f"{number(angle.factor)} * "
        return f"{factor}{atom(angle_text(angle.a, texts))} * {atom(angle_text(angle.b, texts))}"
    terms = []
    for t in angle.terms:
        shaped = bool(t.value.type.shape)
        one = f"{_vector(t.value, texts)}[:, {t.index}]" if shaped else texts[t.value.id]
        terms.append((t.coefficient, one))
    return affine(terms, angle.constant)


def _vector(value: Value, texts: Texts) -> str:
    return atom(Arrays().flat(texts[value.id], value))


def _follows(a: AnyAngle, b: AnyAngle) -> bool:
    """Whether b is the element after a."""
    if isinstance(a, Product) or isinstance(b, Product) or len(a.terms) != 1 or len(b.terms) != 1:
        return False
    x, y = a.terms[0], b.terms[0]
    return (
        a.constant == b.constant
        and (x.coefficient, x.value) == (y.coefficient, y.value)
        and y.index == x.index + 1
    )
