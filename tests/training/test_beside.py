"""The picture of what a model answered beside what was true."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("safetensors")

from qrlang.cli.main import run as qrlc
from qrlang.training import beside
from qrlang.training.asked.trained import opened

ONCE = """\
model Once(window: int = 3) {
  input  x: seq[real[1]]
  target y: real[1]
  carry  past: real[window] = 0
  layer  head = linear(1, gain: 1)
  step x_t in x { past <- push(past, x_t[0]) }
  return head(past)
}
train Once { data = csv(path: "s.csv", ahead: 1, window: 3, scale: true)  optimizer = ridge }
"""
ALWAYS = """\
model Always {
  input  x: seq[real[2]]
  target y: seq[real[2]]
  layer  head = linear(2, gain: 1)
  step x_t in x { emit head(x_t) }
}
train Always { data = csv(path: "s.csv", ahead: 1, scale: true)  optimizer = ridge(washout: 10) }
"""
POINTS = """\
model Points {
  input  x: real[2]
  target y: real[1]
  layer  head = linear(1, gain: 1)
  return head(x)
}
train Points { data = "s.csv"  optimizer = ridge }
"""
LABELS = POINTS.replace("y: real[1]", "y: class[2]").replace("linear(1, ", "linear(2, ")


def trained(folder: Path, program: str, columns: int, count: int) -> Path:
    t = np.arange(count)
    rows = np.stack([100 + 7 * np.sin(0.2 * t + k) for k in range(columns)], 1)
    if program in (POINTS, LABELS):
        rows = np.random.default_rng(0).uniform(-1, 1, rows.shape)
    if program == LABELS:
        rows[:, -1] = rows[:, -1] > 0
    names = "x,y"
    if columns > 1:
        names = "x[0],x[1]" if columns == 2 else "x[0],x[1],y"
    body = [",".join(f"{v:g}" if v in (0, 1) else repr(float(v)) for v in row) for row in rows]
    head = names if columns > 1 else "x"
    (folder / "s.csv").write_text("\n".join([head, *body]) + "\n")
    (folder / "m.qrl").write_text(program)
    run = folder / "run"
    assert qrlc(["train", str(folder / "m.qrl"), "--out", str(run)]) == 0
    return run


def words(run: Path) -> list[str]:
    return re.findall(r">([^<>\n]+)</text>", (run / "answers.svg").read_text())


def test_a_series_over_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = trained(tmp_path, ONCE, 1, 400)
    assert f"answers in {run / 'answers.svg'}" in capsys.readouterr().out
    said = words(run)
    assert {"truth", "answer", "moment", "y", "78 moments of the test split"} <= {*said}
    assert {"95", "100", "105"} <= {*said}  # in the units of the data
    # What is drawn is what the model says of the same moments.
    moments = (tmp_path / "s.csv").read_text().split()[1:]
    (tmp_path / "new.csv").write_text("\n".join(["x", *moments[319:]]))
    assert qrlc(["predict", str(run), str(tmp_path / "new.csv")]) == 0
    answers = [float(x.split(",")[1]) for x in capsys.readouterr().out.split()[1:]]
    made = opened(str(run))
    objective, feed = made.objective, made.feed(None)
    tally = objective.evaluate(feed, "test", 10, keep=True)
    assert tally.kept is not None and len(tally.kept) == 78
    scale = feed.data.scale["y"]
    kept = [float(a[0, 0] * scale[1][0] + scale[0][0]) for a, _ in tally.kept]
    np.testing.assert_allclose(kept, answers[: len(kept)], rtol=1e-6)
    assert beside.draw(tmp_path, "", objective.evaluate(feed, "test", 10), feed, "test") == []


def test_two_numbers_a_moment_and_only_the_first(tmp_path: Path) -> None:
    said = words(trained(tmp_path, ALWAYS, 2, 2000))
    assert {"y[0]", "y[1]", "the first 300 moments of the test split"} <= {*said}


def test_records_that_are_no_series_are_points(tmp_path: Path) -> None:
    said = words(trained(tmp_path, POINTS, 3, 60))
    assert {"y, true", "y, answered", "12 records of the test split"} <= {*said}


def test_nothing_is_drawn_of_classes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = trained(tmp_path, LABELS, 3, 60)
    assert not (run / "answers.svg").exists()
    assert "answers in" not in capsys.readouterr().out


def test_what_may_fade_is_not_drawn(tmp_path: Path) -> None:
    (tmp_path / "s.csv.rights.toml").write_text('source = "points"\n')
    assert not (trained(tmp_path, POINTS, 3, 60) / "answers.svg").exists()
