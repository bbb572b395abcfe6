"""What cannot be trained: settings that do not go with the program, with its data, or with each
other."""

from __future__ import annotations

import importlib.util

from qrlang.analysis.own import own_weights
from qrlang.engine.resumable import why_not
from qrlang.errors import TrainingError
from qrlang.ir.program import Program
from qrlang.training.decode import produces
from qrlang.training.feed import Feed
from qrlang.training.settings import Settings


def refuse(settings: Settings, program: Program) -> None:
    """Settings against the program and each other."""
    if not program.outputs:
        raise TrainingError(f"{program.name} has no output", "end it with `return` or `emit`")
    if settings.truncate:
        reason = why_not(program)
        if reason:
            raise TrainingError(
                f"`truncate` cuts sequences into segments, and {program.name} cannot be cut: "
                f"{reason}",
                "leave it out: gradients then go back to the beginning",
            )
    if settings.quantum is not None:
        if settings.optimizer[0] == "ridge":
            raise TrainingError("`ridge` trains the head alone", "leave out `quantum`")
        if not own_weights(program):
            raise TrainingError(
                f"`quantum` is for a circuit's own angles, and {program.name} has none: layers "
                "make its angles",
                "leave it out: `optimizer` then trains everything",
            )
    elif settings.turns:
        raise TrainingError("`turns` is for two optimisers", "name the second: quantum = spsa")
    if settings.loss[1].get("balanced") and settings.optimizer[0] == "ridge":
        raise TrainingError("`ridge` solves for squares, whatever the loss", "leave out `balanced`")
    if settings.average and settings.optimizer[0] == "ridge":
        raise TrainingError("`ridge` finds its weights in one go", "leave out `average`")
    if settings.core != "pqc" and settings.optimizer[0] == "ridge":
        raise TrainingError(
            "`ridge` trains the head of a reservoir, and a classical core has to be trained whole",
            "choose an optimiser for it: --optimizer adam",
        )


def measurable(settings: Settings, program: Program) -> None:
    """BLEU, of what this model and this machine can say it of."""
    if settings.metric == "bleu" and not produces(program):
        raise TrainingError(f"`bleu` is of sentences, and {program.name} produces none",
                            "choose another metric: --metric perplexity")  # fmt: skip
    if settings.metric == "bleu" and importlib.util.find_spec("sacrebleu") is None:
        raise TrainingError("BLEU needs the package `sacrebleu`, which is not installed",
                            "pip install 'qrlang[train]'")  # fmt: skip


def held_out(settings: Settings, feed: Feed) -> None:
    """What goes by the validation split needs one."""
    plateau = settings.schedule[0] == "plateau"
    if (settings.early_stopping or plateau) and not feed.sizes.get("validation"):
        name = "early_stopping" if settings.early_stopping else "plateau"
        raise TrainingError(
            f"`{name}` goes by the validation split, and nothing is held out",
            "leave it out, or give a share: validation = 0.1",
        )
