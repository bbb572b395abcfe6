"""Runs that are stopped at any moment go on as if nothing had happened."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from training_tools import MODEL, command, environment, lines, project, same, start  # noqa: E402

ECHO = """\
use std.ansatz.su2_ring
use std.readout.each_z

model Echo(n: int = 2) {
  input  xs: seq[real[1]]
  target ys: seq[real[1]]
  qubits     memory[n]
  controller steer = mlp(4, relu)
  layer      head  = linear(1)
  step x in xs {
    apply su2_ring(1)(steer(x, read each_z(memory))) to memory
    emit head(read each_z(memory))
  }
}

train Echo {
  data      = "wave.csv"
  optimizer = adam(lr: 1e-2)
  batch     = 4
  truncate  = 8
  epochs    = 40
}
"""
ARGS = ("--threads", "1", "--epochs", "60", "--log", "7 steps", "--checkpoint", "3 steps")


def _killed(path: Path, run: Path, times: int, seed: int) -> int:
    """Trains, killed at moments drawn by lot, until it is through; how often it was killed."""
    lot = random.Random(seed)
    args: list[object] = [path, *ARGS, "--out", run]
    kills = 0
    while True:
        process = start(*args)
        try:
            if kills < times:
                _wait(process, run, lot.random() * 0.6)
                process.kill()
                kills += process.wait() != 0
            else:
                _, err = process.communicate(timeout=100)
                assert process.returncode == 0, err.decode()
                return kills
        finally:
            process.kill()
            process.communicate()
        if (run / "settings.json").exists():
            args = ["--resume", run]


def _wait(process: subprocess.Popen[bytes], run: Path, seconds: float) -> None:
    """Until it has gone on with training, and so long beyond."""
    metrics = run / "metrics.jsonl"
    before = metrics.stat().st_mtime_ns if metrics.exists() else 0
    for _ in range(1000):
        if process.poll() is not None:
            return
        if metrics.exists() and metrics.stat().st_mtime_ns != before and metrics.stat().st_size:
            break
        time.sleep(0.02)
    time.sleep(seconds)


@pytest.mark.parametrize("times", [3, pytest.param(20, marks=pytest.mark.slow)])
@pytest.mark.timeout(600)
def test_kill_at_any_moment(tmp_path: Path, times: int) -> None:
    path = project(tmp_path)
    whole = tmp_path / "whole"
    subprocess.run(command(path, *ARGS, "--out", whole), env=environment(), check=True,
                   capture_output=True)  # fmt: skip
    run = tmp_path / "run"
    assert _killed(path, run, times, seed=times) > 0
    assert same(run, whole)


def test_a_checkpoint_of_another_version_is_not_gone_on_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from qrlang.cli.main import run as qrlc
    from qrlang.training import checkpoint

    run = tmp_path / "run"
    assert qrlc(["train", str(project(tmp_path)), "--steps", "2", "--out", str(run)]) == 0
    last = run / "checkpoints" / "last.safetensors"
    weights, page = checkpoint.load(last)
    del page["form"]
    checkpoint.save(last, weights, page)
    assert qrlc(["train", "--resume", str(run)]) == 1
    said = capsys.readouterr().err
    assert "another version of qrlc" in said
    assert f"--init {run}" in said


def test_a_run_whose_checkpoints_are_gone_does_not_begin_again_over_its_metrics(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from qrlang.cli.main import run as qrlc

    run = tmp_path / "run"
    assert qrlc(["train", str(project(tmp_path)), "--steps", "2", "--out", str(run)]) == 0
    before = (run / "metrics.jsonl").read_bytes()
    for file in (run / "checkpoints").iterdir():
        file.unlink()
    assert qrlc(["train", "--resume", str(run)]) == 1
    assert "last.safetensors' is gone" in capsys.readouterr().err
    assert (run / "metrics.jsonl").read_bytes() == before


def test_from_every_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also from those at the end of an epoch, before and after it is evaluated."""
    from qrlang.cli.main import run as qrlc
    from qrlang.training import checkpoint

    path = project(tmp_path, records=60)
    args = ["train", str(path), "--threads", "1", "--log", "3 steps", "--checkpoint", "1 steps"]
    assert qrlc([*args, "--out", str(tmp_path / "whole")]) == 0
    save = checkpoint.save
    count = 0
    for last in range(1, 20):
        count = 0

        def stop(*given: Any, last: int = last) -> None:
            nonlocal count
            save(*given)
            count += 1
            if count == last:
                raise KeyboardInterrupt

        monkeypatch.setattr(checkpoint, "save", stop)
        run = tmp_path / f"run{last}"
        code = qrlc([*args, "--out", str(run)])
        monkeypatch.undo()
        if code == 0:
            break
        assert code == 130
        assert qrlc(["train", "--resume", str(run)]) == 0
        assert same(run, tmp_path / "whole"), last
    assert last > 8


