"""Whoever looks on from inside a run: a trace, or a rule that holds it back.

Observers are called in order, in every process. They may read all of the trainer. To have a say,
`begin` may put something of its own around `trainer.optimizer` (an update that is not made, a rate
that is another); what it then does must follow from `state` alone, so that a run that was killed
goes on to the same numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qrlang.training.loop import Trainer
    from qrlang.training.optim.base import Update


class Observer:
    """Does nothing at any of these moments: say what is to be done at those that matter."""

    name = ""  # of its state in checkpoints

    def begin(self, trainer: Trainer) -> None:
        """Before the first update of this process; `trainer.progress` says whether it goes on."""

    def updated(self, trainer: Trainer, update: Update) -> None:
        """After every update; gradients are still in `grad` of the parameters."""

    def evaluated(self, trainer: Trainer, split: str, figures: Mapping[str, float]) -> None:
        """After the validation at the end of an epoch."""

    def end(self, trainer: Trainer) -> None:
        """The run is finished, and its last weights are in the model."""

    def state(self) -> Any:
        """What a checkpoint keeps: numbers, texts, tensors, lists and dicts of them."""
        return None

    def load(self, state: Any) -> None:
        """Back to what was kept; called before `begin`."""
