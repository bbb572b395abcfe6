"""What goes into a job, and what comes out of one that went half wrong."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from cloud_tools import ARN, Cloud
from hardware_tools import difference, items, of_text, weights

from qrlang.backends.braket.aws import AwsBraket
from qrlang.backends.qiskit import open_device
from qrlang.backends.qiskit.transpiled import pubs
from qrlang.hardware.checkpoint import Journal
from qrlang.hardware.device import (
    Device,
    DeviceError,
    DeviceOptions,
    Done,
    Limits,
    Partly,
    Slot,
    Step,
    Template,
    Work,
)
from qrlang.hardware.jobs import Row, Task, split
from qrlang.hardware.loop import Plan, run
from qrlang.hardware.mitigation import mitigation
from qrlang.hardware.preflight import preflight, rms
from qrlang.hardware.readings import BitMean
from qrlang.hardware.simulator import Simulator

PLAIN = Template(2, 0, (Step("h", (0,)), Step("x", (1,), controls=(0,))), 0)
TURNED = Template(2, 0, (Step("ry", (0,), (Slot(0),)), Step("x", (1,), controls=(0,))), 1)
MIXED = """\
model M() {
  input x: seq[real[1]]
  qubits q[2]
  param w: angle[2]
  step x_t in x {
    readout first = Z(q[0]) shots 300
    h q[0]
    cx q[0], q[1]
    ry(w[0] + x_t[0]) q[0]
    ry(read first + read X(q[1]) + w[1]) q[1]
  }
  return read [Z(q[0]), X(q[1])]
}
"""


def works(rows: int = 3) -> list[Work]:
    table = np.linspace(0.3, 2.0, rows)[:, None]
    return [Work(PLAIN, np.zeros((rows, 0)), 100), Work(TURNED, table, 100)]


def test_ibm_takes_one_number_of_shots_in_a_job() -> None:
    """Its newer sampler refuses others: so none are in one job, and a circuit without angles is
    there once for each row."""
    device: Any = open_device("fake_manila")
    assert device.limits.alike
    made = [pub for group in pubs(works(), device._compiled.sent, alike=True) for pub in group]
    assert len(made) == 4 and {shots for _, _, shots in made} == {100}
    sent = device._sampler(1, "").run(made)  # as a device is sent it
    from qrlang.backends.qiskit.transpiled import bits_of

    assert [b.shape for b in bits_of(sent.result(), works())] == [(3, 100, 2)] * 2


def test_ibm_counts_executions_and_not_shots() -> None:
    """Backends have said how many shots they take; it is not enforced any more."""
    from qiskit_ibm_runtime.fake_provider import FakeManilaV2

    from qrlang.backends.qiskit.ibm import Runtime

    backend = FakeManilaV2()
    backend.max_shots = 100_000
    rows = [Row(0, (0,), ()) for _ in range(5)]
    task = Task(PLAIN, 4_000_000, (BitMean(0),), rows)
    jobs = list(split([task], Runtime(backend, DeviceOptions()).limits))
    assert [sum(len(t.rows) for t in job) for job in jobs] == [2, 2, 1]


@pytest.mark.parametrize("fold", [1, 3])
def test_a_gate_that_takes_some_angles_only(fold: int) -> None:
    """`rzz` from 0 to π/2, on a device with fractional gates: a circuit is transpiled before its
    angles are known, and undoing one turns it the other way."""
    device: Any = open_device("fake_fractional_backend")
    target = device._backend.target
    assert target.gate_has_angle_bounds("rzz")
    steps = (Step("ry", (0,), (Slot(0),)), Step("rzz", (0, 1), (Slot(1),)),
             Step("rxx", (1, 2), (Slot(2),)), Step("rzz", (1, 2), (0.4,)))  # fmt: skip
    angles = np.array([[0.3, -2.0, 5.0], [1.0, 0.4, -0.1]])
    template = Template(3, 0, steps, 3, fold=fold, twirl=2)
    for pub, row in product(pubs([Work(template, angles, 100)], device._compiled.sent)[0], (0, 1)):
        bound = pub[0].assign_parameters(pub[1][row])
        for item in bound.data:
            where = tuple(bound.find_bit(q).index for q in item.qubits)
            given = [float(p) for p in item.operation.params]
            assert item.operation.name == "barrier" or target.instruction_supported(
                item.operation.name, where, parameters=given
            )


def test_jobs_of_one_number_of_shots() -> None:
    tasks = [Task(PLAIN, shots, (), [SimpleNamespace(angles=())] * 2) for shots in (10, 20, 10)]  # type: ignore[list-item]
    (mixed,) = split(tasks, Limits())
    assert len(mixed) == 3
    found = [[t.shots for t in job] for job in split(tasks, Limits(circuits=3, alike=True))]
    assert found == [[10, 10], [10], [20]]


@pytest.mark.parametrize("name", ["fake_manila", ARN])
def test_a_program_with_shots_of_its_own(name: str) -> None:
    program = of_text(MIXED)
    cloud = Cloud(True)
    device: Device = AwsBraket(ARN, cloud) if name == ARN else open_device(name)
    batch, plan = items(program, (2,) * 2), Plan(50, 1)
    said = preflight(program, weights(program), batch, device, plan, errors=False)
    done = run(program, weights(program), batch, device, plan)
    assert done.counts.jobs == said.jobs
    if name == ARN:  # each has its fee
        assert len(cloud.sent) == said.jobs


def test_circuits_of_a_snapshot_have_numbers_of_their_own() -> None:
    """Two circuits that are the same, in one job: other shots."""
    device = open_device("fake_manila")
    same = [Work(TURNED, np.full((2, 1), 1.3), 200)] * 2 + [Work(PLAIN, np.zeros((2, 0)), 200)]
    rows = [row for bits in device.submit(same, 3).result() for row in bits]
    for i, one in enumerate(rows):
        assert not any(np.array_equal(one, other) for other in rows[:i])


# --- half wrong -----------------------------------------------------------------------------------


class Half(Cloud):
    """Runs some circuits of the first set, and says why not of the others."""

    def create(self, made: Any, shots: int | None = None) -> Any:
        from braket.task_result import (
            ProgramSetExecutableFailure,
            ProgramSetExecutableFailureMetadata,
        )

        task = super().create(made, shots)
        if len(self.sent) == 1:
            meta = ProgramSetExecutableFailureMetadata(
                failureReason="it was too cold", retryable=True, category="DEVICE"
            )
            whole = [list(entry) for entry in task.result()]
            whole[0][1] = ProgramSetExecutableFailure(inputsIndex=1, failureMetadata=meta)
            task.result = lambda: whole
        return task


def test_what_a_set_left_out_is_sent_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import braket.aws

    cloud = Half(True)
    monkeypatch.setattr(braket.aws, "AwsQuantumTask",
                        lambda arn, session: next(t for t in cloud.tasks.values() if t.id == arn))  # type: ignore[attr-defined]  # fmt: skip
    program = of_text(MIXED)
    batch, plan = items(program, (1,) * 3), Plan(50, 1)

    def once() -> Any:
        return run(program, weights(program), batch, AwsBraket(ARN, cloud), plan,
                   Journal(tmp_path / "j", {}))  # fmt: skip

    with pytest.raises(Partly, match="left out 1 of 3 circuits: it was too cold") as found:
        once()
    assert "--resume" in found.value.help
    done = once()
    assert [made.total_executables for made in cloud.sent[:2]] == [3, 1]
    assert len(cloud.sent) == done.counts.jobs + 1
    kept = once()  # from the journal
    assert kept.counts.fetched == kept.counts.jobs
    assert len(cloud.sent) == done.counts.jobs + 1


def test_what_was_sent_alone_and_lost_is_sent_alone_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first task of the job has answers that were paid for."""
    import braket.aws

    cloud = Half(True)
    monkeypatch.setattr(braket.aws, "AwsQuantumTask",
                        lambda arn, session: next(t for t in cloud.tasks.values() if t.id == arn))  # type: ignore[attr-defined]  # fmt: skip
    plain = cloud.create

    def lost(made: Any, shots: int | None = None) -> Any:
        task = plain(made, shots)
        if len(cloud.sent) == 2:
            task.result, task.state = lambda: None, lambda: "CANCELLED"
        return task

    monkeypatch.setattr(cloud, "create", lost)
    program = of_text(MIXED)
    batch, plan = items(program, (1,) * 3), Plan(50, 1)

    def once() -> Any:
        return run(program, weights(program), batch, AwsBraket(ARN, cloud), plan,
                   Journal(tmp_path / "j", {}))  # fmt: skip

    for why in ("it was too cold", "was cancelled"):
        with pytest.raises(Partly, match=f"left out 1 of 3 circuits: .*{why}"):
            once()
    done = once()
    assert [made.total_executables for made in cloud.sent[:3]] == [3, 1, 1]
    assert len(cloud.sent) == done.counts.jobs + 2


