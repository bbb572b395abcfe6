"""Updates on a GPU that nobody waits for: one is queued while the one before is computed. What they
found (loss, norm, whether the update was skipped) is read a few updates later, all at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from qrlang.system import environment
from qrlang.training.feed import Feed
from qrlang.training.metrics import Array
from qrlang.training.objective import Objective, Work
from qrlang.training.optim.adam import Adam
from qrlang.training.optim.base import Update
from qrlang.training.recorded import Recorded

DEPTH = 16  # updates that may be on their way


@dataclass(frozen=True)
class Found:
    """One update, when it is known."""

    update: Update
    rate: float
    row: Array  # [loss, terms, hits, counts]
    moments: Array


class Pipeline:
    def __init__(self, objective: Objective, optimizer: Adam) -> None:
        self.objective, self.optimizer = objective, optimizer
        self.waiting: list[tuple[float, Any]] = []
        objective.model.checks = "later"
        graphs = environment.flag("QRLANG_CUDA_GRAPH")
        self.recorded = Recorded(objective, self.queue) if graphs else None

    @classmethod
    def where_it_fits(cls, objective: Objective, optimizer: Any, feed: Feed) -> Pipeline | None:
        """Where segments are cut from batches, their rows are chosen on the host, which waits."""
        cut = objective.truncate and not feed.streaming
        return cls(objective, optimizer) if cls.fits(objective, optimizer) and not cut else None

    @staticmethod
    def fits(objective: Objective, optimizer: Any) -> bool:
        """By an optimiser that can do without knowing."""
        return objective.device.type == "cuda" and isinstance(optimizer, Adam)

    def leave(self) -> None:
        """Back to updates that are waited for."""
        self.objective.model.checks = "now"

    @property
    def full(self) -> bool:
        return len(self.waiting) >= DEPTH

    def add(self, work: Work, rate: float) -> None:
        like = self.optimizer.mean
        at = torch.full((), rate, dtype=like.dtype, device=like.device)
        if self.recorded is not None and self.recorded.takes(work):
            numbers = self.recorded.run(work, at)
        else:
            numbers = self.queue(work, at)
        self.waiting.append((rate, numbers))

    def queue(self, work: Work, rate: Any) -> Any:
        """[loss, norm, done or not, loss, terms, hits, counts, moments]."""
        sums, moments = work.late()
        head = self.optimizer.late(sums[1], sums[0], rate, self.objective.world)
        return torch.cat([head, sums, moments])

    def read(self) -> list[Found]:
        """Waits for all of them."""
        if not self.waiting:
            return []
        table = torch.stack([numbers for _, numbers in self.waiting]).cpu().numpy()
        rates = [rate for rate, _ in self.waiting]
        self.waiting = []
        return [
            Found(Update(float(x[0]), float(x[1]), skipped=not x[2]), rate, x[3:7], x[7:])
            for rate, x in zip(rates, table, strict=True)
        ]
