"""A model whose names are words of Python and of PyTorch: whoever reads a run finds them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from qrlang.cli.main import run as qrlc  # noqa: E402

MODEL = """\
use std.ansatz.su2_ring
use std.readout.each_z

model Lambda(n: int = 2) {
  input  lambda: seq[real[2]]
  target None:   class[2]
  qubits     is[n]
  param      parameters: angle[2]
  controller forward = mlp(4, relu)
  layer      del     = linear(2)
  step async in lambda {
    ry(parameters[0]) is[0]
    ry(parameters[1]) is[1]
    apply su2_ring(forward(async, read each_z(is))) to is
  }
  return del(read each_z(is))
}

train Lambda {
  data   = "d.npz"
  epochs = 1
  freeze = [del, parameters]
}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("names")
    lot = np.random.default_rng(0)
    lengths = lot.integers(1, 5, 40)
    np.savez(folder / "d.npz", **{"lambda": lot.normal(size=(40, 4, 2)), "length": lengths},
             y=lot.integers(0, 2, 40))  # fmt: skip
    (folder / "m.qrl").write_text(MODEL)
    assert qrlc(["train", str(folder / "m.qrl"), "--out", str(folder / "run")]) == 0
    return folder / "run"


def test_training_and_predicting(run: Path, capsys: Any) -> None:
    import qrlang

    capsys.readouterr()
    data = run.parent / "d.npz"
    assert qrlc(["predict", str(run), str(data), "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    with np.load(data) as z, torch.no_grad():
        scores = qrlang.load(run)(torch.tensor(z["lambda"]).float(), lengths=z["length"].tolist())
    assert [row["None"] for row in found] == scores.argmax(-1).tolist()


def test_a_module_with_the_weights_of_a_run(run: Path, tmp_path: Path, capsys: Any) -> None:
    import runpy

    from safetensors.torch import load_file

    import qrlang

    line = ["compile", run.parent / "m.qrl", "--target", "torch", "--weights", run, "-o", tmp_path]
    assert qrlc([*map(str, line)]) == 0, capsys.readouterr().err
    model = runpy.run_path(str(tmp_path / "model.py"))["Lambda"]()
    model.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    x = torch.randn(3, 4, 2)
    assert torch.equal(model(x), qrlang.load(run)(x))
    assert qrlc([*map(str, line[:5]), str(tmp_path / "nothing")]) == 2
    assert "is neither a run nor a file of weights" in capsys.readouterr().err


def test_frozen_and_begun_with(run: Path, tmp_path: Path, capsys: Any) -> None:
    """`freeze` and arrays of one's own go by the names of the program."""
    from qrlang.training import checkpoint

    before = {"parameters": np.array([0.25, -1.5]), "del.b": np.array([3.0, 4.0])}
    np.savez(tmp_path / "begin.npz", **before)
    line = ["train", run.parent / "m.qrl", "--out", tmp_path / "again"]
    assert qrlc([*map(str, line), "--init", str(tmp_path / "begin.npz")]) == 0
    assert "begins with 2 tensors" in capsys.readouterr().err
    after, _ = checkpoint.load(tmp_path / "again" / "checkpoints" / "last.safetensors")
    for given, value in zip(before.values(), (after["parameters_"], after["del_.b"]), strict=True):
        np.testing.assert_allclose(value.numpy(), given)


def test_probes(run: Path, capsys: Any) -> None:
    line = ["probe", run, "--samples", 1, "--steps", 2, "--draws", 2, "--pairs", 20]
    assert qrlc([*map(str, line), "--vary", "n=2"]) == 0, capsys.readouterr().err


@pytest.mark.parametrize("target", ["qiskit", "braket"])
def test_on_a_device(run: Path, tmp_path: Path, target: str, capsys: Any) -> None:
    pytest.importorskip({"qiskit": "qiskit_aer", "braket": "braket.devices"}[target])
    capsys.readouterr()
    line = ["run", run, "--target", target, "--shots", 0, "--limit", 1, "--out", tmp_path / "o"]
    assert qrlc([*map(str, line), "--format", "json"]) == 0, capsys.readouterr().err
    assert qrlc(["compile", str(run.parent / "m.qrl"), "--target", target,
                 "--weights", str(run), "-o", str(tmp_path / "files")]) == 0  # fmt: skip
