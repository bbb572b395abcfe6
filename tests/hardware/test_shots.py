"""With shots, readouts are right on average, and no run is its neighbour's."""

from __future__ import annotations

import numpy as np
import pytest
from hardware_tools import example, items, weights

from qrlang.backends.qiskit import open_device
from qrlang.hardware.device import Device, DeviceError, Slot, Step, Template, sample, spaced
from qrlang.hardware.loop import Plan, run


@pytest.fixture(scope="module")
def aer() -> Device:
    return open_device("aer")


def test_parameters_are_bound_in_their_own_order(aer: Device) -> None:
    """Of twelve, p10 must not come before p2."""
    steps = tuple(Step("ry", (i,), (Slot(i),)) for i in range(12))
    template = Template(12, 0, steps, 12)
    angles = np.where(np.arange(12) % 3 == 0, np.pi, 0.0)[None]
    bits = sample(aer, template, angles, 10)
    assert (bits[0] == (np.arange(12) % 3 == 0)).all()


def test_neighbouring_seeds_are_far_apart(aer: Device) -> None:
    """Aer's shot i has the seed s + i where something is measured inside."""
    steps = (Step("h", (0,)), Step("measure", (0,), bit=0), Step("h", (0,)))
    template, angles = Template(1, 1, steps, 0), np.zeros((1, 0))
    means = [sample(aer, template, angles, 400, spaced(s, 0))[0, :, 0].mean() for s in range(40)]
    assert 0.5 < np.std(means) / (0.5 / np.sqrt(400)) < 1.6


def test_a_number_that_is_none_never_leaves(aer: Device) -> None:
    program = example("qrnn/rows.qrl")
    w = weights(program)
    w["steer.b2"] = np.full_like(w["steer.b2"], np.nan)
    with pytest.raises(Exception, match=r"not a number|not finite|is nan"):
        run(program, w, items(program), aer, Plan(10))
    template = Template(1, 0, (Step("ry", (0,), (Slot(0),)),), 1)
    with pytest.raises(DeviceError, match="not a finite number: nothing has been sent"):
        sample(aer, template, np.array([[np.inf]]), 10)


def test_all_sequences_are_one_job_a_moment(aer: Device) -> None:
    program = example("qrnn/rows.qrl")
    counts = run(program, weights(program), items(program, (3,) * 32), aer, Plan(100)).counts
    assert (counts.jobs, counts.circuits, counts.settings) == (3, 96, 3)


def test_a_snapshot_of_a_device() -> None:
    """Through qiskit-ibm-runtime, transpiled, with the device's noise; seeded."""
    device = open_device("fake_manila")
    steps = (Step("ry", (0,), (Slot(0),)), Step("x", (1,), controls=(0,)))
    template, angles = Template(2, 0, steps, 1), np.array([[0.0], [np.pi / 2], [np.pi]])
    bits = sample(device, template, angles, 1000, 7)
    equal = (bits[:, :, 0] == bits[:, :, 1]).mean(axis=1)
    assert np.all(equal > 0.8)
    assert np.any(equal < 1)
    np.testing.assert_allclose(bits[:, :, 0].mean(axis=1), [0, 0.5, 1], atol=0.15)
    np.testing.assert_array_equal(bits, sample(device, template, angles, 1000, 7))
    found = device.footprint(template)
    assert found.two_qubit == 1
    assert found.expected is not None
    assert 0.7 < found.expected < 1
    with pytest.raises(DeviceError, match="has no exact mode"):
        device.probabilities(template, angles)
