"""The folders that `compile --target qiskit` and `--target braket` write, as their users run them."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import qiskit_branches
import strategies
from cli_tools import qrlc
from device_tools import ALL, length, plain, used
from hardware_tools import EXAMPLES, difference, example, items, of_text, right, weights
from hypothesis import HealthCheck, given, settings

from qrlang.backends import braket, qiskit
from qrlang.backends.braket.emit.module import emit_module as braket_module
from qrlang.backends.emit.names import inputs_of
from qrlang.backends.qiskit.emit.module import emit_module as qiskit_module
from qrlang.backends.reference.errors import RunError
from qrlang.driver import Compilation
from qrlang.hardware.target import MODULE
from qrlang.ir.program import Program
from qrlang.passes import GATES, run_passes
from qrlang.targets import defaults, load

GOLDEN = Path(__file__).parent / "golden"
EMIT = {"qiskit": qiskit_module, "braket": braket_module}
REFUSED = {"extern", *MODULE}
both = pytest.mark.parametrize("target", EMIT)
pytestmark = pytest.mark.filterwarnings("ignore:You are running a noise-free circuit:UserWarning")
LOOSE = list(HealthCheck)
# Braket's simulator reads the text of every circuit again, which takes nearly all of its time.
SLOW = {
    "copying/copying.qrl",
    "correction/code.qrl",
    "qrnn/permuted.qrl",
    "qrnn/pixels.qrl",
    "translation/translation.qrl",
}


def module(program: Program, target: str) -> dict[str, Any]:
    """What is in the file, with a device that is exact. Qiskit's has no exact mode for circuits
    that measure: those are followed outcome by outcome here."""
    space: dict[str, Any] = {"__name__": "model"}
    exec(compile(EMIT[target](program), "model.py", "exec"), space)
    if target == "braket":
        name = "braket_dm" if "noise" in used(program) else "braket_sv"
        space["device"] = space["Device"](name, 0)
        return space

    class Exact(space["Device"]):
        def exactly(self, circuit: Any, table: Any) -> Any:
            if not circuit.clbits:
                return super().exactly(circuit, table)
            return [qiskit_branches.outcomes(circuit.assign_parameters(row)) for row in table]

    space["device"] = Exact("aer", 0)
    return space


def differs(program: Program, target: str, moments: int = 2) -> float:
    w, batch = weights(program), items(program, (moments, moments))
    want = right(program, batch, w)
    given = {v.name: np.stack([{**x.inputs, **x.targets}[v.name] for x in batch])
             for v in inputs_of(program)}  # fmt: skip
    found = module(program, target)["forward"](w, **given)
    # what does not depend on the sequence is there once
    rows = [{k: np.asarray(v)[min(i, len(v) - 1)] for k, v in found.items()} for i in range(2)]
    return difference(want, rows)


@both
@pytest.mark.parametrize("name", ALL)
def test_an_example(name: str, target: str) -> None:
    program = plain(name)
    if used(program) & REFUSED:
        with pytest.raises(ValueError, match=r"has no form|`qrlc run` can"):
            EMIT[target](program)
        return
    moments = 1 if name in SLOW else length(name)
    assert differs(program, target, moments) < 1e-9


def _any(program: Program, target: str) -> None:
    program = run_passes(program, GATES)
    try:
        EMIT[target](program)
    except ValueError as error:  # a few constructs, each by its name
        assert "measured bit" in str(error)
        return
    try:
        assert differs(program, target, 1) < 1e-9
    except (RunError, SystemExit):  # numbers that are not finite, outcomes that never happen
        return


@both
@settings(max_examples=15, suppress_health_check=LOOSE)
@given(program=strategies.programs(qubits=2))
def test_generated_programs(program: Program, target: str) -> None:
    _any(program, target)


@both
@settings(max_examples=15, suppress_health_check=LOOSE)
@given(program=strategies.mixed_programs(qubits=2))
def test_generated_programs_that_measure(program: Program, target: str) -> None:
    _any(program, target)


# --- the folder ---------------------------------------------------------------------------------


@both
def test_the_text(target: str) -> None:
    text = EMIT[target](example("qrnn/rows.qrl"))
    file = GOLDEN / f"qrnn_{target}.py"
    if os.environ.get("QRL_UPDATE"):
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


@both
def test_data_may_hold_more_than_the_inputs(target: str, tmp_path: Path) -> None:
    """The file that `qrlc run --data` takes, with the answers in it."""
    done = qrlc("compile", EXAMPLES / "qrnn/rows.qrl", "--set", "n=2", "-t", target, "-o", tmp_path)
    assert done.code == 0, done.err
    np.savez(tmp_path / "d.npz", rows=np.ones((2, 2, 28)), label=np.zeros(2, int))
    ran = subprocess.run(
        [sys.executable, "model.py", "--shots", "20", "--data", "d.npz"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "result (2, 10)" in ran.stdout, ran.stderr


@both
def test_data_has_the_names_of_the_program(target: str, tmp_path: Path) -> None:
    """Also where Python needs another: the module's own function is called `main`."""
    (tmp_path / "m.qrl").write_text(
        "model M {\n  input main: real[1]\n  input lambda: real[1]\n  target y: real[1]\n"
        "  qubits q[1]\n  ry(main[0] - lambda[0]) q[0]\n  return read [Z(q[0])]\n}\n"
    )
    done = qrlc("compile", tmp_path / "m.qrl", "-t", target, "-o", tmp_path)
    assert done.code == 0, done.err

    def ran(*line: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "model.py", *line], cwd=tmp_path, capture_output=True, text=True,
            check=False,
        )  # fmt: skip

    np.savez(tmp_path / "d.npz", **{"main": [[2.0]], "lambda": [[0.5]]})
    assert f"[[{np.cos(1.5):.4f}]]" in ran("--shots", "0", "--data", "d.npz").stdout
    np.savez(tmp_path / "e.npz", main=[[2.0]])
    assert "has no array 'lambda'; it has main" in ran("--shots", "0", "--data", "e.npz").stderr
    assert "error: --shots is a number of shots, or 0" in ran("--shots", "-4").stderr


