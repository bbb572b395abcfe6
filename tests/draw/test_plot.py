"""Axes end at round numbers and hold everything; a chart is the same in both forms."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from qrlang.plot import Chart, Panel, Series, to_svg
from qrlang.plot.axes import axis
from qrlang.plot.png import to_png
from qrlang.plot.shapes import Line, Picture, Text


@pytest.mark.parametrize(
    "values", [[0.1, 0.93], [3.0], [0.0, 0.0], [-5, 12000], [1e-7, 2e-7], [99.1, 99.2], []]
)
def test_an_axis_holds_its_values(values: list[float]) -> None:
    a = axis(values)
    assert all(a.low - 1e-9 <= v <= a.high + 1e-9 for v in values)
    assert 2 <= len(a.ticks) <= 9
    assert len({text for _, text in a.ticks}) == len(a.ticks)
    for value, text in a.ticks:
        assert float(text) == pytest.approx(value, abs=1e-6 * (a.high - a.low) + 1e-9)


def test_a_log_axis() -> None:
    a = axis([0.03, 4.0], log=True)
    assert a.log and a.low <= 0.03 and a.high >= 4
    assert a.share(a.low) == 0 and a.share(a.high) == pytest.approx(1)
    assert a.share(math.sqrt(a.low * a.high)) == pytest.approx(0.5)
    assert not axis([0.0, math.nan], log=True).log


def chart() -> Chart:
    xs = list(range(1, 6))
    one = Series("ours & theirs", xs, [x * x for x in xs], [1.0] * 5)
    two = Series("dashed", xs, xs, colour=1, dashed=True)
    dots = Series("dots", [100.0], [3.0], [0.5], colour=2, points=True)
    return Chart("A title", [Panel("epoch", "loss", [one, two]), Panel("n", "loss", [dots])],
                 note="a note")  # fmt: skip


def test_svg_has_every_point_where_it_belongs() -> None:
    picture = chart().picture()
    root = ET.fromstring(to_svg(picture))
    space = "{http://www.w3.org/2000/svg}"
    words = [e.text for e in root.iter(f"{space}text")]
    assert {"A title", "a note", "epoch", "ours & theirs", "dashed"} <= set(words)
    curve = next(s for s in picture.shapes if isinstance(s, Line) and len(s.points) == 5)
    heights = [y for _, y in curve.points]
    steps = -np.diff(heights)
    np.testing.assert_allclose(steps / steps[0], [1, 5 / 3, 7 / 3, 3], rtol=1e-9)
    for shape in picture.shapes:
        for x, y in getattr(shape, "points", ()) or (shape.at,):  # type: ignore[union-attr]
            assert 0 <= x <= picture.width and 0 <= y <= picture.height


def test_powers_of_ten_are_as_far_apart_on_a_logarithmic_x() -> None:
    curve = Series("", [100, 1000, 10000, 100000], [1.0, 2.0, 3.0, 3.5], [0.1] * 4)
    picture = Chart("", [Panel("shots", "accuracy", [curve], log_x=True)]).picture()
    line = next(s for s in picture.shapes if isinstance(s, Line) and len(s.points) == 4)
    steps = np.diff([x for x, _ in line.points])
    assert steps[0] > 0 and steps == pytest.approx(steps[0])
    assert {"100", "1000", "10000"} <= {s.text for s in picture.shapes if isinstance(s, Text)}


def test_png_is_a_picture_of_the_same_size() -> None:
    image = pytest.importorskip("PIL.Image")
    import io

    data = to_png(chart().picture())
    assert data is not None
    with image.open(io.BytesIO(data)) as png:
        assert png.size == (1800, (210 + 18) * 3)
        pixels = np.asarray(png.convert("RGB")).reshape(-1, 3)
    colours = {tuple(int(c) for c in p) for p in np.unique(pixels, axis=0)}
    assert (255, 255, 255) in colours and (0, 0x72, 0xB2) in colours


@pytest.mark.parametrize(("title", "count"), [("", 1), ("", 12), ("a title", 2), ("a title", 7)])
def test_a_legend_has_room_and_reads_from_the_top(title: str, count: int) -> None:
    series = [Series(f"{'a long name ' * 3}{k}", [0, 1], [k, 1], colour=k) for k in range(count)]
    picture = Chart(title, [Panel("x", "y", series)]).picture()
    ys = [s.at[1] for s in picture.shapes if isinstance(s, Text) and "long name" in s.text]
    assert len(ys) == (count if count > 1 else 0) and ys == sorted(ys)
    assert all(y >= (21 if title else 10) for y in ys)  # below the title, which stands at 12


def test_signs_that_pillows_own_font_lacks_are_written_otherwise() -> None:
    """A minus is no empty box."""

    def drawn(text: str) -> bytes | None:
        return to_png(Picture(80, 20, (Text((4, 14), text, "start", 9),), ""))

    assert drawn("by −0.57 ½") == drawn("by -0.57 1/2")
