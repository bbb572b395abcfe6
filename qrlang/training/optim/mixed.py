"""Two optimisers: one of a circuit's own angles, one of all other weights.

Both in every update, the angles first; or by turns, so many updates each. While one is at work the
weights of the other stay, and gradients along them are not taken.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from qrlang.training.objective import Work
from qrlang.training.optim.base import Optimizer, Update


@dataclass(frozen=True)
class Part:
    optimizer: Optimizer
    parameters: list[Any]
    share: float | None  # its learning rate over that of the run; None: `rate` is its own
    rate: float


class Mixed:
    def __init__(self, parts: list[Part], turns: int) -> None:
        self.parts, self.turns = parts, turns
        self.whole = any(p.optimizer.whole for p in parts)
        self.count = 0

    def update(self, work: Work, rate: float) -> Update:
        found = []
        for part in self._active():
            with self._alone(part):
                own = part.rate if part.share is None else rate * part.share
                found.append(part.optimizer.update(work, own))
        self.count += 1
        return Update(
            found[0].loss,
            math.hypot(*(u.norm for u in found)),
            skipped=any(u.skipped for u in found),
            done=any(u.done for u in found),
        )

    def _active(self) -> list[Part]:
        if not self.turns:
            return self.parts
        return [self.parts[self.count // self.turns % len(self.parts)]]

    @contextmanager
    def _alone(self, part: Part) -> Iterator[None]:
        others = [p for one in self.parts if one is not part for p in one.parameters]
        for p in others:
            p.requires_grad_(False)
        try:
            yield
        finally:
            for p in others:
                p.requires_grad_(True)

    def state(self) -> Any:
        return {"count": self.count, "parts": [p.optimizer.state() for p in self.parts]}

    def load(self, state: Any) -> None:
        self.count = int(state["count"])
        for part, one in zip(self.parts, state["parts"], strict=True):
            part.optimizer.load(one)
