"""Two optimisers, one of a circuit's own angles and one of the rest; runs without gradients."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from training_tools import lines as metrics  # noqa: E402
from training_tools import project, same  # noqa: E402

from qrlang.backends.torch.load import load  # noqa: E402
from qrlang.cli.main import run as qrlc  # noqa: E402
from qrlang.training import checkpoint  # noqa: E402
from qrlang.training.loop import Trainer  # noqa: E402

APART = """\
use std.readout.each_z

circuit turned(n: int)(v: real[n]) -> real[n] {
  qubits q[n]
  param  w: angle[n]
  for i in 0..n { rx(v[i]) q[i]  ry(w[i]) q[i] }
  cx q[0], q[1]
  return read each_z(q)
}

model Apart(n: int = 2) {
  input  xs:    seq[real[2]]
  target label: class[2]
  carry  h: real[n] = 0
  layer  entry = linear(n)
  layer  core  = turned(n)
  layer  head  = linear(2)
  step x in xs { h <- core(entry(x, h)) }
  return head(h)
}

train Apart {
  data      = "tiny.npz"
  loss      = cross_entropy
  optimizer = adam(lr: 1e-2)
  quantum   = spsa(lr: 0.2, perturbation: 0.1)
  batch     = 16
  epochs    = 6
}
"""


def _run(folder: Path, name: str, *args: str) -> Path:
    path = project(folder, APART)
    run = folder / name
    line = ["train", str(path), "--out", str(run), "--threads", "1", "--log", "1 steps", *args]
    assert qrlc(line) == 0
    return run


def test_angles_by_spsa_and_the_rest_by_adam(tmp_path: Path, capsys: Any) -> None:
    run = _run(tmp_path, "run")
    assert "adam(" in (err := capsys.readouterr().err) and "angles: spsa(" in err
    lines = [x for x in metrics(run) if x["split"] == "train"]
    assert lines[-1]["loss"] < lines[0]["loss"] - 0.02
    # Two losses for the angles and a gradient for the rest, of 16 sequences each.
    assert lines[0]["runs"] == 48 and "circuits" not in lines[0]
    page = json.loads((run / "settings.json").read_text())
    assert page["quantum"][0] == "spsa"


def test_by_turns(tmp_path: Path) -> None:
    seen = []
    for steps in (2, 4):
        run = _run(
            tmp_path,
            f"run{steps}",
            "--turns",
            "2",
            "--steps",
            str(steps),
            "--warmup",
            "0",
            "--schedule",
            "constant",
        )
        seen.append(checkpoint.load(run / "checkpoints" / "last.safetensors")[0])
    torch.manual_seed(0)
    start = load(tmp_path / "tiny.qrl").state_dict()
    first = {n for n in start if not torch.equal(start[n], seen[0][n])}
    second = {n for n in start if not torch.equal(seen[0][n], seen[1][n])}
    assert first == {"core.w"} and second == {"entry.w", "entry.b", "head.w", "head.b"}


def test_circuits_are_counted(tmp_path: Path, capsys: Any) -> None:
    args = ("--optimizer", "spsa(lr: 0.1)", "--steps", "3", "--shots", "50")
    run = _run(tmp_path, "free", *args, "--quantum", "spsa")
    line = [x for x in metrics(run) if x["split"] == "train"][-1]
    # A sequence has four steps with a circuit each; two times two losses of 16 sequences, thrice.
    assert line["runs"] == 3 * 4 * 16 and line["circuits"] == 4 * line["runs"]
    said = f"{line['circuits']:,} circuits on a device of 50 shots each"
    assert said in capsys.readouterr().out


def test_what_has_no_angles_of_its_own(tmp_path: Path, capsys: Any) -> None:
    path = project(tmp_path)
    assert qrlc(["train", str(path), "--quantum", "spsa", "--out", str(tmp_path / "r")]) == 1
    assert "layers make its angles" in capsys.readouterr().err
    assert qrlc(["train", str(path), "--turns", "3", "--out", str(tmp_path / "r")]) == 1
    assert "`turns` is for two optimisers" in capsys.readouterr().err


def test_a_mixed_run_goes_on_bit_for_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = _run(tmp_path, "whole", "--turns", "3")
    line = ["--turns", "3", "--checkpoint", "1 steps"]
    update, count = Trainer._update, 0

    def some(self: Trainer, group: Any) -> None:
        nonlocal count
        count += 1
        if count > 17:
            raise KeyboardInterrupt
        update(self, group)

    monkeypatch.setattr(Trainer, "_update", some)
    path = project(tmp_path, APART)
    args = ["train", str(path), "--out", str(tmp_path / "run"), "--threads", "1"]
    assert qrlc([*args, "--log", "1 steps", *line]) == 130
    monkeypatch.setattr(Trainer, "_update", update)
    assert qrlc(["train", "--resume", str(tmp_path / "run")]) == 0
    assert same(tmp_path / "run", whole)