def test_a_task_that_is_waited_for_is_not_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Braket's SDK stops asking after some days, and then has no result."""
    import braket.aws

    cloud = Cloud(True)
    monkeypatch.setattr(braket.aws, "AwsQuantumTask",
                        lambda arn, session: next(t for t in cloud.tasks.values() if t.id == arn))  # type: ignore[attr-defined]  # fmt: skip
    program = of_text(MIXED)
    batch, plan, path = items(program, (1,)), Plan(50, 1), tmp_path / "j"
    cloud.state = "QUEUED"
    plain = cloud.create

    def queued(made: Any, shots: int | None = None) -> Any:
        task = plain(made, shots)
        later = task.result
        task.result = lambda: later() if cloud.state == "COMPLETED" else None
        return task

    monkeypatch.setattr(cloud, "create", queued)
    for _ in range(2):
        with pytest.raises(DeviceError, match="is still QUEUED"):
            run(program, weights(program), batch, AwsBraket(ARN, cloud), plan, Journal(path, {}))
    assert len(cloud.sent) == 1
    cloud.state = "COMPLETED"
    done = run(program, weights(program), batch, AwsBraket(ARN, cloud), plan, Journal(path, {}))
    assert len(cloud.sent) == done.counts.jobs


# --- calibrated anew ------------------------------------------------------------------------------


