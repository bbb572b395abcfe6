"""Gates under a measured bit, as Qiskit's devices are given them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from qrlang.backends.qiskit import open_device
from qrlang.hardware.device import DeviceOptions, Slot, Step, Template, Work

UNDER = ((0, 1),)
BRANCH = Template(3, 1, (
    Step("h", (0,)),
    Step("measure", (0,), bit=0),
    Step("ry", (1,), (Slot(0),), when=UNDER),
    Step("rxx", (1, 2), (0.8,), when=UNDER),
    Step("x", (1,), when=((0, 0),)),
), 1)  # fmt: skip


def blocks(circuit: Any) -> list[Any]:
    found = [item.operation for item in circuit.data if item.operation.name == "if_else"]
    return [op.blocks[0] for op in found]


def test_one_if_for_gates_under_the_same_bit() -> None:
    device: Any = open_device("fake_torino")
    assert len(blocks(device._compiled(BRANCH))) == 2


def test_zne_repeats_gates_under_a_bit() -> None:
    device: Any = open_device("fake_torino")
    counts = [blocks(device._compiled(replace(BRANCH, fold=k)))[0].count_ops() for k in (1, 3, 5)]
    plain = counts[0]["cz"]
    assert plain > 0
    assert [c["cz"] for c in counts] == [plain, 3 * plain, 5 * plain]


def test_repeated_they_do_the_same() -> None:
    device = open_device("aer")
    angles, shots = np.array([[1.1]]), 4000
    means = []
    for fold in (1, 5):
        bits = device.submit([Work(replace(BRANCH, fold=fold), angles, shots)], 1).result()[0][0]
        means.append(bits.mean(axis=0))
    assert np.abs(means[0] - means[1]).max() < 5 * np.sqrt(0.5 / shots)
    assert means[0][0] == means[0][3]  # the qubit is the bit that was read


def test_noise_grows_with_the_scale() -> None:
    """Without a gate on two qubits outside of the `if`."""
    device = open_device("aer", DeviceOptions(noise="0.05", level=0))
    turned = Template(3, 1, (
        Step("x", (0,)),
        Step("measure", (0,), bit=0),
        *(Step("x", (2,), controls=(1,), when=UNDER) for _ in range(4)),
    ), 0)  # fmt: skip
    work = [Work(replace(turned, fold=k), np.zeros((1, 0)), 4000) for k in (1, 5)]
    few, many = (bits[0, :, 1:3].mean() for bits in device.submit(work, 2).result())
    assert many > few + 0.1


def test_they_count_in_the_footprint() -> None:
    device: Any = open_device("fake_torino")
    bare = Template(3, 1, BRANCH.steps[:2], 0)
    few, many = device.footprint(bare), device.footprint(BRANCH)
    assert many.two_qubit - few.two_qubit == 2
    assert many.depth > few.depth + 4
    assert few.expected > many.expected  # half of the shots run it
    errors = device.errors
    assert many.expected > few.expected * (1 - errors.chances[1]) ** 20


@pytest.mark.parametrize("name", ["fake_kingston", "fake_torino"])
def test_the_rate_of_a_gate_is_not_that_of_a_reading(name: str) -> None:
    """Some devices have a second way to measure."""
    device: Any = open_device(name)
    target = device._backend.target
    gates = [
        found.error
        for gate in ("id", "rz", "sx", "x")
        for found in target[gate].values()
        if found.error is not None
    ]
    assert device.errors.one == pytest.approx(np.median(gates))
