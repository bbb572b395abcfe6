"""`qrlc eval` at other shots and other parameters than in training, held against the module."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from training_tools import MODEL, project  # noqa: E402

import qrlang  # noqa: E402
from qrlang.cli.main import run as qrlc  # noqa: E402
from qrlang.training import checkpoint  # noqa: E402
from qrlang.training.asked.trained import opened  # noqa: E402
from qrlang.training.run import Run  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::qrlang.backends.torch.roads.RoadNotice")

NOISY = MODEL.replace("hidden: int = 8", "hidden: int = 8, p: real = 0.0").replace(
    "(steer(x, read z)) to memory\n",
    "(steer(x, read z)) to memory\n    if p > 0 { for i in 0..n { depolarizing(p) memory[i] } }\n",
)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    line = ["train", str(project(tmp_path, NOISY, records=80)), "--out", str(tmp_path / "run")]
    assert qrlc([*line, "--threads", "1", "--epochs", "1"]) == 0
    return tmp_path / "run"


def said(capsys: Any, run: Path, *line: str) -> dict[str, Any]:
    capsys.readouterr()
    assert qrlc(["eval", str(run), "--format", "json", "--split", "train", *line]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def loss(found: dict[str, Any]) -> float:
    return float(found["figures"]["loss"]["value"])


def test_the_same_weights_with_more_noise(run: Path, capsys: Any) -> None:
    module = qrlang.load(run / "program" / "tiny.qrl", p=0.1)
    module.load_state_dict(checkpoint.load(Run.open(run).kept())[0])
    feed = opened(str(run)).feed(None)
    rows = next(iter(feed.batches("train", 80, seed=0, epoch=0, shuffle=False))).values
    with torch.no_grad():
        scores = module(torch.as_tensor(rows["xs"]))
    found = said(capsys, run, "--set", "p=0.1")
    assert found["sequences"] == len(scores) and found["set"] == {"p": 0.1}
    wanted = torch.nn.functional.cross_entropy(scores, torch.as_tensor(rows["label"]))
    assert loss(found) == pytest.approx(float(wanted), abs=1e-5)
    assert abs(loss(said(capsys, run)) - loss(found)) > 1e-4


def test_the_same_weights_with_few_shots(run: Path, capsys: Any) -> None:
    exact, many, few = (loss(said(capsys, run, *line)) for line in (
        (), ("--shots", "100000000"), ("--shots", "2")))  # fmt: skip
    assert abs(many - exact) < 1e-3 < abs(few - exact)
    assert few == loss(said(capsys, run, "--shots", "2"))  # the same lot
    assert qrlc(["eval", str(run), "--shots", "2", "--set", "p=0.1"]) == 0
    assert ", p = 0.1, readouts from 2 shots\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("q=1", "Tiny has no parameter 'q'"),
        ("hidden=5", "do not fit: `steer.b1` is [8], and [5] in the model"),
        ("p=2", "lies between 0 and 1"),
        ("p=much", "is of type real"),
    ],
)
def test_what_cannot_be_another(run: Path, given: str, says: str, capsys: Any) -> None:
    assert qrlc(["eval", str(run), "--set", given]) == 1
    assert says in capsys.readouterr().err


def test_a_device_gets_the_same_weights_at_other_parameters(run: Path, capsys: Any) -> None:
    pytest.importorskip("qiskit_aer")
    module = qrlang.load(run / "program" / "tiny.qrl", p=0.1)
    module.load_state_dict(checkpoint.load(Run.open(run).kept())[0])
    feed = opened(str(run)).feed(None)
    rows = next(iter(feed.batches("test", 3, seed=0, epoch=0, shuffle=False))).values
    line = ["run", str(run), "--shots", "0", "--limit", "3", "--out", str(run / "o")]
    assert qrlc([*line, "--set", "n=3"]) == 1
    assert "an activation" in capsys.readouterr().err
    assert qrlc([*line, "--set", "p=0.1"]) == 0
    with torch.no_grad():
        wanted = module(torch.as_tensor(rows["xs"]))
    with np.load(run / "o" / "outputs.npz") as found:
        np.testing.assert_allclose([found[k] for k in found.files], wanted, atol=1e-5)
