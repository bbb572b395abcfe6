"""Adam (Kingma and Ba 2015) and AdamW on one flat vector.

The same numbers as torch's. Its own take seconds to import (they bring a compiler along), and as
long for each small tensor as for all of them in one.
"""

from __future__ import annotations

import math
from typing import Any

import torch

from qrlang.training.objective import Work
from qrlang.training.optim.base import Update
from qrlang.training.optim.gradient import clipped, norm_of


class Adam:
    whole = False

    def __init__(
        self, parameters: list[Any], clip: float, *, beta1: float, beta2: float, eps: float,
        weight_decay: float, lr: float = 0.0, decoupled: bool = False,
    ) -> None:  # fmt: skip
        self.parameters = parameters
        self.clip = clip
        self.beta1, self.beta2, self.eps = beta1, beta2, eps
        self.decay, self.decoupled = weight_decay, decoupled
        self.count = 0
        self.mean = torch.zeros_like(_flat(parameters))
        self.square = torch.zeros_like(self.mean)

    def update(self, work: Work, rate: float) -> Update:
        loss = work.gradient()
        norm = norm_of(self.parameters)
        if not (math.isfinite(loss) and math.isfinite(norm)):
            return Update(loss, norm, skipped=True)
        clipped(self.parameters, norm, self.clip)
        with torch.no_grad():
            self._step(rate)
        return Update(loss, norm)

    def _step(self, rate: float) -> None:
        here = _flat(self.parameters)
        slope = torch.cat([p.grad.reshape(-1) for p in self.parameters])
        if self.decay and self.decoupled:
            here = here * (1 - rate * self.decay)
        elif self.decay:
            slope = slope + self.decay * here
        self.count += 1
        self.mean.lerp_(slope, 1 - self.beta1)
        self.square.mul_(self.beta2).addcmul_(slope, slope, value=1 - self.beta2)
        first = 1 - self.beta1**self.count
        second = math.sqrt(1 - self.beta2**self.count)
        bottom = (self.square.sqrt() / second).add_(self.eps)
        here = here.addcdiv(self.mean, bottom, value=-rate / first)
        at = 0
        for p in self.parameters:
            p.copy_(here[at : at + p.numel()].reshape(p.shape))
            at += p.numel()

    def state(self) -> Any:
        return {"count": self.count, "mean": self.mean, "square": self.square}

    def load(self, state: Any) -> None:
        self.count = int(state["count"])
        self.mean.copy_(state["mean"])
        self.square.copy_(state["square"])


def _flat(parameters: list[Any]) -> Any:
    return torch.cat([p.detach().reshape(-1) for p in parameters])
