"""Every example checks, is formatted, can be inspected, and runs a few steps at a small size."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from library_tools import LIBRARY, report

from qrlang.backends.reference import run
from qrlang.check import check_file
from qrlang.cli import main
from qrlang.format import format_text
from qrlang.ir.types import Type
from qrlang.source import Source
from qrlang.syntax.parser import parse

ROOT = Path(__file__).parent.parent.parent
FOLDER = ROOT / "examples"
FILES = {str(p.relative_to(FOLDER)): p for p in sorted(FOLDER.glob("*/*.qrl"))}

# The one example that is wrong on purpose; its README says why.
WARNINGS: dict[str, Counter[str]] = {}

# Small enough to run in no time. Everything else runs at its own size.
SMALL: dict[str, dict[str, int]] = {
    "copying/copying.qrl": {"n": 3},
    "deep/bidirectional.qrl": {"n": 3},
    "deep/stacked.qrl": {"n": 3},
    "language_model/character.qrl": {"n": 3},
    "language_model/word.qrl": {"n": 3, "vocab": 20, "d": 4},
    "qrnn/permuted.qrl": {"n": 3},
    "qrnn/pixels.qrl": {"n": 3},
    "qrnn/rows.qrl": {"n": 3},
    "sentiment/sentiment.qrl": {"n": 3, "vocab": 20, "d": 4},
    "translation/translation.qrl": {"n": 3, "src": 9, "tgt": 7, "d": 4},
    "attention/score.qrl": {"n": 2, "vocab": 9},
}
STEPS = 3


def checked(name: str, settings: dict[str, Any] | None = None) -> Any:
    path = FILES[name]
    file, syntax = parse(Source(str(path), path.read_text(encoding="utf-8")))
    assert not syntax, report(syntax)
    return check_file(file, LIBRARY, settings or {})


@pytest.mark.parametrize("name", FILES)
def test_checks(name: str) -> None:
    found, diagnostics = checked(name)
    assert Counter(d.code for d in diagnostics) == WARNINGS.get(name, Counter()), report(
        diagnostics
    )
    assert len(found.models) == 1
    assert len(found.trains) == 1, "says how it is trained"


@pytest.mark.parametrize("name", FILES)
def test_formatted(name: str) -> None:
    text = FILES[name].read_text(encoding="utf-8")
    formatted, diagnostics = format_text(Source(name, text))
    assert not diagnostics
    assert formatted == text


@pytest.mark.parametrize("name", FILES)
def test_inspects(name: str) -> None:
    result = CliRunner().invoke(main, ["inspect", str(FILES[name]), "--format", "json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)


def numbers(kind: Type, rng: np.random.Generator, steps: int) -> Any:
    def moment() -> Any:
        match kind.kind:
            case "token" | "class":
                return int(rng.integers(kind.size))
            case "state":
                v = rng.normal(size=2**kind.size) + 1j * rng.normal(size=2**kind.size)
                return v / np.linalg.norm(v)
            case "unitary":
                size = 2**kind.size
                return np.linalg.qr(
                    rng.normal(size=(size, size)) + 1j * rng.normal(size=(size, size))
                )[0]
            case "bit":
                return rng.integers(2, size=kind.shape)
        return rng.uniform(-1, 1, kind.shape)

    return np.array([moment() for _ in range(steps)]) if kind.seq else moment()


def tensor_train(x: np.ndarray, rank: int = 4) -> np.ndarray:
    return np.tanh(x.reshape(8, -1).sum(axis=1))


@pytest.mark.parametrize("name", FILES)
def test_runs(name: str) -> None:
    found, _ = checked(name, SMALL.get(name))
    (model,) = found.models.values()
    program = model.program
    rng = np.random.default_rng(7)
    inputs = {v.name: numbers(v.type, rng, STEPS) for v in program.inputs}
    targets = {v.name: numbers(v.type, rng, STEPS) for v in program.targets}
    externs = {e.name: tensor_train for e in program.externs}
    result = run(program, inputs, targets, externs=externs)
    (output,) = (o for o in program.outputs if o.name == "")
    got, kind = result.outputs[""], output.value.type
    assert got.shape == ((STEPS, *kind.shape) if kind.seq else kind.shape)
    assert np.all(np.isfinite(got))
    wanted = program.targets[0].type
    size = wanted.size if wanted.kind in ("token", "class") else wanted.count
    assert kind.count == size, "one number for each class, token or target"
    assert kind.seq == wanted.seq


def test_an_input_changes_the_output_unless_the_model_cannot_learn() -> None:
    for name in FILES:
        found, _ = checked(name, SMALL.get(name))
        (model,) = found.models.values()
        program = model.program
        rng = np.random.default_rng(7)
        targets = {v.name: numbers(v.type, rng, STEPS) for v in program.targets}
        externs = {e.name: tensor_train for e in program.externs}
        first, second = (
            run(
                program,
                {
                    v.name: numbers(v.type, np.random.default_rng(seed), STEPS)
                    for v in program.inputs
                },
                targets,
                externs=externs,
            ).outputs[""]
            for seed in (1, 2)
        )
        assert not np.allclose(first, second), name


def test_every_folder_says_what_it_is() -> None:
    index = (FOLDER / "README.md").read_text(encoding="utf-8")
    for folder in sorted({p.parent for p in FILES.values()}):
        text = (folder / "README.md").read_text(encoding="utf-8")
        assert text.startswith("# ")
        assert f"]({folder.name})" in index, f"{folder.name} is missing in examples/README.md"
        for program in folder.glob("*.qrl"):
            alone = len(list(folder.glob("*.qrl"))) == 1
            assert alone or f"`{program.name}`" in text, f"{program.name} is not in its README"
    for linked in re.findall(r"\]\(([a-z_]+)\)", index):
        assert (FOLDER / linked).is_dir()


def test_python_of_an_example_does_what_its_program_declares() -> None:
    torch = pytest.importorskip("torch")
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location("tensor_layers", FOLDER / "tensor_train" / "tensor_layers.py")
    assert spec and spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    layer = module.TensorTrain(rank=3)
    assert layer(torch.zeros(784)).shape == (8,)
    matrix = torch.stack([layer(row) for row in torch.eye(784)], dim=1)
    x = torch.randn(5, 2, 784)
    assert torch.allclose(layer(x), x @ matrix.T, atol=1e-4)
