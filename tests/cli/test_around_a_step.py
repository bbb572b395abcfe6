"""What stands before, in and after a step: what its qubits hold, what is read there, how deep."""

from __future__ import annotations

from pathlib import Path

import pytest
from circuit_tools import qiskit_circuit
from cli_tools import qrlc

from qrlang.backends.qasm.printer import Text

HEAD = "model A {\n  input x: seq[real[1]]\n  target y: real[1]\n  qubits q[2]\n"
STEP = "  step v in x { ry(v[0]) q[0] cx q[0], q[1] }\n"


def emitted(path: Path, *more: object) -> dict[str, str]:
    folder = path.parent / "out"
    done = qrlc("compile", path, "--target", "qasm", "-o", folder, *more)
    assert done.code == 0, done.err
    return {p.name: p.read_text() for p in folder.iterdir()}


@pytest.fixture
def after(tmp_path: Path) -> Path:
    """Nothing but a readout follows the step."""
    path = tmp_path / "a.qrl"
    path.write_text(HEAD + "  h q[1]\n" + STEP + "  return [read X(q[0])]\n}\n")
    return path


def test_what_the_qubits_hold(after: Path) -> None:
    files = emitted(after)
    assert "The qubits begin in |0⟩." in files["A.before_step.qasm"]
    step = files["A.step.qasm"]
    assert "what the step before left in them; before the first, what `before_step` left." in step
    assert "The qubits hold what `step` left in them." in files["A.after_step.qasm"]


def test_the_drawing_shows_what_they_hold(after: Path) -> None:
    before, step, last = qrlc("draw", after).out.split("╭─ ")[1:]
    assert before.count("|0⟩") == 2 and "▶ ─" not in before
    for part in (step, last):
        assert "|0⟩" not in part and part.count("  ▶ ") == 2
    assert "⟨X⟩" in last


def test_moved_and_fresh_registers(tmp_path: Path) -> None:
    path = tmp_path / "m.qrl"
    path.write_text(
        "model M {\n  input x: seq[real[1]]\n  target y: seq[real[1]]\n"
        "  recurrent enc over x {\n    qubits m[1]\n"
        "    step v { ry(v[0]) m[0]  emit z = read Z(m[0]) }\n  }\n"
        "  recurrent dec over x {\n    qubits m[1] = enc.m\n    layer head = linear(1)\n"
        "    step v {\n      qubits a[1]\n      ry(v[0]) m[0]\n      cx m[0], a[0]\n"
        "      emit head(read X(m[0]))\n    }\n  }\n}\n"
    )
    dec = emitted(path)["M.dec.qasm"]
    assert "before the first, what `enc`" in dec.replace("\n//  ", "")
    assert "begin in |0⟩" in dec.replace("\n//  ", "")
    drawn = qrlc("draw", path).out.split("╭─ dec")[1]
    assert drawn.count("|0⟩ ─") == 1 and drawn.count(" ▶ ─") == 1
    page = qrlc("inspect", path).out
    assert "dec.head has gain 16" in page and "dec has gain" not in page


def test_readouts_after_the_step(after: Path) -> None:
    model = qrlc("inspect", after, "--format", "json").data()["models"][0]
    last = model["circuits"][-1]
    assert last["name"] == "after_step" and last["after"]["gates"] == 0
    assert [r["settings"] for r in last["readouts"]] == [[{"q[0]": "X"}]]
    assert "1 setting: all X" in qrlc("inspect", after).out
    assert "read" in emitted(after)["A.after_step.qasm"]
    [measured] = [t for n, t in emitted(after, "--readouts", "settings").items()
                  if n.startswith("A.after_step.") and n != "A.after_step.qasm"]  # fmt: skip
    names = [i.operation.name for i in qiskit_circuit(Text(measured, ())).data]
    assert names == ["h", "measure", "measure"]


BODIES = {
    "measure": "    ry(v[0]) q[0]\n    let b = measure q[1]\n    ry(0.2) q[1]\n",
    "if": "    let b = measure q[1]\n    if b { rx(0.7) q[0] } else { ry(v[0]) q[2]  x q[0] }\n",
    "if-chain": "    let b = measure q[1]\n    if b { rx(0.7) q[0] }\n    if b { x q[2] }\n",
    "nested": "    let b = measure q\n    if b[0] { if b[1] { x q[0] }  h q[1] }\n    h q[2]\n",
    "reset": "    h q[0]\n    cx q[0], q[1]\n    reset q\n    h q[1]\n",
    "reset-in-if": "    let b = measure q[0]\n    if b { reset q[0]  x q[1] }\n    h q[0]\n",
}


@pytest.mark.parametrize("name", BODIES)
def test_depth_is_qiskits(name: str, tmp_path: Path) -> None:
    path = tmp_path / "d.qrl"
    path.write_text(
        "model D {\n  input x: seq[real[1]]\n  target y: seq[real[1]]\n  qubits q[3]\n"
        "  layer head = linear(1)\n  step v in x {\n"
        f"    ry(v[0]) q[0]\n    cx q[0], q[1]\n{BODIES[name]}    emit head(read Z(q[0]))\n  }}\n}}\n"
    )
    [circuit] = qrlc("inspect", path, "--format", "json").data()["models"][0]["circuits"]
    counted = qiskit_circuit(Text(emitted(path)["D.step.qasm"], ()))
    assert circuit["after"]["depth"] == counted.depth()