@pytest.mark.parametrize("what", ["shots", "spsa", "lbfgs", "dropout"])
def test_what_is_drawn_by_lot_goes_on_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    from qrlang.cli.main import run as qrlc
    from qrlang.training import checkpoint

    model = MODEL.replace("head(read z)", "head(drop(read z))")
    model = model.replace("  layer      head", "  layer drop = dropout(0.3)\n  layer      head")
    path = project(tmp_path, model if what == "dropout" else MODEL, records=40)
    args = ["train", str(path), "--threads", "1", "--log", "2 steps", "--checkpoint", "1 steps"]
    args += {"shots": ["--shots", "20"], "dropout": []}.get(what, ["--optimizer", what])
    assert qrlc([*args, "--out", str(tmp_path / "whole")]) == 0
    save, saved = checkpoint.save, [0]

    def stop(*given: Any) -> None:
        save(*given)
        saved[0] += 1
        if saved[0] == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "save", stop)
    assert qrlc([*args, "--out", str(tmp_path / "run")]) == 130
    monkeypatch.undo()
    assert qrlc(["train", "--resume", str(tmp_path / "run")]) == 0
    assert same(tmp_path / "run", tmp_path / "whole")


def test_a_run_goes_on_for_longer_than_it_was_planned(tmp_path: Path, capsys: Any) -> None:
    """Where rates do not hang on the plan, as if it had been planned so; else by the new plan."""
    from qrlang.cli.main import run as qrlc
    from qrlang.training.run import Run

    path = str(project(tmp_path))
    line = ["train", path, "--threads", "1", "--log", "1 steps", "--warmup", "2"]
    whole, grown = tmp_path / "whole", tmp_path / "grown"
    assert qrlc([*line, "--schedule", "constant", "--epochs", "5", "-o", str(whole)]) == 0
    assert qrlc([*line, "--schedule", "constant", "--epochs", "2", "-o", str(grown)]) == 0
    short = (grown / "result.json").read_bytes()
    assert qrlc(["train", "--resume", str(grown), "--epochs", "5", "--threads", "1"]) == 0
    assert same(grown, whole) and (grown / "result.json").read_bytes() != short
    run = Run(grown)
    assert run.settings().epochs == 5
    (before,) = run.about()["planned"]
    assert before == {"step": lines(grown, "timing.jsonl")[1]["step"], "epochs": 2, "steps": 0}
    capsys.readouterr()
    for more, words in [
        (["--epochs", "5"], "in 5 epochs already"), (["--steps", "3"], "would end after 3"),
        (["--steps", "many"], "found `many`"), (["--epochs", "0"], "at least 1, found `0`"),
        (["--epochs", "9", "--steps", "99"], "--epochs or --steps"), (["--batch", "9"], "own settings"),
    ]:  # fmt: skip
        assert qrlc(["train", "--resume", str(grown), *more]) != 0
        assert words in capsys.readouterr().err
    assert same(grown, whole) and (grown / "result.json").is_file()
    assert qrlc(["scar", str(grown), "--replay"]) != 0
    assert "planned anew at step" in capsys.readouterr().err

    fall = tmp_path / "fall"
    assert qrlc([*line, "--epochs", "2", "-o", str(fall)]) == 0
    done = lines(fall, "timing.jsonl")[-1]["step"]
    assert qrlc(["train", "--resume", str(fall), "--steps", str(3 * done)]) == 0
    rates = {x["step"]: x["rate"] for x in lines(fall) if x["split"] == "train"}
    for k in range(done, 3 * done):
        assert rates[k + 1] == pytest.approx(1e-2 * (1 + np.cos(np.pi * k / (3 * done))) / 2)


