"""What work on a device costs, and how much of it may be done."""

from __future__ import annotations

from dataclasses import dataclass

from qrlang.hardware.device import Device


@dataclass(frozen=True, slots=True)
class Prices:
    task: float = 0.0
    shot: float = 0.0

    def of(self, jobs: int, executions: int) -> float | None:
        """None: nobody has said what it costs."""
        known = bool(self.task or self.shot)
        return jobs * self.task + executions * self.shot if known else None


UNPAID = 10_000_000  # executions on somebody's device before one is asked


@dataclass(frozen=True, slots=True)
class Budget:
    """What may be spent, at most, by all jobs of a run together."""

    executions: int = 0  # 0: any number
    cost: float | None = None
    prices: Prices = Prices()

    def over(self, jobs: int, executions: int) -> list[str]:
        """What so much work would break, in words."""
        found = []
        price = self.prices.of(jobs, executions)
        if self.executions and executions > self.executions:
            found.append(f"{executions:,} executions are more than --max-shots "
                         f"{self.executions:,}")  # fmt: skip
        if self.cost is not None and price is None:
            found.append("the price is not known, and --max-cost was given")
        elif self.cost is not None and price is not None and price > self.cost:
            found.append(f"the price {price:,.2f} is more than --max-cost {self.cost:,.2f}")
        return found


def budget(device: Device, max_shots: int | None, max_cost: float | None, prices: Prices) -> Budget:
    """With what is asked for where nobody has said a number: nothing on this machine."""
    usual = 0 if device.capabilities.local else UNPAID
    return Budget(max_shots or usual, max_cost, prices)