class Moved:
    """A device that since yesterday reads from other qubits of its own, and one more set of them."""

    def __init__(self, device: Any, places: dict[int, tuple[int, ...]], jobs: int = 99) -> None:
        self.device, self.where, self.left = device, places, jobs
        self.read: list[tuple[int, ...]] = []
        self.executions = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.device, name)

    def places(self, template: Template) -> tuple[int, ...]:
        return template.places or self.where[len(template.steps) // 7 % 2]

    def submit(self, works: Any, seed: int) -> Any:
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1
        self.read += [w.template.places for w in works if w.template.places]
        self.executions += sum(w.executions for w in works if not w.template.places)
        return self.device.submit(works, seed)


@pytest.mark.parametrize("places", [
    {0: (0, 1), 1: (0, 1)}, {0: (5, 4), 1: (5, 4)}, {0: (2, 3), 1: (3, 2)},
], ids=["the same", "others", "two sets"])  # fmt: skip
def test_a_device_that_was_calibrated_anew(tmp_path: Path, places: Any) -> None:
    """What is done is kept; qubits that were not read before are, and nothing else is sent."""
    program = of_text(MIXED)
    w, batch = weights(program), items(program, (3,) * 2)
    plan = Plan(50, 1, mitigate=mitigation("readout"))

    def once(device: Moved) -> Any:
        return run(program, w, batch, device, plan, Journal(tmp_path / "j", {}))  # type: ignore[arg-type]

    first = Moved(Simulator(), {0: (0, 1), 1: (0, 1)}, 3)
    with pytest.raises(KeyboardInterrupt):
        once(first)
    second = Moved(Simulator(), places)
    done = once(second)
    assert {*second.read} == {tuple(sorted(p)) for p in places.values()} - {(0, 1)}
    whole = Moved(Simulator(), {0: (0, 1), 1: (0, 1)})
    run(program, w, batch, whole, plan)  # type: ignore[arg-type]
    assert first.executions + second.executions == whole.executions
    assert done.counts.fetched >= 2


class Misread(Moved):
    """Each of its qubits is misread in another way; the last circuits have them the other way."""

    UP = np.array([0.0, 0.3, 0.1])

    def submit(self, works: Any, seed: int) -> Any:
        lot = np.random.default_rng([seed, 9])  # not the numbers of the simulator
        found = super().submit(works, seed).result()
        for work, bits in zip(works, found, strict=True):
            for q, place in enumerate(self.places(work.template)):
                bits[..., q] |= lot.random(bits.shape[:2]) < self.UP[place]
        return Done(found)


def test_qubits_that_are_read_in_another_round_now(tmp_path: Path) -> None:
    """There it may be with more shots."""
    program = of_text(MIXED.replace("shots 300", ""))
    later = of_text(MIXED)
    plan = Plan(50, 1, mitigate=mitigation("readout"))
    device = Moved(Simulator(), {0: (0, 1), 1: (0, 1)})
    for one in (program, later):
        batch = items(one, (1,))
        journal = Journal(tmp_path / "j", {})
        journal.answers = {k: v for k, v in journal.answers.items() if isinstance(k, str)}
        run(one, weights(one), batch, device, plan, journal)  # type: ignore[arg-type]
    assert device.read == [(0, 1)] * 4


def test_qubits_in_another_order_are_not_read_again() -> None:
    """And each is undone as the place is misread where it is."""
    program = of_text(MIXED)
    w, batch = weights(program), items(program, (3,) * 2)
    device = Misread(Simulator(), {0: (2, 1), 1: (1, 2)})
    plan = Plan(20_000, 1, mitigate=mitigation("readout"))
    exact = run(program, w, batch, Simulator(), Plan(0))
    found = run(program, w, batch, device, plan)  # type: ignore[arg-type]
    assert device.read == [(1, 2), (1, 2)]
    assert max(rms(exact, found)) < 0.1  # of the 300 shots that the program asks for
    plain = run(program, w, batch, device, Plan(20_000, 1))  # type: ignore[arg-type]
    assert max(rms(exact, plain)) > 0.2


def test_an_answer_to_something_else_is_refused_before_anything_is_paid(tmp_path: Path) -> None:
    """A journal in which reading the qubits was a job by its number, as once it was: job 0 is of
    that, and all others are one further."""
    program = of_text(MIXED)
    w, batch = weights(program), items(program, (3,) * 2)
    plan = Plan(50, 1, mitigate=mitigation("readout"))
    old = Journal(tmp_path / "j", {})
    for job in range(4):
        old.answered(job, [[[0.9]] * 2] * 2, of=job + 17)
    del old
    device = Moved(Simulator(), {0: (0, 1), 1: (0, 1)})
    with pytest.raises(DeviceError, match="it was asked something else"):
        run(program, w, batch, device, plan, Journal(tmp_path / "j", {}))  # type: ignore[arg-type]
    assert device.left == 99


def test_qubits_are_not_read_for_what_is_known(tmp_path: Path) -> None:
    """Every answer is there, and the device reads from other qubits since: nothing is sent."""
    program = of_text(MIXED)
    w, batch = weights(program), items(program, (3,) * 2)
    plan = Plan(50, 1, mitigate=mitigation("readout"))
    devices = [Moved(Simulator(), {0: p, 1: p}) for p in ((0, 1), (4, 5))]
    first, second = (
        run(program, w, batch, device, plan, Journal(tmp_path / "j", {}))  # type: ignore[arg-type]
        for device in devices
    )
    assert difference(first.outputs, second.outputs) == 0
    assert devices[1].left == 99


def test_killed_among_the_jobs_of_a_round(tmp_path: Path) -> None:
    """Two sets of qubits were read together, and one of them is all that is needed yet: what was
    paid for is not read again."""
    program = of_text(MIXED)
    w, batch = weights(program), items(program, (3,) * 2)
    plan = Plan(50, 1, mitigate=mitigation("readout"))
    places = {0: (0, 1), 1: (2, 3)}
    whole = Moved(Simulator(), places)
    expected = run(program, w, batch, whole, plan)  # type: ignore[arg-type]
    for jobs in range(1, 99 - whole.left):
        path = tmp_path / f"j{jobs}"
        first, second = Moved(Simulator(), places, jobs), Moved(Simulator(), places)
        with pytest.raises(KeyboardInterrupt):
            run(program, w, batch, first, plan, Journal(path, {}))  # type: ignore[arg-type]
        found = run(program, w, batch, second, plan, Journal(path, {}))  # type: ignore[arg-type]
        assert difference(expected.outputs, found.outputs) == 0
        assert jobs + 99 - second.left == 99 - whole.left
