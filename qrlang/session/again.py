"""A run that was not traced, repeated from its beginning to where it is, this time with a trace.

It is kept only if it ends at the very weights that the run has.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from qrlang.session.train import observers, resume
from qrlang.system.files import read_json, write_json
from qrlang.trace.errors import TraceError
from qrlang.trace.files import Folder
from qrlang.trace.looks import SAMPLES
from qrlang.trace.reading import has_trace
from qrlang.trace.recorder import Asked, Recorder
from qrlang.training import checkpoint, start
from qrlang.training.finish import train
from qrlang.training.initial import KEPT, read
from qrlang.training.loop import Observer, Stopped, Trainer
from qrlang.training.optim.base import Update
from qrlang.training.progress import Silent, Watcher
from qrlang.training.run import Run, versions
from qrlang.training.world import World

PLACE = ".again"  # in the run's folder
RECORDS = 240
_TAKEN = ("settings.json", "program.ir", "versions.json", "data.json", "rights.json",
          "initial.safetensors")  # fmt: skip


def trace_again(path: str | Path, watcher: Watcher, data_dir: str | None = None) -> None:
    run = Run.open(path)
    step = _step(run)
    place = run.folder / PLACE
    shutil.rmtree(place, ignore_errors=True)
    try:
        place.mkdir()
        for name in _TAKEN:
            if (run.folder / name).is_file():
                shutil.copyfile(run.folder / name, place / name)
        shutil.copytree(run.folder / "program", place / "program")
        Asked(SAMPLES, -(-step // RECORDS), budget=0).keep(place)
        _repeat(Run(place), step, watcher, data_dir)
        _same(run, Run(place))
        made = Folder(place)
        made.asked.unlink()  # a run that goes on later goes on without it
        (made.path / "cost.json").unlink(missing_ok=True)  # it took no time of training
        write_json(made.header, {**read_json(made.header), "replayed": True})
        shutil.rmtree(run.folder / "trace", ignore_errors=True)
        made.path.rename(run.folder / "trace")
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _step(run: Run) -> int:
    """Where the run is."""
    if has_trace(run.folder):
        raise TraceError(f"'{run.folder}' has a trace already", "leave out --replay")
    if run.settings().processor:
        raise TraceError(
            f"'{run.folder}' was trained on a quantum device, whose readouts do not repeat",
            "leave out --replay: the weights that were kept are looked at",
        )
    planned = run.about().get("planned")
    if planned:
        raise TraceError(
            f"'{run.folder}' was planned anew at step {planned[-1]['step']}, and a run is repeated "
            "by one plan",
            "leave out --replay: the weights that were kept are looked at",
        )
    step = int(checkpoint.load(run.last)[1]["progress"]["step"]) if run.last.exists() else 0
    if not step:
        raise TraceError(f"'{run.folder}' has not begun: there is nothing to repeat",
                         f"train it: qrlc train --resume {run.folder}")  # fmt: skip
    return step


class _Until(Observer):
    name = "until"

    def __init__(self, step: int) -> None:
        self.step = step

    def updated(self, trainer: Trainer, update: Update) -> None:
        trainer.stop.asked = trainer.progress.step >= self.step


class _Once(Silent):
    """Says how far it is; what a run says has been said once."""

    def __init__(self, watcher: Watcher) -> None:
        self.updated = watcher.updated  # type: ignore[method-assign]


def _repeat(run: Run, step: int, watcher: Watcher, data_dir: str | None) -> None:
    trainer = resume(start.Asked(data_dir=data_dir), str(run.folder), World(), _Once(watcher))
    if (run.folder / KEPT).is_file():
        model = trainer.objective.model
        model.load_state_dict({**model.state_dict(), **read(run.folder / KEPT)})
    trainer.observers += [*observers(trainer), _Until(step)]
    try:
        train(trainer)
    except Stopped:  # where the run itself was stopped, its last weights are recorded too
        recorder = next(o for o in trainer.observers if isinstance(o, Recorder))
        recorder.end(trainer)


def _same(run: Run, again: Run) -> None:
    one, two = (checkpoint.load(r.last)[0] for r in (run, again))
    if one.keys() == two.keys() and all(bool((one[k] == two[k]).all()) for k in one):
        return
    then, now = read_json(run.folder / "versions.json"), versions()
    changed = [f"{k} {then.get(k)} then, {v} now" for k, v in now.items() if then.get(k) != v]
    raise TraceError(
        f"'{run.folder}' was repeated and ended at other weights, so nothing of that is kept",
        ("other versions: " + "; ".join(changed)) if changed else
        "its data has changed, or it was trained with other threads, or on another machine",
    )  # fmt: skip
