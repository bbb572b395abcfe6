"""What is said beforehand is what happens."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_tools import qrlc
from hardware_tools import Mortal, example, items, of_text, weights

from qrlang.backends.qiskit import open_device
from qrlang.hardware.budget import Prices
from qrlang.hardware.device import Capabilities, DeviceError, DeviceOptions, Limits
from qrlang.hardware.loop import Plan, run
from qrlang.hardware.preflight import page, preflight, rms
from qrlang.hardware.simulator import Simulator
from qrlang.hardware.target import lacking
from qrlang.ir.program import Program

NAMES = ["qrnn/rows.qrl", "language_model/word.qrl", "qlstm/qlstm.qrl", "reservoir/reservoir.qrl"]


@pytest.mark.parametrize("loop", ["closed", "open"])
@pytest.mark.parametrize("name", NAMES)
def test_counts_are_those_of_the_run(name: str, loop: str) -> None:
    program = example(name)
    w, batch, plan = weights(program), items(program, (3, 2, 3)), Plan(40, 1, loop)
    device = Mortal()
    device.limits = Limits(qubits=22, circuits=4)
    said = preflight(program, w, batch, device, plan, errors=False)
    run(program, w, batch, device, plan)
    assert (said.jobs, said.circuits, said.executions) == (
        device.jobs, device.circuits, device.executions
    )  # fmt: skip


def test_counts_are_those_that_the_sdk_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    from qiskit_aer.primitives import SamplerV2

    seen: list[int] = []
    plain = SamplerV2.run

    def counting(self: Any, pubs: Any, **more: Any) -> Any:
        job = plain(self, pubs, **more)
        for result in job.result():
            seen.append(int(np.prod(result.data.shape, dtype=int)) * result.metadata["shots"])
        return job

    monkeypatch.setattr(SamplerV2, "run", counting)
    program = example("qrnn/rows.qrl")
    w, batch, plan = weights(program), items(program, (3, 2)), Plan(50)
    device = open_device("aer")
    said = preflight(program, w, batch, device, plan, errors=False)
    run(program, w, batch, device, plan)
    assert sum(seen) == said.executions


def test_depth_and_gates_are_those_after_transpiling() -> None:
    program = example("qrnn/rows.qrl")
    w, batch = weights(program), items(program, (3,))
    noisy = open_device("aer", DeviceOptions(noise="0.01"))
    said = preflight(program, w, batch, noisy, Plan(50), errors=False)
    assert [m.two_qubit for m in said.moments] == [6, 12, 18]  # n = 3, two layers: a ring each
    kept = [m.survival or 0 for m in said.moments]
    assert 1 > kept[0] > kept[1] > kept[2] > 0.5


def test_shot_noise_is_as_predicted() -> None:
    program = example("qrnn/rows.qrl")
    w, batch, plan = weights(program), items(program, (6,) * 24), Plan(1000)
    device = open_device("aer")
    said = preflight(program, w, batch, device, plan)
    exact = run(program, w, batch, Simulator(), Plan(0))
    seen = rms(exact, run(program, w, batch, device, plan))
    for moment, error in zip(said.moments, seen, strict=True):
        assert moment.error == pytest.approx(error, rel=0.3)


def test_price_and_page() -> None:
    program = example("qrnn/rows.qrl")
    w, batch = weights(program), items(program, (3, 3))
    said = preflight(program, w, batch, Simulator(), Plan(100), Prices(0.3, 0.001))
    assert said.price == pytest.approx(3 * 0.3 + 600 * 0.001)
    text = page(said, "QRNN")
    for word in ("6 with 3 measurement settings in 3 jobs", "600", "1.50", "error (rms)"):
        assert word in text


# --- the command ----------------------------------------------------------------------------------

MODEL = """\
use std.readout.each_z
model M(n: int = 2) {
  input  x: seq[real[1]]
  target y: real[2]
  qubits memory[n]
  param  w: angle[2]
  step x_t in x {
    ry(x_t[0]) memory[0]
    ry(w[0] + read Z(memory[0])) memory[1]
    cx memory[0], memory[1]
  }
  return read each_z(memory)
}
"""


@pytest.fixture
def model(tmp_path: Path) -> list[Any]:
    (tmp_path / "m.qrl").write_text(MODEL)
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "d.npz", x=rng.normal(size=(4, 3, 1)), y=np.zeros((4, 2)))
    return ["run", tmp_path / "m.qrl", "--data", tmp_path / "d.npz", "--out", tmp_path / "o"]


def test_run(model: list[Any], tmp_path: Path) -> None:
    done = qrlc(*model, "--shots", 200, "--format", "json")
    assert done.code == 0, done.err
    found = done.data()
    assert found["executions"] == found["preflight"]["executions"] == 4 * 200 * 4
    assert json.loads((tmp_path / "o/result.json").read_text())["jobs"] == 4
    assert np.load(tmp_path / "o/outputs.npz")["output.3"].shape == (2,)
    again = qrlc(*model, "--shots", 200)
    assert again.code == 1
    assert "--resume" in again.err
    resumed = qrlc(*model, "--shots", 200, "--resume", "--format", "json").data()
    assert resumed["fetched"] == 4
    other = qrlc(*model, "--shots", 300, "--resume")
    assert "belongs to another run: shots differ" in other.err


def test_a_dry_run_sends_nothing(model: list[Any], tmp_path: Path) -> None:
    done = qrlc(*model, "--dry-run", "--price-task", 1)
    assert done.code == 0
    assert "16 with 4 measurement settings in 4 jobs" in done.out
    assert "price       4.00" in done.out
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--max-shots", 100], "16,000 executions are more than --max-shots 100"),
        (["--max-cost", 1], "the price is not known"),
        (["--max-cost", 1, "--price-task", 1], "the price 4.00 is more than --max-cost 1.00"),
        (["--device", "fake_manla"], "did you mean `fake_manila`?"),
        (["--device", "ibm_torino"], "IBM Quantum"),
        (["--target", "qasm"], "has no devices; braket and qiskit have"),
        (["--device", "fake_manila", "--shots", 0], "has no exact mode"),
        (["--device", "aer", "--noise", "7"], "no chance of an error"),
        (["--device", "aer", "--noise", "x"], "--noise 0.01, or a device's noise"),
        (["--device", "braket_sv"], "--target braket"),
        (["--data", "nowhere.npz"], "cannot be read"),
    ],
)
def test_what_is_refused(model: list[Any], tmp_path: Path, options: list[Any], words: str) -> None:
    done = qrlc(*model, *options)
    assert done.code in (1, 2)
    assert words in done.err
    assert "Traceback" not in done.err
    assert not (tmp_path / "o").exists()


def test_too_many_qubits() -> None:
    device = Mortal()
    device.limits = Limits(qubits=2)
    program = example("qrnn/rows.qrl")
    with pytest.raises(DeviceError, match="needs 3 qubits, and `simulator` has 2"):
        preflight(program, weights(program), items(program), device, Plan(10))


MEASURES = """\
model M {
  input  x: real[1]
  qubits q[2]
  ry(x[0]) q[0]
  let b = measure q[0]
  if b { x q[1] }
  reset q[0]
  return read [Z(q[0]), Z(q[1])]
}
"""


def test_what_a_device_cannot_is_said_by_name() -> None:
    program: Program = of_text(MEASURES)
    device = Simulator()
    assert list(lacking(program, device)) == []
    device.capabilities = Capabilities(exact=True)
    said: Sequence[str] = list(lacking(program, device))
    assert len(said) == 3
    for line, word in zip(said, ("measurements", "`reset`", "`if`"), strict=True):
        assert line.startswith("`simulator` has no")
        assert word in line


def test_runs_on_devices_in_one_table(model: list[Any], tmp_path: Path) -> None:
    plain, other = tmp_path / "plain", tmp_path / "noisy"
    rest = model[:-1]
    assert qrlc(*rest, plain, "--shots", 100).code == 0
    done = qrlc(*rest, other, "--shots", 100, "--noise", 0.05, "--mitigate", "readout")
    assert done.code == 0, done.err
    found = qrlc("compare", plain, other, "--format", "json").data()
    assert found["metric"] == "rms error"
    first, second = found["rows"]
    assert (first["name"], first["mitigate"]) == ("aer", "")
    assert (second["name"], second["mitigate"]) == ("aer with the noise of 0.05", "readout")
    assert first["exact"] == second["exact"] is not None
    assert first["error"] < second["error"]
    assert second["executions"] == first["executions"] + 2 * 100
    text = qrlc("compare", plain, other).out
    assert len(text.splitlines()) == 3 and "mitigation" in text
    unfinished = tmp_path / "unfinished"
    unfinished.mkdir()
    refused = qrlc("compare", plain, unfinished)
    assert refused.code == 1
    assert "is not finished" in refused.err and "--resume" in refused.err
