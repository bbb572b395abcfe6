"""Every example and any program, on the simulators of both targets: exactly the reference's
numbers, and with shots its distributions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from device_tools import ALL, LARGE, ChiSquare, Sent, compare, device, generated, length, plain
from hardware_tools import difference, items, right, weights
from strategies import mixed_programs, programs

from qrlang.backends import braket, qiskit
from qrlang.backends.reference.errors import RunError
from qrlang.hardware.device import DeviceError, spaced
from qrlang.hardware.loop import Plan, run
from qrlang.hardware.simulator import Simulator
from qrlang.hardware.target import refused
from qrlang.ir.program import Program
from qrlang.passes import GATES, run_passes

TARGETS = {"qiskit": qiskit.target, "braket": braket.target}
SHOTS = 10_000
# What no device can do, whatever is written. All the rest runs.
REFUSED = {"tensor_train/tensor_train.qrl": "layers written in Python"}

both = pytest.mark.parametrize("target", TARGETS)
# `braket_dm` says so of what is read before the first noise.
pytestmark = pytest.mark.filterwarnings("ignore:You are running a noise-free circuit:UserWarning")


@both
def test_what_is_refused(target: str) -> None:
    found = {name: list(refused(plain(name), TARGETS[target])) for name in ALL}
    assert {name for name, why in found.items() if why} == set(REFUSED)
    for name, what in REFUSED.items():
        assert what in found[name][0] and f"`{target}`" in found[name][0]


@both
@pytest.mark.parametrize("name", [n for n in ALL if n not in REFUSED])
def test_an_example(name: str, target: str) -> None:
    program = plain(name)
    w, batch = weights(program), items(program, (length(name),) * 2)
    found = run(program, w, batch, device(target, program), Plan(0))
    assert difference(right(program, batch, w), found.outputs) < 1e-9


# Circuits that grow past what a simulator holds, and outcomes that never happen.
_TOO_MUCH = ("too large", "has room for", "a circuit has", "post-selection", "measured bits")


def exactly(program: Program, target: str) -> bool:
    """False where there is nothing to compare with."""
    program = run_passes(program, GATES)
    w, batch = weights(program), items(program, (1, 2))
    try:
        expected = right(program, batch, w)
    except RunError:  # numbers that are not finite, or a post-selection that leaves nothing
        return False
    try:
        found = run(program, w, batch, _small(device(target, program)), Plan(0))
    except DeviceError as error:
        assert any(x in str(error) for x in _TOO_MUCH), error
        return False
    assert difference(expected, found.outputs) < 1e-9
    return True


def _small(on: object) -> object:
    """So that no program takes minutes."""
    from qrlang.hardware.device import Limits

    on.limits = Limits(qubits=12)
    return on


@both
def test_generated_programs(target: str) -> None:
    _generated(20, target)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@both
def test_two_hundred_generated_programs(target: str) -> None:
    _generated(200, target)


def _generated(count: int, target: str) -> None:
    made = [*generated(programs(qubits=3), count // 2, 1),
            *generated(mixed_programs(qubits=2), count // 2, 2)]  # fmt: skip
    compared = sum(exactly(program, target) for program in made)
    print(f"{target}: {compared} of {len(made)} generated programs compared")
    assert compared > 0.8 * count


# --- shots --------------------------------------------------------------------------------------


def families() -> Iterator[Program]:
    for name in ALL:
        if name not in REFUSED and name not in LARGE:
            yield plain(name)


def sampled(made: Iterator[Program], target: str) -> ChiSquare:
    total = ChiSquare()
    for k, program in enumerate(made):
        sent, on = Sent(SHOTS), device(target, program)
        try:
            run(program, weights(program), items(program, (2,)), Simulator(), Plan(0), see=sent.see)
        except (DeviceError, RunError):
            continue
        works = [w for w in sent.works if w.template.qubits + w.template.bits <= 10]
        if works:
            compare(total, works, on.submit(works, spaced(7, k)).result(), on)
    return total


@both
def test_shots_of_all_families(target: str) -> None:
    total = sampled(families(), target)
    print(f"{target}: {total}, p = {total.p:.3f}")
    assert total.freedom > 500
    assert total.p > 0.01


@both
def test_shots_of_generated_programs(target: str) -> None:
    _sampled(10, target)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@both
def test_shots_of_two_hundred_generated_programs(target: str) -> None:
    _sampled(200, target)


def _sampled(count: int, target: str) -> None:
    made = [*generated(programs(qubits=3), count // 2, 3),
            *generated(mixed_programs(qubits=2), count // 2, 4)]  # fmt: skip
    total = sampled((run_passes(program, GATES) for program in made), target)
    print(f"{target}: {total}, p = {total.p:.3f}")
    assert total.circuits > count
    assert total.p > 0.01


@both
def test_a_seed_says_everything(target: str) -> None:
    """The same shots again, and others with the next seed."""
    program = plain("staggered/staggered.qrl")
    w, batch = weights(program), items(program, (2, 2))
    first, again, other = (
        run(program, w, batch, device(target, program), Plan(300, seed)).outputs[0][""]
        for seed in (4, 4, 5)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-6
