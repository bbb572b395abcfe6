"""To the end of a run, and what came out."""

from __future__ import annotations

import time
from typing import Any

from qrlang.system.files import write_json
from qrlang.training import beside, checkpoint
from qrlang.training.asked import evaluate
from qrlang.training.feed import labels_of, split_of
from qrlang.training.loop import Trainer
from qrlang.training.ridge import solve


def train(trainer: Trainer) -> None:
    if trainer.settings.optimizer[0] == "ridge":
        solve(trainer)
    else:
        trainer.train()


def finish(trainer: Trainer) -> dict[str, Any]:
    """The best weights on the test split."""
    objective, feed = trainer.objective, trainer.feed
    weights, page = checkpoint.load(trainer.run.kept())
    objective.model.load_state_dict(weights)
    split = split_of(feed, None)
    began = time.perf_counter()
    tally = objective.evaluate(feed, split, trainer.broad, keep=trainer.world.size == 1)
    p = trainer.progress
    found = {
        "model": trainer.run.about()["model"],
        "core": trainer.settings.core,
        "seed": trainer.settings.seed,
        "metric": trainer.settings.metric,
        "parameters": sum(x.numel() for x in objective.parameters),
        "steps": p.step,
        "epochs": p.epoch,
        "best_epoch": int(page.get("epoch", p.epoch)),
        "skipped": p.skipped,
        "runs": p.runs,
        "circuits": p.circuits,
        **_device(objective.model),
        "seconds": p.seconds,
        "seconds_an_epoch": p.seconds / max(p.epoch, 1),
        "cpu_seconds_an_epoch": p.cpu / max(p.epoch, 1),
        "seconds_of_test": time.perf_counter() - began,
        **evaluate.report(tally, split, labels_of(feed)),
    }
    if trainer.world.first:
        write_json(trainer.run.result, found)
        beside.draw(trainer.run.folder, found["model"], tally, feed, split)
    return found


def _device(model: Any) -> dict[str, int]:
    """What a device has run for it, validation and test included."""
    processor = getattr(model, "processor", None)
    if processor is None:
        return {}
    counts = processor.counts
    return {"circuits": counts.circuits, "executions": counts.executions, "jobs": counts.jobs}
