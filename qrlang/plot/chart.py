"""Panels side by side: curves over an axis, or points with error bars."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from qrlang.plot.axes import Axis, axis
from qrlang.plot.shapes import Area, Dot, Line, Picture, Shape, Text

# Okabe and Ito's colours, which everybody can tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#24292f")
_FAINT = "#d8dee4"
_FRAME = "#57606a"
_SHADE = "#fbe6d6"
_LEFT, _RIGHT, _TOP, _BOTTOM = 52.0, 14.0, 30.0, 42.0


@dataclass(frozen=True)
class Series:
    name: str
    x: Sequence[float]
    y: Sequence[float]
    spread: Sequence[float] = ()  # ± of each y: a band, or error bars
    colour: int = 0
    dashed: bool = False
    points: bool = False  # dots instead of a line


@dataclass(frozen=True)
class Panel:
    x: str
    y: str
    series: Sequence[Series]
    log: bool = False
    log_x: bool = False
    whole: bool = False  # x has whole numbers only
    shaded: Sequence[tuple[float, float]] = ()  # stretches of x
    zero: bool = False  # x begins there: sizes, of which two per cent are not a mile


@dataclass(frozen=True)
class Chart:
    title: str
    panels: Sequence[Panel]
    width: float = 300.0  # of a panel
    height: float = 210.0
    note: str = field(default="")

    def picture(self) -> Picture:
        shapes: list[Shape] = []
        # One line of names has room under the title, two have it where there is none.
        lines = max((len(_rows(p, _inner(self.width))) for p in self.panels), default=0)
        top = _TOP + 10 * max(0, lines - (1 if self.title else 2))
        height = self.height + top - _TOP
        for k, panel in enumerate(self.panels):
            shapes += _panel(panel, k * self.width, self.width, height, top)
        whole = self.width * len(self.panels)
        if self.title:
            shapes.append(Text((12, 12), self.title, "start", 10, bold=True))
        if self.note:
            shapes.append(Text((12, height + 12), self.note, "start", 8, _FRAME))
        return Picture(whole, height + (18 if self.note else 0), tuple(shapes), self.title)


def _inner(width: float) -> float:
    return width - _LEFT - _RIGHT


def _panel(panel: Panel, left: float, width: float, height: float, top: float) -> Iterator[Shape]:
    x0, x1 = left + _LEFT, left + width - _RIGHT
    y0, y1 = height - _BOTTOM, top
    origin = [0.0] if panel.zero else []
    xs = axis(
        [*origin, *(v for s in panel.series for v in s.x)], whole=panel.whole, log=panel.log_x
    )
    ys = axis([v for s in panel.series for v in _reach(s)], log=panel.log)

    def place(x: float, y: float) -> tuple[float, float]:
        high = min(max(ys.share(y), -0.02), 1.02)
        return x0 + xs.share(x) * (x1 - x0), y0 + high * (y1 - y0)

    for begin, end in panel.shaded:
        a, b = (x0 + min(max(xs.share(x), 0.0), 1.0) * (x1 - x0) for x in (begin, end))
        yield Area(((a, y0), (b, y0), (b, y1), (a, y1)), _SHADE)
    yield from _frame(panel, xs, ys, (x0, x1, y0, y1), left)
    for s in panel.series:
        if s.spread and not s.points and len(s.x) > 1:
            above = [place(x, y + d) for x, y, d in zip(s.x, s.y, s.spread, strict=True)]
            below = [place(x, y - d) for x, y, d in zip(s.x, s.y, s.spread, strict=True)]
            yield Area((*above, *reversed(below)), _pale(COLOURS[s.colour % len(COLOURS)]))
    for s in panel.series:
        yield from _series(s, place)
    yield from _legend(panel, x0, x1, y1)


def _reach(s: Series) -> list[float]:
    if not s.spread:
        return list(s.y)
    return [v for y, d in zip(s.y, s.spread, strict=True) for v in (y - d, y + d)]


def _series(s: Series, place: object) -> Iterator[Shape]:
    assert callable(place)
    colour = COLOURS[s.colour % len(COLOURS)]
    at = [place(x, y) for x, y in zip(s.x, s.y, strict=True)]
    if not s.points:
        if len(at) > 1:
            yield Line(tuple(at), colour, 1.4, s.dashed)
        if len(at) <= 30 and not s.dashed:
            yield from (Dot(p, colour, 1.8) for p in at)
        return
    for p, x, y, d in zip(at, s.x, s.y, s.spread or [0.0] * len(s.y), strict=True):
        if d:
            low, high = place(x, y - d), place(x, y + d)
            yield Line((low, high), colour, 1.2)
            for end in (low, high):
                yield Line(((end[0] - 3, end[1]), (end[0] + 3, end[1])), colour, 1.2)
        yield Dot(p, colour, 3.4)


def _frame(
    panel: Panel, xs: Axis, ys: Axis, box: tuple[float, float, float, float], left: float
) -> Iterator[Shape]:
    x0, x1, y0, y1 = box
    for value, text in ys.ticks:
        y = y0 + ys.share(value) * (y1 - y0)
        yield Line(((x0, y), (x1, y)), _FAINT, 0.6)
        yield Text((x0 - 6, y + 3), text, "end", 8)
    for value, text in xs.ticks:
        x = x0 + xs.share(value) * (x1 - x0)
        yield Line(((x, y0), (x, y0 + 3)), _FRAME, 0.8)
        yield Text((x, y0 + 14), text, "middle", 8)
    yield Line(((x0, y1), (x0, y0), (x1, y0)), _FRAME, 0.9)
    yield Text(((x0 + x1) / 2, y0 + 30), panel.x)
    yield Text((left + 13, (y0 + y1) / 2), panel.y, upwards=True)


def _rows(panel: Panel, width: float) -> list[list[tuple[float, Series]]]:
    """The lines of a legend: each name with where it begins."""
    named = [s for s in panel.series if s.name]
    rows: list[list[tuple[float, Series]]] = []
    x = 0.0
    for s in named if len(named) > 1 else ():
        length = 18 + _length(s.name) + 12
        if not rows or x + length > width + 12:
            rows.append([])
            x = 0.0
        rows[-1].append((x, s))
        x += length
    return rows


def _legend(panel: Panel, x0: float, x1: float, y1: float) -> Iterator[Shape]:
    """Above the axes, so that it covers nothing."""
    rows = _rows(panel, x1 - x0)
    for k, row in enumerate(rows):
        y = y1 - 6 - 10 * (len(rows) - 1 - k)
        for at, s in row:
            x = x0 + at
            colour = COLOURS[s.colour % len(COLOURS)]
            if s.points:
                yield Dot((x + 7, y - 3), colour)
            else:
                yield Line(((x, y - 3), (x + 14, y - 3)), colour, 1.6, s.dashed)
            yield Text((x + 18, y), s.name, "start", 8)


def _pale(colour: str) -> str:
    parts = [int(colour[k : k + 2], 16) for k in (1, 3, 5)]
    return "#" + "".join(f"{round(255 - (255 - p) * 0.22):02x}" for p in parts)


def _length(text: str) -> float:
    """About how long a name of a legend is."""
    narrow, wide = set("fijlrt.,:;!'|()[] "), set("mwMW@%")
    return sum(
        2.7 if c in narrow else 7.0 if c in wide else 5.8 if c.isupper() else 4.6 for c in text
    )
