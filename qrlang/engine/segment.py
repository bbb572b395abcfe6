"""The plan of a single unitary segment: for callers that keep the state themselves.

The state goes in and out as amplitudes, up to a global phase, qubits big-endian. Angles are
columns of one matrix [batch, count].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from qrlang.engine.layers import Builder
from qrlang.engine.lower import Sum, Unsupported, lower_element
from qrlang.engine.nodes import Layer, Refusal, Row
from qrlang.ir.program import Angle, Element

MAX_QUBITS = 24


@dataclass(frozen=True, slots=True)
class Segment:
    n: int
    count: int  # angles given
    rows: tuple[tuple[Row, ...], ...]  # for each layer: terms, then rotations; slot 0 is the angles
    layers: tuple[Layer, ...]


def plan_segment(
    n: int, elements: Sequence[Element], count: int, column: Callable[[Angle], int | None]
) -> Segment | Refusal:
    """`column(angle)` is where an angle stands among the `count` given; None for a constant."""
    if n > MAX_QUBITS:
        return Refusal(f"more than {MAX_QUBITS} qubits in one state")

    def angle(a: object) -> Sum:
        assert isinstance(a, Angle)
        at = column(a)
        return Sum(a.constant) if at is None else Sum(0.0, (((0, at), 1.0),))

    builder = Builder(n)
    try:
        for element in elements:
            lower_element(builder, element, {q: n - 1 - q for q in range(n)}, angle)
    except Unsupported as why:
        return Refusal(str(why))
    if builder.waiting:
        builder.flush()
    layers, rows = [], []
    for draft in builder.take():
        terms, turns = list(draft.terms.items()), sorted(draft.rotations.items())
        rows.append(tuple(_row(total) for _, total in (*terms, *turns)))
        layers.append(
            Layer(
                draft.map,
                tuple((mask, i) for i, (mask, _) in enumerate(terms)),
                tuple((b, len(terms) + i) for i, (b, _) in enumerate(turns)),
            )
        )
    return Segment(n, count, tuple(rows), tuple(layers))


def _row(total: Sum) -> Row:
    return Row(total.constant, tuple((c, slot, k) for (slot, k), c in total.terms))
