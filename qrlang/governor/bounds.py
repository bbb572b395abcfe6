"""What a `govern` block sets, with the defaults of what it leaves out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Bounds:
    cycle: int = 32  # updates from one line of the ledger to the next
    probe: int = 32  # training sequences whose outputs are watched
    window: int = 8  # cycles that the rule looks back
    allow: float = 0.25  # bits by which the action space may outgrow the entropy burned
    entropy: float = 0.9  # sky: the share of its way that an update may move the outputs' entropy
    touch: float = 1000.0  # sky: how often a run may read each record
    consent: float = 0.2  # sky: least sum of hesitation and consent

    def to_data(self) -> dict[str, float]:
        return asdict(self)

    @classmethod
    def of_data(cls, data: Mapping[str, Any]) -> Bounds:
        return cls(**{f.name: data[f.name] for f in fields(cls) if f.name in data})
