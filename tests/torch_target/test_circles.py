"""A call leaves nothing behind: its states and its graph go as soon as nobody has them."""

import gc
import weakref

import pytest

torch = pytest.importorskip("torch")

from pathlib import Path  # noqa: E402

import qrlang  # noqa: E402
from qrlang.backends.torch.calls import run  # noqa: E402

PAGE = Path(__file__).resolve().parents[2] / "examples" / "qrnn" / "permuted.qrl"


@pytest.mark.parametrize("road", ["plain", "stepwise"])
@pytest.mark.parametrize("gradient", [True, False])
def test_states_go_with_the_call(road, gradient, monkeypatch):
    model = qrlang.load(PAGE, n=3, layers=1)
    model.road = road
    seen, plain = [], run.Run.add

    def add(self, state):
        seen.append(weakref.ref(state))
        plain(self, state)

    monkeypatch.setattr(run.Run, "add", add)
    gc.collect()
    gc.disable()
    try:
        y = model(torch.rand(2, 5, 1))
        if gradient:
            torch.autograd.grad(y.sum(), list(model.parameters()))
        del y
        assert seen and not any(ref() for ref in seen)
    finally:
        gc.enable()
