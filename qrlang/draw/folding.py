"""Layers alike, one after the other: the first and the last are enough."""

from __future__ import annotations

from collections.abc import Iterator

from qrlang.draw.moment import Branch, Part, Vertex
from qrlang.draw.vertices import short

LAYERS = 6  # repeated layers that are drawn; of more, the first and the last


def folded(parts: tuple[Part, ...]) -> Iterator[tuple[Part | None, str]]:
    """Parts in order; where more than LAYERS alike follow one another, what is left out, in
    words."""
    start, period, times = repeated(parts)
    if times <= LAYERS:
        yield from ((p, "") for p in parts)
        return
    head, tail = start + period, start + period * (times - 1)
    yield from ((p, "") for p in parts[:head])
    made = sum(p.made for p in parts[head:tail] if isinstance(p, Vertex))
    yield None, f"{times - 2} more\nlayers\n{short(made)} bits"
    yield from ((p, "") for p in parts[tail:])


def repeated(parts: tuple[Part, ...]) -> tuple[int, int, int]:
    """Where the longest run of equal layers begins, how long one is, and how many there are."""
    shapes = [_shape(p) for p in parts]
    best = (0, 0, 0, 1)
    if len(shapes) > 3000:
        return 0, 0, 1
    for period in range(2, len(shapes) // 2 + 1):
        run = 0
        for i in range(len(shapes) - period + 1):
            if i < len(shapes) - period and shapes[i] == shapes[i + period]:
                run += 1
                continue
            times = run // period + 1
            if times > 1:
                best = max(best, ((times - 1) * period, -period, i - run, times))
            run = 0
    return best[2], -best[1], best[3]


def _shape(part: Part) -> object:
    if isinstance(part, Branch):
        return part.caption, tuple(_shape(p) for p in part.parts)
    return part.kind, part.name, part.rows, part.controls, part.zeros
