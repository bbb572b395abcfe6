"""The classical net below the lines: layers as columns of nodes, coloured by activation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from qrlang.draw.ink import Sheet, bezier, heat
from qrlang.draw.run.moment import Column, Link
from qrlang.draw.run.vertices import Scale
from qrlang.plot.shapes import Point

TALL = 16  # nodes below one another
MOST = 256  # nodes of one column that are drawn
EDGES = 72  # links of one kind that are drawn: the strongest
_GAP = 74.0


@dataclass
class Spot:
    """Where a column lies. `edge`: how far to the left its name reaches."""

    left: float
    right: float
    top: float
    bottom: float
    edge: float
    nodes: list[Point] = field(default_factory=list)

    @property
    def middle(self) -> float:
        return (self.left + self.right) / 2


Chosen = dict[tuple[str, str], tuple[int, ...]]  # which links are drawn, by ends


class Netting:
    def __init__(
        self, sheet: Sheet, columns: Sequence[Column], links: Sequence[Link], stages: Sequence[str],
        scale: Scale, chosen: Chosen | None = None,
    ) -> None:  # fmt: skip
        self.sheet, self.columns, self.links, self.scale = sheet, columns, links, scale
        self.stages = list(stages)
        self.chosen = choose(links) if chosen is None else chosen
        self.depths = self._depths()

    def _depths(self) -> dict[str, int]:
        depth = {c.key: 0 for c in self.columns}
        order = {c.key: k for k, c in enumerate(self.columns)}
        for _ in self.columns:
            changed = False
            for link in self.links:
                a, b = link.source, link.target
                if a in depth and b in depth and order[a] < order[b] and depth[b] < depth[a] + 1:
                    depth[b] = depth[a] + 1
                    changed = True
            if not changed:
                break
        return depth

    def size(self) -> tuple[float, float]:
        grid = self._grid()
        width = sum(max(_size(c)[0] for c in group) + _GAP for group in grid)
        tall = max((sum(_size(c)[1] + 44 for c in group) for group in grid), default=0.0)
        return width, tall

    def _grid(self) -> list[list[Column]]:
        """Columns side by side: stage after stage, each by depth."""
        found: dict[tuple[int, int], list[Column]] = {}
        for c in self.columns:
            stage = self.stages.index(c.loop) if c.loop in self.stages else len(self.stages)
            found.setdefault((stage, self.depths[c.key]), []).append(c)
        for group in found.values():
            group.sort(key=lambda c: c.kind != "read")  # what is read comes from above
        return [found[k] for k in sorted(found)]

    def overhang(self) -> float:
        """How far names of the first columns reach to the left of where those begin."""
        first = self._grid()[0]
        wide = max(_size(c)[0] for c in first)
        return max(0.0, *((_wide(c) - wide) / 2 for c in first))

    def draw(self, left: float, top: float, room: float) -> dict[str, Spot]:
        grid = self._grid()
        width, tall = self.size()
        gap = _GAP
        if len(grid) > 1:  # as wide as there is room, within reason
            gap += min(max((room - width) / (len(grid) - 1), 0.0), 150.0)
        spots: dict[str, Spot] = {}
        x = left
        for group in grid:
            wide = max(_size(c)[0] for c in group)
            high = sum(_size(c)[1] + 44 for c in group)
            y = top + (tall - high) / 2
            for c in group:
                w, h = _size(c)
                spots[c.key] = self._place(c, x + (wide - w) / 2, y + 28, w, h)
                y += h + 44
            x += wide + gap
        for link in self.links:
            if link.source in spots and link.target in spots:
                self._link(link, spots[link.source], spots[link.target])
        for c in self.columns:
            self._column(c, spots[c.key])
        self.sheet.width = max(self.sheet.width, x - gap + 20)
        self.sheet.height = max(self.sheet.height, top + tall)
        return spots

    def _place(self, c: Column, x: float, y: float, w: float, h: float) -> Spot:
        pitch, _ = _pitch(len(c.values))
        count = min(len(c.values), MOST)
        rows = _rows(count)
        spot = Spot(x, x + w, y, y + h, min(x, x + (w - _wide(c)) / 2))
        for k in range(count):
            spot.nodes.append((x + pitch * (k // rows + 0.5), y + pitch * (k % rows + 0.5)))
        return spot

    def _column(self, c: Column, spot: Spot) -> None:
        sheet = self.sheet
        _, radius = _pitch(len(c.values))
        rim = {"read": "read", "input": "data"}.get(c.kind, "net")
        for k, at in enumerate(spot.nodes):
            tip = f"{c.name}[{k}] = {c.values[k]:.4g}"
            sheet.dot(at, radius + 1.0, rim, tip)
            sheet.dot(at, radius, heat(c.shares[k]), tip)
        more = len(c.values) - len(spot.nodes)
        wide = _wide(c)
        sheet.box(spot.middle - wide / 2, spot.top - 25, wide, 12, "ground")
        sheet.text((spot.middle, spot.top - 16), _head(c), 9, rim, bold=True)
        low, high = c.range
        sheet.text((spot.middle, spot.top - 5), f"{_plain(low)} … {_plain(high)}", 7.5, "soft")
        if more > 0:
            sheet.text((spot.middle, spot.bottom + 9), f"and {more} more", 7.5, "soft")

    def _link(self, link: Link, a: Spot, b: Spot) -> None:
        if not link.weights:
            y1, y2 = (a.top + a.bottom) / 2, (b.top + b.bottom) / 2
            self.sheet.line(bezier((a.right + 4, y1), (a.right + 34, y1), (b.left - 34, y2),
                                   (b.left - 6, y2)), "net", 1.2)  # fmt: skip
            self.sheet.dot((b.left - 6, y2), 2, "net")
            return
        largest = max(abs(w) for _, _, w in link.weights) or 1.0
        for k in self.chosen.get((link.source, link.target), ()):
            i, j, w = link.weights[k]
            if i < len(a.nodes) and j < len(b.nodes):
                role = "net" if w >= 0 else "against"
                ends = (_towards(a.nodes[i], b.nodes[j], 5), _towards(b.nodes[j], a.nodes[i], 5))
                self.sheet.line(ends, role, round(0.12 + 0.9 * abs(w) / largest, 2))


def choose(links: Sequence[Link]) -> Chosen:
    """The strongest links between each two columns."""
    found: Chosen = {}
    for link in links:
        order = sorted(range(len(link.weights)), key=lambda k: (-abs(link.weights[k][2]), k))
        found[link.source, link.target] = tuple(sorted(order[:EDGES]))
    return found


def _towards(a: Point, b: Point, by: float) -> Point:
    length = math.hypot(b[0] - a[0], b[1] - a[1]) or 1.0
    return a[0] + (b[0] - a[0]) * by / length, a[1] + (b[1] - a[1]) * by / length


def _head(c: Column) -> str:
    """What stands above a column."""
    count = f" · {len(c.values)}" if len(c.values) > 1 else ""
    plain = c.function in ("", "linear") or c.name.startswith(c.function)
    return (c.name if plain else f"{c.name} · {c.function}") + count


def _wide(c: Column) -> float:
    return 5.2 * len(_head(c))


def _pitch(count: int) -> tuple[float, float]:
    return (15.0, 5.2) if count <= TALL else (12.0, 4.2) if count <= 64 else (8.0, 2.7)


def _rows(count: int) -> int:
    return max(1, min(count, TALL if count <= 64 else 24))


def _size(c: Column) -> tuple[float, float]:
    count = min(len(c.values), MOST)
    pitch, _ = _pitch(len(c.values))
    rows = _rows(count)
    return pitch * -(-count // rows), pitch * rows


def _plain(x: float) -> str:
    return f"{x:.2g}".replace("-", "−")
