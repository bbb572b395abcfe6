"""What a picture is made of. Lengths are points; y grows downwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Point = tuple[float, float]


def between(stops: Sequence[tuple[int, int, int]], share: float) -> str:
    """The colour that lies so far from the first to the last of some: from 0 to 1."""
    at = share * (len(stops) - 1)
    k = min(int(at), len(stops) - 2)
    mixed = (a + (b - a) * (at - k) for a, b in zip(stops[k], stops[k + 1], strict=True))
    return "#" + "".join(f"{round(v):02x}" for v in mixed)


@dataclass(frozen=True, slots=True)
class Line:
    points: tuple[Point, ...]
    colour: str
    width: float = 1.0
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Area:
    points: tuple[Point, ...]
    colour: str  # already mixed with white: no transparency, which printers dislike


@dataclass(frozen=True, slots=True)
class Dot:
    at: Point
    colour: str
    radius: float = 2.6


@dataclass(frozen=True, slots=True)
class Text:
    at: Point  # of its baseline
    text: str
    anchor: str = "middle"  # start, middle, end
    size: float = 9.0
    colour: str = "#24292f"
    upwards: bool = False
    bold: bool = False


Shape = Line | Area | Dot | Text


@dataclass(frozen=True, slots=True)
class Picture:
    width: float
    height: float
    shapes: tuple[Shape, ...]
    title: str = ""
