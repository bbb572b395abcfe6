import numpy as np
import pytest
import strategies
import torch_tools as tools
from hypothesis import given, settings

from qrlang.backends.reference import RunError

torch = pytest.importorskip("torch")

LENGTHS = (3, 1, 4)


def agrees(program, tolerance=1e-9):
    """A padded batch against one run of the interpreter for each sequence."""
    inputs = [strategies.arguments(program, seed=i, length=t) for i, t in enumerate(LENGTHS)]
    try:
        expected = tools.reference(program, inputs)
    except RunError:
        return
    if not all(np.isfinite(x).all() for one in expected for x in one.values()):
        return
    model = tools.module(program)
    result = model(**tools.batch(inputs), lengths=torch.tensor(LENGTHS))
    found = tools.outputs(program, result)
    for b, one in enumerate(expected):
        for output in program.outputs:
            value, mine = np.asarray(one[output.name]), found[output.name][b]
            if output.value.type.seq:
                assert not mine[len(value) :].any(), "after the end there are zeros"
                mine = mine[: len(value)]
            np.testing.assert_allclose(mine, value, rtol=tolerance, atol=tolerance)


@settings(max_examples=40)
@given(strategies.circuits())
def test_every_gate_as_in_the_interpreter(program):
    agrees(program)


@settings(max_examples=40)
@given(strategies.programs())
def test_recurrences_as_in_the_interpreter(program):
    agrees(program)


@settings(max_examples=40)
@given(strategies.mixed_programs())
def test_mixed_programs_as_in_the_interpreter(program):
    agrees(program)


def slope(model, inputs, direction, step):
    """The change of a fixed sum of the outputs along a direction in the weights."""
    values = {}
    with torch.no_grad():
        for sign in (1, -1):
            for weight, way in direction:
                weight.add_(way, alpha=sign * step)
            values[sign] = total(model(**inputs)).item()
            for weight, way in direction:
                weight.sub_(way, alpha=sign * step)
    return (values[1] - values[-1]) / (2 * step)


def total(result):
    parts = result.values() if isinstance(result, dict) else [result]
    return sum((x * torch.linspace(0.5, 1.5, x.numel()).reshape(x.shape)).sum() for x in parts)


def gradient_is_right(program):
    inputs = [strategies.arguments(program, seed=7)]
    try:
        if not all(
            np.isfinite(x).all() for one in tools.reference(program, inputs) for x in one.values()
        ):
            return
    except RunError:
        return
    model = tools.module(program)
    weights = [w for w in model.parameters() if w.requires_grad]
    if not weights:
        return
    given_inputs = tools.batch(inputs)
    loss = total(model(**given_inputs))
    if not loss.requires_grad:
        return
    found = torch.autograd.grad(loss, weights, allow_unused=True)
    generator = torch.Generator().manual_seed(3)
    direction = [(w, torch.randn(w.shape, generator=generator, dtype=w.dtype)) for w in weights]
    mine = sum(
        (g * way).sum().item()
        for g, (_, way) in zip(found, direction, strict=True)
        if g is not None
    )
    # Where the outputs have a kink (abs, max) two step sizes differ: no verdict there.
    fine, coarse = (slope(model, given_inputs, direction, h) for h in (1e-6, 4e-6))
    if abs(fine - coarse) < 1e-5 * (1 + abs(fine)):
        assert mine == pytest.approx(fine, rel=2e-4, abs=2e-5)


@settings(max_examples=25)
@given(strategies.programs())
def test_gradients_of_recurrences(program):
    gradient_is_right(program)


@settings(max_examples=25)
@given(strategies.mixed_programs())
def test_gradients_of_mixed_programs(program):
    gradient_is_right(program)
