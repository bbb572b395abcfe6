"""A job is sent once: by its token, wherever the process dies; and by one process at a time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hardware_tools import Killed, difference, example, items, weights

from qrlang.hardware.checkpoint import Journal
from qrlang.hardware.device import Device, DeviceError, Step, Template, Work
from qrlang.hardware.loop import Plan, run
from qrlang.hardware.simulator import Simulator
from qrlang.system.lock import Lock, NotTaken

PROGRAM = example("qrnn/rows.qrl")
W = weights(PROGRAM)
BATCH, PLAN = items(PROGRAM, (3, 2)), Plan(40, 3)


def killed_before_the_journal(path: Path, device: Device, at: int) -> None:
    """The job is on its way, and the process dies before it has written the number down."""
    journal, count = Journal(path, {}), iter(range(100))

    def dies(job: int, ticket: str) -> None:
        if next(count) == at:
            raise Killed
        Journal.sent(journal, job, ticket)

    journal.sent = dies  # type: ignore[method-assign]
    with pytest.raises(Killed):
        run(PROGRAM, W, BATCH, device, PLAN, journal)


@pytest.mark.parametrize("sets", [True, False], ids=["program sets", "tasks"])
def test_a_task_of_the_cloud_is_paid_for_once(tmp_path: Path, sets: bool) -> None:
    pytest.importorskip("braket.circuits")
    from cloud_tools import ARN, Cloud

    from qrlang.backends.braket.aws import AwsBraket

    cloud = Cloud(sets)
    for at in (0, 1):
        killed_before_the_journal(tmp_path / "j", AwsBraket(ARN, cloud), at)
    done = run(PROGRAM, W, BATCH, AwsBraket(ARN, cloud), PLAN, Journal(tmp_path / "j", {}))
    assert len(cloud.sent) == len(cloud.tasks) == done.counts.jobs
    assert all(len(token) <= 64 for token in cloud.tasks)
    assert done.counts.fetched == 1  # that of the second process; the tasks of both were found


def test_a_task_that_failed_gets_another_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    braket_aws = pytest.importorskip("braket.aws")
    from cloud_tools import ARN, Cloud

    from qrlang.backends.braket.aws import AwsBraket

    cloud = Cloud(True)
    known = cloud.tasks.values
    monkeypatch.setattr(braket_aws, "AwsQuantumTask",
                        lambda arn, session: next(t for t in known() if t.id == arn))  # fmt: skip
    cloud.state = "FAILED"
    with pytest.raises(DeviceError, match="failed: the device was cold"):
        run(PROGRAM, W, BATCH, AwsBraket(ARN, cloud), PLAN, Journal(tmp_path / "j", {}))
    failed = next(iter(cloud.tasks.values()))
    failed.state = lambda: "FAILED"
    cloud.state = "COMPLETED"
    done = run(PROGRAM, W, BATCH, AwsBraket(ARN, cloud), PLAN, Journal(tmp_path / "j", {}))
    assert len(cloud.tasks) == done.counts.jobs + 1


def test_the_token_goes_out_with_the_request(tmp_path: Path) -> None:
    """Through Braket's own SDK and boto3, to a stand-in for AWS's end of the line."""
    pytest.importorskip("braket.aws")
    import boto3
    from botocore.awsrequest import AWSResponse
    from braket.aws import AwsQuantumTask, AwsSession
    from cloud_tools import ARN, Cloud

    from qrlang.backends.braket.aws import AwsBraket

    keys = {"aws_access_key_id": "x", "aws_secret_access_key": "y"}
    session = AwsSession(boto3.Session(region_name="us-east-1", **keys))
    task = "arn:aws:braket:us-east-1:1:quantum-task/1"
    seen: list[str] = []

    def answered(request: Any, **_: Any) -> Any:
        seen.append(json.loads(request.body)["clientToken"])
        answer = AWSResponse(request.url, 201, {}, None)
        answer._content = json.dumps({"quantumTaskArn": task}).encode()
        return answer

    session.braket_client.meta.events.register("before-send.braket.CreateQuantumTask", answered)

    def create(made: Any, shots: int | None = None) -> Any:
        return AwsQuantumTask.create(session, ARN, made, ("bucket", "key"), shots or -1)

    device = AwsBraket(ARN, Cloud(True))
    device.device = SimpleNamespace(aws_session=session, run=create)
    template = Template(1, 0, (Step("h", (0,)),), 0)
    works = [Work(template, np.zeros((1, 0)), 20)]
    assert device.submit_once(works, 0, "t", False).id == task
    device.submit(works, 0)  # without a token boto3 draws one, as ever
    assert seen[0] == "t-0"
    assert len(seen) == 2
    assert len(seen[1]) == 36


def test_a_job_of_ibm_is_found_by_its_tag(tmp_path: Path) -> None:
    pytest.importorskip("qiskit_ibm_runtime")
    from qrlang.backends.qiskit import open_device

    plain: Any = open_device("fake_manila")
    jobs: dict[str, Any] = {}

    class Service:
        def jobs(self, limit: int, job_tags: list[str]) -> list[Any]:
            assert limit == 1
            return [jobs[t] for t in job_tags if t in jobs]

    class RuntimeJob:
        def __init__(self, job: Any) -> None:
            self.result, self.status = job.result, job.status

        def job_id(self) -> str:
            return f"job-{len(jobs)}"

    sampler = plain._sampler

    def tagged(seed: int, token: str) -> Any:
        def ran(pubs: Any) -> Any:
            assert token not in jobs
            jobs[token] = RuntimeJob(sampler(seed, token).run(pubs))
            return jobs[token]

        return SimpleNamespace(run=ran)

    plain._sampler = tagged
    plain._backend.service = Service()
    from dataclasses import replace

    plain.capabilities = replace(plain.capabilities, tokens=True)
    killed_before_the_journal(tmp_path / "j", plain, 1)
    done = run(PROGRAM, W, BATCH, plain, PLAN, Journal(tmp_path / "j", {}))
    assert len(jobs) == done.counts.jobs


def test_the_tag_is_one_that_the_runtime_takes() -> None:
    pytest.importorskip("qiskit_ibm_runtime")
    from qrlang.backends.qiskit import open_device

    device: Any = open_device("fake_manila")
    made = device._sampler(1, "a" * 32)
    assert made.options.environment.job_tags == ["a" * 32]


def test_devices_that_know_no_tokens_have_none(tmp_path: Path) -> None:
    first = run(PROGRAM, W, BATCH, Simulator(), PLAN)
    again = run(PROGRAM, W, BATCH, Simulator(), PLAN, Journal(tmp_path / "j", {}))
    assert difference(first.outputs, again.outputs) == 0
    assert "token" not in (tmp_path / "j").read_text()


# --- one process at a time ------------------------------------------------------------------------

HOLD = """
import sys, time
from pathlib import Path
from qrlang.system.lock import Lock
lock = Lock(Path(sys.argv[1]), "there is one")
print("held", flush=True)
time.sleep(60)
"""


def holder(path: Path) -> subprocess.Popen[str]:
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], env=env, text=True,
                               stdout=subprocess.PIPE)  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_two_processes_in_one_folder(tmp_path: Path) -> None:
    process = holder(tmp_path / "journal.lock")
    try:
        with pytest.raises(NotTaken) as found:
            Journal(tmp_path / "journal.jsonl", {})
        assert f"'{tmp_path}' is in use by process {process.pid} on " in str(found.value)
        assert "stop it" in found.value.help
    finally:
        process.kill()
        process.communicate()
    Journal(tmp_path / "journal.jsonl", {})  # the dead hold nothing
    assert str(os.getpid()) in (tmp_path / "journal.lock").read_text()


def test_two_processes_train_one_run(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from cli_tools import qrlc
    from training_tools import project

    run = tmp_path / "run"
    short = ["--steps", 1, "--batch", 4, "--threads", 1, "--validation", 0.2]
    assert qrlc("train", project(tmp_path, records=20), "--out", run, *short).code == 0
    process = holder(run / ".lock")
    try:
        done = qrlc("train", "--resume", run)
        assert done.code == 1
        assert f"error: '{run}' is in use by process {process.pid}" in done.err
        assert "help: wait for it, or stop it: two at once would spoil its checkpoints" in done.err
    finally:
        process.kill()
        process.communicate()
    assert qrlc("train", "--resume", run).code == 0


def test_a_process_does_not_shut_itself_out(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    one, two = Lock(path, "why"), Lock(path, "why")
    one.release()
    code = HOLD.replace("time.sleep(60)", "")
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    ask = [sys.executable, "-c", code, str(path)]
    said = subprocess.run(ask, env=env, capture_output=True, text=True, check=False)
    assert f"in use by process {os.getpid()}" in said.stderr
    two.release()
    assert subprocess.run(ask, env=env, capture_output=True, check=False).returncode == 0


# --- where the device is ---------------------------------------------------------------------------


def test_the_region_is_that_of_the_arn(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("braket.aws")
    from qrlang.backends.braket.aws import session

    for name in ("AWS_DEFAULT_REGION", "AWS_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    arn = "arn:aws:braket:eu-north-1::device/qpu/iqm/Garnet"
    assert session(arn).region == "eu-north-1"
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-west-1")
    assert session(arn).region == "eu-north-1"
    assert session("arn:aws:braket:::device/quantum-simulator/amazon/sv1").region == "us-west-1"
