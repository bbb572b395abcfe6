"""A session: a run is begun or gone on with, trained to its end, and told with pictures."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from qrlang import scar
from qrlang.driver import Compilation
from qrlang.errors import TrainingError, UserError
from qrlang.governor import bounds
from qrlang.governor.curves import governed
from qrlang.governor.governor import Governor
from qrlang.session.forget import give_up
from qrlang.trace.recorder import Recorder
from qrlang.training import curves, finish, start
from qrlang.training.books import CHAOS
from qrlang.training.loop import Observer, Trainer
from qrlang.training.progress import Watcher
from qrlang.training.world import World


def prepare(
    asked: start.Asked, made: Compilation, model: str, world: World, watcher: Watcher
) -> Trainer:
    """A new run: its folder is there, and nothing has been trained."""
    about = bounds.about(made.checked.governs, model, asked.override)
    return start.prepare(asked, made, model, world, watcher, about)


def resume(asked: start.Asked, path: str, world: World, watcher: Watcher) -> Trainer:
    """A run that was stopped, where its last checkpoint is."""
    return start.resume(asked, path, world, watcher, give_up)


def observers(trainer: Trainer) -> list[Observer]:
    """Those that the run folder asks for."""
    found = Governor.of(trainer.run), Recorder.of(trainer.run.folder)
    return [one for one in found if one is not None]


def run(trainer: Trainer) -> dict[str, Any]:
    """Trains; the curves and `result.json` are written whatever ends it."""
    trainer.observers += observers(trainer)
    try:
        finish.train(trainer)
    except BaseException:
        with suppress(TrainingError):  # what has ended the run is what is said
            _draw(trainer)
        raise
    _draw(trainer)
    found = finish.finish(trainer)
    if trainer.world.first:
        try:
            scar.write(trainer.run.folder, trainer.feed)
        except UserError as error:  # the run itself is whole
            trainer.watcher.note(f"no strip was drawn: {error}")
    if found["figures"]["loss"]["value"] is None:
        raise TrainingError(
            f"the run has ended, and its loss on the {found['split']} split is no number: {CHAOS}",
            f"what it did on the way is in {trainer.run.folder}",
        )
    return found


def _draw(trainer: Trainer) -> None:
    if not trainer.world.first:
        return
    chart = curves.chart(trainer.run)
    if chart is not None:
        curves.save(trainer.run.folder / "curves", governed(trainer.run, chart))
