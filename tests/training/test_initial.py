"""Runs that begin with given weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from safetensors.torch import load_file, save_file  # noqa: E402
from training_tools import MODEL, lines, project, same, weights  # noqa: E402

from qrlang.cli.main import run as qrlc  # noqa: E402


def train(folder: Path, *args: object, out: str, code: int = 0, model: str = MODEL) -> Path:
    path = project(folder, model)
    given = ["--out", str(folder / out), "--threads", "1", "--log", "4 steps"]
    assert qrlc(["train", str(path), *given, *map(str, args)]) == code
    return folder / out


def test_a_run_goes_on_as_another_task(tmp_path: Path, capsys: Any) -> None:
    first = train(tmp_path, "--epochs", "6", out="first")
    second = train(tmp_path, "--epochs", "1", "--init", first, "--lr", "1e-9", out="second")
    best, now = weights(first, "best"), weights(second, "best")
    assert all(torch.allclose(best[k], now[k], atol=1e-6) for k in best)
    assert "begins with 6 tensors" in capsys.readouterr().err
    assert lines(second)[0]["loss"] < lines(first)[0]["loss"]
    assert load_file(second / "initial.safetensors").keys() == best.keys()


def test_what_does_not_fit_of_a_run_is_drawn(tmp_path: Path, capsys: Any) -> None:
    first = train(tmp_path, "--epochs", "1", out="first")
    other = MODEL.replace("hidden: int = 8", "hidden: int = 9")
    train(tmp_path, "--epochs", "1", "--init", first, out="second", model=other)
    assert "drawn by lot: steer.b1, steer.w1, steer.w2" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["safetensors", "npz"])
def test_a_file_with_some_tensors(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"mine.{kind}"
    b2 = torch.linspace(-1, 1, 6)
    if kind == "npz":
        np.savez(path, **{"steer.b2": b2.numpy()})
    else:
        save_file({"steer.b2": b2}, path)
    run = train(tmp_path, "--epochs", "1", "--lr", "1e-12", "--init", path, out="run")
    free = train(tmp_path, "--epochs", "1", "--lr", "1e-12", out="free")
    mine, drawn = weights(run), weights(free)
    assert torch.allclose(mine["steer.b2"], b2, atol=1e-6)
    assert torch.allclose(mine["steer.w1"], drawn["steer.w1"], atol=1e-6)
    assert not same(run, free)


def test_it_can_be_stopped_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from qrlang.training import checkpoint

    first = train(tmp_path, "--epochs", "2", out="first")
    args = ("--epochs", "2", "--seed", "3", "--checkpoint", "3 steps", "--init", first)
    whole = train(tmp_path, *args, out="whole")
    save, saved = checkpoint.save, [0]

    def stop(*given: Any) -> None:
        save(*given)
        saved[0] += 1
        if saved[0] == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "save", stop)
    run = train(tmp_path, *args, out="run", code=130)
    monkeypatch.undo()
    assert qrlc(["train", "--resume", str(run)]) == 0
    assert same(run, whole)


def test_wrong_files(tmp_path: Path, capsys: Any) -> None:
    bad = tmp_path / "bad.safetensors"
    for tensors, said in (
        ({"steer.b3": torch.zeros(6)}, "did you mean"),
        ({"steer.b2": torch.zeros(7)}, "`steer.b2` is [7], and [6] in the model"),
        ({"steer.b2": torch.full((6,), float("nan"))}, "not finite"),
    ):
        save_file(tensors, bad)
        train(tmp_path, "--init", bad, out=said[:4], code=1)
        assert said in capsys.readouterr().err
    bad.write_bytes(b"nonsense")
    train(tmp_path, "--init", bad, out="n", code=1)
    assert "can't be read" in capsys.readouterr().err
    train(tmp_path, "--init", tmp_path / "none.npz", out="m", code=1)
    assert "there is no such file" in capsys.readouterr().err
    assert qrlc(["train", "--resume", str(tmp_path), "--init", "x"]) == 2
