"""What a run writes down of itself while it trains, and tells whoever looks on: updates, lines of
metrics, seconds."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from qrlang.errors import TrainingError
from qrlang.training.feed import Array
from qrlang.training.metrics import Tally
from qrlang.training.objective import Objective, merged
from qrlang.training.optim.base import Update
from qrlang.training.progress import Moment, Progress, Watcher
from qrlang.training.run import Run
from qrlang.training.schedule import Plan
from qrlang.training.world import World

CHAOS = ("the recurrence became chaotic: lower the learning rate, or the scale of the controller's "
         "last layer")  # fmt: skip
MOST_SKIPPED = 50  # updates in a row
WILD = 1e4  # a gradient's norm; runs that learn stay below a few hundred
BLINK = 0.1  # seconds: nobody reads faster


class Books:
    def __init__(
        self, objective: Objective, plan: Plan, run: Run, watcher: Watcher, world: World,
        metric: str,
    ) -> None:  # fmt: skip
        self.objective, self.plan, self.metric = objective, plan, metric
        self.run, self.watcher, self.world = run, watcher, world
        self.progress = Progress()
        self.recent: Tally = objective.tally()  # since the last line of metrics
        self.seen = 0.0  # sequences since then
        self.begin()
        self.logged = (self._clock, 0)
        self._told = 0.0

    # --- what a checkpoint keeps ---

    def state(self) -> dict[str, Any]:
        """With the sums of all processes, so all of them have to ask."""
        recent = merged(self.recent, self.world)
        return {"recent": recent.table.tolist(), "moments": recent.moments.tolist(),
                "seen": self.seen}  # fmt: skip

    def load(self, page: Mapping[str, Any]) -> None:
        self.progress = Progress(**page["progress"])
        self.recent = self.objective.tally()
        if self.world.first:  # it has those of all processes
            self.recent.rows = [np.array(page["recent"], float).reshape(-1, 4)]
            self.recent.moments = np.array(page["moments"], float)
            self.run.rewind(page["logs"])
        self.seen = float(page["seen"])
        self.begin()
        self.logged = (self._clock, self.progress.step)

    # --- updates ---

    def enter(self, update: Update, rate: float, row: Array | None, moments: Array | None) -> None:
        """An update, when all is known of it."""
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
            self.plan.steps = p.step

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

    # --- lines of metrics ---

    def line(self) -> None:
        """About the updates since the last one."""
        p = self.progress
        figures = _figures(merged(self.recent, self.world))
        for name in ("f1", "balanced_accuracy"):  # of a whole split only
            figures.pop(name, None)
        if figures:
            self.write({"split": "train", **figures, "rate": p.rate, "gradient": p.norm,
                        "skipped": p.skipped, "runs": p.runs,
                        **({"circuits": p.circuits} if p.circuits else {}),
                        **({"listened": p.listened} if p.listened else {})})  # fmt: skip
        self.recent = self.objective.tally()
        self.seen = 0.0
        self.logged = (time.perf_counter(), p.step)

    def write(self, line: dict[str, Any]) -> None:
        p = self.progress
        if self.world.first:
            plain = {k: (v if not isinstance(v, float) or math.isfinite(v) else None)
                     for k, v in line.items()}  # fmt: skip
            epoch = p.epoch + (line["split"] == "train")
            self.run.log(self.run.metrics, {"step": p.step, "epoch": epoch, **plain})

    # --- whoever looks on ---

    def tell(self) -> None:
        """Between lines of metrics too; in one process only, since the others are not asked."""
        now = time.perf_counter()
        if self.world.size == 1 and now - self._told >= BLINK:
            self._told = now
            self.watcher.updated(self.moment(_figures(self.recent)))

    def moment(self, figures: dict[str, float]) -> Moment:
        p, plan = self.progress, self.plan
        now = time.perf_counter()
        passed = max(now - self.logged[0], 1e-9)
        done = p.step - self.logged[1]
        speed = self.seen / passed if done else 0.0
        total = p.seconds + now - self._clock
        left = total / max(p.step, 1) * (plan.steps - p.step)
        return Moment(p.step, plan.steps, min(p.epoch + 1, plan.epochs), plan.epochs, figures,
                      speed, left, p.listening, self.metric)  # fmt: skip

    # --- seconds ---

    def begin(self) -> None:
        """What was before is no time of training."""
        self._clock, self._cpu = time.perf_counter(), time.process_time()

    def tick(self, line: bool = False) -> None:
        """Seconds so far, without those that a stopped run has lain idle."""
        p = self.progress
        now, cpu = time.perf_counter(), time.process_time()
        p.seconds += now - self._clock
        p.cpu += cpu - self._cpu
        self._clock, self._cpu = now, cpu
        if line and self.world.first:
            self.run.log(self.run.timing, {"step": p.step, "epoch": p.epoch, "seconds": p.seconds,
                                           "cpu_seconds": p.cpu})  # fmt: skip


def _figures(tally: Tally) -> dict[str, float]:
    return tally.figures() if len(tally.table) and tally.table[:, 1].sum() else {}
