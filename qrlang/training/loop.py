"""The training loop: updates, checkpoints, validation, stopping, and going on as if nothing had
happened."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from typing import Any

from qrlang.analysis.evaluations import evaluations
from qrlang.errors import TrainingError
from qrlang.training import checkpoint, decode, optim, randomness, room, schedule, segments
from qrlang.training.average import Average
from qrlang.training.books import Books
from qrlang.training.feed import Batch, Feed
from qrlang.training.objective import Objective, Work
from qrlang.training.optim.base import Update
from qrlang.training.pipeline import Pipeline
from qrlang.training.progress import Progress, Watcher
from qrlang.training.run import Run
from qrlang.training.schedule import Plan
from qrlang.training.settings import Settings, interval, lower_is_better
from qrlang.training.stopping import Stop
from qrlang.training.world import World

FORM = 2  # of what a checkpoint keeps
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
        self.average = Average(objective.parameters, settings.average) if settings.average else None
        self.plan = self._planned()
        self.books = Books(objective, self.plan, run, watcher, world, settings.metric)
        self.save_every = interval(settings.checkpoint, "checkpoint")
        self.log_every = interval(settings.log, "log")
        self.stop = Stop()
        self._saved = (time.perf_counter(), 0)
        self.state: segments.State = None  # of a stream, on its way from update to update
        self._circuits: dict[int, int] = {}

    def _planned(self) -> Plan:
        s = self.settings
        per_epoch = -(-self.feed.count("train", s.batch) // s.accumulate)
        if self.optimizer.whole:
            per_epoch = 1
        steps = s.steps or s.epochs * per_epoch
        if not s.steps:
            for name, options in filter(None, (s.optimizer, s.quantum)):
                steps = int(options["max_iterations"]) if name == "nelder_mead" else steps
            if s.optimizer[0] == "ridge":
                steps = 1
        return Plan(per_epoch, steps, min(s.warmup, steps // 4))

    @property
    def progress(self) -> Progress:
        return self.books.progress

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
        books = self.books.state()
        if not self.world.first:
            return
        self.books.tick()
        page = {
            "form": FORM,
            "progress": asdict(self.progress),
            "logs": self.run.lengths(),
            "optimizer": self.optimizer.state(),
            "random": randomness.state(self.objective.model),
            **books,
            "state": state,
            "average": None if self.average is None else self.average.state(),
            "observers": self.kept | {o.name: o.state() for o in self.observers},
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
        self.books.load(page)
        self.optimizer.load(page["optimizer"])
        if self.average is not None:
            self.average.load(page["average"])
        randomness.restore(self.objective.model, page["random"])
        self.state = segments.of_page(page.get("state"), self.world, self.objective.device)
        self.kept = page.get("observers", {})
        self._saved = self.books.logged

    # --- training ---

    def train(self) -> None:
        """To the end, or until somebody stops it."""
        p = self.progress
        self.books.begin()
        if self.observers and self.pipeline is not None:
            self.pipeline.leave()
            self.pipeline = None
        self.begin()
        self.objective.model.train()
        if p.step == 0:
            self.save()
        with self.stop.heard():
            while not p.finished:
                self._epoch()
                self._end_of_epoch()

    def begin(self) -> None:
        for o in self.observers:
            if o.name in self.kept:
                o.load(self.kept[o.name])
            o.begin(self)
        self.books.begin()  # what they prepare is no time of training

    def _epoch(self) -> None:
        p = self.progress
        for group in self.groups():
            self._update(group)
            if p.step >= self.plan.steps:
                break
            if self._due(self.log_every, self.books.logged):
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
        return self.world.any(self.stop.asked, self.objective.parameters[0])

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
            s.schedule, self.plan.warmup, p.step, self.plan.steps, p.epoch, p.falls
        )
        self.books.seen += sum(b.size for b in group)
        p.batch += len(group)
        if self.pipeline is not None:
            self.pipeline.add(work, rate)
            self.state = work.left if self.feed.streaming else None
            p.runs += work.runs
            self._count()
            if self.pipeline.full:
                self._settle()
            return
        update = self.optimizer.update(work, rate)
        p.runs += work.runs
        if s.gradient_free:
            p.circuits += work.runs * self.circuits(max(map(_time, group)))
        self.state = work.left if self.feed.streaming else None
        self._count()
        if work.tally is not None:
            self.books.enter(update, rate, work.tally.table.sum(0), work.tally.moments)
        else:
            self.books.enter(update, rate, None, None)
        for o in self.observers:
            o.updated(self, update)
        self.books.tell()

    def _count(self) -> None:
        self.progress.step += 1
        if self.average is not None:
            self.average.add()

    def _settle(self) -> None:
        """What is known by now of updates that nobody has waited for."""
        found = self.pipeline.read() if self.pipeline is not None else []
        for one in found:
            self.books.enter(one.update, one.rate, one.row, one.moments)
        if found:
            self.books.tell()

    def _end_of_epoch(self) -> None:
        s, p = self.settings, self.progress
        self._log()
        p.epoch += 1
        p.batch = 0
        p.finished = p.step >= self.plan.steps
        if self.feed.sizes.get("validation"):
            figures = self._validated()
            self.books.write({"split": "validation", **figures})
            for o in self.observers:
                o.evaluated(self, "validation", figures)
            self.watcher.evaluated(self.books.moment(figures), "validation", figures)
            self._compare(s.metric, figures[s.metric], figures["loss"])
        else:
            self._keep_best()
        if p.finished:
            for o in self.observers:
                o.end(self)
        self.books.tick(line=True)
        self.save()

    def _validated(self) -> dict[str, float]:
        """What the weights that would be kept are worth on data that nothing was learned from."""
        with self._best():
            figures = self.objective.evaluate(self.feed, "validation", self.broad).figures()
            if self.settings.metric == "bleu":
                said = decode.translations(
                    self.objective, self.feed, "validation", self.settings.batch, beam=1
                )
                figures["bleu"] = float(decode.bleu(said)["value"])
        return figures

    def _best(self) -> AbstractContextManager[None]:
        """The model has the weights that would be kept in these lines."""
        return nullcontext() if self.average is None else self.average.taken()

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
            p.best, p.best_loss, p.best_epoch = value, loss, p.epoch
            p.since_best = p.since_fall = 0
            self._keep_best()
            return
        p.since_best += 1
        p.since_fall += 1
        if s.schedule[0] == "plateau" and p.since_fall >= int(s.schedule[1]["patience"]):
            p.falls += 1
            p.since_fall = 0
        if s.early_stopping and p.since_best >= s.early_stopping and not p.finished:
            p.finished = True
            self.watcher.note(
                f"stopped early: no better {metric} on the validation split for "
                f"{p.since_best} epochs"
            )

    def _keep_best(self) -> None:
        if self.world.first:
            page = {"step": self.progress.step, "epoch": self.progress.epoch}
            with self._best():
                checkpoint.save(self.run.best, self.objective.model.state_dict(), page)

    def solved(self) -> None:
        """The weights were found in one go: that was the only update, and the only epoch."""
        p = self.progress
        tally = self.objective.evaluate(self.feed, "train", self.settings.batch)
        p.step, p.epoch, self.plan.steps = 1, 0, 1
        self.books.write({"split": "train", **tally.figures()})
        self._end_of_epoch()

    def _log(self) -> None:
        self._settle()
        self.books.line()

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
            return p.step % max(int(value * self.plan.per_epoch), 1) == 0
        return p.step % max(int(value), 1) == 0


def _time(batch: Batch) -> int:
    """Moments of its sequences."""
    return max((x.shape[1] for x in batch.values.values() if x.ndim > 1), default=1)
