"""A whole session: train to the end, then say what came out."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

from qrlang.errors import TrainingError, UserError
from qrlang.files import write_json
from qrlang.training import checkpoint, evaluate
from qrlang.training.feed import split_of
from qrlang.training.loop import CHAOS, Observer, Trainer


def run(trainer: Trainer) -> dict[str, Any]:
    """Trains; the curves and `result.json` are written whatever ends it."""
    settings = trainer.settings
    trainer.observers += observers(trainer)
    try:
        if settings.optimizer[0] == "ridge":
            from qrlang.training.optim.ridge import solve

            solve(trainer)
        else:
            trainer.train()
    except BaseException:
        with suppress(TrainingError):  # what has ended the run is what is said
            _draw(trainer)
        raise
    _draw(trainer)
    found = finish(trainer)
    if trainer.world.first:
        from qrlang.scar import write

        try:
            write(trainer.run.folder, trainer.feed)
        except UserError as error:  # the run itself is whole
            trainer.watcher.note(f"no strip was drawn: {error}")
    if found["figures"]["loss"]["value"] is None:
        raise TrainingError(
            f"the run has ended, and its loss on the {found['split']} split is no number: {CHAOS}",
            f"what it did on the way is in {trainer.run.folder}",
        )
    return found


def _draw(trainer: Trainer) -> None:
    from qrlang.training import curves

    if trainer.world.first and trainer.run.metrics.exists():
        curves.draw(trainer.run)


def observers(trainer: Trainer) -> list[Observer]:
    """Those that the run folder asks for."""
    from qrlang.governor.governor import Governor
    from qrlang.trace.recorder import Recorder

    found = Governor.of(trainer.run), Recorder.of(trainer.run.folder)
    return [one for one in found if one is not None]


def finish(trainer: Trainer) -> dict[str, Any]:
    """The best weights on the test split."""
    objective, feed = trainer.objective, trainer.feed
    weights, page = checkpoint.load(trainer.run.kept())
    objective.model.load_state_dict(weights)
    split = split_of(feed, None)
    began = time.perf_counter()
    tally = objective.evaluate(feed, split, trainer.broad)
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
        **evaluate.report(tally, split),
    }
    if trainer.world.first:
        write_json(trainer.run.result, found)
    return found


def _device(model: Any) -> dict[str, int]:
    """What a device has run for it, validation and test included."""
    processor = getattr(model, "processor", None)
    if processor is None:
        return {}
    counts = processor.counts
    return {"circuits": counts.circuits, "executions": counts.executions, "jobs": counts.jobs}
