"""The training loop: updates, checkpoints, validation, stopping, and going on as if nothing had
happened."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import numpy as np

from qrlang.analysis.evaluations import evaluations
from qrlang.errors import TrainingError
from qrlang.training import checkpoint, decode, optim, randomness, room, schedule, segments
from qrlang.training.feed import Array, Batch, Feed
from qrlang.training.objective import Objective, Work, merged
from qrlang.training.optim.base import Update
from qrlang.training.pipeline import Pipeline
from qrlang.training.progress import Moment, Progress, Watcher
from qrlang.training.run import Run
from qrlang.training.settings import Settings, interval, lower_is_better
from qrlang.training.world import World

CHAOS = ("the recurrence became chaotic: lower the learning rate, or the scale of the controller's "
         "last layer")  # fmt: skip
MOST_SKIPPED = 50  # updates in a row
FORM = 2  # of what a checkpoint keeps
WILD = 1e4  # a gradient's norm; runs that learn stay below a few hundred
BLINK = 0.1  # seconds: nobody reads faster
TOGETHER = 16  # updates between questions that several processes ask each other


class Stopped(Exception):
    """Somebody pressed Ctrl-C: the batch was finished, and a checkpoint written."""


class Observer:
    """Looks on from inside a run: a trace, or a rule that holds it back. It does nothing at any of
    these moments: say what is to be done at those that matter.

    Observers are called in order, in every process. They may read all of the trainer. To have a
    say, `begin` may put something of its own around `trainer.optimizer` (an update that is not
    made, a rate that is another); what it then does must follow from `state` alone, so that a run
    that was killed goes on to the same numbers.
    """

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


class Trainer:
    def __init__(
        self, objective: Objective, feed: Feed, settings: Settings, run: Run, watcher: Watcher,
        world: World,
    ) -> None:  # fmt: skip
        self.objective, self.feed, self.settings = objective, feed, settings
        self.run, self.watcher, self.world = run, watcher, world
        self.observers: list[Observer] = []
        self.kept: dict[str, Any] = {}  # what a checkpoint has of them
        angles = objective.angles if settings.quantum is not None else ()
        self.optimizer = optim.make(settings, objective.parameters, angles)
        # Whoever is told of every update needs it at once.
        self.pipeline = Pipeline.where_it_fits(objective, self.optimizer, feed)
        self.progress = Progress()
        self.recent = objective.tally()  # since the last line of metrics
        self.per_epoch = -(-feed.count("train", settings.batch) // settings.accumulate)
        if self.optimizer.whole:
            self.per_epoch = 1
        self.steps = settings.steps or self._planned()
        self.epochs = -(-self.steps // max(self.per_epoch, 1))
        self.warmup = min(settings.warmup, self.steps // 4)
        self.save_every = interval(settings.checkpoint, "checkpoint")
        self.log_every = interval(settings.log, "log")
        self.stop = False
        self._clock, self._cpu = time.perf_counter(), time.process_time()
        self._saved = (self._clock, 0)
        self._logged = (self._clock, 0)
        self._seen = 0.0  # sequences since the last line
        self.state: segments.State = None  # of a stream, on its way from update to update
        self._circuits: dict[int, int] = {}
        self._told = 0.0

    def _planned(self) -> int:
        for name, options in filter(None, (self.settings.quantum, self.settings.optimizer)):
            if name == "nelder_mead":
                return int(options["max_iterations"])
        if self.settings.optimizer[0] == "ridge":
            return 1
        return self.settings.epochs * self.per_epoch

    @property
    def broad(self) -> int:
        """Sequences at a time where nothing is trained."""
        return room.together(self.objective, self.settings, self.feed.streaming)

    def circuits(self, time: int) -> int:
        """Of one sequence: every reading of every step is a circuit on a device."""
        if time not in self._circuits:
            self._circuits[time] = evaluations(self.objective.program, time).sample
        return self._circuits[time]

    # --- the state as a whole ---

    def save(self) -> None:
        """Everything that the rest of the run depends on."""
        self._settle()
        state = segments.page(self.state, self.world) if self.settings.truncate else None
        recent = merged(self.recent, self.world)
        if not self.world.first:
            return
        self._tick()
        page = {
            "form": FORM,
            "progress": asdict(self.progress),
            "logs": self.run.lengths(),
            "optimizer": self.optimizer.state(),
            "random": randomness.state(self.objective.model),
            "recent": recent.table.tolist(),
            "moments": recent.moments.tolist(),
            "seen": self._seen,
            "state": state,
            "observers": {o.name: o.state() for o in self.observers},
        }
        checkpoint.save(self.run.last, self.objective.model.state_dict(), page)
        self._saved = (time.perf_counter(), self.progress.step)

    def restore(self) -> None:
        weights, page = checkpoint.load(self.run.last)
        if page.get("form") != FORM:
            raise TrainingError(
                f"'{self.run.last}' is of another version of qrlc, which kept other things",
                "go on with that version, or begin a new run with its weights: "
                f"--init {self.run.folder}",
            )
        self.objective.model.load_state_dict(weights)
        self.progress = Progress(**page["progress"])
        self.optimizer.load(page["optimizer"])
        randomness.restore(self.objective.model, page["random"])
        self.recent = self.objective.tally()
        if self.world.first:  # it has those of all processes
            self.recent.rows = [np.array(page["recent"], float).reshape(-1, 4)]
            self.recent.moments = np.array(page["moments"], float)
        self._seen = float(page["seen"])
        self.state = segments.of_page(page.get("state"), self.world, self.objective.device)
        self.kept = page.get("observers", {})
        if self.world.first:
            self.run.rewind(page["logs"])
        self._clock, self._cpu = time.perf_counter(), time.process_time()
        self._saved = self._logged = (self._clock, self.progress.step)

    # --- training ---

    def train(self) -> None:
        """To the end, or until somebody stops it."""
        p = self.progress
        self._clock, self._cpu = time.perf_counter(), time.process_time()
        if self.observers and self.pipeline is not None:
            self.pipeline.leave()
            self.pipeline = None
        self.begin()
        self.objective.model.train()
        if p.step == 0:
            self.save()
        with self._interruptible():
            while not p.finished:
                self._epoch()
                self._end_of_epoch()

    def begin(self) -> None:
        for o in self.observers:
            if o.name in self.kept:
                o.load(self.kept[o.name])
            o.begin(self)
        # What they prepare is no time of training.
        self._clock, self._cpu = time.perf_counter(), time.process_time()

    def _epoch(self) -> None:
        p = self.progress
        for group in self.groups():
            self._update(group)
            if p.step >= self.steps:
                break
            if self._due(self.log_every, self._logged):
                self._log()
            if self._asked_to_stop():
                self.save()
                raise Stopped
            if self._due(self.save_every, self._saved):
                self.save()

    def _asked_to_stop(self) -> bool:
        """Several processes ask each other, which waits: on GPUs not after every update."""
        if self.world.size > 1 and self.pipeline is not None and self.progress.step % TOGETHER:
            return False
        return self.world.any(self.stop, self.objective.parameters[0])

    def groups(self) -> Iterator[list[Batch]]:
        """The batches of each update, from where the run is."""
        s, p = self.settings, self.progress
        if self.optimizer.whole:
            yield list(self.feed.batches("train", s.batch, seed=s.seed, epoch=0, shuffle=False))
            return
        group: list[Batch] = []
        for batch in self.feed.batches(
            "train", s.batch, seed=s.seed, epoch=p.epoch, shuffle=True, start=p.batch
        ):
            group.append(batch)
            if len(group) == s.accumulate:
                yield group
                group = []
        if group:
            yield group

    def _update(self, group: list[Batch]) -> None:
        s, p = self.settings, self.progress
        work = Work(self.objective, group, self.feed.streaming, self.state)
        rate = float(s.optimizer[1].get("lr", 0.0)) * schedule.factor(
            s.schedule, self.warmup, p.step, self.steps, p.epoch
        )
        self._seen += sum(b.size for b in group)
        p.batch += len(group)
        if self.pipeline is not None:
            self.pipeline.add(work, rate)
            self.state = work.left if self.feed.streaming else None
            p.runs += work.runs
            p.step += 1
            if self.pipeline.full:
                self._settle()
            return
        update = self.optimizer.update(work, rate)
        p.runs += work.runs
        if s.gradient_free:
            p.circuits += work.runs * self.circuits(max(map(_time, group)))
        self.state = work.left if self.feed.streaming else None
        p.step += 1
        if work.tally is not None:
            self._note(update, rate, work.tally.table.sum(0), work.tally.moments)
        else:
            self._note(update, rate, None, None)
        for o in self.observers:
            o.updated(self, update)
        self._tell()

    def _settle(self) -> None:
        """What is known by now of updates that nobody has waited for."""
        found = self.pipeline.read() if self.pipeline is not None else []
        for one in found:
            self._note(one.update, one.rate, one.row, one.moments)
        if found:
            self._tell()

    def _note(self, update: Update, rate: float, row: Array | None, moments: Array | None) -> None:
        """An update in the books."""
        p = self.progress
        p.listened += update.frozen
        p.listening = update.frozen
        p.rate, p.norm = rate, update.norm
        if row is not None and moments is not None and math.isfinite(update.loss):
            self.recent.rows.append(row[None])
            self.recent.moments = self.recent.moments + moments
        if update.skipped:
            self._skipped()
        else:
            p.in_a_row = 0
        if WILD < update.norm < math.inf and not p.wild:
            p.wild = True
            self.watcher.note(
                f"the gradient's norm is {update.norm:.0e} before it is clipped: {CHAOS}"
            )
        if update.done:
            self.steps = p.step

    def _skipped(self) -> None:
        p = self.progress
        p.skipped += 1
        p.in_a_row += 1
        if p.skipped == 1:
            self.watcher.note(f"an update was skipped, its gradient is not finite: {CHAOS}")
        if p.in_a_row >= MOST_SKIPPED:
            raise TrainingError(
                f"{CHAOS} (no finite loss or gradient {p.in_a_row} times in a row)",
                f"the weights of the last checkpoint are whole: {self.run.last}",
            )

    def _end_of_epoch(self) -> None:
        s, p = self.settings, self.progress
        self._log()
        p.epoch += 1
        p.batch = 0
        p.finished = p.step >= self.steps
        if self.feed.sizes.get("validation"):
            tally = self.objective.evaluate(self.feed, "validation", self.broad)
            figures = tally.figures()
            if s.metric == "bleu":
                said = decode.translations(self.objective, self.feed, "validation", s.batch, beam=1)
                figures["bleu"] = float(decode.bleu(said)["value"])
            self._write({"split": "validation", **figures})
            for o in self.observers:
                o.evaluated(self, "validation", figures)
            self.watcher.evaluated(self._moment(figures), "validation", figures)
            self._compare(s.metric, figures[s.metric], figures["loss"])
        else:
            self._keep_best()
        if p.finished:
            for o in self.observers:
                o.end(self)
        self._tick(line=True)
        self.save()

    def _compare(self, metric: str, value: float, loss: float) -> None:
        s, p = self.settings, self.progress
        if not math.isfinite(value):  # an error in units of the spread of targets that have none
            metric, value = "loss", loss
        if p.best is None or p.best_loss is None:
            better = True
        elif value == p.best:
            better = loss < p.best_loss
        else:
            better = value < p.best if lower_is_better(metric) else value > p.best
        if better and math.isfinite(value):
            p.best, p.best_loss, p.best_epoch, p.since_best = value, loss, p.epoch, 0
            self._keep_best()
            return
        p.since_best += 1
        if s.early_stopping and p.since_best >= s.early_stopping and not p.finished:
            p.finished = True
            self.watcher.note(
                f"stopped early: no better {metric} on the validation split for "
                f"{p.since_best} epochs"
            )

    def _keep_best(self) -> None:
        if self.world.first:
            page = {"step": self.progress.step, "epoch": self.progress.epoch}
            checkpoint.save(self.run.best, self.objective.model.state_dict(), page)

    def solved(self) -> None:
        """The weights were found in one go: that was the only update, and the only epoch."""
        p = self.progress
        tally = self.objective.evaluate(self.feed, "train", self.settings.batch)
        p.step, p.epoch, self.steps, self.epochs = 1, 0, 1, 1
        self._write({"split": "train", **tally.figures()})
        self._end_of_epoch()

    # --- telling ---

    def _log(self) -> None:
        """A line about the updates since the last one."""
        self._settle()
        p = self.progress
        figures = self._recent()
        if figures:
            self._write({"split": "train", **figures, "rate": p.rate, "gradient": p.norm,
                         "skipped": p.skipped, "runs": p.runs,
                         **({"circuits": p.circuits} if p.circuits else {}),
                         **({"listened": p.listened} if p.listened else {})})  # fmt: skip
        self.recent = self.objective.tally()
        self._seen = 0.0
        self._logged = (time.perf_counter(), self.progress.step)

    def _recent(self) -> dict[str, float]:
        tally = merged(self.recent, self.world)
        found = tally.figures() if len(tally.table) and tally.table[:, 1].sum() else {}
        found.pop("f1", None)  # of a whole split only
        return found

    def _write(self, line: dict[str, Any]) -> None:
        p = self.progress
        if self.world.first:
            plain = {k: (v if not isinstance(v, float) or math.isfinite(v) else None)
                     for k, v in line.items()}  # fmt: skip
            epoch = p.epoch + (line["split"] == "train")
            self.run.log(self.run.metrics, {"step": p.step, "epoch": epoch, **plain})

    def _tell(self) -> None:
        """Between lines of metrics too; in one process only, since the others are not asked."""
        now = time.perf_counter()
        if self.world.size == 1 and now - self._told >= BLINK:
            self._told = now
            tally = self.recent
            figures = tally.figures() if len(tally.table) and tally.table[:, 1].sum() else {}
            self.watcher.updated(self._moment(figures))

    def _moment(self, figures: dict[str, float]) -> Moment:
        p = self.progress
        now = time.perf_counter()
        passed = max(now - self._logged[0], 1e-9)
        done = p.step - self._logged[1]
        speed = self._seen / passed if done else 0.0
        total = p.seconds + now - self._clock
        left = total / max(p.step, 1) * (self.steps - p.step)
        return Moment(p.step, self.steps, min(p.epoch + 1, self.epochs), self.epochs, figures,
                      speed, left, p.listening)  # fmt: skip

    def _tick(self, line: bool = False) -> None:
        """Seconds so far, without those that a stopped run has lain idle."""
        p = self.progress
        now, cpu = time.perf_counter(), time.process_time()
        p.seconds += now - self._clock
        p.cpu += cpu - self._cpu
        self._clock, self._cpu = now, cpu
        if line and self.world.first:
            self.run.log(self.run.timing, {"step": p.step, "epoch": p.epoch, "seconds": p.seconds,
                                           "cpu_seconds": p.cpu})  # fmt: skip

    def _due(self, every: tuple[float, str], since: tuple[float, int]) -> bool:
        value, unit = every
        p = self.progress
        if unit == "s":
            if self.world.size > 1 and self.pipeline is not None and p.step % TOGETHER:
                return False
            return self.world.any(
                self.world.first and time.perf_counter() - since[0] >= value,
                self.objective.parameters[0],
            )
        if unit == "epochs":
            return p.step % max(int(value * self.per_epoch), 1) == 0
        return p.step % max(int(value), 1) == 0

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """Ctrl-C waits for the end of the batch; a second one does not."""

        def ask(*_: Any) -> None:
            if self.stop:
                raise KeyboardInterrupt
            self.stop = True

        before = {}
        try:
            for number in (signal.SIGINT, signal.SIGTERM):
                before[number] = signal.signal(number, ask)
        except ValueError:  # not in the main thread
            pass
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _time(batch: Batch) -> int:
    """Moments of its sequences."""
    return max((x.shape[1] for x in batch.values.values() if x.ndim > 1), default=1)
