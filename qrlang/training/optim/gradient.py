"""Torch's optimisers, with clipping, and without the updates that would ruin the weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

from qrlang.training.objective import Work
from qrlang.training.optim.base import Update


class Gradient:
    whole = False

    def __init__(self, inner: Any, parameters: list[Any], clip: float) -> None:
        self.inner = inner
        self.parameters = parameters
        self.clip = clip

    def update(self, work: Work, rate: float) -> Update:
        _set_rate(self.inner, rate)
        return stepped(work, self.parameters, self.clip, self.inner.step)

    def state(self) -> Any:
        return self.inner.state_dict()

    def load(self, state: Any) -> None:
        self.inner.load_state_dict(state)


class Lbfgs(Gradient):
    """Several evaluations an update, by line search (strong Wolfe), all on the same batches."""

    def update(self, work: Work, rate: float) -> Update:
        _set_rate(self.inner, rate)
        before = [p.detach().clone() for p in self.parameters]
        kept = self.inner.state_dict()
        first: list[tuple[float, float]] = []

        def closure() -> float:
            loss = work.gradient()
            first.append((loss, norm_of(self.parameters)))
            return loss

        self.inner.step(closure)
        loss, norm = first[0]
        good = all(bool(torch.isfinite(p).all()) for p in self.parameters)
        if not (good and all(math.isfinite(x) for x in first[0])):
            with torch.no_grad():
                for p, old in zip(self.parameters, before, strict=True):
                    p.copy_(old)
            self.inner.load_state_dict({**kept, "state": {}})  # its memory is of the wrong slope
            return Update(loss, norm, skipped=True)
        return Update(loss, norm)


def stepped(work: Work, parameters: list[Any], clip: float, step: Callable[[], object]) -> Update:
    """A step by the gradient of the work, where that is finite."""
    loss = work.gradient()
    norm = norm_of(parameters)
    if not (math.isfinite(loss) and math.isfinite(norm)):
        return Update(loss, norm, skipped=True)
    clipped(parameters, norm, clip)
    with torch.no_grad():
        step()
    return Update(loss, norm)


def norm_of(parameters: list[Any]) -> float:
    """Of all gradients together."""
    flat = [p.grad.reshape(-1) for p in parameters if p.grad is not None]
    return float(torch.linalg.vector_norm(torch.cat(flat), dtype=torch.float64))


def clipped(parameters: list[Any], norm: float, most: float) -> None:
    if most and norm > most:
        for p in parameters:
            if p.grad is not None:
                p.grad.mul_(most / norm)


def _set_rate(inner: Any, rate: float) -> None:
    for group in inner.param_groups:
        group["lr"] = rate
