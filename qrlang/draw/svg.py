"""A scene as SVG. Mid-tone lines and pale boxes with dark text: it reads on light and on dark."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

from qrlang.draw.picture import Block, Group, Picture
from qrlang.draw.scene import Column, Item, Mark, Scene, columns, make_room, panels

_ROW = 34  # between wires
_GAP = 14  # more between registers
_BOX = 24  # height of a box
_CHAR = 7.4  # width of a letter in a box
_PAD = 16
_WIDTH = 1120

_STYLE = """
text { font: 12px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; }
.title { font-size: 16px; font-weight: 600; fill: #7d8590; }
.plain { fill: #7d8590; }
.inside { fill: #1f2328; text-anchor: middle; }
.small { font-size: 10.5px; fill: #57606a; text-anchor: middle; }
.wire { stroke: #8c959f; stroke-width: 1.3; }
.link { stroke: #57789e; stroke-width: 1.6; fill: none; }
.gate { fill: #dbe9fb; stroke: #57789e; }
.state { fill: #eaeef2; stroke: #6e7781; }
.noise { fill: #fbe9d7; stroke: #b5753a; stroke-dasharray: 3 2; }
.read { fill: #d5f0e3; stroke: #2f8f68; }
.layer { fill: #f3e6fa; stroke: #8a5fa8; }
.value { fill: #eaeef2; stroke: #8c959f; }
.dot { fill: #57789e; stroke: #57789e; }
.hollow { fill: #ffffff; stroke: #57789e; stroke-width: 1.6; }
.classical { stroke: #2f8f68; stroke-width: 1.3; fill: none; }
.flow { stroke: #8a5fa8; stroke-width: 1.3; fill: none; }
.frame { fill: none; stroke: #8c959f; stroke-dasharray: 5 3; }
.loop { fill: none; stroke: #8c959f; }
"""


@dataclass
class _Page:
    """SVG elements, and how far they reach."""

    parts: list[str] = field(default_factory=list)
    width: float = 0
    height: float = 0

    def reach(self, x: float, y: float) -> None:
        self.width, self.height = max(self.width, x), max(self.height, y)

    def add(self, text: str) -> None:
        self.parts.append(text)

    def line(self, x1: float, y1: float, x2: float, y2: float, kind: str) -> None:
        self.add(f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" class="{kind}"/>')
        self.reach(max(x1, x2), max(y1, y2))

    def box(self, x: float, y: float, w: float, h: float, kind: str, round_: float = 4) -> None:
        self.add(f'<rect x="{x:g}" y="{y:g}" width="{w:g}" height="{h:g}" rx="{round_:g}" '
                 f'class="{kind}"/>')  # fmt: skip
        self.reach(x + w, y + h)

    def text(self, x: float, y: float, text: str, kind: str, end: bool = False) -> None:
        anchor = ' text-anchor="end"' if end else ""
        self.add(f'<text x="{x:g}" y="{y:g}" class="{kind}"{anchor}>{escape(text)}</text>')
        length = len(text) * (9.8 if kind == "title" else _CHAR)
        self.reach(x + (0 if end else length / 2 if kind in ("inside", "small") else length), y + 4)

    def path(self, d: str, kind: str, arrow: bool = False) -> None:
        marker = f' marker-end="url(#{kind}-arrow)"' if arrow else ""
        self.add(f'<path d="{d}" class="{kind}"{marker}/>')


def render(*pictures: Picture, width: float = _WIDTH) -> str:
    """One below the other."""
    page = _Page()
    y = 0.0
    for picture in pictures:
        y = _picture(page, picture, y, width) + 24
    w, h = page.width + _PAD, page.height + _PAD
    markers = "".join(
        f'<marker id="{kind}-arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        f'markerHeight="7" orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="{colour}"/></marker>'
        for kind, colour in (("flow", "#8a5fa8"), ("classical", "#2f8f68"), ("loop", "#8c959f"))
    )
    title = ", ".join(picture.title for picture in pictures)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{w:g}" height="{h:g}" '
        f'viewBox="0 0 {w:g} {h:g}" role="img">\n<title>{escape(title)}</title>\n'
        f"<style>{_STYLE}</style>\n<defs>{markers}</defs>\n" + "\n".join(page.parts) + "\n</svg>\n"
    )


def _picture(page: _Page, picture: Picture, top: float, width: float) -> float:
    page.text(_PAD, top + 28, picture.title, "title")
    y = top + 44.0
    for line in picture.remarks:
        page.text(_PAD, y, line, "plain")
        y += 18
    for part in picture.scenes:
        y = _circuit(page, part, y, width) + 18
    for group in picture.groups:
        y = _group(page, group, y, _kinds(picture)) + 14
    for note in picture.notes:
        y += 18
        page.text(_PAD, y, note, "plain")
    return y


# --- circuits ----------------------------------------------------------------------------------


def _mark_width(mark: Mark) -> float:
    if mark.kind in ("control", "open", "target", "cross"):
        return 18
    return max(26, len(mark.text) * _CHAR + 12)


def _width(column: Column) -> float:
    if column.opens or column.closes:
        return 10
    widths = [_mark_width(m) for i in column.items if not i.tall for _, m in i.marks]
    widths += [len(i.tall) * _CHAR + 14 for i in column.items if i.tall]
    return max(widths, default=18)


def _circuit(page: _Page, scene: Scene, y: float, width: float) -> float:
    """Draws from `y` downwards; returns where it ends."""
    cols = columns(scene.parts, len(scene.wires))
    widths = [_width(c) for c in cols]
    make_room(cols, widths, 8, _CHAR, 20)
    names = max(map(len, scene.wires), default=0) * _CHAR
    left = _PAD + 14 + names + 34
    parts = panels(cols, widths, 8, width - left - 60)
    right = left + max(sum(widths[a:b]) + 8 * (b - a) for a, b in parts) + 14
    right = max(right, _PAD + len(scene.caption) * _CHAR + (250 if scene.repeats else 40))
    top = y
    y += 34 if scene.caption else 10
    edge = right + 26  # of the frame
    open_frames: list[tuple[str, int]] = []
    for k, (low, high) in enumerate(parts):
        ends = (k == 0, k == len(parts) - 1)
        part = cols[low:high]
        y, end = _panel(page, scene, part, widths[low:high], left, right, y, ends, open_frames)
        edge = max(edge, end + 12)
        y += 12
    if scene.caption:
        page.box(_PAD, top, edge - _PAD, y - top, "loop", 10)
        page.text(_PAD + 12, top + 18, scene.caption, "plain")
        if scene.repeats:
            x = right + 14
            page.text(x - 14, top + 18, "the qubits go on into the next step ↻", "plain", end=True)
    return y


def _panel(
    page: _Page,
    scene: Scene,
    cols: list[Column],
    widths: list[float],
    left: float,
    right: float,
    y: float,
    ends: tuple[bool, bool],
    open_frames: list[tuple[str, int]],
) -> tuple[float, float]:
    """Where it ends, below and to the right."""
    depth = _depth(cols, len(open_frames))
    y += 20 * depth
    at: dict[int, float] = {}
    line = y + _ROW / 2
    for row in range(len(scene.wires)):
        at[row] = line
        line += _ROW + (_GAP if row in scene.gaps else 0)
    bottom = line - _ROW / 2
    first, last = ends
    for row, name in enumerate(scene.wires):
        page.text(left - 40, at[row] + 4, name, "plain", end=True)
        begin = (scene.begins[row] or "▸") if first else "…"
        page.text(left - 8, at[row] + 4, begin, "plain", end=True)
        page.line(left - 4, at[row], right, at[row], "wire")
        page.text(right + 4, at[row] + 4, ("▸" if scene.repeats else "") if last else "…", "plain")
    x = left + 8
    frames = [(left, caption, level) for caption, level in open_frames]
    named: list[tuple[float, Item]] = []  # readouts, and where each is
    lowest, farthest = bottom, right
    for column, w in zip(cols, widths, strict=True):
        if column.opens:
            level = len(frames)
            frames.append((x, column.opens, level))
            open_frames.append((column.opens, level))
        elif column.closes:
            begin_x, caption, level = frames.pop()
            open_frames.pop()
            _frame(page, begin_x, x + w, y, bottom, caption, depth - level)
        for item in column.items:
            middle = x + w / 2
            _item(page, item, middle, at)
            if item.reads:
                named.append((middle, item))
        x += w + 8
    name_line, free = bottom + 14, math.inf
    for middle, item in reversed(named):  # lines go down to the left of the names below them
        fits = middle + len(item.reads) * _CHAR + 8 < free
        name_line = bottom + 14 if fits else name_line + 15
        low = at[item.rows[1]] + _BOX / 2
        for side in (-1.5, 1.5):
            page.line(middle + side, low, middle + side, name_line - 8, "classical")
        page.text(middle - 3, name_line + 4, item.reads, "plain")
        free = middle - 6
        lowest = max(lowest, name_line + 6)
        farthest = max(farthest, middle + len(item.reads) * _CHAR)
    for begin_x, caption, level in frames:
        _frame(page, begin_x, right, y, bottom, caption, depth - level)
    return lowest, farthest


def _depth(cols: list[Column], start: int) -> int:
    """How many frames lie in one another at most."""
    now = most = start
    for column in cols:
        now += bool(column.opens) - column.closes
        most = max(most, now)
    return most


def _frame(
    page: _Page, x1: float, x2: float, top: float, bottom: float, caption: str, height: int
) -> None:
    """The higher, the further out: captions of nested frames lie above one another."""
    inset = 2.0 * height
    y = top - 20 * height + 4
    page.box(x1, y, x2 - x1, bottom - y - 4 + inset, "frame", 6)
    page.text(x1 + 7, y + 14, caption, "plain")


def _item(page: _Page, item: Item, x: float, at: dict[int, float]) -> None:
    low, high = item.rows
    if item.joined and high > low:
        page.line(x, at[low], x, at[high], "link")
    if item.tall:
        rows = [row for row, mark in item.marks if mark.kind == "box"]
        y1, y2 = at[min(rows)] - _BOX / 2, at[max(rows)] + _BOX / 2
        w = len(item.tall) * _CHAR + 14
        page.box(x - w / 2, y1, w, y2 - y1, "gate")
        for row in range(min(rows), max(rows)):
            if row not in rows:  # a wire that passes behind
                page.line(x - w / 2, at[row], x - w / 2 + 6, at[row], "frame")
        page.text(x, (y1 + y2) / 2 + 4, item.tall, "inside")
    for row, mark in item.marks:
        if not (item.tall and mark.kind == "box"):
            _mark(page, mark, x, at[row])


def _mark(page: _Page, mark: Mark, x: float, y: float) -> None:
    match mark.kind:
        case "control":
            page.add(f'<circle cx="{x:g}" cy="{y:g}" r="4" class="dot"/>')
        case "open":
            page.add(f'<circle cx="{x:g}" cy="{y:g}" r="4.2" class="hollow"/>')
        case "target":
            page.add(f'<circle cx="{x:g}" cy="{y:g}" r="8.5" class="hollow"/>')
            page.line(x - 8.5, y, x + 8.5, y, "link")
            page.line(x, y - 8.5, x, y + 8.5, "link")
        case "cross":
            page.line(x - 5, y - 5, x + 5, y + 5, "link")
            page.line(x - 5, y + 5, x + 5, y - 5, "link")
        case kind:
            styles = {"read": "read", "noise": "noise", "state": "state", "meter": "read"}
            w = _mark_width(mark) - 2
            page.box(x - w / 2, y - _BOX / 2, w, _BOX, styles.get(kind, "gate"))
            page.text(x, y + 4, mark.text, "inside")


# --- the classical side ------------------------------------------------------------------------


def _kinds(picture: Picture) -> dict[str, str]:
    """Readouts and angles look here as they do in the circuit."""
    kinds = {}
    for part in picture.scenes:
        for column in columns(part.parts, len(part.wires)):
            kinds.update({i.reads.split(" ")[0]: "read" for i in column.items if i.reads})
        kinds.update(dict.fromkeys(part.labels.letters.values(), "gate"))
    return kinds


def _group(page: _Page, group: Group, top: float, kinds: dict[str, str]) -> float:
    if not group.caption:
        return _blocks(page, group.blocks, top + 6, kinds)[1]
    right, y = _blocks(page, group.blocks, top + 36, kinds)
    tail = f"{group.goes_on} for the next step ↻" if group.goes_on else ""
    right = max(right + 14, _PAD + (len(group.caption) + len(tail) + 6) * _CHAR)
    page.box(_PAD, top, right - _PAD, y + 10 - top, "loop", 10)
    page.text(_PAD + 12, top + 18, group.caption, "plain")
    page.text(right - 12, top + 18, tail, "plain", end=True)
    return y + 10


def _blocks(
    page: _Page, blocks: list[Block], y: float, kinds: dict[str, str]
) -> tuple[float, float]:
    """Values, layers and what they make, from left to right; no line passes over a box."""
    cells, edges = _graph(blocks, kinds)
    depth = _depths(cells, edges)
    ways = [_way(edge, cells, depth) for edge in edges]
    steps = [step for way in ways for step in itertools.pairwise(way)]
    grid: list[list[_Cell]] = [[] for _ in range(1 + max(depth.values(), default=0))]
    for cell in cells.values():
        grid[depth[cell.key]].append(cell)
    rank: dict[str, float] = {}
    for column in grid:  # next to what they come from, so that fewer lines cross
        before = {c.key: [rank[a] for a, b in steps if b == c.key and a in rank] for c in column}
        column.sort(key=lambda c: sum(before[c.key]) / len(before[c.key]) if before[c.key] else 0)
        for i, cell in enumerate(column):
            rank[cell.key] = (i + 0.5) / len(column)
    tallest = max((sum(c.height + 14 for c in column) for column in grid), default=0.0)
    place: dict[str, _Place] = {}
    boxes: list[tuple[_Cell, float, float]] = []
    x = float(_PAD + 14)
    for column in grid:
        w = max((c.width for c in column), default=0.0)
        line = y + (tallest - sum(c.height + 14 for c in column)) / 2
        for cell in column:
            wide = w if cell.kind == "way" else cell.width
            at = x + (w - wide) / 2
            place[cell.key] = _Place(at, at + wide, (x, x + w), line + cell.height / 2)
            if cell.kind != "way":
                boxes.append((cell, at, line))
            line += cell.height + 14
        x += w + 70
    for way in ways:
        _edge(page, [place[key] for key in way])
    for cell, at, line in boxes:
        round_ = 6 if cell.kind == "layer" else cell.height / 2
        page.box(at, line, cell.width, cell.height, cell.kind, round_)
        middle = at + cell.width / 2
        page.text(middle, line + (17 if cell.detail else cell.height / 2 + 4), cell.name, "inside")
        if cell.detail:
            page.text(middle, line + 32, cell.detail, "small")
    return x - 70, y + tallest


@dataclass(frozen=True)
class _Cell:
    key: str
    name: str
    detail: str
    kind: str

    @property
    def height(self) -> float:
        return 10 if self.kind == "way" else 42 if self.detail else 26

    @property
    def width(self) -> float:
        return (
            0
            if self.kind == "way"
            else max(len(self.name) * _CHAR + 20, len(self.detail) * 6.5 + 18, 40)
        )


def _graph(
    blocks: list[Block], kinds: dict[str, str]
) -> tuple[dict[str, _Cell], list[tuple[str, str]]]:
    """Boxes by key, and the lines between them."""
    names = {b.name for b in blocks}
    cells: dict[str, _Cell] = {}
    edges: dict[tuple[str, str], None] = {}

    def value(key: str, name: str) -> str:
        cells.setdefault(key, _Cell(key, name, "", kinds.get(name.partition(" ")[0], "value")))
        return key

    for block in blocks:
        for name in block.inputs:
            edges[name if name in names else value(f"in {name}", name), block.name] = None
        cells[block.name] = _Cell(block.name, block.name, block.detail, "layer")
        for name in block.outputs:
            edges[block.name, name if name in names else value(f"out {name}", name)] = None
    return cells, list(edges)


def _way(edge: tuple[str, str], cells: dict[str, _Cell], depth: dict[str, int]) -> list[str]:
    """A line that passes columns has a place of its own in each, so that no box hides it."""
    a, b = edge
    between = []
    for d in range(depth[a] + 1, depth[b]):
        key = f"{a} → {b} at {d}"
        cells[key] = _Cell(key, "", "", "way")
        depth[key] = d
        between.append(key)
    return [a, *between, b]


def _depths(cells: dict[str, _Cell], edges: list[tuple[str, str]]) -> dict[str, int]:
    """A column for each box: after all that it comes from; a value right before its first use."""
    depth = dict.fromkeys(cells, 0)
    for _ in cells:  # so often is enough; if there is a circle it ends all the same
        for a, b in edges:
            depth[b] = min(max(depth[b], depth[a] + 1), len(cells))
    for key in cells:
        users = [depth[b] for a, b in edges if a == key]
        if key.startswith("in ") and users:
            depth[key] = max(0, min(users) - 1)
    used = sorted(set(depth.values()))
    return {key: used.index(d) for key, d in depth.items()}


@dataclass(frozen=True)
class _Place:
    """Of a box: its ends, the ends of its column, its middle line."""

    left: float
    right: float
    column: tuple[float, float]
    y: float


def _edge(page: _Page, way: list[_Place]) -> None:
    """Straight within columns, since no two boxes of a column are level; bent between them."""
    d = f"M{way[0].right:g},{way[0].y:g}"
    for a, b in itertools.pairwise(way):
        x1, x2 = a.column[1], b.column[0] - 6
        if x2 > x1:
            bend = min(60.0, (x2 - x1) / 2)
            d += f" L{x1:g},{a.y:g}" if x1 > a.right else ""
            d += f" C{x1 + bend:g},{a.y:g} {x2 - bend:g},{b.y:g} {x2:g},{b.y:g}"
        else:  # back to an earlier one, or to itself
            low = max(a.y, b.y) + 30
            x1, x2 = a.right + 40, b.left - 40
            d += f" C{x1:g},{low:g} {x2:g},{low:g} {b.left - 6:g},{b.y:g}"
        d += f" L{b.left - 1 if b is way[-1] else b.right:g},{b.y:g}"
    page.path(d, "flow", arrow=True)
