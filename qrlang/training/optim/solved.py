"""In place of an optimiser where the weights are found in one go: see `training/ridge.py`."""

from __future__ import annotations

from typing import Any

from qrlang.training.objective import Work
from qrlang.training.optim.base import Update


class Solved:
    whole = True

    def update(self, work: Work, rate: float) -> Update:
        return Update(work.value(), done=True)

    def state(self) -> Any:
        return {}

    def load(self, state: Any) -> None:
        pass
