"""Adam (Kingma and Ba 2015) and AdamW on one flat vector.

The same numbers as torch's. Its own take seconds to import (they bring a compiler along), and as
long for each small tensor as for all of them in one.
"""

from __future__ import annotations

import math
from typing import Any

import torch

from qrlang.training import flat
from qrlang.training.objective import Work
from qrlang.training.optim.base import Update
from qrlang.training.optim.gradient import stepped
from qrlang.training.world import World


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
        self.done: Any = None  # the same on a device, of updates that nobody waited for
        self.mean = torch.zeros_like(_flat(parameters))
        self.square = torch.zeros_like(self.mean)

    def update(self, work: Work, rate: float) -> Update:
        return stepped(work, self.parameters, self.clip, lambda: self._step(rate))

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
        flat.write(self.parameters, here)

    # --- without waiting for a device

    def late(self, terms: Any, loss: Any, rate: Any, world: World) -> Any:
        """The same update from summed gradients, all of it on the device: where something is not
        finite, everything stays as it was. Returns [loss, norm, done or not]."""
        with torch.no_grad():
            slope = torch.cat(
                [torch.zeros_like(p).reshape(-1) if p.grad is None else p.grad.reshape(-1)
                 for p in self.parameters]
            )  # fmt: skip
            if world.size > 1:
                both = world.sum(torch.cat([slope, terms[None].to(slope), loss[None].to(slope)]))
                slope, terms, loss = both[:-2], both[-2].double(), both[-1].double()
            slope, loss = slope / terms.to(slope.dtype), loss / terms
            norm = torch.linalg.vector_norm(slope, dtype=torch.float64)
            fine = torch.isfinite(loss) & torch.isfinite(norm)
            if self.clip:
                slope = slope * (self.clip / norm.clamp_min(self.clip)).to(slope.dtype)
            self._step_late(torch.where(fine, slope, torch.zeros_like(slope)), fine, rate)
        return torch.stack([loss, norm, fine.double()])

    def _step_late(self, slope: Any, fine: Any, rate: Any) -> None:
        here = _flat(self.parameters)
        if self.done is None:
            self.done = torch.full((), float(self.count), dtype=torch.float64, device=here.device)
        decayed = here
        if self.decay and self.decoupled:
            decayed = here * (1 - rate * self.decay)
        elif self.decay:
            slope = slope + self.decay * here
        self.done += fine
        mean = self.mean.lerp(slope, 1 - self.beta1)
        square = (self.square * self.beta2).addcmul(slope, slope, value=1 - self.beta2)
        first = (1 - self.beta1**self.done).to(here.dtype)
        second = (1 - self.beta2**self.done).sqrt().to(here.dtype)
        new = decayed - (rate / first) * mean / ((square.sqrt() / second) + self.eps)
        self.mean.copy_(torch.where(fine, mean, self.mean))
        self.square.copy_(torch.where(fine, square, self.square))
        flat.write(self.parameters, torch.where(fine, new, here))

    def settle(self) -> None:
        """Counts what was done late."""
        if self.done is not None:
            self.count = int(self.done.item())

    def state(self) -> Any:
        self.settle()
        return {"count": self.count, "mean": self.mean, "square": self.square}

    def load(self, state: Any) -> None:
        self.count = int(state["count"])
        self.done = None
        self.mean.copy_(state["mean"])
        self.square.copy_(state["square"])


def _flat(parameters: list[Any]) -> Any:
    return torch.cat([p.detach().reshape(-1) for p in parameters])
