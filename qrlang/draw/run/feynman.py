"""A run at one step as one picture: circuits above, the classical net below, the update around
both."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from qrlang.draw.ink import Sheet, bezier, heat
from qrlang.draw.run.moment import BEFORE, Branch, Column, Moment, Part, Vertex
from qrlang.draw.run.netting import Chosen, Netting, Spot
from qrlang.draw.run.travel import Travel, together
from qrlang.draw.run.vertices import LEAST, Placed, Scale
from qrlang.plot.shapes import Point

_PAD = 24.0
WIDE = 1560.0  # circuits stand side by side as far as this
Curve = Sequence[tuple[int, float]]  # losses by step


def scale_of(moments: Iterable[Moment]) -> Scale:
    """What is largest in any of them."""
    made = slope = norm = 0.0
    for m in moments:
        for v in (v for lines in m.lines for v in vertices(lines.parts)):
            made = max(made, abs(v.made))
            slope = max(slope, abs(v.slope or 0.0))
        norm = max([norm, *(c.slope for c in m.columns if c.slope is not None)])
    return Scale(made, slope, norm)


def vertices(parts: Sequence[Part]) -> Iterable[Vertex]:
    for part in parts:
        if isinstance(part, Branch):
            yield from vertices(part.parts)
        else:
            yield part


def draw(
    moment: Moment, curve: Curve = (), scale: Scale | None = None, chosen: Chosen | None = None
) -> Sheet:
    """`scale` and `chosen`: those of a film, so that its pictures go together."""
    return _Picture(moment, curve, scale or scale_of((moment,)), chosen).draw()


def words(m: Moment) -> str:
    """What the picture shows, for those who cannot see it."""
    said = [f"{m.model} ({m.about}) at step {m.step} of {m.steps}: {m.sample}, {m.place}."]
    for lines in m.lines:
        gates = [v for v in vertices(lines.parts) if v.kind in ("gate", "entangler")]
        made = sum(v.made for v in gates)
        said.append(
            f"{lines.name or 'The circuit'}: {len(lines.wires)} qubits, {len(gates)} gates, "
            f"which made {made:.2f} bits of entanglement."
        )
    said += [m.answer + "." if m.answer else ""]
    return " ".join(x for x in said if x)


class _Picture:
    def __init__(self, moment: Moment, curve: Curve, scale: Scale, chosen: Chosen | None) -> None:
        self.m, self.curve, self.scale, self.chosen = moment, curve, scale, chosen
        self.sheet = Sheet()

    def draw(self) -> Sheet:
        sheet = self.sheet
        places: dict[str, Placed] = {}
        y = 104.0
        x = left = _PAD + 26
        low = y
        for sections in together(self.m.lines):
            drawn = Travel(sheet, sections, self.scale)
            if x > left and x + drawn.width() > WIDE:
                x, y = left, low + 22
            placed = drawn.draw(x, y)
            low = max(low, placed.bottom)
            x = placed.right + 130
            for lines in sections:
                places[lines.name] = drawn.of_section(placed, lines)
        y = low + 12
        stages = list(dict.fromkeys(c.loop for c in self.m.columns if c.loop))
        net = Netting(sheet, self.m.columns, self.m.links, stages, self.scale, self.chosen)
        room = sheet.width - 2 * _PAD - 120
        ribbons = 40.0 if places else 0.0
        spots: dict[str, Spot] = {}
        if self.m.columns:
            spots = net.draw(_PAD + 36 + net.overhang(), y + ribbons, room)
        right = max([s.right for s in spots.values()], default=_PAD + 200)
        sheet.width = max(sheet.width, right + 170)
        back = Sheet()
        self._ribbons(back, places, spots)
        back.behind(sheet)
        bottom = max([s.bottom for s in spots.values()], default=y)
        bottom = self._carried(spots, bottom)
        low = self._loop(places, spots, bottom + 34)
        self._legend(low + 34)
        self._title()
        sheet.width += _PAD
        return sheet

    # --- words ----------------------------------------------------------------------------------

    def _title(self) -> None:
        m, sheet = self.m, self.sheet
        sheet.text((_PAD, 30), f"{m.model} at step {m.step} of {m.steps}", 17, "ink", "start",
                   bold=True)  # fmt: skip
        facts = [m.about, f"epoch {m.epoch}", m.optimizer]
        if m.loss is not None:
            facts.append(f"loss {m.loss:.4g}")
        if m.norm is not None:
            facts.append(f"gradient {m.norm:.3g}, rate {m.rate:.3g}")
        sheet.text((_PAD, 50), " · ".join(f for f in facts if f), 10, "soft", "start")
        said = " · ".join(x for x in (m.sample, m.place, m.answer, *m.notes) if x)
        sheet.text((_PAD, 68), said, 10, "soft", "start")
        self._curve(max(sheet.width - 270, 560.0))

    def _curve(self, left: float) -> None:
        """The loss along the run, and where on it this picture is."""
        points = [(s, x) for s, x in self.curve if math.isfinite(x) and x > 0]
        if len(points) < 2:
            return
        sheet = self.sheet
        width, top, bottom = 240.0, 22.0, 66.0
        low, high = min(x for _, x in points), max(x for _, x in points)
        last = max(s for s, _ in points) or 1

        def at(step: float, loss: float) -> Point:
            share = math.log(loss / low) / (math.log(high / low) or 1.0)
            return left + width * step / last, bottom - (bottom - top) * share

        sheet.line(((left, bottom + 4), (left + width, bottom + 4)), "faint", 1)
        sheet.line([at(s, x) for s, x in points], "loop", 1.2)
        now = min(points, key=lambda p: abs(p[0] - self.m.step))
        x, y = at(self.m.step, now[1])
        sheet.line(((x, top - 4), (x, bottom + 4)), "soft", 0.8)
        sheet.dot((x, y), 3.4, "loop")
        sheet.text((left, bottom + 14), f"loss {low:.2g} … {high:.2g} (log)", 8, "soft", "start")
        sheet.text((left + width, bottom + 14), f"step {last}", 8, "soft", "end")
        sheet.width = max(sheet.width, left + width)

    def _legend(self, y: float) -> None:
        sheet, x = self.sheet, _PAD
        start = x

        def word(text: str, gap: float = 20) -> None:
            nonlocal x
            sheet.text((x, y + 3.5), text, 8.5, "soft", "start")
            x += 5.0 * len(text) + gap
            if x > sheet.width - 240:
                turn()

        def turn() -> None:
            nonlocal x, y
            if x > start:
                x, y = start, y + 20

        for role, text in (("net", "angle from a layer"), ("loop", "trained itself"),
                           ("data", "from data"), ("read", "from a readout"),
                           ("fixed", "fixed")):  # fmt: skip
            sheet.dot((x + 6, y), 6, role)
            sheet.dot((x + 6, y), 4.8, "ground")
            sheet.line(((x + 6, y), (x + 9, y - 3)), role, 1.5)
            x += 16
            word(text)
        turn()
        sheet.line([(x + k, y + 2.4 * math.sin(k / 2)) for k in range(27)], "made", 2.2)
        x += 32
        word(f"entanglement made, widest {max(self.scale.made, LEAST):.2g} bits", 26)
        sheet.line([(x + k, y + 2.4 * math.sin(k / 2)) for k in range(27)], "undone", 2.2, True)
        x += 32
        word("undone")
        sheet.box(x, y - 2.5, 26, 5, "made")
        x += 32
        word("entropy of a qubit at the end, 0 … 1 bit")
        turn()
        for k in range(30):
            sheet.box(x + 2 * k, y - 4, 2.2, 8, heat(k / 29))
        x += 66
        word("a layer's activations, from low to high as written above it")
        sheet.line(((x, y), (x + 22, y)), "net", 1.4)
        x += 27
        word("weight above 0", 14)
        sheet.line(((x, y), (x + 22, y)), "against", 1.4)
        x += 27
        word("below 0", 20)
        sheet.arrow(((x, y), (x + 26, y)), "loop", 2)
        x += 32
        word("the update: gradients flowing back, width by size")
        sheet.height = max(sheet.height, y + 20)

    # --- between the parts ----------------------------------------------------------------------

    def _ribbons(self, sheet: Sheet, places: dict[str, Placed], spots: dict[str, Spot]) -> None:
        count: dict[str, int] = {}
        lowest = max([p.bottom for p in places.values()], default=0.0)
        for circuit, column in self.m.reads:
            placed, spot = places.get(circuit), spots.get(column)
            k = count.get(circuit, 0)
            count[circuit] = k + 1
            if placed is None or spot is None or k >= len(placed.reads):
                continue
            x, y = placed.reads[k]
            role = "read" if placed.bottom >= lowest - 20 else "pale_read"
            sheet.arrow(self._into(x, y, spot, spots), role, 1.8, 7)
        for column, circuit in self.m.steers:
            placed, spot = places.get(circuit), spots.get(column)
            if placed is None or spot is None:
                continue
            name = self._of(column).name.removesuffix(BEFORE)
            xs = placed.steered.get(name) or placed.steered.get(name.rpartition(".")[0])
            x = sum(xs) / len(xs) if xs else (placed.left + placed.right) / 2
            y1, y2 = spot.top - 28, placed.bottom - 4
            role = {"input": "data", "read": "read"}.get(self._of(column).kind, "net")
            if any(column == target for _, target in self.m.carried):
                role = "net"  # a layer's numbers, a moment ago
            if placed.bottom < lowest - 20:
                role = "pale_read" if role == "read" else "pale_net"
            way = bezier(
                (spot.middle, y1), (spot.middle, (y1 + y2) / 2), (x, (y1 + y2) / 2), (x, y2)
            )
            if self._stacked(spot, spots, above=True):
                way = self._past(spot, spots, (x, y2))
            sheet.arrow(way, role, 1.8, 7)

    def _past(self, spot: Spot, spots: dict[str, Spot], end: Point) -> list[Point]:
        """Out of a column to the left, past what stands above it, and up."""
        pile = [s for s in spots.values() if _overlap(s, spot) and s.top <= spot.top]
        x, y = min(s.edge for s in pile) - 7, (spot.top + spot.bottom) / 2
        top = min(s.top for s in pile) - 34
        out = bezier((spot.left - 8, y), (x + 4, y), (x, y - 4), (x, y - 16), 8)
        half = (top + end[1]) / 2
        return [*out, *bezier((x, top), (x, half), (end[0], half), end)]

    def _carried(self, spots: dict[str, Spot], bottom: float) -> float:
        """What goes on into the next moment: below the net, back to where it comes in."""
        y = bottom
        for source, target in self.m.carried:
            a, b = spots.get(source), spots.get(target)
            if a is None or b is None or a is b:
                continue
            y += 12
            start, end = (a.right + 9, a.bottom - 4), (b.left - 9, b.bottom - 4)
            self.sheet.line((start, (start[0] + 6, start[1] + 6), (start[0] + 6, y),
                             (end[0] - 6, y)), "net", 1.0, True)  # fmt: skip
            self.sheet.arrow(((end[0] - 6, y), (end[0] - 6, end[1] + 6), end), "net", 1.0, 6)
            if y == bottom + 12:
                self.sheet.text((end[0], y - 3), "into the next moment", 7.5, "net", "start")
        return y

    def _stacked(self, spot: Spot, spots: dict[str, Spot], above: bool) -> bool:
        """Whether another column stands above it, or below."""
        return any(
            (s.bottom < spot.top if above else s.top > spot.bottom) and _overlap(s, spot)
            for s in spots.values()
        )

    def _into(self, x: float, y: float, spot: Spot, spots: dict[str, Spot]) -> list[Point]:
        """Into a column from above; from the side, if another one stands above it."""
        if self._stacked(spot, spots, above=True):
            centre = (spot.top + spot.bottom) / 2
            end = (spot.left - 8, centre)
            return bezier((x, y), (x, y + 60), (end[0] - 70, centre - 40), end)
        y2 = spot.top - 28
        return bezier((x, y), (x, (y + y2) / 2), (spot.middle, (y + y2) / 2), (spot.middle, y2))

    def _of(self, key: str) -> Column:
        return next(c for c in self.m.columns if c.key == key)

    def _loop(self, places: dict[str, Placed], spots: dict[str, Spot], y: float) -> float:
        """From the answer to the loss, and back to all that is trained."""
        sheet, m = self.sheet, self.m
        outputs = [c for c in m.columns if c.kind == "output" and c.key in spots]
        right = max([s.right for s in spots.values()], default=_PAD + 160) + 64
        source = spots[outputs[-1].key] if outputs else None
        centre = (source.top + source.bottom) / 2 if source else y - 40
        if source:
            sheet.line(bezier((source.right + 4, centre), (source.right + 24, centre),
                              (right - 46, centre), (right - 20, centre)), "loop", 1.6)  # fmt: skip
        sheet.dot((right + 8, centre), 27, "loop")
        sheet.dot((right + 8, centre), 25, "ground")
        sheet.text((right + 8, centre - 2), "loss", 9, "loop", bold=True)
        sheet.text((right + 8, centre + 10), "?" if m.loss is None else f"{m.loss:.3g}", 9, "ink")
        trained = [(c, spots[c.key]) for c in m.columns if c.slope is not None and c.key in spots]
        circuits = [p for p in places.values() if p.trained]
        known = m.norm is not None
        left = _PAD + 6 if circuits else min([s.middle for _, s in trained], default=right) - 10
        down = [(right + 8, centre + 27), (right + 8, y - 12), (right - 4, y)]
        sheet.line((*down, (left + (12 if circuits else 0), y)), "loop", 1.6, not known)
        said = f"{m.optimizer} updates {self._trained()}" if known else "no gradient at this step"
        sheet.text((right - 16, y + 13), said, 8.5, "loop", "end")
        for c, spot in trained:
            share = self._share(c.slope or 0.0)
            x, way = spot.middle, [(spot.middle, y), (spot.middle, spot.bottom + 12)]
            if self._stacked(spot, spots, above=False):
                x, centre = spot.left - 22, (spot.top + spot.bottom) / 2
                way = [(x, y), (x, centre), (spot.left - 6, centre)]
            sheet.arrow(way, "loop", 0.8 + 3.2 * share, 7 + 2 * share)
            sheet.text((x + 6, y - 6), f"∇ {c.slope:.2g}" if known else "∇ ?", 8, "loop", "start")
        if circuits:
            first = min(p.top for p in circuits) + 40
            sheet.line(((left + 12, y), (left, y - 12), (left, first)), "loop", 1.6, not known)
            for p in circuits:
                at = (p.top + p.bottom) / 2 + 8
                sheet.arrow(((left, at), (left + 20, at)), "loop", 2, 8)
        sheet.height = max(sheet.height, y + 18)
        return y + 8

    def _share(self, slope: float) -> float:
        return math.sqrt(min(slope / self.scale.norm, 1.0)) if self.scale.norm > 0 else 0.0

    def _trained(self) -> str:
        norm = "" if self.m.norm is None else f", |∇| = {self.m.norm:.3g}"
        return f"every trained number{norm}"


def _overlap(a: Spot, b: Spot) -> bool:
    """Whether one stands above the other."""
    return a.left < b.right + 20 and a.right > b.left - 20
