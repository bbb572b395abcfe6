"""One long series in a table: windows of it, what comes later, and splits of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_tools import label, ports, whole

from qrlang.cli.main import run as qrlc
from qrlang.ir.types import Type, real, seq
from qrlang.training.data import DataError, open_data

ONCE, ALWAYS = (seq(real(1)), real(1)), (seq(real(1)), seq(real(1)))


def table(folder: Path, names: str, *columns: Any) -> Path:
    rows = [",".join(map(str, row)) for row in zip(*columns, strict=True)]
    path = folder / "series.csv"
    path.write_text("\n".join([*([names] if names else []), *rows]) + "\n")
    return path


def opened(path: Path, types: tuple[Type, ...], **arguments: Any) -> Any:
    return open_data("csv", {"path": str(path), **arguments}, ports(*types))


def test_windows_that_never_reach_into_another_split(tmp_path: Path) -> None:
    x = np.arange(100)
    data = opened(table(tmp_path, "x,y", x, x + 1000), ONCE, window=4)
    assert [data.count(s) for s in ("train", "validation", "test")] == [67, 7, 17]
    for split, begin in (("train", 0), ("validation", 70), ("test", 80)):
        given, wanted = whole(data, split)
        first = begin + np.arange(len(given))
        assert np.array_equal(given[:, :, 0], first[:, None] + np.arange(4))
        assert np.array_equal(wanted[:, 0], first + 3 + 1000)


@pytest.mark.parametrize("names", ["x", ""])
@pytest.mark.parametrize("ahead", [1, 3])
def test_a_series_against_itself(tmp_path: Path, names: str, ahead: int) -> None:
    x = np.arange(100)
    once = opened(table(tmp_path, names, x), ONCE, window=5, ahead=ahead)
    given, wanted = whole(once, "test")
    assert np.array_equal(wanted[:, 0], given[:, -1, 0] + ahead)
    always = opened(table(tmp_path, names, x), ALWAYS, ahead=ahead)
    given, wanted = whole(always, "test")
    assert np.array_equal(wanted, given + ahead)


def test_a_column_of_its_own_is_what_comes_later(tmp_path: Path) -> None:
    x = np.arange(60)
    path = table(tmp_path, "when,y,x", x + 5000, -x, x)
    given, wanted = whole(opened(path, ONCE, window=2, ahead=2), "train")
    assert np.array_equal(wanted[:, 0], -(given[:, -1, 0] + 2))
    up = table(tmp_path, "x,y", x, np.where(x % 3, "up", "down"))
    given, wanted = whole(opened(up, (seq(real(1)), label(2)), window=2, ahead=1), "train")
    assert np.array_equal(wanted, ((given[:, -1, 0] + 1) % 3 > 0).astype(int))


def test_splits_of_ones_own(tmp_path: Path) -> None:
    x = np.arange(60)
    words = ["train"] * 30 + ["valid"] * 10 + ["test"] * 20
    path = table(tmp_path, "x,split", x, words)
    data = opened(path, ALWAYS, ahead=1)
    assert [data.count(s) for s in ("train", "validation", "test")] == [30, 10, 19]
    data = opened(table(tmp_path, "x,split", x, [*words[:30], *["train"] * 10, *words[40:]]),
                  ALWAYS, ahead=1)  # fmt: skip
    assert [data.count(s) for s in ("train", "validation", "test")] == [36, 4, 19]
    first = next(iter(data.batches("validation", 1)))
    assert first.arrays[0][first.counted][0, 0] == 36  # the end of what was to train


@pytest.mark.parametrize(
    ("names", "types", "arguments", "what"),
    [
        ("x,y", (real(1), real(1)), {"window": 3}, "`window` is of one long series"),
        ("x,y", ONCE, {"ahead": 3}, "`ahead` is of one long series"),
        ("x,y", ALWAYS, {"window": 3}, "`window` is for models that answer once"),
        ("x,y", ONCE, {"window": 3, "ahead": 99}, "`ahead: 99` is longer than the series"),
        ("x,q", (seq(real(1)), real(2)), {"window": 3, "ahead": 1}, "no column for `target y"),
        ("x,sequence", ALWAYS, {"ahead": 1}, "`ahead` is of one long series"),
        ("x,split", ALWAYS, {"ahead": 1}, "the split is '0.0'"),
    ],
)
def test_what_does_not_fit(
    tmp_path: Path, names: str, types: tuple[Type, ...], arguments: dict[str, Any], what: str
) -> None:
    path = table(tmp_path, names, np.arange(20.0), np.zeros(20))
    with pytest.raises(DataError) as found:
        opened(path, types, **arguments)
    assert what in str(found.value)


def test_a_split_that_comes_twice(tmp_path: Path) -> None:
    words = ["train", "test"] * 10
    with pytest.raises(DataError, match="not one stretch of time"):
        opened(table(tmp_path, "x,split", np.arange(20), words), ALWAYS, ahead=1)


MODEL = """\
model Line(window: int = 3) {
  input  x: seq[real[1]]
  target y: real[1]
  carry  past: real[window] = 0
  layer  head = linear(1, gain: 1)
  step x_t in x { past <- push(past, x_t[0]) }
  return head(past)
}

train Line {
  data      = csv(path: "series.csv", window: 3, ahead: 1, scale: true)
  loss      = mse
  optimizer = ridge(alpha: 0)
}
"""


def test_a_run_answers_new_moments_window_by_window(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    t = np.arange(80)
    x = 200 + 50 * np.sin(0.3 * t)
    path = table(tmp_path, "x", x.tolist())
    (tmp_path / "line.qrl").write_text(MODEL)
    run = tmp_path / "run"
    assert qrlc(["train", str(tmp_path / "line.qrl"), "--out", str(run)]) == 0
    path.write_text("\n".join(["x", *map(str, x[:10].tolist())]) + "\n")
    capsys.readouterr()
    assert qrlc(["predict", str(run), str(path)]) == 0
    rows = [line.split(",") for line in capsys.readouterr().out.split()]
    assert rows[0] == ["record", "y"] and len(rows) == 9
    found = [float(r[1]) for r in rows[1:]]
    assert np.allclose(found, x[3:11], atol=0.01)  # a sine is a line through its last values
