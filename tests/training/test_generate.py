"""Models that go on by themselves, held against their modules asked anew from the beginning."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from training_tools import project  # noqa: E402

import qrlang  # noqa: E402
from qrlang.cli.main import run as qrlc  # noqa: E402
from qrlang.ir.types import Type  # noqa: E402
from qrlang.training.asked import horizon  # noqa: E402
from qrlang.training.asked.generate import _drawn  # noqa: E402
from qrlang.training.asked.trained import opened  # noqa: E402
from qrlang.training.data.columns import Dense, Ragged  # noqa: E402
from qrlang.training.data.foretold import Foretold, foretold  # noqa: E402
from qrlang.training.data.ports import Port  # noqa: E402
from qrlang.training.data.sources import Records, Stream  # noqa: E402

EACH = """\
use std.ansatz.su2_ring
use std.readout.each_z

model Series(n: int = 2) {
  input  x: seq[real[WIDTH]]
  target y: TARGET
  qubits     memory[n]
  readout    z     = each_z(memory)
  controller steer = mlp(8, relu)
  layer      head  = linear(WIDTH)
  step v in x {
    apply su2_ring(steer(v, read z)) to memory
    LAST
  }
  END
}

train Series {
  data   = DATA
  epochs = 2
  seed   = 1
  loss   = mse
}
"""


def written(folder: Path, data: str, width: int = 1, window: bool = False) -> Path:
    path = folder / "series.qrl"
    target = f"real[{width}]" if window else f"seq[real[{width}]]"
    path.write_text(
        EACH.replace("TARGET", target).replace("WIDTH", str(width)).replace("DATA", data)
        .replace("LAST", "" if window else "emit head(read z)")
        .replace("END", "return head(read z)" if window else "")
    )  # fmt: skip
    return path


def trained(path: Path, *more: object) -> Path:
    made = path.parent / "run"
    line = ["train", path, "--out", made, "--threads", 1, *more]
    assert qrlc([str(x) for x in line]) == 0
    return made


def said(capsys: Any, *line: object, code: int = 0) -> str:
    capsys.readouterr()
    assert qrlc([str(x) for x in line]) == code
    out = capsys.readouterr()
    return str(out.out if code == 0 else out.err)


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def asked(run: Path, x: Any) -> Any:
    with torch.no_grad():
        given = torch.tensor(x)
        return qrlang.load(run)(given.float() if given.is_floating_point() else given).numpy()


@pytest.mark.parametrize("ahead", [1, 3])
def test_moment_by_moment(tmp_path: Path, capsys: Any, ahead: int) -> None:
    """With a state that goes on it says what it says when shown all of it anew each time."""
    run = trained(written(tmp_path, f"mackey_glass(ahead: {ahead}, length: 200)"))
    known = np.sin(np.arange(30) / 3).astype(np.float32)
    (tmp_path / "known.csv").write_text("x\n" + "\n".join(map(str, known)) + "\n")
    found = rows(said(capsys, "generate", run, tmp_path / "known.csv", "--moments", 7))
    series = list(known)
    for _ in range(7):  # the moment after the last one was foretold `ahead` before it
        series.append(asked(run, np.array(series)[None, :, None])[0, len(series) - ahead, 0])
    assert [row["moment"] for row in found] == [str(k) for k in range(30, 37)]
    np.testing.assert_allclose([float(row["y"]) for row in found], series[30:], atol=2e-5)


def test_from_windows(tmp_path: Path, capsys: Any) -> None:
    data = "lorenz(length: 120, window: 5, ahead: 2)"
    run = trained(written(tmp_path, data, 3, window=True))
    scale = json.loads((run / "data.json").read_text())["scale"]
    shift, divisor = (np.array(scale["x"][k]) for k in ("shift", "divisor"))
    known = np.random.default_rng(0).normal(size=(9, 3)) * divisor + shift
    table = "\n".join(",".join(map(str, row)) for row in known.tolist())
    (tmp_path / "known.csv").write_text(table + "\n")
    found = rows(said(capsys, "generate", run, tmp_path / "known.csv", "--moments", 5))
    series = list((known - shift) / divisor)
    units = [np.array(scale["y"][k]) for k in ("shift", "divisor")]
    for _ in range(5):
        end = len(series) - 1  # foretold by the window that ends two moments before
        answer = asked(run, np.array(series[end - 5 : end])[None])[0] * units[1] + units[0]
        series.append((answer - shift) / divisor)
    numbers = [[float(row[f"y[{k}]"]) for k in range(3)] for row in found]
    np.testing.assert_allclose(numbers, np.array(series[9:]) * divisor + shift, rtol=1e-4)


def test_records_of_several_lengths_are_as_each_alone(tmp_path: Path, capsys: Any) -> None:
    run = trained(written(tmp_path, "mackey_glass(length: 200)"))
    lot = np.random.default_rng(2)
    parts = [lot.normal(size=n) for n in (4, 11, 1)]
    lines = [f"{k},{x}" for k, part in enumerate(parts) for x in part]
    (tmp_path / "all.csv").write_text("sequence,x\n" + "\n".join(lines) + "\n")
    together = rows(said(capsys, "generate", run, tmp_path / "all.csv", "--moments", 4))
    assert [row["moment"] for row in together[::4]] == ["4", "11", "1"]
    for k, part in enumerate(parts):
        (tmp_path / "one.csv").write_text("x\n" + "\n".join(map(str, part)) + "\n")
        alone = rows(said(capsys, "generate", run, tmp_path / "one.csv", "--moments", 4))
        mine = [float(row["y"]) for row in together if row["record"] == str(k)]
        np.testing.assert_allclose(mine, [float(row["y"]) for row in alone], atol=1e-5)


@pytest.mark.parametrize("window", [False, True])
def test_without_data_after_the_last_moment_of_the_test(
    tmp_path: Path, capsys: Any, window: bool
) -> None:
    """Also after those that are foretold in the test itself."""
    run = trained(written(tmp_path, "mackey_glass(ahead: 3, length: 200)", window=window))
    found = json.loads(said(capsys, "generate", run, "--moments", 3, "--format", "json"))
    source = opened(str(run)).feed(None).data.source("test")
    if window:
        x, y = source.take(np.arange(len(source))).arrays
        known = np.concatenate([x[0], x[1:, -1], y[-3:]])
        wanted = asked(run, np.stack([known[len(known) - k - 20 :][:20] for k in (2, 1, 0)]))
    else:
        known = np.concatenate([source.columns[0], source.columns[1][-3:]])
        wanted = asked(run, known.astype(np.float32)[None])[0, -3:]
    assert [row["moment"] for row in found] == [len(known) + k for k in range(3)]
    np.testing.assert_allclose([row["y"] for row in found], wanted[:, 0], atol=1e-5)


CLASSES = EACH.replace("seq[real[WIDTH]]", "seq[class[3]]").replace("linear(WIDTH)", "linear(3)")
CLASSES = CLASSES.replace("layer      head", "layer e = embedding(2)\n  layer      head")
CLASSES = CLASSES.replace("steer(v,", "steer(e(v),").replace("loss   = mse", "").replace("END", "")
CLASSES = CLASSES.replace("TARGET", "seq[class[3]]").replace("LAST", "emit head(read z)")


def test_classes_that_have_names_further_ahead_than_a_segment(tmp_path: Path, capsys: Any) -> None:
    kinds = np.random.default_rng(1).choice(["rain", "sun", "snow"], 700)
    (tmp_path / "sky.csv").write_text("sky\n" + "\n".join(kinds) + "\n")
    path = tmp_path / "sky.qrl"
    path.write_text(CLASSES.replace("DATA", 'csv(path: "sky.csv", columns: "sky", ahead: 80)'))
    run = trained(path)
    line = ["generate", run, tmp_path / "sky.csv", "--moments", 80, "--temperature", 0]
    names = sorted(set(kinds))
    last = np.array([names.index(k) for k in kinds[-80:]])
    wanted = [names[k] for k in asked(run, last[None])[0].argmax(-1)]
    assert [row["y"] for row in rows(said(capsys, *line))] == wanted


def test_a_picture_of_what_follows(tmp_path: Path, capsys: Any, text: Path) -> None:
    run = trained(written(tmp_path, "mackey_glass(length: 200)"))
    assert said(capsys, "generate", run, "--moments", 20, "--svg", tmp_path / "f.svg") == ""
    svg = (tmp_path / "f.svg").read_text()
    assert "Series" in svg and "stroke-dasharray" in svg  # what is known is drawn through
    lot = ["generate", run, "--moments", 2, "--svg", tmp_path / "f.svg", "-o", tmp_path / "f.csv"]
    assert said(capsys, *lot) == "" and len(rows((tmp_path / "f.csv").read_text())) == 2
    line = ["generate", text, "--prompt", "a", "--svg", tmp_path / "t.svg"]
    assert "nothing to draw" in said(capsys, *line, code=1)


WORDS = """\
use std.ansatz.su2_ring
use std.readout.each_z

