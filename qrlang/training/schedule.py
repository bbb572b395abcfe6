"""The learning rate over a run: warm-up, then a schedule."""

from __future__ import annotations

import math
from dataclasses import dataclass

from qrlang.training.settings import Choice


@dataclass
class Plan:
    """How many updates there will be."""

    per_epoch: int
    steps: int
    warmup: int

    @property
    def epochs(self) -> int:
        return -(-self.steps // max(self.per_epoch, 1))


def factor(
    schedule: Choice, warmup: int, step: int, total: int, epoch: int, falls: int = 0
) -> float:
    """What the learning rate is multiplied by at an update (counted from 0). `falls`: how often
    the validation split has called for a smaller one."""
    rise = min(1.0, (step + 1) / warmup) if warmup else 1.0
    return rise * _shape(schedule, step / max(total, 1), epoch, falls)


def _shape(schedule: Choice, share: float, epoch: int, falls: int) -> float:
    name, options = schedule
    floor = float(options.get("floor", 0.0))
    match name:
        case "cosine":
            return floor + (1 - floor) * (1 + math.cos(math.pi * min(share, 1.0))) / 2
        case "linear":
            return floor + (1 - floor) * (1 - min(share, 1.0))
        case "staircase":
            return float(options["factor"]) ** (epoch // max(int(options["every"]), 1))
        case "exponential":
            return float(options["factor"]) ** epoch
        case "plateau":
            return max(float(options["factor"]) ** falls, floor)
    return 1.0
