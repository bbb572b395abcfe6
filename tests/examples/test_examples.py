"""Every example checks, is formatted, can be inspected, and runs a few steps at a small size."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_tools import qrlc
from library_tools import report

from qrlang.backends.reference import run
from qrlang.driver import Compilation
from qrlang.ir.program import Program
from qrlang.ir.types import Type

ROOT = Path(__file__).parent.parent.parent
FOLDER = ROOT / "examples"
FILES = {str(p.relative_to(FOLDER)): p for p in sorted(FOLDER.glob("*/*.qrl"))}

# The one example that is wrong on purpose; its README says why.
WARNINGS = {"recursive/as_proposed.qrl": Counter({"W0801": 1, "W0803": 1})}

# A circuit to look at and to run: it has nothing to learn.
UNTRAINED = ("correction/code.qrl",)

# Small enough to run in no time. Everything else runs at its own size.
SMALL: dict[str, dict[str, int | float]] = {
    "copying/copying.qrl": {"n": 3},
    "deep/bidirectional.qrl": {"n": 3},
    "deep/stacked.qrl": {"n": 3},
    "language_model/character.qrl": {"n": 3},
    "language_model/shakespeare.qrl": {"n": 3, "hidden": 8},
    "language_model/word.qrl": {"n": 3, "vocab": 20, "d": 4},
    "markov/hqmm.qrl": {"n": 2},
    "qrnn/permuted.qrl": {"n": 3},
    "qrnn/permuted_xyz.qrl": {"n": 3},
    "qrnn/pixels.qrl": {"n": 3},
    "qrnn/rows.qrl": {"n": 3},
    "qrnn/rows_xyz.qrl": {"n": 3},
    "reservoir/hamiltonian.qrl": {"n": 3, "time": 1.0},
    "reservoir/mackey_glass.qrl": {"n": 3, "time": 1.0, "window": 2},
    "reservoir/virtual_nodes.qrl": {"n": 3, "time": 1.0, "nodes": 2},
    "sentiment/sentiment.qrl": {"n": 3, "vocab": 20, "d": 4},
    "translation/captions.qrl": {"n": 3, "src": 9, "tgt": 7, "d": 4, "width": 3, "hidden": 8},
    "translation/captions_without.qrl": {"n": 3, "src": 9, "tgt": 7, "d": 4, "hidden": 8},
    "translation/short.qrl": {"n": 3, "src": 9, "tgt": 7, "d": 4, "hidden": 8},
    "translation/short_without.qrl": {"n": 3, "src": 9, "tgt": 7, "d": 4, "hidden": 8},
    "translation/translation.qrl": {"n": 3, "src": 9, "tgt": 7, "d": 4},
    "attention/score.qrl": {"n": 2, "vocab": 9},
}
STEPS = 3


def compiled(name: str, settings: dict[str, Any] | None = None) -> Compilation:
    path = FILES[name]
    return Compilation.of_bytes(str(path), path.read_bytes(), settings)


def program_of(name: str) -> Program:
    """At a size at which it runs in no time."""
    (model,) = compiled(name, SMALL.get(name)).models()
    return model.program


@pytest.mark.parametrize("name", FILES)
def test_checks(name: str) -> None:
    compilation = compiled(name)
    found = compilation.diagnostics
    assert Counter(d.code for d in found) == WARNINGS.get(name, Counter()), report(found)
    assert len(compilation.checked.models) == 1
    trained = 0 if name in UNTRAINED else 1
    assert len(compilation.checked.trains) == trained, "says how it is trained"


def test_the_recursive_network_is_told_that_its_angles_do_nothing() -> None:
    compilation = compiled("recursive/as_proposed.qrl")
    dead, constant = sorted(compilation.diagnostics, key=lambda d: d.code)
    assert "the angles that this line makes cannot change any readout" in dead.message
    assert "`rz`" in dead.label
    assert any("rz" in n.span.text for n in dead.notes if n.span)
    assert "constant: always 0" in constant.message


def test_reading_only_the_data_qubit_of_the_plain_qrnn_is_told_to_forget_the_past() -> None:
    """What examples/staggered/README.md tells."""
    path = FILES["staggered/plain.qrl"]
    text = re.sub(r"return .*", "return read Z(data[0])", path.read_text(encoding="utf-8"))
    found = Compilation.of_bytes(str(path), text.encode()).diagnostics
    assert any(d.code == "W0805" and "memory of `step` is never read" in d.message for d in found)


@pytest.mark.parametrize("name", FILES)
def test_formatted(name: str) -> None:
    compilation = compiled(name)
    assert compilation.formatted == (compilation.source.text, ())


@pytest.mark.parametrize("name", FILES)
def test_inspects(name: str) -> None:
    done = qrlc("inspect", FILES[name], "--format", "json")
    assert done.code == 0, done.err
    assert done.data()


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
    program = program_of(name)
    externs = {e.name: tensor_train for e in program.externs}
    targets = {v.name: numbers(v.type, np.random.default_rng(9), STEPS) for v in program.targets}
    given = [
        {v.name: numbers(v.type, rng, STEPS) for v in program.inputs}
        for rng in (np.random.default_rng(7), np.random.default_rng(8))
    ]
    first, second = (run(program, x, targets, externs=externs).outputs[""] for x in given)
    (kind,) = (o.value.type for o in program.outputs if o.name == "")
    assert first.shape == ((STEPS, *kind.shape) if kind.seq else kind.shape)
    assert np.all(np.isfinite(first))
    assert not np.allclose(first, second), "another input gives another output"
    if not program.targets:
        return
    wanted = program.targets[0].type
    size = wanted.size if wanted.kind in ("token", "class") else wanted.count
    assert kind.count == size, "one number for each class, token or target"
    assert kind.seq == wanted.seq


@pytest.mark.parametrize("name", sorted(set(FILES) - {"noise/noisy.qrl"}))
def test_is_the_same_after_all_passes(name: str) -> None:
    """(Shots are drawn in another order after the passes, so the noisy example is left out.)"""
    program = program_of(name)
    rng = np.random.default_rng(7)
    externs = {e.name: tensor_train for e in program.externs}
    inputs = {v.name: numbers(v.type, rng, STEPS) for v in program.inputs}
    targets = {v.name: numbers(v.type, rng, STEPS) for v in program.targets}
    optimised = replace(compiled(name), verify=True).optimised(program)
    before, after = (run(p, inputs, targets, externs=externs) for p in (program, optimised))
    assert np.allclose(before.outputs[""], after.outputs[""], atol=1e-10)


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
