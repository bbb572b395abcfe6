"""A circuit in the manner of a Feynman diagram: qubits as lines of travel, gates as vertices,
entanglers as wavy propagators between them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from qrlang.draw.ink import Sheet, heat
from qrlang.draw.moment import Branch, Lines, Part, Vertex
from qrlang.training.plot.shapes import Point

MOST = 1500.0  # points of width before a circuit goes on below
LEAST = 0.02  # bits of entanglement that are drawn widest, at least
LAYERS = 6  # repeated layers that are drawn; of more, the first and the last
# Where an angle comes from, and the colour of its rim.
RIMS = {"trained": "loop", "layer": "net", "readout": "read", "data": "data"}


@dataclass(frozen=True)
class Scale:
    """The same in every picture of a run, so that pictures can be compared."""

    made: float = 0.0  # the most entanglement that one gate made, in bits
    slope: float = 0.0  # the largest slope of a trained angle
    norm: float = 0.0  # the largest gradient of a layer


@dataclass
class Placed:
    """Where a circuit lies, and what the classical side is joined to."""

    left: float
    right: float
    top: float
    bottom: float
    reads: list[Point] = field(default_factory=list)  # in order
    steered: dict[str, list[float]] = field(default_factory=dict)  # x of gates, by source
    trained: list[float] = field(default_factory=list)  # x of gates that are trained themselves


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
        self.made = max(scale.made, LEAST)
        self._reads: dict[str, list[Point]] = {}
        self._name = ""  # of the circuit that is drawn
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
        reads = self._reads.get(lines.name, [])
        return Placed(placed.left, placed.right, placed.top, placed.bottom, reads, placed.steered,
                      placed.trained)  # fmt: skip

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
            place(_Item(None, 4 if k == 0 else 26, 0, rows - 1, section=k))
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
            "entangler": 36.0 if not numbers else 14 + 5.4 * self.small,
            "blob": 24.0 + 5.6 * len(v.name),
            "read": max(30.0, 5.2 * len(v.name)),
            "measure": 36.0,
            "mark": 30.0,
            "noise": 44.0,
        }[v.kind]
        if v.kind == "entangler" and high - low == 1 and not numbers:
            width = 26.0
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
                    self._name = self.sections[item.section].name
                    self._section(item.section, x, top, bottom, start)
                elif item.fold:
                    self._fold(x, width, top, bottom, item.fold)
                elif item.vertex is not None:
                    self._vertex(item.vertex, middle, placed, bottom)
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
        x += 8
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

    def _vertex(self, v: Vertex, x: float, placed: Placed, bottom: float) -> None:
        if v.kind == "gate":
            self._gate(v, x, self.y[v.rows[0]], v.name, placed)
        elif v.kind == "entangler":
            self._entangler(v, x, placed)
        elif v.kind == "blob":
            self._blob(v, x)
        elif v.kind == "read":
            self._read(v, x)
            self._reads.setdefault(self._name, []).append((x, bottom - 6))
        elif v.kind == "measure":
            self._measure(v, x)
        else:
            for k, row in enumerate(v.rows):
                self._box(x, self.y[row], v.name if k == 0 else "·", "soft")
                if v.angles and k == 0:
                    self._under(x, self.y[row], ", ".join(f"{a:.3g}" for a in v.angles), "soft")

    def _note_source(self, v: Vertex, x: float, placed: Placed) -> None:
        if v.source:
            placed.steered.setdefault(v.source, []).append(x)
        if v.slope is not None:
            placed.trained.append(x)

    def _gate(
        self, v: Vertex, x: float, y: float, name: str, placed: Placed, above: bool = False
    ) -> None:
        """A rotation is a dial whose hand shows its angle; any other gate a box."""
        self._note_source(v, x, placed)
        if not v.angles:
            self._box(x, y, name, "fixed")
            return
        rim = RIMS.get(v.role, "fixed")
        said = ", ".join(f"{a:.4f}" for a in v.angles)
        where = f" from {v.source}" if v.source else ""
        slope = f"; slope of the loss {v.slope:.3g}" if v.slope is not None else ""
        r = self.radius
        self.sheet.dot((x, y), r, rim, f"{name}({said}){where}{slope}")
        self.sheet.dot((x, y), r - 1.4, "ground", f"{name}({said}){where}{slope}")
        for k, angle in enumerate(v.angles[:3]):
            reach = (r - 2.4) * (1 - 0.25 * k)
            tip = (x + reach * math.sin(angle), y - reach * math.cos(angle))
            self.sheet.line(((x, y), tip), rim, 1.7 - 0.4 * k)
        self.sheet.dot((x, y), 1.2, rim)
        if v.slope is not None:
            self._slope(x, y, v.slope)
        letter = name.removeprefix("R").upper() if name.startswith("R") else name
        said = f"{letter} {_number(v.angles[0])}"
        if above:
            self.sheet.text((x, y - r - 5.5), said, self.small, "ink")
        else:
            self._under(x, y, said, "ink")

    def _slope(self, x: float, y: float, slope: float) -> None:
        """An arc around the dial: where the update turns it, and how much."""
        share = min(abs(slope) / self.scale.slope, 1.0) if self.scale.slope > 0 else 0.0
        reach = math.copysign(2.2 * share, -slope)
        r = self.radius + 3.2
        points = [(x + r * math.sin(reach * k / 14), y - r * math.cos(reach * k / 14))
                  for k in range(15)]  # fmt: skip
        self.sheet.line(points, "loop", 0.6 + 1.6 * share)
        self.sheet.dot(points[-1], 0.8 + 1.5 * share, "loop")

    def _entangler(self, v: Vertex, x: float, placed: Placed) -> None:
        ends = sorted(v.all_rows, key=lambda row: self.y[row])
        share = math.sqrt(min(abs(v.made) / self.made, 1.0))
        word = "made" if v.made >= 0 else "undone"
        tip = f"{v.name} on {', '.join(self.of.wires[r] for r in v.all_rows)}: " \
              f"{abs(v.made):.4f} bits of entanglement {word}"  # fmt: skip
        for a, b in itertools.pairwise(ends):
            points = wave(x, self.y[a], self.y[b], 5.0 if b - a == 1 else 9.0)
            self.sheet.line(points, word, 0.7 + 3.1 * share, v.made < 0, tip)
        said = _short(v.made) if abs(v.made) >= 0.0005 else ""
        if ends[1] - ends[0] == 1 or v.angles:
            middle = (self.y[ends[0]] + self.y[ends[1]]) / 2
            right = x + (9 if ends[1] - ends[0] == 1 else 13)
            self.sheet.text((right, middle + 2.5), said, self.small - 0.5, word, "start")
        else:
            self.sheet.text((x + 2, self.y[ends[0]] - 8), said, self.small - 0.5, word)
        for row in v.controls:
            self.sheet.dot((x, self.y[row]), 3.2, "made", tip)
        for row in v.zeros:
            self.sheet.dot((x, self.y[row]), 3.4, "made", tip)
            self.sheet.dot((x, self.y[row]), 2.0, "ground", tip)
        self._note_source(v, x, placed)
        for k, row in enumerate(v.rows):
            self._end(v, x, self.y[row], k, tip)

    def _end(self, v: Vertex, x: float, y: float, k: int, tip: str) -> None:
        controlled = bool(v.controls or v.zeros)
        if controlled and v.name == "X":
            self.sheet.dot((x, y), 4.6, "made", tip)
            self.sheet.dot((x, y), 3.4, "ground", tip)
            self.sheet.line(((x - 4, y), (x + 4, y)), "made", 1.1)
            self.sheet.line(((x, y - 4), (x, y + 4)), "made", 1.1)
        elif (controlled and v.name == "Z") or (v.angles and k > 0):
            self.sheet.dot((x, y), 3.2, "made", tip)
        elif v.name == "SWAP":
            self.sheet.line(((x - 3.5, y - 3.5), (x + 3.5, y + 3.5)), "made", 1.3)
            self.sheet.line(((x - 3.5, y + 3.5), (x + 3.5, y - 3.5)), "made", 1.3)
        elif v.angles:
            bare = Vertex("gate", v.name, v.rows, angles=v.angles, role=v.role, source=v.source,
                          slope=v.slope)  # fmt: skip
            self._gate(bare, x, y, v.name, Placed(0, 0, 0, 0), above=True)
        else:
            self._box(x, y, v.name if k == 0 else "·", "made")

    def _blob(self, v: Vertex, x: float) -> None:
        """What acts on many at once: an evolution, a matrix, a state that is given."""
        ys = [self.y[row] for row in v.rows]
        half = 8 + 2.8 * len(v.name)
        tip = f"{v.name}: {v.made:+.4f} bits of entanglement"
        self.sheet.box(
            x - half - 1, min(ys) - 13, 2 * half + 2, max(ys) - min(ys) + 26, "made", tip
        )
        self.sheet.box(x - half, min(ys) - 12, 2 * half, max(ys) - min(ys) + 24, "panel", tip)
        self.sheet.text((x, (min(ys) + max(ys)) / 2 + 3), v.name, 9, "ink")
        self.sheet.text((x, (min(ys) + max(ys)) / 2 + 14), _short(v.made), 7.5, "made")
        for row in (*v.controls, *v.zeros):
            self.sheet.line(((x, self.y[row]), (x, min(ys, key=lambda y: abs(y - self.y[row])))),
                            "made", 1.3)  # fmt: skip
            self.sheet.dot((x, self.y[row]), 3.2, "made")

    def _read(self, v: Vertex, x: float) -> None:
        """A reading: a diamond on each line, coloured by what it gave."""
        top = self.y[min(v.rows, default=0)]
        self.sheet.text((x, top - 12), v.name, 8.5, "read")
        for k, row in enumerate(v.rows):
            y = self.y[row]
            d = 5.5
            value = v.values[k] if v.values else float("nan")
            said = f"{v.name} on {self.of.wires[row]}" + (f": {value:.4f}" if v.values else "")
            self.sheet.area(((x, y - d - 1.4), (x + d + 1.4, y), (x, y + d + 1.4),
                             (x - d - 1.4, y)), "read", said)  # fmt: skip
            inner = heat((value + 1) / 2) if v.values else "ground"
            self.sheet.area(((x, y - d), (x + d, y), (x, y + d), (x - d, y)), inner, said)
            if v.values:
                self._under(x, y, _number(value), "read")

    def _measure(self, v: Vertex, x: float) -> None:
        y = self.y[v.rows[0]]
        tip = f"{v.name}: 1 with probability {v.values[0]:.4f}" if v.values else v.name
        self.sheet.box(x - 11, y - 9, 22, 18, "read", tip)
        self.sheet.box(x - 10, y - 8, 20, 16, "ground", tip)
        arc = [(x + 6 * math.cos(a), y + 3 - 6 * math.sin(a))
               for a in [math.pi * k / 12 for k in range(13)]]  # fmt: skip
        self.sheet.line(arc, "read", 1)
        share = v.values[0] if v.values else 0.5
        lean = (0.5 - share) * 1.8
        self.sheet.line(((x, y + 3), (x - 8 * math.sin(lean), y + 3 - 8 * math.cos(lean))), "read",
                        1.2)  # fmt: skip
        self.sheet.text((x, y - 12), v.name, 7.5, "read")
        self._under(x, y, f"p₁ {share:.2f}", "read")

    def _box(self, x: float, y: float, name: str, role: str) -> None:
        half = max(8.0, 3.2 * len(name) + 3)
        self.sheet.box(x - half, y - 8, 2 * half, 16, role)
        self.sheet.box(x - half + 1, y - 7, 2 * half - 2, 14, "ground")
        self.sheet.text((x, y + 3.2), name, 8.5, role if role != "fixed" else "ink")

    def _under(self, x: float, y: float, text: str, role: str) -> None:
        self.sheet.text((x, y + self.radius + self.small + 1.5), text, self.small, role)


def wave(x: float, y1: float, y2: float, bulge: float) -> list[Point]:
    """A propagator: wavy, bent to the right, straight where it meets its lines."""
    length = y2 - y1
    waves = max(2, round(length / 13))
    count = max(24, 12 * waves)
    found = []
    for k in range(count + 1):
        t = k / count
        end = min(1.0, 6 * t, 6 * (1 - t))
        sway = 2.6 * math.sin(2 * math.pi * waves * t) * end
        found.append((x + bulge * math.sin(math.pi * t) + sway, y1 + length * t))
    return found


def _number(x: float) -> str:
    text = f"{x:.2f}" if math.isfinite(x) else "?"
    return text.replace("-", "−") if float(text if text != "?" else 1) else "0.00"


def _short(x: float) -> str:
    """`+.04`, `−.31`: a number of bits beside a line."""
    text = f"{abs(x):.2f}" if abs(x) >= 0.01 else f"{abs(x):.3f}"
    return ("−" if x < 0 else "+") + text.removeprefix("0")


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


# --- repeated layers ----------------------------------------------------------------------------


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
    yield None, f"{times - 2} more\nlayers\n{_short(made)} bits"
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
