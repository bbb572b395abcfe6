"""Gradients that go back so many moments, and a state that goes on."""

from __future__ import annotations

import json
import math
import types
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from training_tools import lines, same  # noqa: E402

from qrlang.backends.torch.calls.segment import State  # noqa: E402
from qrlang.backends.torch.load import make  # noqa: E402
from qrlang.cli.main import run as qrlc  # noqa: E402
from qrlang.driver import Compilation  # noqa: E402
from qrlang.training import resident, segments  # noqa: E402
from qrlang.training.asked import evaluate, trained  # noqa: E402
from qrlang.training.feed import Batch  # noqa: E402
from qrlang.training.metrics import Tally  # noqa: E402
from qrlang.training.objective import Objective, Work  # noqa: E402
from qrlang.training.optim.adam import Adam  # noqa: E402
from qrlang.training.pipeline import Pipeline  # noqa: E402
from qrlang.training.world import World  # noqa: E402

OPTIONS = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.0}
STREAM: Any = types.SimpleNamespace(streaming=True)

MODEL = """\
use std.ansatz.su2_ring
use std.readout.each_z

model Echo(n: int = 2) {
  input  xs: seq[real[1]]
  target ys: seq[real[1]]
  qubits     memory[n]
  carry      h: real[2] = 0
  controller steer = mlp(4, relu)
  layer      mix   = linear(2)
  layer      head  = linear(1)
  step x in xs {
    apply su2_ring(1)(steer(x, h, read each_z(memory))) to memory
    h <- 0.5 * h + tanh(mix(x, read each_z(memory)))
    emit head(h, read each_z(memory))
  }
}

train Echo {
  data      = "wave.csv"
  loss      = mse
  optimizer = adam(lr: 1e-2)
  batch     = 4
  truncate  = 8
  epochs    = 3
}
"""


def project(folder: Path, moments: int = 600) -> Path:
    t = np.arange(moments)
    x = np.sin(t / 5) + 0.3 * np.sin(t / 1.7)
    rows = "".join(f"{a:.6f},{b:.6f}\n" for a, b in pairwise(x))
    (folder / "wave.csv").write_text("xs,ys\n" + rows)
    path = folder / "echo.qrl"
    path.write_text(MODEL)
    return path


def train(folder: Path, *args: object, out: str) -> Path:
    run = folder / out
    line = ["train", str(project(folder)), "--out", str(run), "--threads", "1", "--log", "4 steps"]
    assert qrlc([*line, *map(str, args)]) == 0
    return run


def objective(truncate: int, road: str = "plain") -> Objective:
    made = Compilation.of_bytes("m.qrl", MODEL.encode(), {})
    program = made.checked.models["Echo"].program
    torch.manual_seed(3)
    model = make(program, road=road, dtype=torch.float64)
    return Objective(model, program, ("mse", {}), World(), truncate)


def batch(lengths: Any = None, time: int = 12) -> Batch:
    lot = np.random.default_rng(0)
    xs, ys = lot.normal(size=(2, 5, time, 1))
    given = {} if lengths is None else {"xs": np.array(lengths), "ys": np.array(lengths)}
    return Batch({"xs": xs, "ys": ys}, given)


def gradient(work: Work) -> Any:
    loss = work.gradient()
    return loss, torch.cat([p.grad.reshape(-1) for p in work.objective.parameters])


@pytest.mark.parametrize("road", ["plain", "native"])
@pytest.mark.parametrize("lengths", [None, [12, 3, 9, 4, 7]])
def test_one_segment_is_the_whole(road: str, lengths: Any) -> None:
    loss, g = gradient(Work(objective(0, road), [batch(lengths)]))
    for truncate in (12, 100):
        again, h = gradient(Work(objective(truncate, road), [batch(lengths)]))
        assert again == pytest.approx(loss, abs=1e-12) and torch.allclose(g, h, atol=1e-12)
    cut, h = gradient(Work(objective(4, road), [batch(lengths)]))
    assert cut == pytest.approx(loss, abs=1e-12)  # the numbers are the same, not their slopes
    assert not torch.allclose(g, h, atol=1e-6)


@pytest.mark.parametrize("road", ["stepwise", "native"])
def test_the_gradient_is_that_of_detached_states(road: str) -> None:
    given = batch()
    _, found = gradient(Work(objective(5, road), [given]))
    model = objective(0).model
    total, state = 0.0, None
    for a in (0, 5, 10):
        x, y = (torch.as_tensor(given.values[k][:, a : a + 5]) for k in ("xs", "ys"))
        out, state = model(x, state=state)
        total = total + ((out - y) ** 2).sum()
    (total / given.values["ys"].size).backward()
    wanted = torch.cat([p.grad.reshape(-1) for p in model.parameters()])
    assert torch.allclose(found, wanted, atol=1e-10)


def test_a_stream_goes_on_from_batch_to_batch() -> None:
    """Segment after segment in updates of their own: what is left is what the next one is given."""
    whole, model = batch(), objective(4)
    alone = Tally(model.kind)
    model.sums(whole, alone)
    state, losses = None, 0.0
    for k in range(0, 12, 4):
        part = Batch({n: x[:, k : k + 4] for n, x in whole.values.items()}, carried=k > 0)
        work = Work(model, [part], streaming=True, state=state)
        losses += work.value() * 20
        state = work.left
    assert losses == pytest.approx(float(alone.table[:, 0].sum()), abs=1e-10)


