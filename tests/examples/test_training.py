"""Every example trains by its own block: a few updates on a few records, at a small size."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from qrlang.cli.main import run as qrlc  # noqa: E402
from qrlang.training.data.samples import write_samples  # noqa: E402

FOLDER = Path(__file__).parent.parent.parent / "examples"
UNTRAINED = ("correction/code.qrl",)
FILES = [str(p.relative_to(FOLDER)) for p in sorted(FOLDER.glob("*/*.qrl"))]
FILES = [name for name in FILES if name not in UNTRAINED]

# What takes seconds at its own size.
SMALL: dict[str, tuple[str, ...]] = {
    "ancilla/projective.qrl": ("--set", "n=2", "--data", "damped_sine(length: 60)"),
    "ancilla/weak.qrl": ("--data", "damped_sine(length: 60)"),
    "attention/score.qrl": ("--set", "n=2"),
    "bausch/bausch.qrl": ("--set", "m=1", "--set", "stages=1", "--data", "elman_xor(length: 3)"),
    "copying/copying.qrl": ("--set", "n=3", "--data", "copying(delay: 10)"),
    "deep/bidirectional.qrl": ("--set", "n=3"),
    "deep/stacked.qrl": ("--set", "n=3"),
    "language_model/character.qrl": ("--set", "n=3", "--length", "16"),
    "language_model/shakespeare.qrl": ("--set", "n=3", "--set", "hidden=8", "--length", "16"),
    "language_model/word.qrl": ("--set", "n=3", "--length", "16"),
    "mixed/dqc1.qrl": ("--set", "n=2", "--data", "spirals(length: 4)"),
    "qrnn/permuted.qrl": ("--set", "n=3"),
    "qrnn/pixels.qrl": ("--set", "n=3"),
    "qrnn/rows.qrl": ("--set", "n=3"),
    "qrnn/rows_xyz.qrl": ("--set", "n=3"),
    "reservoir/feedback.qrl": ("--data", "narma(order: 2, length: 200)"),
    "reservoir/hamiltonian.qrl": ("--set", "n=3", "--data", "narma(order: 2, length: 200)"),
    "reservoir/mackey_glass.qrl": ("--set", "n=3", "--data", "mackey_glass(length: 200)"),
    "reservoir/reservoir.qrl": ("--data", "narma(order: 5, length: 200)"),
    "sentiment/sentiment.qrl": ("--set", "n=3", "--set", "d=4"),
    "translation/captions.qrl": ("--set", "n=3", "--set", "d=8", "--set", "hidden=8"),
    "translation/captions_without.qrl": ("--set", "n=3", "--set", "d=8", "--set", "hidden=8"),
    "translation/short.qrl": ("--set", "n=3", "--set", "d=8", "--set", "hidden=8"),
    "translation/short_without.qrl": ("--set", "n=3", "--set", "d=8", "--set", "hidden=8"),
    "translation/translation.qrl": ("--set", "n=3", "--set", "d=8", "--length", "8"),
    "warping/twi.qrl": ("--set", "n=2", "--data", "warped(length: 6)"),
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("samples")
    write_samples(folder, 60)
    return folder


@pytest.mark.parametrize("name", FILES)
def test_it_trains(name: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QRLANG_DATA", raising=False)
    monkeypatch.setenv("QRLANG_OFFLINE", "1")
    run = tmp_path / "run"
    ridge = name.startswith("reservoir/")
    few = () if ridge else ("--limit", "4", "--batch", "2", "--steps", "2", "--warmup", "1")
    line = ["train", FOLDER / name, "--data-dir", data, "--out", run, "--threads", 1, "--log",
            "1 steps", *few, *SMALL.get(name, ())]  # fmt: skip
    assert qrlc([str(x) for x in line]) == 0
    result = json.loads((run / "result.json").read_text())
    assert result["steps"] == (1 if ridge else 2) and result["skipped"] == 0
    assert result["figures"]["loss"]["value"] is not None