# Python that has no qrlang, and says at the end which SDKs it has loaded.
ALONE = """
import runpy, sys
sys.modules["qrlang"] = None
sys.argv = ["model.py", *sys.argv[1:]]
runpy.run_path("model.py", run_name="__main__")
loaded = [name for name in ("braket", "qiskit", "torch", "qrlang") if sys.modules.get(name)]
print("loaded:", *loaded)
"""


def alone(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-I", "-c", ALONE, *arguments], cwd=folder, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@both
@pytest.mark.parametrize("name", ["qrnn/rows", "qcnn/qcnn", "ancilla/weak"])
def test_the_folder_runs_by_itself(name: str, target: str, tmp_path: Path) -> None:
    """With that SDK and NumPy alone; one seed says everything."""
    sizes = () if name == "qcnn/qcnn" else ("--set", "n=2")
    done = qrlc("compile", EXAMPLES / f"{name}.qrl", *sizes, "--target", target, "-o", tmp_path)
    assert done.code == 0, done.err
    assert {"model.py", "weights.safetensors"} <= {p.name for p in tmp_path.iterdir()}
    found = alone(tmp_path, "--shots", "50", "--length", "2")
    assert found == alone(tmp_path, "--shots", "50", "--length", "2")
    assert "50 shots each" in found and f"loaded: {target}\n" in found
    if name == "qrnn/rows":
        assert "4 circuits in 2 jobs" in found  # two moments of two sequences


CROSS = Path(__file__).parent.parent / "cross"
FOLDERS = [*sorted(CROSS.glob("features/*.qrl")), CROSS / "odd/ends_apart.qrl"]


@pytest.mark.parametrize("target", ["qiskit", "braket", "qasm"])
@pytest.mark.parametrize("path", FOLDERS, ids=lambda p: p.stem)
def test_a_folder_of_everything(path: Path, target: str) -> None:
    """What is not refused is written, also the circuits beside the module."""
    made = Compilation.of_bytes(str(path), path.read_bytes())
    opened = load(target)
    for model in made.models():
        lowered = made.for_target(model)
        if not opened.check(lowered, defaults(opened)):
            files = opened.emit(lowered, defaults(opened))
            texts = [text for name, text in files.items() if name.endswith(".qasm")]
            assert ("model.py" in files) == (target != "qasm")
            assert all(str(text).count("OPENQASM 3.0;") == 1 for text in texts)


def test_circuits_as_qpy(tmp_path: Path) -> None:
    model = EXAMPLES / "qrnn/rows.qrl"
    done = qrlc("compile", model, "--set", "n=2", "-t", "qiskit", "--qpy", "yes", "-o", tmp_path)
    assert done.code == 0, done.err
    from qiskit import qasm3, qpy

    (circuit,) = qpy.load(io.BytesIO((tmp_path / "QRNN.step.qpy").read_bytes()))
    text = (tmp_path / "QRNN.step.qasm").read_text()
    assert circuit.num_qubits == 2
    assert circuit.num_parameters == qasm3.loads(text).num_parameters == 12


def test_circuits_as_braket_ir(tmp_path: Path) -> None:
    model = EXAMPLES / "staggered/staggered.qrl"
    done = qrlc("compile", model, "-t", "braket", "--ir", "yes", "-o", tmp_path)
    assert done.code == 0, done.err
    from braket.ir.openqasm import Program as IR

    (step,) = tmp_path.glob("*.step.qasm")
    assert IR.parse_file(str(step.with_suffix(".json"))).source == step.read_text()


@both
def test_weights_of_a_file(target: str, tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    model = EXAMPLES / "staggered/staggered.qrl"
    assert qrlc("compile", model, "--target", target, "-o", tmp_path / "a").code == 0
    given = tmp_path / "a/weights.safetensors"
    program = plain("staggered/staggered.qrl")
    assert {n: x.shape for n, x in load_file(str(given)).items()} == {
        w.name: w.shape for w in program.weights
    }
    out = tmp_path / "b"
    assert qrlc("compile", model, "-t", target, "--weights", given, "-o", out).code == 0
    assert (out / "weights.safetensors").read_bytes() == given.read_bytes()
    for bad in (tmp_path / "none", model):
        done = qrlc("compile", model, "-t", target, "--weights", bad, "-o", out)
        assert done.code == 2 and "bug" not in done.err


@both
def test_weights_of_a_run_bring_its_parameters(target: str, tmp_path: Path) -> None:
    """What was trained with `--set hidden=5` needs no second `--set`."""
    from safetensors.numpy import load_file, save_file

    model, run = EXAMPLES / "digits/digits.qrl", tmp_path / "run"
    a, b, sizes = tmp_path / "a", tmp_path / "b", ("--set", "hidden=5", "--set", "n=3")
    assert qrlc("compile", model, "-t", target, *sizes, "-o", a).code == 0
    (run / "checkpoints").mkdir(parents=True)
    (run / "checkpoints/best.safetensors").write_bytes((a / "weights.safetensors").read_bytes())
    about = {"model": "Digits", "parameters": {"n": 3, "hidden": 5, "layers": 2}}
    (run / "settings.json").write_text(json.dumps({"about": about}))
    done = qrlc("compile", model, "-t", target, "--weights", run, "-o", b)
    assert done.code == 0, done.err
    assert (a / "model.py").read_text() == (b / "model.py").read_text()
    assert qrlc("compile", model, "-t", target, "--weights", run, "--set", "n=4", "-o", b).code == 2

    w = {name: np.full_like(x, np.nan) for name, x in load_file(a / "weights.safetensors").items()}
    save_file(w, run / "checkpoints/best.safetensors")
    done = qrlc("compile", model, "-t", target, "--weights", run, "-o", b)
    assert done.code == 2 and "is not finite" in done.err


@both
@pytest.mark.parametrize("name", sorted(MODULE))
def test_what_only_a_run_can_is_refused_with_its_place(
    name: str, target: str, tmp_path: Path
) -> None:
    path = Path(__file__).parent.parent / "cross" / "features" / f"{name}.qrl"
    done = qrlc("compile", path, "--target", target, "-o", tmp_path)
    assert done.code == 1
    assert f"{name}.qrl:" in done.err and "`qrlc run` can" in done.err


@both
@pytest.mark.parametrize(
    ("line", "word"),
    [("apply u to q", "apply u"), ("apply tfim(1.0, x[0]) for 1.0 to q", "apply tfim")],
)
def test_a_matrix_that_is_too_large(line: str, word: str, target: str, tmp_path: Path) -> None:
    path = tmp_path / "wide.qrl"
    path.write_text("use std.hamiltonian.tfim\nmodel M { input u: unitary[7]\n input x: real[1]\n"
                    f" target y: real[1]\n qubits q[7]\n {line}\n return read [Z(q[0])] }}\n")  # fmt: skip
    done = qrlc("compile", path, "--target", target, "-o", tmp_path / "out")
    assert done.code == 1
    assert "on 7 qubits" in done.err and "6 qubits at most" in done.err and word in done.err
    done = qrlc("run", path, "--target", target, "--shots", "9", "--yes")
    assert done.code != 0 and "7 qubits" in done.err


def test_targets_offer_what_they_emit() -> None:
    assert braket.target.features({"ir": "no"})["bits-in-angles"].yes is False
    assert qiskit.target.features({})["bits-in-angles"].yes is True


# --- what is loaded -----------------------------------------------------------------------------

COMMAND = """
import sys
sys.modules["torch"] = None  # as where it is not installed
from qrlang.cli import main
try:
    main()
except SystemExit as done:
    loaded = [name for name in ("braket", "qiskit", "torch") if sys.modules.get(name)]
    print("code", done.code, "loaded:", *loaded)
"""


@pytest.mark.parametrize(
    ("words", "loaded"),
    [
        ("compile --target qiskit", ""),
        ("compile --target braket", ""),
        ("compile --target qasm", ""),
        ("compile --target qiskit --qpy yes", " qiskit"),
        ("run --target qiskit --shots 0", " qiskit"),
        ("run --target braket --shots 9", " braket"),
    ],
)
def test_nobody_pays_for_the_other_sdk(words: str, loaded: str, tmp_path: Path, root: Path) -> None:
    """`pip install qrlang[braket]` is enough for Braket, without Qiskit and torch; and so on."""
    command, *options = words.split()
    np.savez(tmp_path / "rows.npz", rows=np.ones((1, 2, 28)))
    given = ["--data", "rows.npz", "--yes"] if command == "run" else ["-o", "out"]
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, command, str(EXAMPLES / "qrnn/rows.qrl"), "--set", "n=2",
         *options, *given],
        cwd=tmp_path, capture_output=True, text=True, check=False, env=environment(root),
    )  # fmt: skip
    assert f"code 0 loaded:{loaded}\n" in done.stdout, done.stdout + done.stderr


