"""Kill and resume on the vendors' simulators and on a stand-in for a cloud; what the SDKs count."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cloud_tools import ARN, Cloud
from hardware_tools import Killed, difference, example, items, weights

from qrlang.backends.braket.aws import AwsBraket
from qrlang.backends.braket.devices import open_device as open_braket
from qrlang.backends.qiskit import open_device as open_qiskit
from qrlang.hardware.checkpoint import Journal
from qrlang.hardware.device import Device, DeviceOptions, Ticket, Work
from qrlang.hardware.loop import Plan, run
from qrlang.hardware.mitigation import mitigation
from qrlang.hardware.preflight import preflight

PROGRAM = example("qrnn/rows.qrl")
W = weights(PROGRAM)
LENGTHS = (3, 2)


class Dying:
    """A device in whose process somebody pulls the plug: before a job, or while it is running."""

    def __init__(self, device: Device, jobs: int = 10**9, middle: bool = False) -> None:
        self.device, self.left, self.middle = device, jobs, middle
        self.executions = self.circuits = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.device, name)

    def submit(self, works: Sequence[Work], seed: int) -> Ticket:
        if self.left == 0:
            if self.middle:  # half of it is done, and nobody will know
                self.device.submit([_half(w) for w in works], seed).result()
            raise Killed
        self.left -= 1
        ticket = self.device.submit(works, seed)
        self.circuits += sum(w.circuits for w in works)
        self.executions += sum(w.executions for w in works)
        return ticket


def _half(work: Work) -> Work:
    return Work(work.template, work.angles[: -(-work.circuits // 2)], work.shots)


def opened(name: str) -> Device:
    kind, _, noise = name.partition(" ")
    options = DeviceOptions(noise=noise)
    return open_qiskit(kind, options) if kind == "aer" else open_braket(kind, options)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("aer", ""), ("aer 0.01", "readout"), ("braket_sv", ""), ("braket_dm 0.01", "readout")],
)
def test_killed_at_every_step_and_within(tmp_path: Path, name: str, wanted: str) -> None:
    device, plan = opened(name), Plan(40, 3, mitigate=mitigation(wanted))
    batch = items(PROGRAM, LENGTHS)
    whole: Any = Dying(device)
    expected = run(PROGRAM, W, batch, whole, plan)
    for at in range(expected.counts.jobs):
        for middle in (False, True):
            path = tmp_path / f"{at}-{middle}.jsonl"
            first: Any = Dying(opened(name), at, middle)
            with pytest.raises(Killed):
                run(PROGRAM, W, batch, first, plan, Journal(path, {}))
            second: Any = Dying(opened(name))
            again = run(PROGRAM, W, batch, second, plan, Journal(path, {}))
            assert difference(expected.outputs, again.outputs) == 0
            assert first.executions + second.executions == whole.executions
            assert first.circuits + second.circuits == whole.circuits
            assert again.counts.fetched == at


@pytest.mark.parametrize("sets", [True, False], ids=["program sets", "tasks"])
def test_a_job_that_was_on_its_way_is_fetched(
    tmp_path: Path, sets: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed while it waits for a job of the cloud: the job is found again, not sent again."""
    import braket.aws

    batch, plan = items(PROGRAM, LENGTHS), Plan(40, 3)
    cloud = Cloud(sets)
    tasks: dict[str, Any] = {}
    plain = cloud.run

    def kept(made: Any, shots: int | None = None) -> Any:
        task = plain(made, shots)
        tasks[task.id] = task
        return task

    monkeypatch.setattr(cloud, "run", kept)
    monkeypatch.setattr(braket.aws, "AwsQuantumTask", lambda arn, session: tasks[arn])  # type: ignore[attr-defined]
    said = preflight(PROGRAM, W, batch, AwsBraket(ARN, cloud), plan, errors=False)
    path = tmp_path / "journal.jsonl"

    def waits() -> None:
        raise KeyboardInterrupt

    for at in (1, 2):  # two deaths, in the middle of two jobs
        count = len(tasks)

        def dies(made: Any, shots: int | None = None, *, at: int = at, count: int = count) -> Any:
            task = kept(made, shots)
            if len(tasks) == count + at:
                return SimpleNamespace(**{**vars(task), "result": waits})
            return task

        monkeypatch.setattr(cloud, "run", dies)
        with pytest.raises(KeyboardInterrupt):
            run(PROGRAM, W, batch, AwsBraket(ARN, cloud), plan, Journal(path, {}))
    monkeypatch.setattr(cloud, "run", kept)
    done = run(PROGRAM, W, batch, AwsBraket(ARN, cloud), plan, Journal(path, {}))
    assert len(tasks) == len(cloud.sent) == said.jobs == done.counts.jobs
    shots = sum(m.total_shots for m in cloud.sent) if sets else 40 * len(cloud.sent)
    assert shots == said.executions
    if sets:
        assert sum(m.total_executables for m in cloud.sent) == said.circuits


@pytest.mark.parametrize("wanted", ["", "readout", "readout,zne"])
def test_counts_are_those_of_program_sets(wanted: str) -> None:
    cloud, batch = Cloud(True), items(PROGRAM, LENGTHS)
    device: Any = AwsBraket(ARN, cloud)
    device.capabilities = opened("braket_sv").capabilities  # as if it left gates alone
    plan = Plan(40, 3, mitigate=mitigation(wanted))
    said = preflight(PROGRAM, W, batch, device, plan, errors=False)
    run(PROGRAM, W, batch, device, plan)
    assert len(cloud.sent) == said.jobs
    assert sum(m.total_executables for m in cloud.sent) == said.circuits
    assert sum(m.total_shots for m in cloud.sent) == said.executions


def test_counts_are_those_of_the_runtime() -> None:
    """A snapshot of an IBM device: what the sampler was handed, by its own account."""
    seen: list[int] = []
    device: Any = open_qiskit("fake_manila")
    plain = device._sampler

    def counting(seed: int, token: str) -> Any:
        sampler = plain(seed, token)

        def ran(pubs: Any, **more: Any) -> Any:
            job = sampler.run(pubs, **more)
            for one in job.result():
                (array, *_) = one.data.values()
                seen.append(array.num_shots * max(1, array.size))
            return job

        return SimpleNamespace(run=ran)

    device._sampler = counting
    batch, plan = items(PROGRAM, (2, 2)), Plan(30, 3)
    said = preflight(PROGRAM, W, batch, device, plan, errors=False)
    run(PROGRAM, W, batch, device, plan)
    assert sum(seen) == said.executions
