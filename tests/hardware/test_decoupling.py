"""A qubit that waits is flipped there and back, and what turns it meanwhile comes to nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from cloud_tools import ARN, Cloud
from device_tools import ChiSquare, compare
from hardware_tools import example, items, weights

from qrlang.backends.braket.aws import AwsBraket
from qrlang.backends.braket.local import LocalDevice
from qrlang.backends.qiskit.devices import open_device
from qrlang.backends.qiskit.timing import lasts
from qrlang.hardware.device import Device, DeviceError, DeviceOptions, Slot, Step, Template, Work
from qrlang.hardware.loop import Plan, run
from qrlang.hardware.mitigation import Mitigation, mitigation, possible
from qrlang.hardware.preflight import preflight, rms
from qrlang.hardware.simulator import Simulator

PROGRAM = example("qrnn/rows.qrl")
W = weights(PROGRAM)
# Qubit 0 waits for the others.
WAITS = (
    Step("h", (0,)), Step("x", (1,), controls=(0,)), Step("ry", (2,), (Slot(0),)),
    *(Step("rxx", (1, 2), (0.3,)), Step("ry", (1,), (Slot(0),))) * 4,
    Step("x", (1,), controls=(0,)), Step("rx", (0,), (Slot(1),)),
)  # fmt: skip
ANGLES = np.array([[0.3, 1.1], [2.0, -0.4]])


def drifting(turns: float) -> Any:
    """The times of a device and none of its noise, but each qubit that waits turns about Z."""
    device: Any = open_device("aer", DeviceOptions(noise="fake_manila", seed=1))
    device._noise = None
    plain, target = device._compiled.waiting, device._target

    def waiting(template: Template) -> Iterator[Any]:
        for circuit in plain(template):
            made = circuit.copy_empty_like()
            for item in circuit.data:
                made.append(item)
                if item.operation.name == "delay":
                    angle = 2 * math.pi * turns * lasts(item.operation, target)
                    made.rz(angle, item.qubits[0])
            yield made

    device._compiled.waiting = waiting
    return device


@pytest.mark.parametrize("with_it", ["", "twirl:4"])
def test_what_turns_waiting_qubits_comes_to_nothing(with_it: str) -> None:
    batch, device = items(PROGRAM, (3,) * 3), drifting(30e3)
    exact = run(PROGRAM, W, batch, Simulator(), Plan(0))

    def off(wanted: str) -> float:
        plan = Plan(12_000, 1, "open", mitigation(wanted))
        return float(np.mean(rms(exact, run(PROGRAM, W, batch, device, plan))))

    plain, less = off(with_it), off(f"dd,{with_it}")
    assert plain > (0.03 if with_it else 0.06)
    assert less < (0.5 if with_it else 0.25) * plain


@pytest.mark.parametrize("name", ["fake_manila", "fake_torino"])
def test_the_circuit_is_the_same_and_no_longer(name: str) -> None:
    from qiskit.quantum_info import Operator

    device: Any = open_device(name)
    plain, found = (Template(3, 0, WAITS, 2, places=(0, 1, 2), decouple=d) for d in (False, True))
    (a,), (b,) = device._compiled.sent(plain), device._compiled.sent(found)
    more = b.count_ops()["x"] - a.count_ops().get("x", 0)
    assert more > 0 and more % 2 == 0 and b.count_ops()["delay"] == 3 * more / 2
    for item in b.data:  # as the device takes it
        if item.operation.name == "delay":
            assert item.operation.unit == "dt" and isinstance(item.operation.duration, int)
            assert item.operation.duration % device._backend.target.pulse_alignment == 0
    bound = [_small(c).assign_parameters({p: 0.7 + p.index for p in c.parameters}) for c in (a, b)]
    assert Operator(bound[0]).equiv(Operator(bound[1]))
    before, after = device.footprint(plain), device.footprint(found)
    assert after.seconds == pytest.approx(before.seconds, abs=1e-12)
    assert after.two_qubit == before.two_qubit and after.one_qubit == before.one_qubit + more
    flips = 2e-3 * more  # what flipping does wrong, at most; to wait costs what it did
    assert before.expected - flips < after.expected < before.expected


def _small(circuit: Any) -> Any:
    from qiskit import QuantumCircuit

    made = QuantumCircuit(3)
    for item in circuit.data:
        if item.operation.name not in ("measure", "barrier", "delay"):
            made.append(item.operation, [circuit.find_bit(q).index for q in item.qubits])
    return made


def test_what_a_qubit_forgets_while_it_waits_is_forgotten_still() -> None:
    """Flips do not help against that, and a snapshot runs delays of either kind."""
    busy = (Step("rxx", (1, 2), (0.3,)), Step("ry", (1,), (Slot(0),))) * 12
    there = Step("x", (0,), controls=(1,))  # of |+⟩ nothing
    steps = (Step("h", (0,)), there, *busy, there, Step("h", (0,)))
    device = open_device("fake_manila")
    seen = []
    for decouple in (False, True):
        template = Template(3, 0, steps, 1, decouple=decouple)
        ((row,),) = device.submit([Work(template, np.zeros((1, 1)), 8000)], 1).result()
        seen.append(float(np.mean(1.0 - 2 * row[:, 0])))
    assert seen[1] == pytest.approx(seen[0], abs=0.05)
    assert 0.5 < seen[1] < 0.85


MIDDLE = (
    *WAITS[:4], Step("measure", (1,), bit=0), *WAITS[5:11], Step("reset", (2,)),
    Step("ry", (2,), (Slot(1),), when=((0, 1),)), *WAITS[:4],
    Step("x", (2,), controls=(1,), when=((0, 1),)), *WAITS[4:],
)  # fmt: skip


def test_around_what_happens_in_the_middle() -> None:
    device: Any = open_device("aer", DeviceOptions(noise="fake_manila"))
    device._noise = None
    template = Template(3, 1, MIDDLE, 2, decouple=True)
    work, total = Work(template, ANGLES, 16_000), ChiSquare()
    compare(total, [work], device.submit([work], 5).result(), device)
    assert total.circuits == 2 and total.p > 0.01


def test_not_while_an_if_is_decided_nor_after_a_reading() -> None:
    device: Any = open_device("fake_torino")

    def flips(*steps: Step) -> int:
        template = Template(3, 1, steps, 0, places=(0, 1, 2), decouple=True)
        (found,) = device._compiled.sent(template)
        return int(found.count_ops().get("delay", 0))

    begin = (Step("h", (0,)), Step("x", (1,), controls=(0,)))
    end = (Step("x", (1,), controls=(0,)), Step("h", (0,)))
    read = Step("measure", (2,), bit=0)
    busy = (Step("x", (2,), controls=(1,)), read, Step("x", (2,), controls=(1,)))
    assert flips(*begin, *busy, *end) > 0  # while another qubit is read
    under = Step("rxx", (1, 2), (0.3,), when=((0, 1),))
    assert flips(*begin, read, under, *end) == 0
    assert flips(Step("measure", (0,), bit=0), *begin[1:], *(under,) * 2, *end[:1]) == 0


def test_its_gates_are_in_the_preflight() -> None:
    batch, of = items(PROGRAM, (2,)), open_device("fake_manila")
    plain, less = (preflight(PROGRAM, W, batch, of, Plan(100, mitigate=mitigation(m)))
                   for m in ("", "dd"))  # fmt: skip
    for a, b in zip(plain.moments, less.moments, strict=True):
        assert a.two_qubit == b.two_qubit and a.one_qubit < b.one_qubit
        assert b.seconds == pytest.approx(a.seconds)
    assert less.executions == plain.executions and less.mitigate == "dd"


def test_devices_that_do_not_say_how_long_gates_take() -> None:
    wanted = mitigation("readout,dd")
    assert wanted == Mitigation(readout=True, decouple=True) == mitigation(str(wanted))
    refused: tuple[Device, ...] = (
        open_device("aer"), open_device("aer", DeviceOptions(noise="0.01")),
        LocalDevice("braket_sv"), AwsBraket(ARN, Cloud(sets=True)),
    )  # fmt: skip
    for device in refused:
        with pytest.raises(DeviceError, match="does not say how long its gates take"):
            possible(wanted, device)
    for device in (open_device("fake_manila"),
                   open_device("aer", DeviceOptions(noise="fake_manila"))):  # fmt: skip
        possible(wanted, device)
    for puts in ("zne", "twirl"):
        with pytest.raises(DeviceError, match=f"would take out the gates that `{puts}`"):
            possible(mitigation(puts), AwsBraket(ARN, Cloud(sets=True)))
