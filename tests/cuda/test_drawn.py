"""Programs drawn by lot, as CUDA kernels, in any mapping: against what their plan means."""

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from cuda_emulator import available
from cuda_tools import WAYS, check
from engine_tools import draw
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from plan_interpreter import Interpreter
from strategies import programs

from qrlang.engine.plan import Plan, plan

# Each is compiled: nothing is made smaller.
DRAW = [Phase.explicit, Phase.reuse, Phase.generate]


def finite(program, batch, steps, lengths):
    """Is all of it a number: else a kernel says what is not."""
    found = plan(program)
    weights, inputs = draw(program, batch, steps)
    truth = Interpreter(found)
    ends = [np.array(lengths) if x.seq else None for x in found.inputs]
    with np.errstate(all="ignore"):
        outputs, saved = truth.forward(
            [x.numpy() for x in inputs], [weights[w.name].numpy() for w in found.weights], ends
        )
        slopes, _ = truth.backward(saved, [np.ones_like(y) for y in outputs])
    return all(np.isfinite(x).all() for x in (*outputs, *slopes))


@pytest.mark.skipif(not available(), reason="no C++ compiler")
@settings(max_examples=6, phases=DRAW, suppress_health_check=list(HealthCheck))
@given(programs(), st.sampled_from(sorted(WAYS)), st.data())
def test_programs_drawn_by_lot(program, way, data):
    assume(isinstance(plan(program), Plan))
    steps = data.draw(st.integers(1, 3))
    lengths = data.draw(st.lists(st.integers(1, steps), min_size=1, max_size=5))
    assume(finite(program, len(lengths), steps, lengths))
    order, races = data.draw(st.integers(0, 3)), data.draw(st.booleans())
    torch.set_num_threads(1)
    check(program, WAYS[way][1], len(lengths), steps, lengths, 1e-10, order, races)
