"""The folder that `compile --target qiskit` writes, run as its user would."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_tools import qrlc
from hardware_tools import difference, example, items, right, weights

from qrlang.backends.qiskit.emit.module import emit_module
from qrlang.backends.reference import initial_weights
from qrlang.ir.walk import uses, walk

GOLDEN = Path(__file__).parent / "golden"
NAMES = ["qrnn/rows.qrl", "qlstm/qlstm.qrl", "translation/translation.qrl",
         "reservoir/reservoir.qrl", "mixed/dqc1.qrl", "attention/score.qrl",
         "staggered/staggered.qrl", "language_model/word.qrl"]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_exactly_the_reference(name: str) -> None:
    program = example(name)
    w, batch = weights(program), items(program, (3, 3))
    space: dict[str, Any] = {"__name__": "model"}
    exec(compile(emit_module(program), "model.py", "exec"), space)
    space["device"] = space["Device"]("aer", 0)
    read = {v.id for op in walk(program.body) for v in uses(op)}
    given = {v.name: np.stack([{**x.inputs, **x.targets}[v.name] for x in batch])
             for v in (*program.inputs, *(t for t in program.targets if t.id in read))}  # fmt: skip
    found = space["forward"](w, **given)
    rows = [{k: np.asarray(v)[min(i, len(v) - 1)] for k, v in found.items()} for i in range(2)]
    assert difference(right(program, batch, w), rows) < 1e-9


def test_the_text() -> None:
    text = emit_module(example("qrnn/rows.qrl"))
    file = GOLDEN / "qrnn_qiskit.py"
    if os.environ.get("QRL_UPDATE"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


def test_the_folder(tmp_path: Path, root: Path) -> None:
    done = qrlc("compile", root / "examples/qrnn/rows.qrl", "--set", "n=2", "--target", "qiskit",
                "--qpy", "yes", "-o", tmp_path)  # fmt: skip
    assert done.code == 0, done.err
    from qiskit import qpy

    (circuit,) = qpy.load(io.BytesIO((tmp_path / "QRNN.step.qpy").read_bytes()))
    assert circuit.num_qubits == 2
    plain = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    ran = subprocess.run(
        [sys.executable, "model.py", "--shots", "50"], cwd=tmp_path, env=plain,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "6 circuits in 3 jobs, 50 shots each" in ran.stdout


def test_weights_of_a_file(tmp_path: Path, root: Path) -> None:
    model = root / "examples/qrnn/rows.qrl"
    assert qrlc("compile", model, "--target", "qiskit", "-o", tmp_path / "a").code == 0
    given = tmp_path / "a/weights.safetensors"
    again = qrlc("compile", model, "--target", "qiskit", "--weights", given, "-o", tmp_path / "b")
    assert again.code == 0
    assert (tmp_path / "b/weights.safetensors").read_bytes() == given.read_bytes()
    assert initial_weights(example("qrnn/rows.qrl"))


def test_what_only_a_run_can_is_refused_with_its_place(tmp_path: Path, root: Path) -> None:
    model = root / "examples/ancilla/weak.qrl"
    done = qrlc("compile", model, "--target", "qiskit", "-o", tmp_path)
    assert done.code == 1
    assert "weak.qrl:" in done.err
    assert "`qrlc run` can" in done.err
