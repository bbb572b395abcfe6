"""How long a device is busy, what its qubits forget meanwhile, and what that costs."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from cli_tools import qrlc
from cloud_tools import ARN, Cloud
from hardware_tools import Mortal, example, items, weights

from qrlang.backends.braket.aws import AwsBraket
from qrlang.backends.qiskit import open_device
from qrlang.backends.qiskit.timing import schedule
from qrlang.hardware.budget import Budget, Prices, prices
from qrlang.hardware.device import DeviceError, DeviceOptions, Step, Template, Work
from qrlang.hardware.footprint import footprints
from qrlang.hardware.jobs import Counts, Desk
from qrlang.hardware.loop import Plan, run
from qrlang.hardware.mitigation import mitigation
from qrlang.hardware.preflight import page, preflight
from qrlang.hardware.simulator import Simulator
from qrlang.hardware.tape import Tree

PROGRAM = example("qrnn/rows.qrl")
W = weights(PROGRAM)
CHAIN = tuple(Step("x", (q + 1,), controls=(q,)) for q in range(3))
BUSY = tuple(Step("rx", (1,), (0.4 + 0.001 * k,)) if k % 2 else Step("rz", (1,), (0.3,))
             for k in range(4000))  # fmt: skip
WAITS = Template(2, 0, (
    Step("x", (0,)), Step("x", (1,), controls=(0,)), *BUSY, Step("x", (1,), controls=(0,)),
), 0)  # fmt: skip


# --- time -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["fake_manila", "fake_torino"])
@pytest.mark.parametrize("steps", [
    (Step("h", (0,)), *CHAIN, Step("ry", (1,), (0.3,)), *CHAIN),
    (Step("h", (0,)), Step("reset", (0,)), *CHAIN),
], ids=["gates", "reset"])  # fmt: skip
def test_it_takes_as_long_as_qiskit_says(name: str, steps: tuple[Step, ...]) -> None:
    device: Any = open_device(name)
    template = Template(4, 0, steps, 0)
    circuit, target = device._compiled(template), device._backend.target
    wanted = circuit.estimate_duration(target, "s")
    assert schedule(circuit, target).seconds == pytest.approx(wanted)
    assert device.footprint(template).seconds == pytest.approx(wanted)
    delayed = next(device._compiled.waiting(template))
    assert delayed.estimate_duration(target, "s") == pytest.approx(wanted)
    assert 0 < delayed.count_ops()["delay"] < len(circuit.data)


def test_a_branch_takes_its_time() -> None:
    device: Any = open_device("fake_torino")
    measured = (Step("h", (0,)), Step("measure", (0,), bit=0))
    under = tuple(Step("rxx", (1, 2), (0.3,), when=((0, 1),)) for _ in range(2))
    short, long = (
        device.footprint(Template(3, 1, (*measured, *steps), 0)).seconds for steps in ((), under)
    )
    assert long > short + 0.2e-6
    waits = next(device._compiled.waiting(Template(3, 1, (*measured, *under), 0)))
    assert waits.count_ops()["if_else"] == 1


@pytest.mark.parametrize("name", ["aer", "fake_manila"])
def test_a_qubit_that_waits_forgets(name: str) -> None:
    """Among the noise of a device: by its T1, and by nothing but readings else."""
    options = DeviceOptions(level=0, noise="fake_manila" if name == "aer" else "")
    device: Any = open_device(name, options)
    shots = 4000
    bits = device.submit([Work(WAITS, np.zeros((1, 0)), shots)], 1).result()[0][0]
    target = device._compiled.target
    place, other = device.places(WAITS)
    waited = sum(s for _, q, s in schedule(device._compiled(WAITS), target).waits if q == place)
    t1 = target.qubit_properties[place].t1
    assert waited > 0.3 * t1
    read = target["measure"][(place,)].error
    wanted = math.exp(-waited / t1) * (1 - 2 * read) + read
    assert bits[:, 0].mean() == pytest.approx(wanted, abs=0.05)
    gates = target["cx"][(place, other)].error
    assert device.footprint(WAITS).expected < (1 - gates) ** 2 * (1 - read) ** 2 * 0.9


def test_a_circuit_that_outlives_its_qubits_is_said() -> None:
    device: Any = open_device("fake_manila")
    program = example("qrnn/rows.qrl")
    said = preflight(program, W, items(program, (40,)), device, Plan(100), errors=False)
    assert said.coherence and said.moments[-1].seconds
    assert said.moments[-1].seconds > said.coherence > said.moments[0].seconds  # type: ignore[operator]
    text = page(said, "QRNN")
    assert "keeps a phase for" in text
    assert "µs" in text.splitlines()[5]


def test_a_device_that_does_not_say_how_long_it_remembers() -> None:
    device: Any = open_device("fake_manila")
    device._backend.target.qubit_properties = None
    said = preflight(PROGRAM, W, items(PROGRAM, (2,)), device, Plan(10), errors=False)
    assert "Infinity" not in json.dumps(said.to_data())
    assert said.coherence is None


def test_a_long_preflight_makes_few_circuits() -> None:
    device: Any = open_device("fake_manila")
    said = preflight(PROGRAM, W, items(PROGRAM, (40,)), device, Plan(100))
    assert len(said.moments) == 40
    assert all(m.error for m in said.moments[1:])
    assert len(device._compiled._kept) == 16


def test_many_circuits_are_not_all_made() -> None:
    device: Any = open_device("fake_manila")
    made: list[Template] = []
    program = example("qrnn/rows.qrl")
    grown: list[Template] = []
    run(program, W, items(program, (40,)), Mortal(), Plan(10),
        see=lambda _, job: grown.append(job[0].template))  # fmt: skip
    counting = SimpleNamespace(footprint=lambda t: made.append(t) or device.footprint(t))
    found = footprints(counting, grown)  # type: ignore[arg-type]
    assert len(found) == 40 and len(made) == 16
    for k in (3, 22, 37):
        right = device.footprint(grown[k])
        assert found[k].depth == pytest.approx(right.depth, rel=0.1)
        assert found[k].two_qubit == pytest.approx(right.two_qubit, rel=0.1)
        assert found[k].seconds == pytest.approx(right.seconds, rel=0.1)
        assert math.log(found[k].expected or 0) == pytest.approx(math.log(right.expected), rel=0.1)


# --- money ----------------------------------------------------------------------------------------


def test_what_a_second_costs() -> None:
    """By IBM's documentation, two seconds a job and, an execution, a delay and its circuit."""
    device: Any = open_device("fake_manila")
    batch, plan = items(PROGRAM, (2, 2)), Plan(1000)
    said = preflight(PROGRAM, W, batch, device, plan, Prices(second=1.6), errors=False)
    longest = max(m.seconds or 0.0 for m in said.moments)
    reset = device._backend.target["reset"][(0,)].duration
    assert said.seconds is not None
    least = 2 * said.jobs + said.executions * (250e-6 + reset)
    assert least < said.seconds <= least + said.executions * longest
    assert said.price == pytest.approx(1.6 * said.seconds)
    free = preflight(PROGRAM, W, batch, device, plan, errors=False)
    assert "or --price-second" in page(free, "QRNN")
    local = preflight(PROGRAM, W, batch, Simulator(), plan, errors=False)
    assert "--price-second" not in page(local, "QRNN")  # it would be refused there
    assert f"{said.price:,.2f}: 1.6 a second" in page(said, "QRNN")
    done = run(PROGRAM, W, batch, device, plan)
    assert done.counts.seconds == pytest.approx(said.seconds)


