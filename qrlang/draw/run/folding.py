"""Layers alike, one after the other: the first and the last are enough."""

from __future__ import annotations

from collections.abc import Iterator

from qrlang.draw.repeats import repeated
from qrlang.draw.run.moment import Branch, Part, Vertex
from qrlang.draw.run.vertices import short

LAYERS = 6  # repeated layers that are drawn; of more, the first and the last


def folded(parts: tuple[Part, ...]) -> Iterator[tuple[Part | None, str]]:
    """Parts in order; where more than LAYERS alike follow one another, what is left out, in
    words."""
    start, period, times = layers(parts)
    if times <= LAYERS:
        yield from ((p, "") for p in parts)
        return
    head, tail = start + period, start + period * (times - 1)
    yield from ((p, "") for p in parts[:head])
    made = sum(p.made for p in parts[head:tail] if isinstance(p, Vertex))
    yield None, f"{times - 2} more\nlayers\n{short(made)} bits"
    yield from ((p, "") for p in parts[tail:])


def layers(parts: tuple[Part, ...]) -> tuple[int, int, int]:
    """Where equal layers begin, how long one is, and how many there are."""
    return repeated([_shape(p) for p in parts])


def _shape(part: Part) -> object:
    if isinstance(part, Branch):
        return part.caption, tuple(_shape(p) for p in part.parts)
    return part.kind, part.name, part.rows, part.controls, part.zeros
