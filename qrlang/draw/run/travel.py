"""A circuit in the manner of a Feynman diagram: qubits as lines of travel, gates as vertices,
entanglers as wavy propagators between them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from qrlang.draw.ink import Sheet
from qrlang.draw.run.folding import folded
from qrlang.draw.run.moment import Branch, Lines, Part, Vertex
from qrlang.draw.run.vertices import Marks, Placed, Scale
from qrlang.plot.shapes import Point

MOST = 1500.0  # points of width before a circuit goes on below


def together(lines: Sequence[Lines]) -> list[list[Lines]]:
    """Circuits that go on on the same lines stand side by side, where there is room."""
    found: list[list[Lines]] = []
    for one in lines:
        before = found[-1][-1] if found else None
        goes_on = before is not None and before.wires == one.wires and not any(one.begins)
        if goes_on and Travel(Sheet(), [*found[-1], one], Scale()).fits():
            found[-1].append(one)
        else:
            found.append([one])
    return found


@dataclass
class _Item:
    vertex: Vertex | None
    width: float
    low: int
    high: int
    caption: str = ""  # of a frame that opens
    closes: bool = False
    fold: str = ""  # what is left out here
    section: int = -1  # a circuit that begins here


class Travel:
    """`sections`: circuits on the same lines, one after the other."""

    def __init__(self, sheet: Sheet, sections: Sequence[Lines], scale: Scale) -> None:
        self.sheet, self.sections, self.of, self.scale = sheet, sections, sections[0], scale
        self._reads: dict[str, list[Point]] = {}
        n = len(self.of.wires)
        self.pitch = 52.0 if n <= 5 else 44.0 if n <= 9 else 36.0
        self.radius = 9.0 if n <= 9 else 7.5
        self.small = 8.0 if n <= 9 else 7.0

    def _laid(self) -> tuple[float, list[list[_Item]], list[float], list[tuple[int, int]], float]:
        names = max((len(w) for w in self.of.wires), default=0) * 6.4 + 40
        columns = self._columns()
        widths = [max((i.width for i in c), default=20.0) for c in columns]
        panels = _panels(widths, _whole(columns), MOST - names - 110)
        length = max((sum(widths[a:b]) for a, b in panels), default=0.0) + 16
        captions = 10 + max(6.4 * len(self.sections[0].caption), 0)
        return names, columns, widths, panels, max(length, captions * (len(self.sections) == 1))

    def width(self) -> float:
        names, _, _, _, length = self._laid()
        return names + length + 100

    def fits(self) -> bool:
        """Without going on below."""
        return len(self._laid()[3]) == 1

    def of_section(self, placed: Placed, lines: Lines) -> Placed:
        """The same place, with the readings of one circuit."""
        return replace(placed, reads=self._reads.get(lines.name, []))

    def draw(self, left: float, top: float) -> Placed:
        sheet = self.sheet
        names, columns, widths, panels, length = self._laid()
        start = left + names
        end = start + length
        placed = Placed(start, end, top, top)
        y = top + 26
        for k, (a, b) in enumerate(panels):
            y += self._depth(columns) * 14
            y = self._panel(columns[a:b], widths[a:b], start, end, y, k == 0,
                            k == len(panels) - 1, placed)  # fmt: skip
        placed.bottom = y
        sheet.width = max(sheet.width, end + 96)
        return placed

    # --- what stands beside what ----------------------------------------------------------------

    def _columns(self) -> list[list[_Item]]:
        columns: list[list[_Item]] = []
        rows = len(self.of.wires)
        free = [0] * rows

        def place(item: _Item) -> None:
            at = max(free[item.low : item.high + 1], default=0)
            while len(columns) <= at:
                columns.append([])
            columns[at].append(item)
            free[item.low : item.high + 1] = [at + 1] * (item.high + 1 - item.low)

        def put(parts: tuple[Part, ...]) -> None:
            for part in parts:
                if isinstance(part, Branch):
                    said = part.caption
                    if part.chance == part.chance:
                        said += f": {100 * part.chance:.0f} %"
                    place(_Item(None, 14, 0, rows - 1, caption=said))
                    put(part.parts)
                    place(_Item(None, 10, 0, rows - 1, closes=True))
                else:
                    place(self._item(part))

        for k, lines in enumerate(self.sections):
            place(_Item(None, 4 if k == 0 else 34, 0, rows - 1, section=k))
            for part, left_out in folded(lines.parts):
                if left_out:
                    place(_Item(None, 64, 0, rows - 1, fold=left_out))
                elif part is not None:
                    put((part,))
        return columns

    def _item(self, v: Vertex) -> _Item:
        low, high = min(v.all_rows, default=0), max(v.all_rows, default=0)
        numbers = len(v.angles)
        width = {
            "gate": 8 + 5 * self.small if numbers else 2 * self.radius + 8,
            "entangler": 38.0 if not numbers else 14 + 5.4 * self.small,
            "blob": 24.0 + 5.6 * len(v.name),
            "read": max(40.0, 5.2 * len(v.name)),
            "measure": 36.0,
            "mark": 30.0,
            "noise": 44.0,
        }[v.kind]
        if v.kind == "entangler" and high - low == 1 and not numbers:
            width = 32.0
        return _Item(v, width, low, high)

    def _depth(self, columns: list[list[_Item]]) -> int:
        return int(any(i.caption for c in columns for i in c))

    # --- drawing --------------------------------------------------------------------------------

    def _panel(
        self, columns: list[list[_Item]], widths: list[float], start: float, end: float, top: float,
        first: bool, last: bool, placed: Placed,
    ) -> float:  # fmt: skip
        sheet, of = self.sheet, self.of
        self.y: list[float] = []
        y = top + 14
        for row in range(len(of.wires)):
            self.y.append(y)
            y += self.pitch + (12 if row in of.gaps else 0)
        bottom = self.y[-1] + self.pitch / 2 + 4 if self.y else top + 20
        for row, name in enumerate(of.wires):
            self._wire(row, name, start, end, first, last)
        self._heads(columns, widths, start + 8, end)
        marks = Marks(sheet, of.wires, self.y, self.scale, self.radius, self.small)
        x = start + 8
        opened: list[tuple[float, str]] = []
        for column, width in zip(columns, widths, strict=True):
            middle = x + width / 2
            for item in column:
                if item.caption:
                    opened.append((x + 2, item.caption))
                elif item.closes:
                    begin, caption = opened.pop() if opened else (start, "")
                    self._frame(begin, x + width - 2, top - 8, bottom - 4, caption)
                elif item.section >= 0:
                    name = self.sections[item.section].name
                    placed.reads = self._reads.setdefault(name, [])
                    self._section(item.section, x, top, bottom, start)
                elif item.fold:
                    self._fold(x, width, top, bottom, item.fold)
                elif item.vertex is not None:
                    marks.draw(item.vertex, middle, placed, bottom)
            x += width
        for begin, caption in opened:
            self._frame(begin, end, top - 8, bottom - 4, caption)
        sheet.height = max(sheet.height, bottom)
        return bottom + 8

    def _wire(self, row: int, name: str, start: float, end: float, first: bool, last: bool) -> None:
        sheet, of, y = self.sheet, self.of, self.y[row]
        begin = (of.begins[row] or "▸") if first else "…"
        sheet.text((start - 34, y + 3.5), name, 9.5, "soft", "end")
        sheet.text((start - 4, y + 3.5), begin, 9.5, "soft", "end")
        sheet.line(((start, y), (end, y)), "wire", 1.3)
        if not last:
            sheet.text((end + 4, y + 3.5), "…", 9.5, "soft", "start")
            return
        if any(s.goes_on for s in self.sections):
            sheet.area(((end + 6, y), (end - 1, y - 3.5), (end - 1, y + 3.5)), "wire")
        ends = self.sections[-1].entropies
        entropy = ends[row] if row < len(ends) else 0.0
        length = 30 * min(max(entropy, 0.0), 1.0)
        x = end + 12
        tip = f"{name}: {entropy:.3f} bits of entropy at the end"
        sheet.box(x, y - 2.5, 30, 5, "faint", tip)
        sheet.box(x, y - 2.5, max(length, 0.01), 5, "made", tip)
        sheet.text((x + 34, y + 3), f"{entropy:.2f}", self.small, "soft", "start")

    def _heads(self, columns: list[list[_Item]], widths: list[float], x: float, end: float) -> None:
        """The way that they travel, where a line has room to say so."""
        before = [x] * len(self.y)
        for column, width in zip(columns, widths, strict=True):
            for item in column:
                touched = range(item.low, item.high + 1) if item.vertex is None \
                    else item.vertex.all_rows  # fmt: skip
                for row in touched:
                    self._head(before[row], x, self.y[row])
                    before[row] = x + width
            x += width
        for row, left in enumerate(before):
            self._head(left, end - 10, self.y[row])

    def _head(self, left: float, right: float, y: float) -> None:
        if right - left > 34:
            x = (left + right) / 2
            self.sheet.area(((x + 4, y), (x - 3, y - 3), (x - 3, y + 3)), "wire")

    def _section(self, k: int, x: float, top: float, bottom: float, start: float) -> None:
        if k == 0:
            self.sheet.text((start - 4, top - 14), self.sections[0].caption, 10.5, "soft", "start")
            return
        x += 14
        self.sheet.line(((x, top - 8), (x, bottom - 8)), "soft", 0.8, dashed=True)
        self.sheet.text((x - 2, top - 14), self.sections[k].caption, 10.5, "soft", "start")

    def _frame(self, x1: float, x2: float, y1: float, y2: float, caption: str) -> None:
        corners = ((x1, y1), (x2, y1), (x2, y2), (x1, y2), (x1, y1))
        self.sheet.line(corners, "soft", 0.8, dashed=True)
        self.sheet.text((x1 + 4, y1 - 3), caption, 8, "soft", "start")

    def _fold(self, x: float, width: float, top: float, bottom: float, text: str) -> None:
        self.sheet.box(x + 4, top, width - 8, bottom - top - 8, "panel")
        words = text.split("\n")
        for k, word in enumerate(words):
            y = (top + bottom) / 2 + 11 * (k - len(words) / 2)
            self.sheet.text((x + width / 2, y), word, 8, "soft")


def _whole(columns: list[list[_Item]]) -> list[bool]:
    """Before which columns no frame is open."""
    depth = 0
    found: list[bool] = []
    for column in columns:
        found.append(depth == 0)
        depth += sum(bool(i.caption) - i.closes for i in column)
    return found


def _panels(widths: list[float], whole: list[bool], room: float) -> list[tuple[int, int]]:
    """Ranges of columns that fit, about equally wide; no cut goes through a frame."""
    total = sum(widths)
    count = max(1, math.ceil(total / room))
    goal = total / count
    found: list[tuple[int, int]] = []
    low, used = 0, 0.0
    for i, w in enumerate(widths):
        if used + w / 2 > goal and len(found) < count - 1 and i > low and whole[i]:
            found.append((low, i))
            low, used = i, 0.0
        used += w
    return [*found, (low, len(widths))]