def test_ctrl_c_stops_cleanly(tmp_path: Path) -> None:
    path = project(tmp_path)
    run = tmp_path / "run"
    process = start(path, "--threads", "1", "--epochs", "100000", "--out", run, "--log", "5 steps")
    _wait(process, run, 0.2)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"--resume {run}" in err.decode()
    assert "Traceback" not in err.decode()
    from qrlang.training import checkpoint

    page = checkpoint.load(run / "checkpoints" / "last.safetensors")[1]
    assert page["progress"]["step"] > 0


@pytest.mark.timeout(300)
def test_two_processes_have_the_curve_of_one(tmp_path: Path) -> None:
    path = project(tmp_path)
    args = [
        "--device",
        "cpu",
        "--precision",
        "double",
        "--epochs",
        "2",
        "--log-every",
        "2 steps",
        "--threads",
        "1",
    ]
    for out, launcher in (
        ("one", [sys.executable]),
        ("two", [sys.executable, "-m", "torch.distributed.run", "--standalone",
                 "--nproc-per-node", "2"]),
    ):  # fmt: skip
        subprocess.run(
            [*launcher, "-m", "qrlang", "train", str(path), *args, "--out", str(tmp_path / out)],
            env=environment(), check=True, capture_output=True, timeout=200,
        )  # fmt: skip
    one, two = lines(tmp_path / "one"), lines(tmp_path / "two")
    assert len(one) == len(two) > 8
    for a, b in zip(one, two, strict=True):
        assert a.keys() == b.keys()
        for k in a:
            if isinstance(a[k], float):
                np.testing.assert_allclose(a[k], b[k], rtol=1e-9)
            else:
                assert a[k] == b[k]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_two_processes_that_were_stopped_go_on(tmp_path: Path) -> None:
    """With the state of a stream, whose rows they share, on its way."""
    t = np.arange(600)
    x = np.sin(t / 5) + 0.3 * np.sin(t / 1.7)
    rows = "".join(f"{a:.6f},{b:.6f}\n" for a, b in pairwise(x))
    (tmp_path / "wave.csv").write_text("xs,ys\n" + rows)
    path = tmp_path / "echo.qrl"
    path.write_text(ECHO)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node",
                "2", "-m", "qrlang", "train"]  # fmt: skip
    args = [
        "--device",
        "cpu",
        "--log-every",
        "4 steps",
        "--checkpoint",
        "5 steps",
        "--threads",
        "1",
    ]
    whole, run = tmp_path / "whole", tmp_path / "run"
    subprocess.run([*launcher, str(path), *args, "--out", str(whole)], env=environment(),
                   check=True, capture_output=True, timeout=200)  # fmt: skip
    process = subprocess.Popen([*launcher, str(path), *args, "--out", str(run)], env=environment(),
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    for _ in range(600):
        time.sleep(0.1)
        if (run / "metrics.jsonl").exists() and len(lines(run)) > 20:
            break
    process.send_signal(signal.SIGTERM)  # the launcher hands it on
    process.wait(timeout=60)
    assert len(lines(run)) < len(lines(whole))
    subprocess.run([*launcher, "--resume", str(run)], env=environment(), check=True,
                   capture_output=True, timeout=200)  # fmt: skip
    assert same(run, whole)
