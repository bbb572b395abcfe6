"""A field of numbers as colours, beside charts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from qrlang.plot.shapes import Area, Line, Picture, Point, Shape, Text, between

# From white to blue; below zero to orange. Both stay apart in grey.
_UP = ((255, 255, 255), (158, 202, 225), (33, 113, 181), (8, 48, 107))
_DOWN = ((255, 255, 255), (253, 190, 133), (217, 85, 14), (102, 37, 6))
_LEFT, _RIGHT, _TOP, _BOTTOM = 62.0, 52.0, 30.0, 42.0
_FRAME = "#57606a"


@dataclass(frozen=True)
class Map:
    x: str
    y: str
    cells: Sequence[Sequence[float]]  # rows from the top, columns over x
    rows: Sequence[str]
    unit: str
    low: float | None = None
    high: float | None = None
    title: str = ""
    width: float = 320.0
    height: float = 210.0
    first: int = 1  # number of the first column

    def picture(self) -> Picture:
        return Picture(self.width, self.height, tuple(self._shapes()), self.title)

    def _shapes(self) -> Iterator[Shape]:
        flat = [v for row in self.cells for v in row]
        low = min(flat, default=0.0) if self.low is None else self.low
        high = max(flat, default=1.0) if self.high is None else self.high
        low = min(low, 0.0)
        reach = max(abs(low), abs(high), 1e-12)
        x0, x1 = _LEFT, self.width - _RIGHT
        y0, y1 = _TOP, self.height - _BOTTOM
        tall, wide = (y1 - y0) / len(self.cells), (x1 - x0) / len(self.cells[0])
        for r, row in enumerate(self.cells):
            for c, value in enumerate(row):
                # A hair wider than the cell: no seams.
                w = wide + 0.25 * (c + 1 < len(row))
                h = tall + 0.25 * (r + 1 < len(self.cells))
                yield _box(x0 + c * wide, y0 + r * tall, w, h, _colour(value / reach))
        yield from self._labels(x0, y0, y1, tall, wide)
        yield Line(((x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)), _FRAME, 0.9)
        if self.title:
            yield Text((12, 16), self.title, "start", 10, bold=True)
        yield from self._scale(x1 + 10, y0, y1, low if low < 0 else 0.0, high, reach)

    def _labels(self, x0: float, y0: float, y1: float, tall: float, wide: float) -> Iterator[Shape]:
        every = max(1, -(-len(self.rows) * 9 // max(1, int(y1 - y0))))
        for r, name in enumerate(self.rows):
            if r % every == 0:
                yield Text((x0 - 5, y0 + (r + 0.5) * tall + 3), name, "end", 8)
        columns = len(self.cells[0])
        step = next(s for s in (1, 2, 5, 10, 20, 50, 100, 200, 500, 10**9) if columns / s <= 10)
        for c in range(columns):
            number = c + self.first
            if number % step == 0 or (step > 1 and c == 0):
                yield Text((x0 + (c + 0.5) * wide, y1 + 13), str(number), "middle", 8)
        yield Text((x0 + columns * wide / 2, y1 + 30), self.x)
        yield Text((13, (y0 + y1) / 2), self.y, upwards=True)

    def _scale(
        self, x: float, y0: float, y1: float, low: float, high: float, reach: float
    ) -> Iterator[Shape]:
        parts = 40
        for k in range(parts):
            value = high + (low - high) * (k + 0.5) / parts
            yield _box(x, y0 + (y1 - y0) * k / parts, 9, (y1 - y0) / parts + 0.2,
                       _colour(value / reach))  # fmt: skip
        yield Line(((x, y0), (x + 9, y0), (x + 9, y1), (x, y1), (x, y0)), _FRAME, 0.6)
        for value, y in ((high, y0), ((low + high) / 2, (y0 + y1) / 2), (low, y1)):
            yield Text((x + 12, y + 3), f"{value:.2g}", "start", 8)
        yield Text((x + 4, y0 - 6), self.unit, "middle", 8)


def _box(x: float, y: float, w: float, h: float, colour: str) -> Area:
    corners: tuple[Point, ...] = ((x, y), (x + w, y), (x + w, y + h), (x, y + h))
    return Area(corners, colour)


def _colour(share: float) -> str:
    """Of a number in [-1, 1]."""
    return between(_UP if share >= 0 else _DOWN, min(abs(share), 1.0))


def beside(*pictures: Picture) -> Picture:
    """From left to right."""
    shapes: list[Shape] = []
    left = 0.0
    for p in pictures:
        shapes += [_moved(s, left, 0.0) for s in p.shapes]
        left += p.width
    return Picture(left, max(p.height for p in pictures), tuple(shapes), pictures[0].title)


def below(*pictures: Picture) -> Picture:
    shapes: list[Shape] = []
    top = 0.0
    for p in pictures:
        shapes += [_moved(s, 0.0, top) for s in p.shapes]
        top += p.height
    return Picture(max(p.width for p in pictures), top, tuple(shapes), pictures[0].title)


def _moved(shape: Shape, dx: float, dy: float) -> Shape:
    match shape:
        case Line() | Area():
            return replace(shape, points=tuple((x + dx, y + dy) for x, y in shape.points))
    return replace(shape, at=(shape.at[0] + dx, shape.at[1] + dy))