@pytest.mark.parametrize("kinds", ["", "zne", "readout"])
@pytest.mark.parametrize("loop", ["closed", "open"])
def test_the_time_said_is_that_of_every_circuit(loop: str, kinds: str) -> None:
    """Those of other moments and of more noise too, not of a round's largest alone."""
    device: Any = open_device("fake_manila")
    batch, plan = items(PROGRAM, (6, 4)), Plan(1000, loop=loop, mitigate=mitigation(kinds))
    desk, busy = Desk(device, Tree(), 1000), []
    run(PROGRAM, W, batch, device, plan, see=lambda _, job: busy.append(desk._busy(job)),
        rehearsal=True)  # fmt: skip
    said = preflight(PROGRAM, W, batch, device, plan, errors=False)
    assert said.seconds == pytest.approx(sum(busy))


def test_a_device_states_its_price() -> None:
    cloud = Cloud(True)
    cloud.properties.service.deviceCost = SimpleNamespace(price=0.01, unit="shot")
    device = AwsBraket(ARN, cloud)
    assert prices(device, 0.3, 0, 0) == Prices(0.3, 0.01)
    assert prices(device, 0, 0.02, 0) == Prices(0, 0.02)
    assert prices(device, 0, 0, 0).words(7.0, False) == (
        "7.00: 0.01 an execution; a job has none, without --price-task"
    )
    assert prices(device, 0.3, 0, 0).words(8.2, False) == "8.20: 0.3 a job, 0.01 an execution"
    with pytest.raises(DeviceError, match="does not say how long it is busy"):
        prices(device, 0, 0, 1.6)
    assert prices(device, 0.3, 0, 0).words(None, False).endswith("--price-task and --price-shot")
    cloud.properties.service.deviceCost = SimpleNamespace(price=0.075, unit="minute")
    assert prices(AwsBraket(ARN, cloud), 0, 0, 0) == Prices()


def test_somebody_else_s_device_is_not_used_without_a_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import braket.aws

    cloud = Cloud(True)
    monkeypatch.setattr(braket.aws, "AwsDevice", lambda arn, session: cloud)  # type: ignore[attr-defined]
    np.savez(tmp_path / "d.npz", x=np.zeros((2, 2, 1)))
    (tmp_path / "m.qrl").write_text(
        "model M() {\n  input x: seq[real[1]]\n  qubits q[1]\n  param w: angle\n"
        "  step x_t in x { ry(w + x_t[0]) q[0] }\n  return read Z(q[0])\n}\n"
    )

    def ran(*more: object) -> Any:
        return qrlc("run", tmp_path / "m.qrl", "--data", tmp_path / "d.npz", "--shots", 10,
                    "-t", "braket", "--device", ARN, "-o", tmp_path / "o", *more)  # fmt: skip

    done = ran()
    assert done.code == 1 and "neither --max-shots nor --max-cost" in done.err
    assert "--yes" in done.err and cloud.sent == []
    done = ran("--max-cost", 0.3, "--price-task", 0.3, "--price-shot", 0.01)
    assert "the price 0.50 is more" in done.err and cloud.sent == []
    done = ran("--max-cost", 0.5, "--price-task", 0.3, "--price-shot", 0.01)
    assert done.code == 0 and len(cloud.sent) == 1


def test_a_job_beyond_the_budget_is_not_sent() -> None:
    """Which branch a program takes may depend on what is read, so more may come than was said."""
    device, batch = Mortal(), items(PROGRAM, (3,))
    with pytest.raises(DeviceError, match="30 executions are more than --max-shots 25"):
        run(PROGRAM, W, batch, device, Plan(10), budget=Budget(25))
    assert device.executions == 20


def test_no_budget_on_this_machine() -> None:
    spent = Counts(jobs=1, executions=10**9)
    assert Budget().asks(spent, Mortal()) == []
    assert Desk(Mortal(), Tree(), 10).counts.seconds == 0
