"""Simultaneous perturbation (Spall 1992): the slope along one random direction, from two losses.

What hardware can do for any number of parameters, quantum and classical ones together; `freeze`
leaves some of them out. Gains fall as rate / (stability + k)^alpha and perturbation / k^gamma.
"""

from __future__ import annotations

import math
from typing import Any

import torch

from qrlang.training import flat
from qrlang.training.objective import Work
from qrlang.training.optim.base import Update


class Spsa:
    whole = False

    def __init__(
        self, parameters: list[Any], seed: int, *, perturbation: float, alpha: float, gamma: float,
        stability: float, lr: float = 0.0,
    ) -> None:  # fmt: skip
        self.parameters = parameters
        self.perturbation, self.alpha = perturbation, alpha
        self.gamma, self.stability = gamma, stability
        self.lot = torch.Generator().manual_seed(seed)
        self.count = 0

    def update(self, work: Work, rate: float) -> Update:
        self.count += 1
        k = self.count
        step = self.perturbation / k**self.gamma
        here = flat.read(self.parameters)
        signs = torch.randint(0, 2, here.shape, generator=self.lot).to(here) * 2 - 1
        flat.write(self.parameters, here + step * signs)
        above = work.value()
        flat.write(self.parameters, here - step * signs)
        below = work.value()
        slope = (above - below) / (2 * step)
        loss = (above + below) / 2
        if not math.isfinite(slope):
            flat.write(self.parameters, here)
            return Update(loss, math.nan, skipped=True)
        gain = rate / (self.stability + k) ** self.alpha
        flat.write(self.parameters, here - gain * slope * signs)
        flat.slope(self.parameters, slope * signs)
        return Update(loss, abs(slope) * math.sqrt(len(here)))

    def state(self) -> Any:
        return {"count": self.count, "lot": self.lot.get_state()}

    def load(self, state: Any) -> None:
        self.count = int(state["count"])
        self.lot.set_state(state["lot"])
