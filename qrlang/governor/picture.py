"""The sky as a picture: three bands, each with what is calm and where the run is."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from qrlang.governor.sky import Band
from qrlang.plot.shapes import Area, Dot, Line, Picture, Shape, Text
from qrlang.training.curves import save_picture
from qrlang.training.run import Run

_CALM, _RESTLESS, _PALE, _LINE, _QUIET = "#0072B2", "#D55E00", "#d9e8f2", "#57606a", "#eceff2"
_LEFT, _WIDE, _HIGH = 84.0, 380.0, 46.0


def draw(run: Run, found: Sequence[Band]) -> None:
    about = run.about()
    verdict = "calm" if all(b.calm for b in found) else "not calm"
    shapes: list[Shape] = [
        Text((12, 16), f"{about['model']}: the sky before the run is {verdict}", "start", 10,
             bold=True)
    ]  # fmt: skip
    for k, band in enumerate(found):
        shapes += _band(band, 36 + k * (_HIGH + 18))
    height = 36 + len(found) * (_HIGH + 18) + 4
    picture = Picture(_LEFT + _WIDE + 24, height, tuple(shapes), f"{about['model']}: the sky")
    save_picture(run.folder / "sky", picture)


def _band(band: Band, top: float) -> Iterator[Shape]:
    """From nothing to twice the bound, or so far as the value lies; further than ten times the
    bound the scale is logarithmic."""
    far = max(2 * band.bound, 1.15 * band.value, 1e-9)
    wide = math.isfinite(far) and band.bound > 0 and far > 10 * band.bound
    if not math.isfinite(far):
        far = 2 * band.bound or 1.0

    def place(value: float) -> float:
        if wide:
            value, end = math.log1p(9 * value / band.bound), math.log1p(9 * far / band.bound)
        else:
            end = far
        return _LEFT + _WIDE * min(max(value / end, 0.0), 1.0)

    y0, y1 = top + 14, top + 28
    yield Area(_box(_LEFT, _LEFT + _WIDE, y0, y1), _QUIET)
    limit = place(band.bound)
    calm = (limit, _LEFT + _WIDE) if band.least else (_LEFT, limit)
    yield Area(_box(*calm, y0, y1), _PALE)
    yield Line(((limit, y0 - 3), (limit, y1 + 3)), _LINE, 1.0)
    side = "least" if band.least else "most"
    yield Text((limit, y0 - 6), f"at {side} {band.bound:g}", "middle", 7.5, _LINE)
    at = place(band.value if math.isfinite(band.value) else far)
    colour = _CALM if band.calm else _RESTLESS
    yield Dot((at, (y0 + y1) / 2), colour, 4.4)
    yield Text((_LEFT - 8, y1 - 4), band.name, "end", 9, bold=True)
    yield Text((_LEFT, y1 + 12), band.means, "start", 8, colour if not band.calm else _LINE)


def _box(x0: float, x1: float, y0: float, y1: float) -> tuple[tuple[float, float], ...]:
    return ((x0, y0), (x1, y0), (x1, y1), (x0, y1))
