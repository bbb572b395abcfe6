"""What stands on lines of travel: dials, boxes, propagators, readings."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field

from qrlang.draw.ink import Sheet, heat
from qrlang.draw.run.moment import Vertex
from qrlang.plot.shapes import Point

LEAST = 0.02  # bits of entanglement that are drawn widest, at least
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


class Marks:
    """Vertices at their places: `y` of each line, and how large things are."""

    def __init__(self, sheet: Sheet, wires: tuple[str, ...], y: list[float], scale: Scale,
                 radius: float, small: float) -> None:  # fmt: skip
        self.sheet, self.wires, self.y, self.scale = sheet, wires, y, scale
        self.radius, self.small = radius, small
        self.made = max(scale.made, LEAST)

    def draw(self, v: Vertex, x: float, placed: Placed, bottom: float) -> None:
        if v.kind == "gate":
            self._gate(v, x, self.y[v.rows[0]], v.name, placed)
        elif v.kind == "entangler":
            self._entangler(v, x, placed)
        elif v.kind == "blob":
            self._blob(v, x)
        elif v.kind == "read":
            self._read(v, x)
            placed.reads.append((x, bottom - 6))
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
        said = f"{letter} {number(v.angles[0])}"
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
        tip = f"{v.name} on {', '.join(self.wires[r] for r in v.all_rows)}: " \
              f"{abs(v.made):.4f} bits of entanglement {word}"  # fmt: skip
        for a, b in itertools.pairwise(ends):
            points = wave(x, self.y[a], self.y[b], 5.0 if b - a == 1 else 9.0)
            self.sheet.line(points, word, 0.7 + 3.1 * share, v.made < 0, tip)
        said = short(v.made) if abs(v.made) >= 0.0005 else ""
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
            self._gate(bare, x, y, v.name, Placed(0, 0, 0, 0),
                       above=y < max(self.y[r] for r in v.all_rows))  # fmt: skip
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
        self.sheet.text((x, (min(ys) + max(ys)) / 2 + 14), short(v.made), 7.5, "made")
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
            said = f"{v.name} on {self.wires[row]}" + (f": {value:.4f}" if v.values else "")
            self.sheet.area(((x, y - d - 1.4), (x + d + 1.4, y), (x, y + d + 1.4),
                             (x - d - 1.4, y)), "read", said)  # fmt: skip
            inner = heat((value + 1) / 2) if v.values else "ground"
            self.sheet.area(((x, y - d), (x + d, y), (x, y + d), (x - d, y)), inner, said)
            if v.values:
                self._under(x, y, number(value), "read")

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


def number(x: float) -> str:
    text = f"{x:.2f}" if math.isfinite(x) else "?"
    return text.replace("-", "−") if float(text if text != "?" else 1) else "0.00"


def short(x: float) -> str:
    """`+.04`, `−.31`: a number of bits beside a line."""
    text = f"{abs(x):.2f}" if abs(x) >= 0.01 else f"{abs(x):.3f}"
    return ("−" if x < 0 else "+") + text.removeprefix("0")
