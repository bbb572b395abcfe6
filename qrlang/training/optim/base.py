"""What every optimiser does: one update on some batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from qrlang.training.objective import Work


@dataclass(frozen=True, slots=True)
class Update:
    loss: float
    norm: float = 0.0  # of the gradient, before it is clipped
    skipped: bool = False  # something was not finite: the weights are as before
    done: bool = False  # it has converged
    frozen: bool = False  # it was taken back: the run only listens


class Optimizer(Protocol):
    whole: bool  # needs the same loss at every update: that of all training data

    def update(self, work: Work, rate: float) -> Update:
        """One update at this learning rate."""

    def state(self) -> Any:
        """Numbers, tensors, and lists and dicts of them."""

    def load(self, state: Any) -> None: ...
