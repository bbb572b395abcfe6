"""Every pass on generated programs: the same outputs, the same unitary, valid, never larger."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, note, settings
from hypothesis import strategies as st
from strategies import arguments, circuits, mixed_programs, programs

from qrlang.backends.reference import RunError, initial_weights, run, unitary
from qrlang.ir.program import Program, Unitary
from qrlang.ir.verify import verify
from qrlang.passes import GATES, PASSES, SIMULATOR, run_passes, size

# What leaves the segment of a circuit the same unitary.
UNITARY = ("fold", "cancel", "permute", "fuse", "split", "group")
# A second run finds nothing more to do.
IDEMPOTENT = ("fold", "prune", "cancel", "split", "permute", "fuse", "group")
EACH: list[tuple[str, ...]] = [(name,) for name in PASSES] + [GATES, SIMULATOR]


def outputs(
    program: Program, seed: int, length: int, **kwargs: Any
) -> dict[str, np.ndarray] | None:
    """None when a run is refused (amplitudes of norm zero, an angle that is not finite)."""
    try:
        found = run(program, arguments(program, seed, length), seed=seed, **kwargs).outputs
    except RunError:
        return None
    return found


def check(before: Program, fused: bool, seed: int, length: int) -> None:
    """Every pass and both pipelines, each on the program as it was."""
    expected = outputs(before, seed, length)
    assume(expected is not None and all(np.isfinite(v).all() for v in expected.values()))
    assert expected is not None
    for passes in EACH:
        note(f"passes: {' '.join(passes)}")
        after = run_passes(before, passes, verify=True)
        assert verify(after) == []
        assert (after.inputs, after.weights) == (before.inputs, before.weights)
        found = outputs(after, seed, length)
        assert found is not None
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            scale = max(1.0, float(np.abs(value).max(initial=0.0)))
            np.testing.assert_allclose(found[name], value, rtol=0, atol=1e-10 * scale)
        # Never larger; but split cuts what was fused too early, and carry computes what it carries.
        if not (fused and "split" in passes):
            assert size(after)[0] <= size(before)[0]
        if "carry" not in passes:
            assert size(after)[1] <= size(before)[1]
        if len(passes) == 1 and passes[0] in IDEMPOTENT:
            assert run_passes(after, passes) == after


def examples(least: int) -> Any:
    return settings(max_examples=least, suppress_health_check=[HealthCheck.too_slow])


@given(st.data(), st.booleans(), st.integers(0, 3), st.integers(1, 3))
@examples(50)
def test_pure_programs(data: st.DataObject, fused: bool, seed: int, length: int) -> None:
    check(data.draw(programs(fused=fused)), fused, seed, length)


@given(st.data(), st.booleans(), st.integers(0, 3), st.integers(1, 2))
@examples(50)
def test_mixed_programs(data: st.DataObject, fused: bool, seed: int, length: int) -> None:
    check(data.draw(mixed_programs(qubits=2, fused=fused)), fused, seed, length)


@pytest.mark.timeout(1200)
@given(st.data(), st.booleans(), st.booleans(), st.integers(0, 3), st.integers(1, 3))
@examples(1000)
def test_many_programs(
    data: st.DataObject, mixed: bool, fused: bool, seed: int, length: int
) -> None:
    check(data.draw(programs(fused=fused, mixed=mixed)), fused, seed, length)


@pytest.mark.parametrize("name", UNITARY)
@given(st.data(), st.integers(0, 100))
@examples(40)
def test_the_same_unitary(name: str, data: st.DataObject, seed: int) -> None:
    before = data.draw(circuits())
    after = run_passes(before, (name,))
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(1000, 2))
    matrices = []
    for program in (before, after):
        qubits = [q for r in before.registers for q in range(r.start, r.start + r.size)]
        elements = [e for op in program.body if isinstance(op, Unitary) for e in op.elements]

        def number(angle: Any) -> float:
            return angle.constant + sum(
                t.coefficient * numbers[t.value.id].flat[t.index] for t in angle.terms
            )

        matrices.append(unitary(elements, qubits, number))
    a, b = matrices
    overlap = np.vdot(a, b) / len(a)
    np.testing.assert_allclose(abs(overlap), 1, atol=1e-10)
    np.testing.assert_allclose(a * overlap, b, atol=1e-10)


@pytest.mark.parametrize(
    "passes", [("cancel",), ("permute",), ("carry",), GATES, SIMULATOR], ids="+".join
)
@given(st.data(), st.integers(0, 3))
@examples(10)
def test_the_same_gradients(passes: tuple[str, ...], data: st.DataObject, seed: int) -> None:
    """Along random directions in the weights, by central differences."""
    before = data.draw(programs(qubits=2))
    after = run_passes(before, passes)
    weights = initial_weights(before, seed)
    assume(weights)
    rng = np.random.default_rng(seed)
    direction = {name: rng.normal(size=w.shape) for name, w in weights.items()}
    step = 1e-5
    slopes = []
    for program in (before, after):
        ends = []
        for sign in (1, -1):
            moved = {name: w + sign * step * direction[name] for name, w in weights.items()}
            found = outputs(program, seed, 2, weights=moved)
            assume(found is not None)
            assert found is not None
            ends.append(np.concatenate([np.ravel(v) for v in found.values()]))
        slopes.append((ends[0] - ends[1]) / (2 * step))
    assume(np.isfinite(slopes[0]).all() and np.abs(slopes[0]).max(initial=0) < 1e3)
    np.testing.assert_allclose(slopes[1], slopes[0], atol=1e-5)
