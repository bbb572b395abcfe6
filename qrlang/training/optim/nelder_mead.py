"""The simplex of Nelder and Mead, with coefficients that suit the dimension (Gao and Han 2012).

It needs a loss without noise, so an update sees all training data. One update is one move of the
simplex; the first also builds it.
"""

from __future__ import annotations

from typing import Any

import torch

from qrlang.errors import TrainingError
from qrlang.training import flat
from qrlang.training.objective import Work
from qrlang.training.optim.base import Update

MOST = 2000  # parameters: the simplex holds their square


class NelderMead:
    whole = True

    def __init__(
        self, parameters: list[Any], *, max_iterations: int, tolerance: float, size: float = 0.1
    ) -> None:
        n = sum(p.numel() for p in parameters)
        if n > MOST:
            raise TrainingError(
                f"`nelder_mead` is for at most {MOST} parameters, these are {n}",
                "freeze some of them, or take `spsa`",
            )
        self.parameters = parameters
        self.most, self.tolerance, self.size = max_iterations, tolerance, size
        self.points: Any = None  # [n + 1, n], the best first
        self.values: Any = None
        self.count = 0

    def update(self, work: Work, rate: float) -> Update:
        def f(x: Any) -> float:
            flat.write(self.parameters, x)
            value = work.value()
            return value if value == value else float("inf")

        if self.points is None:
            here = flat.read(self.parameters)
            self.points = torch.cat([here[None], here + self.size * torch.eye(len(here)).to(here)])
            self.values = torch.tensor([f(x) for x in self.points], dtype=torch.float64)
        else:
            self._move(f)
        order = torch.argsort(self.values, stable=True)
        self.points, self.values = self.points[order], self.values[order]
        flat.write(self.parameters, self.points[0])
        self.count += 1
        spread = float(self.values[-1] - self.values[0])
        return Update(
            float(self.values[0]), done=self.count >= self.most or spread < self.tolerance
        )

    def _move(self, f: Any) -> None:
        n = self.points.shape[1]
        grow, shrink, near = 1 + 2 / n, 1 - 1 / n, 0.75 - 1 / (2 * n)
        best, worst = float(self.values[0]), float(self.values[-1])
        second = float(self.values[-2])
        middle = self.points[:-1].mean(0)
        away = middle - self.points[-1]
        reflected = middle + away
        value = f(reflected)
        if value < best:
            farther = middle + grow * away
            beyond = f(farther)
            self._replace(*((farther, beyond) if beyond < value else (reflected, value)))
        elif value < second:
            self._replace(reflected, value)
        else:
            side = near if value < worst else -near
            inside = middle + side * away
            contracted = f(inside)
            if contracted < min(value, worst):
                self._replace(inside, contracted)
            else:
                self.points[1:] = self.points[0] + shrink * (self.points[1:] - self.points[0])
                self.values[1:] = torch.tensor([f(x) for x in self.points[1:]]).to(self.values)

    def _replace(self, x: Any, value: float) -> None:
        self.points[-1], self.values[-1] = x, value

    def state(self) -> Any:
        return {"count": self.count, "points": self.points, "values": self.values}

    def load(self, state: Any) -> None:
        self.count = int(state["count"])
        self.points, self.values = state["points"], state["values"]
