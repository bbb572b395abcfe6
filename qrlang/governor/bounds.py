"""What a `govern` block sets, with the defaults of what it leaves out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from qrlang.check.model import GovernBlock
from qrlang.errors import TrainingError


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


def about(blocks: Sequence[GovernBlock], model: str, override: str) -> dict[str, Any]:
    """What a run keeps of the `govern` block of its model, and the reason not to mind the sky."""
    block = next((g for g in blocks if g.model == model), None)
    if block is not None:
        return {"govern": {**Bounds().to_data(), **block.settings}, "override": override}
    if override:
        raise TrainingError(
            f"nothing governs {model}, so there is nothing to override",
            "leave out --override, or write a `govern` block",
        )
    return {}
