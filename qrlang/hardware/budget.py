"""What work on a device costs, and how much of it may be done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from qrlang.hardware.device import Device, DeviceError


class Spent(Protocol):
    @property
    def jobs(self) -> int: ...
    @property
    def executions(self) -> int: ...
    @property
    def seconds(self) -> float | None: ...  # that the device is busy; None: nobody knows


@dataclass(frozen=True, slots=True)
class Prices:
    task: float = 0.0
    shot: float = 0.0
    second: float = 0.0

    def of(self, spent: Spent) -> float | None:
        """None: nobody has said what it costs."""
        if not (self.task or self.shot or self.second):
            return None
        time = self.second * (spent.seconds or 0.0)
        return spent.jobs * self.task + spent.executions * self.shot + time

    def words(self, price: float | None, timed: bool) -> str:
        """`timed`: the device says how long it is busy."""
        if price is None:
            return "not known: --price-task and --price-shot" + ", or --price-second" * timed
        parts = (("a job", self.task), ("an execution", self.shot), ("a second", self.second))
        known = ", ".join(f"{x:g} {of}" for of, x in parts if x)
        fee = "" if self.task or self.second else "; a job has none, without --price-task"
        return f"{price:,.2f}: {known}{fee}"


def prices(device: Device, task: float, shot: float, second: float) -> Prices:
    """What a person says, else what the device says of itself."""
    if second and not hasattr(device, "usage"):
        raise DeviceError(
            f"`{device.name}` does not say how long it is busy",
            "leave --price-second out: --price-task and --price-shot",
        )
    said = getattr(device, "prices", Prices())
    return Prices(task or said.task, shot or said.shot, second)


@dataclass(frozen=True, slots=True)
class Budget:
    """What may be spent, at most, by all jobs of a run together."""

    executions: int = 0  # 0: any number
    cost: float | None = None
    prices: Prices = Prices()

    def over(self, spent: Spent) -> list[str]:
        """What so much work would break, in words."""
        found = []
        price = self.prices.of(spent)
        if self.executions and spent.executions > self.executions:
            found.append(f"{spent.executions:,} executions are more than --max-shots "
                         f"{self.executions:,}")  # fmt: skip
        if self.cost is not None and price is None:
            found.append("the price is not known, and --max-cost was given")
        elif self.cost is not None and price is not None and price > self.cost:
            found.append(f"the price {price:,.2f} is more than --max-cost {self.cost:,.2f}")
        return found

    def asks(self, spent: Spent, device: Device) -> list[str]:
        """Before anything is sent: also where nobody has said how much may be spent of what is
        not this machine's."""
        if device.capabilities.local or self.executions or self.cost is not None:
            return self.over(spent)
        return [f"`{device.name}` is not this machine, and neither --max-shots nor --max-cost "
                "says how much of it may be used"]  # fmt: skip