def test_updates_that_nobody_waits_for_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU: queued, with the state of every lane going on there, and a checkpoint amid it."""
    whole = train(tmp_path, out="whole")
    queued, plain = [], Pipeline.queue
    monkeypatch.setattr(Pipeline, "fits", staticmethod(lambda o, a: isinstance(a, Adam)))
    monkeypatch.setattr(resident, "near", lambda f, d: resident.Near(f, torch.device("cpu")))

    def queue(self: Any, work: Any, rate: Any) -> Any:
        queued.append(work.state is not None)
        return plain(self, work, rate)

    monkeypatch.setattr(Pipeline, "queue", queue)
    late = train(tmp_path, "--checkpoint", "5 steps", out="late")
    assert sum(queued) > len(queued) / 2
    for a, b in zip(lines(whole), lines(late), strict=True):
        assert a["split"] == b["split"] and a["loss"] == pytest.approx(b["loss"], abs=1e-4)
    # A batch that is cut into segments is cut on the host, and waits.
    assert (
        Pipeline.where_it_fits(objective(8), Adam([torch.zeros(1)], 0.0, **OPTIONS), STREAM)
        is not None
    )
    STREAM.streaming = False
    assert (
        Pipeline.where_it_fits(objective(8), Adam([torch.zeros(1)], 0.0, **OPTIONS), STREAM) is None
    )


def test_a_state_that_is_not_finite_does_not_go_on() -> None:
    good = State((torch.ones(2, 4, dtype=torch.complex128),), (torch.ones(2, 1),))
    bad = State((torch.zeros(2, 4, dtype=torch.complex128),), (torch.tensor([[1.0], [math.nan]]),))
    assert segments.finite(bad, None) is bad
    for left, kept in ((bad, good), (good, good)):
        found = segments.finite(left, good)
        pairs = zip((*found.qubits, *found.carried), (*kept.qubits, *kept.carried), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)


def test_a_run_is_resumed_bit_for_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the middle of an epoch, where the state of every lane is on its way."""
    from qrlang.training.loop import Trainer

    whole = train(tmp_path, out="whole")
    assert len(lines(whole)) > 6
    update, count = Trainer._update, 0

    def some(self: Trainer, group: Any) -> None:
        nonlocal count
        count += 1
        if count > 20:
            raise KeyboardInterrupt
        update(self, group)

    monkeypatch.setattr(Trainer, "_update", some)
    args = ["train", str(project(tmp_path)), "--out", str(tmp_path / "run"), "--threads", "1",
            "--log", "4 steps", "--checkpoint", "3 steps"]  # fmt: skip
    assert qrlc(args) == 130
    monkeypatch.setattr(Trainer, "_update", update)
    page = json.loads((tmp_path / "run" / "settings.json").read_text())
    assert page["truncate"] == 8
    assert qrlc(["train", "--resume", str(tmp_path / "run")]) == 0
    assert same(tmp_path / "run", whole)


def test_the_state_matters(tmp_path: Path) -> None:
    """Cut without a state, every segment begins as if nothing had been before."""
    run = train(tmp_path, "--epochs", "12", "--lr", "0.03", out="run")
    made = trained.opened(str(run))
    model, feed = made.objective, made.feed(None)
    with_state = model.evaluate(feed, "train", 4).figures()["loss"]
    model.truncate = 0
    assert model.evaluate(feed, "train", 4).figures()["loss"] > with_state


def test_what_cannot_be_cut(tmp_path: Path, capsys: Any) -> None:
    late = MODEL.replace("    emit head(h, read each_z(memory))\n  }", "  }\n  return head(h)")
    path = project(tmp_path)
    path.write_text(late.replace("target ys: seq[real[1]]", "target ys: real[1]"))
    args = ["--data", "damped_sine", "--out", str(tmp_path / "no")]
    assert qrlc(["train", str(path), *args]) == 1
    err = capsys.readouterr().err
    assert "Echo cannot be cut: its output comes at the end" in err and "leave it out" in err


def test_eval_says_what_the_run_said(tmp_path: Path) -> None:
    """Lanes of a stream are as they were: each has a beginning of its own."""
    text = MODEL.replace('"wave.csv"', "ptb_characters(vocabulary: 30)")
    text = text.replace("input  xs: seq[real[1]]", "input  xs: seq[token[30]]")
    text = text.replace("target ys: seq[real[1]]", "target ys: seq[token[30]]")
    text = text.replace(
        "  layer      head  = linear(1)",
        "  layer      head  = linear(30)\n  layer      look  = embedding(1)",
    ).replace("steer(x, ", "steer(look(x), ")
    text = text.replace("mix(x, ", "mix(look(x), ").replace("= mse", "= cross_entropy")
    from qrlang.training.data.samples import write_samples

    write_samples(tmp_path / "data", 60)
    path = tmp_path / "echo.qrl"
    path.write_text(text)
    run = tmp_path / "run"
    line = ["train", path, "--data-dir", tmp_path / "data", "--out", run, "--threads", 1]
    assert qrlc([str(x) for x in [*line, "--epochs", 1]]) == 0
    said = json.loads((run / "result.json").read_text())["figures"]["loss"]["value"]
    found = evaluate.whole(str(run), trained.AS_TRAINED, str(tmp_path / "data"), None)
    assert found["figures"]["loss"]["value"] == said


def test_chaos_is_said(tmp_path: Path, capsys: Any) -> None:
    """Gradients that are finite, and of a size that means nothing."""
    path = project(tmp_path, 200)
    path.write_text(MODEL.replace("steer(x, h,", "steer(1000 * x, 1e5 * h,"))
    args = ["--out", str(tmp_path / "run"), "--threads", "1", "--log", "1 steps", "--steps", "4"]
    assert qrlc(["train", str(path), *args, "--clip", "1"]) == 0
    assert "before it is clipped: the recurrence became chaotic" in capsys.readouterr().err
