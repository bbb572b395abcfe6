"""What goes wrong around a device: one message that says what it is, and what mends it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from cli_tools import Done, qrlc
from cloud_tools import ARN, Cloud

from qrlang.backends.braket import aws
from qrlang.backends.qiskit import ibm

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
  return read [Z(memory[0]), Z(memory[1])]
}
"""
Run = Callable[..., Done]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    (tmp_path / "m.qrl").write_text(MODEL)
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "d.npz", x=rng.normal(size=(3, 3, 1)), y=np.zeros((3, 2)))

    def ran(*options: object, model: str = MODEL) -> Done:
        (tmp_path / "m.qrl").write_text(model)
        return qrlc("run", tmp_path / "m.qrl", "--data", tmp_path / "d.npz", "--shots", 50,
                    "--out", tmp_path / "o", *options)  # fmt: skip

    return ran


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No account of anybody."""
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION", "AWS_PROFILE", "AWS_ACCESS_KEY_ID",
                 "QISKIT_IBM_TOKEN"):  # fmt: skip
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))


def said(done: Done, what: str, mends: str) -> None:
    """One message, what mends it, and no page of a crash."""
    assert done.code == 1, done.err
    lines = done.err.strip().splitlines()
    (error,) = (x for x in lines if x.startswith("error: "))
    (help,) = (x for x in lines if x.startswith("help: "))
    assert what in error
    assert mends in help
    assert "Traceback" not in done.err and "bug in qrlc" not in done.err


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """A device of AWS, as far as one can have it here."""
    import braket.aws

    made, tasks = Cloud(True), {}
    plain = made.run

    def kept(*args: Any, **given: Any) -> Any:
        task = plain(*args, **given)
        tasks[task.id] = task
        return task

    monkeypatch.setattr(made, "run", kept)
    monkeypatch.setattr(braket.aws, "AwsDevice", lambda arn, session: made)  # type: ignore[attr-defined]
    monkeypatch.setattr(braket.aws, "AwsQuantumTask", lambda arn, session: tasks[arn])  # type: ignore[attr-defined]
    return made


# --- before anything is sent --------------------------------------------------------------------


@pytest.mark.usefixtures("away")
def test_no_account_of_aws(run: Run) -> None:
    anywhere = "arn:aws:braket:::device/quantum-simulator/amazon/sv1"
    said(run("--target", "braket", "--device", anywhere), "no region",
         "export AWS_DEFAULT_REGION=us-east-1")  # fmt: skip
    said(run("--target", "braket", "--device", ARN), "no credentials", "aws configure")


def test_no_account_of_ibm(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from qiskit_ibm_runtime.accounts.exceptions import AccountNotFoundError

    def service() -> Any:
        raise AccountNotFoundError("Unable to find account.")

    runtime = SimpleNamespace(QiskitRuntimeService=service)
    monkeypatch.setattr(ibm, "_import", lambda name: runtime)
    said(run("--device", "ibm_torino"), "no IBM Quantum account", "save_account(token=")


@pytest.mark.parametrize(
    ("target", "device", "what", "mends"),
    [
        ("qiskit", "fake_manla", "did you mean `fake_manila`", "`aer`"),
        ("braket", "braket_vs", "did you mean `braket_sv`", "--device braket_sv"),
        ("braket", "arn:aws:braket:nowhere", "is not the ARN", "arn:aws:braket:us-east-1::"),
    ],
)
def test_unknown_devices(run: Run, target: str, device: str, what: str, mends: str) -> None:
    said(run("--target", target, "--device", device), what, mends)


@pytest.mark.parametrize(
    ("target", "device", "n"),
    [("qiskit", "aer", 31), ("qiskit", "fake_manila", 6), ("braket", "braket_sv", 25),
     ("braket", ARN, 12)],
)  # fmt: skip
def test_too_many_qubits(run: Run, cloud: Cloud, target: str, device: str, n: int) -> None:
    wide = MODEL.replace("read [Z(memory[0]), Z(memory[1])]", "read each_z(memory)")
    done = run("--target", target, "--device", device, "--set", f"n={n}",
               model=wide.replace("target y: real[2]\n", "").replace("cx memory[0], memory[1]",
               "for i in 0..n - 1 { cx memory[i], memory[i + 1] }"))  # fmt: skip
    said(done, f"needs {n} qubits", "--set n=")
    assert cloud.sent == []


def test_what_a_device_cannot_do(run: Run, cloud: Cloud) -> None:
    measured = MODEL.replace("    cx mem", "    let b = measure memory[0]\n    cx mem")
    said(run("--target", "braket", "--device", ARN, model=measured),
         "has no measurements inside the circuit", "--device braket_dm")  # fmt: skip
    assert cloud.sent == []


@pytest.mark.parametrize("target", ["qiskit", "braket"])
def test_a_number_that_is_none(run: Run, tmp_path: Path, target: str) -> None:
    x = np.zeros((3, 3, 1))
    x[1, 2] = np.inf
    np.savez(tmp_path / "bad.npz", x=x, y=np.zeros((3, 2)))
    done = run("--target", target, "--data", tmp_path / "bad.npz")
    assert done.code == 1
    assert "inf" in done.err or "finite" in done.err
    assert "Traceback" not in done.err


# --- while it runs ------------------------------------------------------------------------------


@pytest.mark.parametrize(("state", "what"), [("FAILED", "failed: the device was cold"),
                                             ("CANCELLED", "was cancelled")])  # fmt: skip
def test_a_task_that_came_to_nothing(run: Run, cloud: Cloud, state: str, what: str) -> None:
    """It is sent again, and nothing else is."""
    where = ["--target", "braket", "--device", ARN, "--yes"]
    plain, count = cloud.run, 0

    def second_fails(*args: Any, **given: Any) -> Any:
        nonlocal count
        count += 1
        cloud.state = state if count == 2 else "COMPLETED"
        task = plain(*args, **given)
        ended = cloud.state
        task.state = lambda: ended
        if count == 2:
            task.result = lambda: None
        return task

    cloud.run = second_fails  # type: ignore[method-assign]
    said(run(*where), what, "--resume")
    assert count == 2
    done = run(*where, "--resume")
    assert done.code == 0, done.err
    assert count == 4 + 1  # four moments, one of them twice


def test_the_network_goes_away_and_comes_back(run: Run, cloud: Cloud) -> None:
    where = ["--target", "braket", "--device", ARN, "--yes"]
    plain = cloud.run

    class EndpointConnectionError(Exception):
        pass

    def gone(*args: Any, **given: Any) -> Any:
        if len(cloud.sent) == 1:
            raise EndpointConnectionError("Could not connect to the endpoint URL")
        return plain(*args, **given)

    cloud.run = gone  # type: ignore[method-assign]
    said(run(*where), "the network is away", "--resume")
    cloud.run = plain  # type: ignore[method-assign]
    assert run(*where, "--resume").code == 0
    assert len(cloud.sent) == 4


def test_stopped_while_a_job_is_under_way(run: Run, cloud: Cloud) -> None:
    """It is said that the job goes on, and how its answer is had."""
    where = ["--target", "braket", "--device", ARN, "--yes"]
    plain = cloud.run

    def stopped(*args: Any, **given: Any) -> Any:
        task = plain(*args, **given)
        if len(cloud.sent) == 2:
            later, again = task.result, iter([False, True])

            def result() -> Any:
                if next(again):
                    return later()
                raise KeyboardInterrupt

            task.result = result
        return task

    cloud.run = stopped  # type: ignore[method-assign]
    done = run(*where)
    assert done.code == 130
    assert "task-2 is under way" in done.err and "--resume" in done.err
    done = run(*where, "--resume")
    assert done.code == 0, done.err
    assert len(cloud.sent) == 4


class RuntimeJob:
    """What the runtime gives for a job."""

    def __init__(self, status: str, error: Exception) -> None:
        self._status, self._error = status, error

    def job_id(self) -> str:
        return "d1234"

    def status(self) -> str:
        if not self._status:
            raise ConnectionError("away")
        return self._status

    def result(self) -> Any:
        raise self._error


@pytest.mark.parametrize(
    ("status", "error", "what"),
    [
        ("CANCELLED", RuntimeError("job was cancelled"), "the job d1234 was cancelled"),
        (
            "ERROR",
            RuntimeError("Error code 9999; internal"),
            "the job d1234 failed: Error code 9999",
        ),
        ("", ConnectionError("Max retries exceeded"), "IBM Quantum cannot be reached"),
    ],
)
def test_a_job_of_ibm_that_came_to_nothing(
    run: Run, monkeypatch: pytest.MonkeyPatch, status: str, error: Exception, what: str
) -> None:
    job = RuntimeJob(status, error)
    sampler = SimpleNamespace(run=lambda pubs: job)
    monkeypatch.setattr(ibm.Runtime, "_sampler", lambda self, seed, token: sampler)
    said(run("--device", "fake_manila"), what, "--resume")


def test_a_package_that_is_not_there(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "braket.circuits", None)
    said(run("--target", "braket"), "not installed", "pip install 'qrlang[braket]'")
    monkeypatch.setitem(sys.modules, "qiskit_aer", None)
    said(run("--target", "qiskit"), "needs qiskit_aer", "pip install 'qrlang[qiskit]'")


def test_a_device_without_gates() -> None:
    cloud = Cloud(True)
    cloud.properties.action.clear()
    with pytest.raises(Exception, match="runs no circuits of gates"):
        aws.AwsBraket(ARN, cloud)


@pytest.mark.parametrize(
    ("arrays", "what"),
    [
        (None, "cannot be read"),
        ({"x": np.zeros((0, 3, 1))}, "has no sequences: x 0"),
        ({"x": np.zeros(())}, "has no sequences: x 0"),
        ({"x": np.zeros((3, 3, 1)), "y": np.zeros((2, 2))}, "different numbers of sequences"),
    ],
)
def test_data_without_sequences(
    run: Run, tmp_path: Path, arrays: dict[str, Any] | None, what: str
) -> None:
    (tmp_path / "e.npz").write_bytes(b"")
    if arrays is not None:
        np.savez(tmp_path / "e.npz", **arrays)
    done = run("--data", tmp_path / "e.npz")
    assert done.code == 1 and what in done.err and "help: " in done.err, done.err
    np.save(tmp_path / "one.npy", np.zeros((2, 2)))
    assert "one array, without a name" in run("--data", tmp_path / "one.npy").err


def test_resuming_what_is_not_there(run: Run) -> None:
    """A folder misspelled would be a run begun anew, and paid for again."""
    done = run("--resume")
    assert done.code == 1 and "holds no run to go on with" in done.err and "--out" in done.err
    assert run().code == 0
    assert run("--resume").code == 0


def test_nothing_is_written_over(run: Run, tmp_path: Path) -> None:
    """A run folder has a `result.json` too."""
    folder = tmp_path / "o"
    folder.mkdir()
    (folder / "result.json").write_text("{}")
    done = run()
    assert done.code == 1 and "is not empty" in done.err and "--out" in done.err
    assert "preflight" not in done.err, "said before it is simulated"
    assert run("--dry-run").code == 0
    assert [p.name for p in folder.iterdir()] == ["result.json"]


def test_a_folder_that_cannot_be_written(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run("--out", tmp_path / "file" / "o")
    assert done.code == 1 and "cannot write" in done.err, done.err
    assert "is a file" in run("--out", tmp_path / "file").err


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (None, "has no checkpoint"),
        (b"", "is not a safetensors file"),
        (b"\x04" + bytes(7) + b"[1]]", "is damaged"),
        (b"\x02" + bytes(7) + b"{}", "has no weight"),
    ],
)
def test_weights_that_cannot_be_read(tmp_path: Path, data: bytes | None, what: str) -> None:
    from hardware_tools import example

    from qrlang.hardware.batch import weights_of_run
    from qrlang.hardware.device import DeviceError

    if data is not None:
        (tmp_path / "checkpoints").mkdir()
        (tmp_path / "checkpoints" / "last.safetensors").write_bytes(data)
    with pytest.raises(DeviceError, match=what) as error:
        weights_of_run(tmp_path, example("qrnn/rows.qrl"))
    assert error.value.help