model Words(n: int = 2, vocab: int = 5) {
  input  words: seq[token[vocab]]
  target next:  seq[token[vocab]]
  layer      embed  = embedding(4)
  qubits     memory[n]
  readout    z      = each_z(memory)
  controller steer  = mlp(8, relu)
  layer      head   = linear(vocab)
  step w in words {
    apply su2_ring(steer(embed(w), read z)) to memory
    emit head(read z)
  }
}
"""


@pytest.fixture(scope="module")
def text(tmp_path_factory: Any) -> Path:
    folder = tmp_path_factory.mktemp("text")
    lot = np.random.default_rng(0)
    lines = ["".join(lot.choice(list("abc "), 30)) for _ in range(60)]
    parts = {s: "\n".join(lines) + "\n" for s in ("train_text", "valid_text", "test_text")}
    np.savez(folder / "tinyshakespeare.npz",
             **{k: np.frombuffer(v.encode(), np.uint8) for k, v in parts.items()})  # fmt: skip
    path = folder / "words.qrl"
    path.write_text(WORDS)
    data = ["--data", "shakespeare(vocabulary: 5)", "--data-dir", folder, "--length", 16]
    return trained(path, *data, "--epochs", 1, "--lr", 0.05)


def likeliest(run: Path, prompt: str, count: int, span: int) -> str:
    """Each time from the beginning, and begun anew where a segment of the training would end."""
    symbols = json.loads((run / "data.json").read_text())["vocabularies"]["words"]["symbols"]
    tokens = [0, *(symbols.index(c) for c in prompt)][-span:]
    found = []
    model = qrlang.load(run)
    for _ in range(count):
        if len(tokens) > span:
            tokens = tokens[-span // 2 :]
        with torch.no_grad():
            scores = model(torch.tensor([tokens]))[0, -1]
        tokens.append(int(scores.argmax()))
        found.append(symbols[tokens[-1]])
    return prompt + "".join(found)


@pytest.mark.parametrize("prompt", ["", "ab", "abc" * 9])
def test_a_text_goes_on(text: Path, capsys: Any, prompt: str) -> None:
    line = ["generate", text, "--prompt", prompt, "--moments", 40, "--temperature", 0]
    assert said(capsys, *line) == likeliest(text, prompt, 40, 16) + "\n"


def test_what_is_drawn_depends_on_the_seed_alone(text: Path, tmp_path: Path, capsys: Any) -> None:
    line = ["generate", text, "--prompt", "a", "--moments", 30]
    first, again, other = (said(capsys, *line, "--seed", k) for k in (1, 1, 2))
    assert first == again != other
    (tmp_path / "new.csv").write_text('words\n"a"\n"b c"\n')
    found = rows(said(capsys, "generate", text, tmp_path / "new.csv", "--moments", 9))
    assert [(row["record"], len(row["next"])) for row in found] == [("0", 9), ("1", 9)]
    out = tmp_path / "out.txt"
    assert said(capsys, *line, "--seed", 1, "-o", out) == ""
    assert out.read_text() == first


def test_what_has_no_symbol_is_never_drawn() -> None:
    """A model may have room for more than its data had."""
    port = Port("y", Type("token", (), 5, True), True)
    for temperature in (0.0, 1.0):
        draw = _drawn(port, "cross_entropy", temperature, np.random.default_rng(0), 2)
        assert draw(np.tile([0.0, 1.0, 9.0, 9.0, 9.0], (50, 1))).max() == 1


@pytest.mark.parametrize("loss", ["cross_entropy", "nll"])
@pytest.mark.parametrize("temperature", [0.5, 1.0])
def test_tokens_come_as_often_as_their_chances_say(loss: str, temperature: float) -> None:
    chances = np.array([0.5, 0.3, 0.2, 0.0])
    with np.errstate(divide="ignore"):
        scores = chances if loss == "nll" else np.log(chances) + 3
    port = Port("next", Type("token", (), 4, True), True)
    draw = _drawn(port, loss, temperature, np.random.default_rng(0))
    counts = np.bincount(draw(np.tile(scores, (40_000, 1))), minlength=4)
    sharp = chances ** (1 / temperature)
    np.testing.assert_allclose(counts / 40_000, sharp / sharp.sum(), atol=0.01)
    assert counts[3] == 0


def test_what_runs_away_is_left_empty(tmp_path: Path, capsys: Any) -> None:
    """One record that becomes infinite does not spoil the others, on any road."""
    path = tmp_path / "wild.qrl"
    path.write_text("""\