def environment(root: Path) -> dict[str, str]:
    """Where this checkout is what `import qrlang` finds."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), *sys.path[1:]])}


@pytest.mark.filterwarnings("ignore:Properties of fake_nighthawk:UserWarning")
def test_a_setting_that_needs_fewer_angles() -> None:
    """A rotation before a reading is left out when a device's circuits are made: so settings of
    one job differ in their angles, and in whether they have any."""
    text = """
model Last() {
  input x: seq[real[1]]
  qubits q[2]
  param w: angle[2]
  step x_t in x {
    h q[0]
    cx q[0], q[1]
    rz(w[0] + x_t[0]) q[0]
    readout z = [Z(q[0]), X(q[0]) * X(q[1])]
    let v = read z
    ry(w[1] + v[0] + v[1]) q[1]
    rz(x_t[0]) q[0]
  }
  return read [Z(q[0]), X(q[0]), Z(q[1])]
}
"""
    program = of_text(text)
    w, batch = weights(program), items(program, (2,) * 3)
    want = right(program, batch, w)
    space = module(program, "qiskit")
    x = np.stack([one.inputs["x"] for one in batch])
    for name in ("aer", "fake_manila"):
        space["device"] = space["Device"](name, 4000)
        found = space["forward"](w, x)[""]
        far = np.abs(found - np.stack([one[""] for one in want])).max()
        assert far < (0.2 if name == "aer" else 0.4)
