"""The strip: steps from left to right; readouts, fringes, activations, loss from above."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from qrlang.draw.ink import Sheet, to_svg
from qrlang.plot.shapes import Point
from qrlang.scar import raster
from qrlang.scar.account import account
from qrlang.scar.facts import STILL, Facts
from qrlang.system.files import write_atomically
from qrlang.trace.layout import Array
from qrlang.training.feed import Feed
from qrlang.training.progress import number

LEFT, RIGHT, WIDE = 150.0, 118.0, 960.0
COLUMNS = 240  # of a field of colours
LANES = 16  # readouts that have one
FRINGES = 64  # basis states
UNITS = 128  # of all layers


def write(path: str | Path, feed: Feed | None = None, data_dir: str | None = None) -> list[Path]:
    """`scar.svg` and `scar.txt` of a run. `feed`: its data, where it is open already."""
    facts = Facts(path, feed, data_dir)
    picture, words = strip(facts)
    written = [facts.run.folder / "scar.svg", facts.run.folder / "scar.txt"]
    for file, text in zip(written, (picture, words), strict=True):
        write_atomically(file, text)
    return written


def strip(facts: Facts) -> tuple[str, str]:
    """The picture, and the account."""
    return _Strip(facts).draw(), account(facts)


class _Strip:
    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.sheet = Sheet(LEFT + WIDE + RIGHT, 0)
        self.images: list[str] = []
        self.last = max(facts.last_step, 1)
        self.steps = [r.step for r in facts.records]

    def draw(self) -> str:
        facts = self.facts
        words = account(facts)
        title = str(facts.about["model"])
        sizes = ", ".join(f"{k} = {v}" for k, v in dict(facts.about["parameters"]).items())
        core = "" if facts.settings.core == "pqc" else f"{facts.settings.core} core"
        said = " · ".join(x for x in (sizes, core, f"seed {facts.settings.seed}") if x)
        self.sheet.text((16, 26), title, 15, "ink", "start", bold=True)
        self.sheet.text((LEFT, 26), said, 10, "soft", "start")
        self.sheet.text((LEFT + WIDE, 26), self._score(), 10, "ink", "end")
        y = 44.0
        if facts.looks is not None and facts.looks.origin:
            self.sheet.text((LEFT, 40), f"above the loss: {facts.looks.origin}, seen afterwards", 8,
                            "soft", "start")  # fmt: skip
            y += 10
        for row in (self._readouts, self._fringes, self._activations, self._losses):
            y = row(y) + 12
        self._axis(y - 6)
        self.sheet.height = y + 26
        return to_svg(self.sheet, f"The scar of {title}", words.replace("\n", " ").strip(),
                      "\n".join(self.images))  # fmt: skip

    def _score(self) -> str:
        result, metric = self.facts.result, self.facts.settings.metric
        one = result.get("figures", {}).get(metric)
        if not one or one["value"] is None:
            return "not finished" if not result else ""
        return f"{result['split']} {metric} {number(metric, float(one['value']))}"

    def x(self, step: float) -> float:
        return LEFT + WIDE * step / self.last

    # --- rows -----------------------------------------------------------------------------------

    def _name(self, y: float, name: str, *more: str) -> None:
        self.sheet.text((16, y + 11), name, 10.5, "ink", "start", bold=True)
        for k, line in enumerate(more):
            self.sheet.text((16, y + 24 + 11 * k), line, 8, "soft", "start")

    def _missing(self, y: float, name: str, why: str) -> float:
        self._name(y, name)
        self.sheet.box(LEFT, y, WIDE, 18, "panel")
        self.sheet.text((LEFT + 8, y + 12.5), f"missing: {why}", 9, "soft", "start")
        return y + 20

    def _why(self, what: str) -> str:
        if self.facts.looks is None:
            return self.facts.why
        if not self.facts.kept:
            return "the samples that were watched were to be forgotten"
        return f"the model has no {what}"

    def _readouts(self, y: float) -> float:
        z = self.facts.readouts
        if z is None:
            return self._missing(y, "readouts", self._why("readouts"))
        count = min(z.mean.shape[1], LANES)
        lane = min(36.0, max(15.0, 168.0 / count))
        mean, band = z.mean, z.band
        shots = f" and {z.shots} shots" if z.shots and z.shot is not None else ""
        low, high = float((mean - band).min()), float((mean + band).max())
        if high - low < STILL:  # what lies between is rounding
            middle = round((low + high) / 2, 4)
            low, high = middle - STILL / 2, middle + STILL / 2
        self._name(y, "readouts", f"{z.name}: mean and deviation", f"of {z.every.shape[1]} samples"
                   f"{shots}", f"lanes from {low:.2g} to {high:.2g}")  # fmt: skip
        if z.mean.shape[1] > count:
            self.sheet.text((16, y + 57), f"first {count} of {z.mean.shape[1]}", 8, "soft", "start")
        span = high - low
        for k in range(count):
            top = y + k * lane

            def place(step: int, value: float, top: float = top) -> Point:
                share = min(max((value - low) / span, 0.0), 1.0)
                return self.x(step), top + (lane - 2) * (1 - share) + 0.5

            self.sheet.box(LEFT, top, WIDE, lane - 1.5, "panel")
            rows = list(zip(self.steps, mean[:, k], band[:, k], strict=True))
            above = [place(s, float(m + d)) for s, m, d in rows]
            below = [place(s, float(m - d)) for s, m, d in reversed(rows)]
            if len(rows) > 1:
                self.sheet.area((*above, *below), "pale_read")
            if low < 0 < high:
                self.sheet.line((place(0, 0.0), place(self.last, 0.0)), "faint", 0.8)
            means = [place(s, float(m)) for s, m, _ in rows]
            self.sheet.line(means if len(means) > 1 else means * 2, "read", 1.3)
            for p in means if len(means) <= 8 else ():
                self.sheet.dot(p, 2.0, "read")
            self.sheet.text((LEFT + WIDE + 6, top + lane / 2 + 2), f"{k}: {mean[-1, k]:+z.2f}", 8,
                            "soft", "start")  # fmt: skip
        return float(y + count * lane)

    def _fringes(self, y: float) -> float:
        found = self.facts.amplitudes
        if found is None:
            return self._missing(y, "interference", self._why("qubits"))
        rows = folded(found, FRINGES)
        height = min(168.0, max(64.0, 5.0 * rows.shape[1]))
        self._name(y, "interference", "hue: phase", "lightness: probability",
                   f"{self.facts.state_name}, first sample")  # fmt: skip
        self._field(raster.fringe(self._resampled(rows)).T, raster.fringes(), y, height,
                    "probabilities and phases over steps")  # fmt: skip
        bits = round(math.log2(rows.shape[1]))
        self.sheet.text((LEFT + WIDE + 6, y + 9), f"|{'0' * bits}⟩", 8, "soft", "start")
        self.sheet.text((LEFT + WIDE + 6, y + height - 2), f"|{'1' * bits}⟩", 8, "soft", "start")
        self._wheel(LEFT + WIDE + 40, y + height / 2)
        return float(y + height)

    def _wheel(self, x: float, y: float) -> None:
        """Which hue is which phase."""
        palette = raster.fringes()
        for k in range(raster.HUES):
            a, b = (2 * math.pi * (k + d) / raster.HUES for d in (-0.5, 0.5))
            colour = "#" + "".join(f"{v:02x}" for v in palette[k * raster.LEVELS + 8])
            self.sheet.area(((x, y), (x + 14 * math.cos(a), y - 14 * math.sin(a)),
                             (x + 14 * math.cos(b), y - 14 * math.sin(b))), colour)  # fmt: skip
        self.sheet.text((x + 18, y + 3), "0", 7.5, "soft", "start")
        self.sheet.text((x - 18, y + 3), "π", 7.5, "soft", "end")

    def _activations(self, y: float) -> float:
        found = self.facts.activations
        if found is None:
            return self._missing(y, "activations", self._why("layers"))
        names, table = found
        kept, widths = thinned(names, table)
        height = min(176.0, max(48.0, 2.6 * kept.shape[1]))
        self._name(y, "activations", "mean of the samples,", "0 … 1 as beside")
        cells = np.rint(255 * np.clip(self._resampled(kept), 0, 1)).astype(int)
        self._field(cells.T, raster.heats(), y, height, "activations over steps")
        at = y
        for (name, _), count in zip(names, widths, strict=True):
            tall = height * count / kept.shape[1]
            if tall > 9:
                self.sheet.text((LEFT + WIDE + 6, at + tall / 2 + 3), name, 8, "soft", "start")
            if at > y:
                self.sheet.line(((LEFT, at), (LEFT + WIDE, at)), "ground", 1)
            at += tall
        return float(y + height)

    def _losses(self, y: float) -> float:
        train, validation = self.facts.losses("train"), self.facts.losses("validation")
        if len(train) < 2 and self.facts.records:
            train = [(r.step, r.loss) for r in self.facts.records if r.loss is not None]
        values = [v for _, v in (*train, *validation) if math.isfinite(v)]
        if not values:
            return self._missing(y, "loss", "nothing was measured")
        height = 72.0
        log = min(values) > 0
        change: Callable[[float], float] = math.log if log else float
        low, high = change(min(values)), change(max(values))

        def place(step: int, value: float) -> Point:
            share = (change(value) - low) / (high - low) if high > low else 0.5
            return self.x(step), y + 4 + (height - 8) * (1 - share)

        self._name(y, "loss", self.facts.settings.loss[0] + (", log" if log else ""))
        self.sheet.text((16, y + 37), "training", 8, "loop", "start")
        self.sheet.text((16, y + 48), "validation" if validation else "", 8, "data", "start")
        self.sheet.box(LEFT, y, WIDE, height, "panel")
        for points, role in ((train, "loop"), (validation, "data")):
            at = [place(s, v) for s, v in points if math.isfinite(v)]
            if len(at) > 1:
                self.sheet.line(at, role, 1.5)
            for p in at if len(at) <= 40 else ():
                self.sheet.dot(p, 1.7, role)
        self.sheet.text((LEFT + WIDE + 6, y + 10), f"{max(values):.3g}", 8, "soft", "start")
        self.sheet.text((LEFT + WIDE + 6, y + height - 2), f"{min(values):.3g}", 8, "soft", "start")
        return float(y + height)

    # --- fields ---------------------------------------------------------------------------------

    def _field(
        self, cells: Array, palette: list[raster.Colour], y: float, height: float, label: str
    ) -> None:
        cells = np.repeat(cells, -(-64 // len(cells)), 0)  # so that no viewer blurs much of it
        self.images.append(raster.image(cells, palette, LEFT, y, WIDE, height, label))

    def _resampled(self, rows: Array) -> Array:
        """[columns, …]: at even steps, what the last record before says; of a few weights, the
        nearest."""
        at = np.array([self.last * (k + 0.5) / COLUMNS for k in range(COLUMNS)])
        steps = np.array(self.steps, float)
        if self.facts.looks is not None and self.facts.looks.sparse:
            steps[1:] = (steps[1:] + steps[:-1]) / 2
        index = np.searchsorted(steps, at, side="right") - 1
        return np.asarray(rows[np.clip(index, 0, len(rows) - 1)])

    def _axis(self, y: float) -> None:
        self.sheet.line(((LEFT, y), (LEFT + WIDE, y)), "faint", 0.8)
        step = _round(self.last / 8)
        for k in range(0, self.last + 1, step):
            self.sheet.line(((self.x(k), y), (self.x(k), y + 4)), "soft", 0.8)
            self.sheet.text((self.x(k), y + 15), str(k), 8, "soft")
        self.sheet.text((16, y + 15), "step", 9, "soft", "start")


def folded(amplitudes: Array, most: int) -> Array:
    """So many basis states at most: probabilities added up, the phase of the likeliest."""
    steps, size = amplitudes.shape
    if size <= most:
        return amplitudes
    parts = amplitudes.reshape(steps, most, -1)
    p = np.abs(parts) ** 2
    best = np.take_along_axis(parts, p.argmax(-1)[..., None], -1)[..., 0]
    phase = best / np.maximum(np.abs(best), 1e-300)
    return np.asarray(np.sqrt(p.sum(-1)) * phase)


def thinned(names: list[tuple[str, int]], table: Array) -> tuple[Array, list[int]]:
    """UNITS of all layers together, each in proportion; and how many of each."""
    total = table.shape[1]
    if total <= UNITS:
        return table, [w for _, w in names]
    picks: list[int] = []
    widths = []
    start = 0
    for _, width in names:
        count = min(width, max(1, round(UNITS * width / total)))
        picks += [start + k * width // count for k in range(count)]
        widths.append(count)
        start += width
    return table[:, picks], widths


def _round(x: float) -> int:
    power = 10 ** max(0, math.floor(math.log10(max(x, 1))))
    return int(next(f * power for f in (1, 2, 5, 10) if f * power >= x))