use std.readout.each_z

model Wild(n: int = 1) {
  input  x: seq[real[1]]
  target y: seq[real[1]]
  qubits q[n]
  carry h: real[1] = 0
  layer head = linear(1)
  step v in x {
    rx(v[0]) q[0]
    h <- 3 * h * h + v
    emit 0 * head(read each_z(q)) + v * 0 + h
  }
}

train Wild { data = "s.csv"  epochs = 1  loss = mse }
""")
    quiet = np.zeros(60)
    (tmp_path / "s.csv").write_text("x,y\n" + "\n".join(f"{v},{v}" for v in quiet) + "\n")
    run = trained(path)
    (tmp_path / "new.csv").write_text("sequence,x\na,0\na,0\nb,2\nb,2\n")
    for road in ("native", "stepwise", "plain"):
        line = ["generate", run, tmp_path / "new.csv", "--moments", 9, "--road", road]
        found = rows(said(capsys, *line))
        assert [row["y"] for row in found[:9]] == ["0.0"] * 9
        assert float(found[9]["y"]) == 14 and [row["y"] for row in found[-3:]] == [""] * 3


# --- what data foretells ---

X, Y = Port("x", Type("real", (1,), 0, True)), Port("y", Type("real", (1,), 0, True), True)
ONE = Port("y", Type("real", (1,)), True)
NOISE = np.random.default_rng(3).normal(size=(80, 1)).astype(np.float32)


@pytest.mark.parametrize("ahead", [1, 4])
def test_how_far_ahead_is_seen_in_the_data(ahead: int) -> None:
    x, y = NOISE[:-ahead], NOISE[ahead:]
    scale = {"y": ([3.0], [2.0])}
    stream = Stream([x, (y - 3) / 2], [np.float32, np.float32])
    assert foretold(stream, (X, Y), scale) == Foretold(ahead, 0, True)
    windows = np.lib.stride_tricks.sliding_window_view(x[:, 0], 5)[..., None]
    records = Records((Dense(windows, X, "x"), Dense(y[4:], ONE, "y")))
    assert foretold(records, (X, ONE), {}) == Foretold(ahead, 5, False)
    short = [x[:30], x[30:41]]
    offsets = np.array([0, 30, 41])
    pair = [
        Ragged(np.concatenate(part), offsets, port, "")
        for part, port in ((short, X), ([y[:30], y[30:41]], Y))
    ]
    assert foretold(Records(pair), (X, Y), {}) == Foretold(ahead, 0, False)


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("shift", [0.0, 300.0])
def test_it_is_seen_in_any_unit(unit: float, shift: float) -> None:
    """Numbers that are small, or change little from moment to moment, are not all the same."""
    slow = unit * (shift + np.cumsum(NOISE, 0) / 100).astype(np.float32)
    kinds = [np.float32, np.float32]
    assert foretold(Stream([slow[:-9], slow[9:]], kinds), (X, Y), {}) == Foretold(9, 0, True)
    assert foretold(Stream([slow, slow[::-1]], kinds), (X, Y), {}) is None


def test_a_few_bits_that_agree_are_chance() -> None:
    port = Port("x", Type("bit", (), 0, True)), Port("y", Type("bit", (), 0, True), True)
    lot = np.random.default_rng(0)
    for _ in range(20):
        pair = [lot.integers(0, 2, 40).astype(np.float32) for _ in range(2)]
        assert foretold(Stream(pair, [np.float32, np.float32]), port, {}) is None
    bits = pair[0]
    known = foretold(Stream([bits[:-2], bits[2:]], [np.float32, np.float32]), port, {})
    assert known == Foretold(2, 0, True)


def test_data_that_foretells_nothing() -> None:
    other = NOISE[::-1]
    for x, y in ((NOISE, other), (NOISE, NOISE), (NOISE[:1], NOISE[1:2])):
        assert foretold(Stream([x, y], [np.float32, np.float32]), (X, Y), {}) is None
    apart = np.stack([NOISE[k : k + 5] for k in range(0, 60, 7)])  # no windows of one series
    records = Records((Dense(apart, X, "x"), Dense(NOISE[5:64:7], ONE, "y")))
    assert foretold(records, (X, ONE), {}) is None
    wide = Port("y", Type("real", (2,), 0, True), True)
    assert foretold(Stream([NOISE, NOISE], [np.float32] * 2), (X, wide), {}) is None


# --- how long it stays with the truth ---


class Feed:
    """One long test split."""

    def __init__(self, x: Any) -> None:
        self.ports, self.scale = (X, Y), {}
        self.split = Stream([x[:-1], x[1:]], [np.float32, np.float32], lead=10)
        self.data = self

    def source(self, split: str) -> Stream:
        return self.split


class Known:
    """Goes on by what it is told, from how many moments there have been."""

    ahead, window = 1, 0

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def __call__(self, known: Any, count: int) -> Any:
        return np.stack([self.answer(len(x), count) for x in known])


def far(x: Any, answer: Any) -> Any:
    feed: Any = Feed(x)
    going: Any = Known(answer)
    return horizon.horizon(going, feed, "test", 30)


def test_the_horizon_of_forecasts_that_are_known() -> None:
    x = np.sin(np.arange(200) / 5)[:, None].astype(np.float32)
    right = far(x, lambda n, k: x[n : n + k]).data()
    assert right["nrmse"] == [0] * 6 and right["ahead"] == [1, 2, 5, 10, 20, 30]
    assert right["valid"]["median"] == 30 and right["places"] == 20
    # Wrong by half a spread from the fourth moment on.
    late = np.where(np.arange(30) < 3, 0, 0.5 * x.std())[:, None]
    found = far(x, lambda n, k: x[n : n + k] + late)
    np.testing.assert_allclose(found.data()["nrmse"], [0, 0, 0.5, 0.5, 0.5, 0.5], atol=1e-6)
    assert (found.valid == 3).all()
    kept = far(x, lambda n, k: np.repeat(x[n - 1 : n], k, 0))
    np.testing.assert_allclose(kept.data()["nrmse"], kept.data()["last_value"], rtol=1e-6)
    gone = np.where(np.arange(30) < 7, 0, np.nan)[:, None]
    lost = far(x, lambda n, k: x[n : n + k] + gone)
    assert lost.data()["nrmse"] == [0, 0, 0, None, None, None] and (lost.valid == 7).all()
    [line] = [x for x in horizon.page(lost.data()).splitlines() if "nrmse" in x]
    assert line.split() == ["nrmse", *"000---"]


def test_a_series_that_stays_the_same_has_no_spread() -> None:
    x = np.full((200, 1), 0.1, np.float32)
    assert far(x, lambda n, k: x[n : n + k] + 0.2).data()["nrmse"] == pytest.approx([0.2] * 6)


def test_eval_says_how_long_it_holds(tmp_path: Path, capsys: Any) -> None:
    run = trained(written(tmp_path, "mackey_glass(length: 400)"))
    found = json.loads(said(capsys, "eval", run, "--generate", 12, "--format", "json"))
    held = found["by_itself"]
    assert held["ahead"] == [1, 2, 5, 10, 12] and held["places"] == 20
    assert all(x > 0 for x in held["nrmse"])
    svg = (run / "by_itself.svg").read_text()
    assert "last value kept" in svg and "moments ahead" in svg
    page = said(capsys, "eval", run, "--generate", 12)
    assert "by itself: 12 moments from 20 places" in page
    err = said(capsys, "eval", run, "--generate", 100, code=1)
    assert "too few to see 100" in err


# --- what can't ---


def test_what_cannot_go_on_says_why(tmp_path: Path, capsys: Any, text: Path) -> None:
    run = trained(written(tmp_path, "narma(order: 2, length: 200)"))
    (tmp_path / "known.csv").write_text("x\n0.1\n")
    err = said(capsys, "generate", run, tmp_path / "known.csv", code=1)
    assert "in its data, `y` is not `x` of some moments later" in err
    err = said(capsys, "generate", run, "--prompt", "a", tmp_path / "known.csv", code=2)
    assert "not both" in err
    err = said(capsys, "eval", text, "--generate", 5, code=1)
    assert "a question of numbers" in err
    (tmp_path / "none.csv").write_text("words\n")
    assert "nothing else" in said(capsys, "generate", text, tmp_path / "none.csv", code=1)


def test_a_type_that_is_not_that_of_the_input(tmp_path: Path, capsys: Any) -> None:
    run = trained(project(tmp_path))
    assert "what it says is not what it is given" in said(capsys, "generate", run, code=1)


def test_a_prompt_needs_a_text_and_a_record_enough_moments(tmp_path: Path, capsys: Any) -> None:
    run = trained(written(tmp_path, "mackey_glass(ahead: 3, length: 200)"))
    assert "a prompt is a text" in said(capsys, "generate", run, "--prompt", "a", code=1)
    (tmp_path / "known.csv").write_text("x\n0.1\n0.2\n")
    err = said(capsys, "generate", run, tmp_path / "known.csv", code=1)
    assert "record 0 has 2 moments, and Series foretells 3 ahead" in err
    path = run / "data.json"
    kept = json.loads(path.read_text())
    del kept["foretells"]
    path.write_text(json.dumps(kept))
    assert "made by an earlier qrlang" in said(capsys, "generate", run, code=1)
