"""Optimisers against torch's, SciPy's and the normal equations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from qrlang.errors import TrainingError  # noqa: E402
from qrlang.training import checkpoint, optim, schedule  # noqa: E402
from qrlang.training.settings import Settings, settle  # noqa: E402

START = (-1.2, 1.0, 0.5)


class Bowl:
    """A loss that needs no data: Rosenbrock's, and a third number on its own."""

    def __init__(self) -> None:
        first = torch.tensor(START[:2], dtype=torch.float64)
        self.parameters = [
            torch.nn.Parameter(first),
            torch.nn.Parameter(torch.tensor([START[2]]).double()),
        ]
        self.broken = False

    def loss(self) -> Any:
        (x, y), z = self.parameters[0], self.parameters[1][0]
        loss = (1 - x) ** 2 + 5 * (y - x * x) ** 2 + (z - 2) ** 2
        return loss * float("nan") if self.broken else loss

    def gradient(self) -> float:
        for p in self.parameters:
            p.grad = None
        with torch.enable_grad():
            loss = self.loss()
        loss.backward()
        return float(loss.detach())

    def value(self) -> float:
        with torch.no_grad():
            return float(self.loss())

    def point(self) -> list[float]:
        return [float(x) for p in self.parameters for x in p.detach()]


def settings(name: str, **options: Any) -> Settings:
    return settle({"data": "x.csv", "optimizer": (name, options), "clip": 0.0}, None)


@pytest.mark.parametrize(
    ("name", "options", "theirs"),
    [
        ("adam", {}, lambda p: torch.optim.Adam(p, lr=0.02)),
        ("adam", {"weight_decay": 0.1}, lambda p: torch.optim.Adam(p, lr=0.02, weight_decay=0.1)),
        ("adamw", {"weight_decay": 0.1}, lambda p: torch.optim.AdamW(p, lr=0.02, weight_decay=0.1)),
        ("sgd", {"momentum": 0.5}, lambda p: torch.optim.SGD(p, lr=0.02, momentum=0.5)),
        ("rmsprop", {}, lambda p: torch.optim.RMSprop(p, lr=0.02)),
    ],
)
def test_as_torch_does_it(name: str, options: dict[str, float], theirs: Any) -> None:
    ours, other = Bowl(), Bowl()
    made = optim.make(settings(name, lr=0.02, **options), ours.parameters)
    reference = theirs(other.parameters)
    for _ in range(50):
        made.update(ours, 0.02)
        other.gradient()
        reference.step()
    np.testing.assert_allclose(ours.point(), other.point(), rtol=1e-10)


@pytest.mark.parametrize("name", ["adam", "sgd", "rmsprop", "lbfgs", "spsa", "nelder_mead"])
def test_it_goes_on_where_it_stopped(name: str, tmp_path: Path) -> None:
    """State and weights of step 5, put into a new optimiser: the same at step 12."""
    whole = Bowl()
    made = optim.make(settings(name), whole.parameters)
    for k in range(12):
        if k == 5:
            checkpoint.save(tmp_path / "c", {"p": whole.parameters[0]}, made.state())
            point = [p.detach().clone() for p in whole.parameters]
        made.update(whole, 0.01)
    again = Bowl()
    with torch.no_grad():
        for p, x in zip(again.parameters, point, strict=True):
            p.copy_(x)
    other = optim.make(settings(name), again.parameters)
    other.load(checkpoint.load(tmp_path / "c")[1])
    for _ in range(7):
        other.update(again, 0.01)
    assert whole.point() == again.point()


def test_lbfgs_finds_the_valley() -> None:
    bowl = Bowl()
    made = optim.make(settings("lbfgs", lr=1.0), bowl.parameters)
    for _ in range(5):
        made.update(bowl, 1.0)
    np.testing.assert_allclose(bowl.point(), [1, 1, 2], atol=1e-4)


def test_nelder_mead_finds_the_valley_without_a_gradient() -> None:
    bowl = Bowl()
    made = optim.make(settings("nelder_mead"), bowl.parameters)
    for _ in range(1000):
        if made.update(bowl, 0.0).done:
            break
    assert bowl.parameters[0].grad is None
    np.testing.assert_allclose(bowl.point(), [1, 1, 2], atol=2e-2)


def test_nelder_mead_refuses_what_is_too_large() -> None:
    with pytest.raises(TrainingError, match="at most 2000"):
        optim.make(settings("nelder_mead"), [torch.nn.Parameter(torch.zeros(2001))])


def test_spsa_goes_down_without_a_gradient() -> None:
    bowl = Bowl()
    before = bowl.value()
    made = optim.make(settings("spsa", perturbation=0.05), bowl.parameters)
    bowl.gradient = None  # type: ignore[assignment,method-assign]  # it never asks for one
    for _ in range(400):
        made.update(bowl, 0.05)
    assert bowl.value() < 0.2 * before


@pytest.mark.parametrize("name", ["adam", "sgd", "lbfgs", "spsa"])
def test_what_is_not_finite_changes_nothing(name: str) -> None:
    bowl = Bowl()
    made = optim.make(settings(name), bowl.parameters)
    made.update(bowl, 0.01)
    before, bowl.broken = bowl.point(), True
    update = made.update(bowl, 0.01)
    assert update.skipped
    assert bowl.point() == pytest.approx(before, abs=1e-15)
    bowl.broken = False
    assert not made.update(bowl, 0.01).skipped


def test_gradients_are_clipped() -> None:
    bowl, free = Bowl(), Bowl()
    made = optim.make(settle({"data": "x.csv", "optimizer": ("sgd", {"lr": 1.0}), "clip": 0.5}, None),
                      bowl.parameters)  # fmt: skip
    norm = made.update(bowl, 1.0).norm
    free.gradient()
    step = np.array(bowl.point()) - np.array(START)
    slope = np.concatenate([p.grad.numpy() for p in free.parameters])
    assert norm == pytest.approx(np.linalg.norm(slope))
    np.testing.assert_allclose(step, -slope / np.linalg.norm(slope) * 0.5)


def test_schedules() -> None:
    rates = [schedule.factor(("cosine", {"floor": 0.0}), 10, k, 100, 0) for k in range(100)]
    assert rates[0] == pytest.approx(0.1) and max(rates) < 1
    assert rates[50] == pytest.approx(0.5)
    assert rates[-1] < 0.001
    assert schedule.factor(("cosine", {"floor": 0.2}), 0, 100, 100, 0) == pytest.approx(0.2)
    assert schedule.factor(("linear", {"floor": 0.0}), 0, 25, 100, 0) == pytest.approx(0.75)
    assert schedule.factor(("staircase", {"every": 2, "factor": 0.1}), 0, 0, 9, 5) == pytest.approx(
        0.01
    )
    assert schedule.factor(("exponential", {"factor": 0.5}), 0, 0, 9, 3) == pytest.approx(0.125)
    assert schedule.factor(("constant", {}), 0, 99, 100, 7) == 1.0
