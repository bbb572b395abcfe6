"""The moving average of the weights: calmer than what the last update has left."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from qrlang.training import flat


class Average:
    """Of the weights after every update; those of k updates ago count `decay` to the k."""

    def __init__(self, parameters: list[Any], decay: float) -> None:
        self.parameters, self.decay = parameters, decay
        self.sum = torch.zeros_like(flat.read(parameters))
        self.share = 0.0  # what the counts add up to: 1 in the long run

    def add(self) -> None:
        self.sum.mul_(self.decay).add_(flat.read(self.parameters), alpha=1 - self.decay)
        self.share = self.decay * self.share + 1 - self.decay

    @contextmanager
    def taken(self) -> Iterator[None]:
        """The model has it in these lines."""
        kept = flat.read(self.parameters)
        if self.share:
            flat.write(self.parameters, self.sum / self.share)
        try:
            yield
        finally:
            flat.write(self.parameters, kept)

    def state(self) -> Any:
        return {"sum": self.sum, "share": self.share}

    def load(self, state: Any) -> None:
        self.sum.copy_(state["sum"])
        self.share = float(state["share"])
