"""The governor of a run: an observer that puts itself around the optimiser.

Any optimiser can be governed, since an update is judged by what it does: once a cycle the outputs
on a few training sequences are compared before and after it. While parameters are frozen updates
are still made, so that moments and schedules go on, and each is taken back: the run only listens.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

from qrlang.governor import behaviour, ledger
from qrlang.governor.behaviour import Behaviour, reach
from qrlang.governor.bounds import Bounds
from qrlang.governor.errors import NotCalm
from qrlang.governor.picture import draw
from qrlang.governor.rule import Rule, Verdict
from qrlang.governor.sky import Band, bands
from qrlang.system.files import cut
from qrlang.training import flat, randomness, schedule
from qrlang.training.loop import Observer, Trainer
from qrlang.training.objective import Work
from qrlang.training.optim.base import Optimizer, Update
from qrlang.training.optim.solved import Solved
from qrlang.training.run import Run


class Governor(Observer):
    name = "governor"

    def __init__(self, bounds: Bounds, reason: str = "") -> None:
        """`reason`: why somebody lets the run start under a sky that is not calm."""
        self.bounds, self.reason = bounds, reason
        self.rule = Rule(bounds)
        self.count = 0  # updates, those taken back too
        self.last = ledger.FIRST  # the hash of the last line
        self.trainer: Trainer
        self.probe: Any = None
        self.before: Behaviour | None = None  # of a run whose weights are found in one go

    @classmethod
    def of(cls, run: Run) -> Governor | None:
        """Of a run whose program has a `govern` block."""
        about = run.about()
        if "govern" not in about:
            return None
        return cls(Bounds.of_data(about["govern"]), str(about.get("override", "")))

    # --- what an observer does ---

    def begin(self, trainer: Trainer) -> None:
        self.trainer = trainer
        s = trainer.settings
        size = min(self.bounds.probe, s.batch)
        self.probe = next(
            iter(trainer.feed.batches("train", size, seed=s.seed + 1, epoch=0, shuffle=True))
        )
        inner = trainer.optimizer
        if trainer.progress.step == 0:
            self._start(inner)
        if isinstance(inner, Solved):
            self.before = self.look()
        else:
            trainer.optimizer = Governed(inner, self)

    def end(self, trainer: Trainer) -> None:
        if self.before is not None:
            self.count = 1
            self.judge(self.before)

    def state(self) -> Any:
        return {"rule": self.rule.state(), "count": self.count, "last": self.last}

    def load(self, state: Any) -> None:
        self.rule.load(state["rule"])
        self.count, self.last = int(state["count"]), str(state["last"])

    # --- what it sees ---

    def look(self) -> Behaviour:
        """What the model does now; nothing that is drawn by lot later changes by it."""
        objective = self.trainer.objective
        with randomness.untouched(objective.model):
            return behaviour.look(objective, self.probe)

    def sky(self, inner: Optimizer) -> tuple[Band, ...]:
        """What the first update would do at the full learning rate; the run is then as it was."""
        t = self.trainer
        s = t.settings
        before = after = self.look()
        if not isinstance(inner, Solved):
            kept, state = flat.read(t.objective.parameters), copy.deepcopy(inner.state())
            group = next(t.groups())
            rate = float(s.optimizer[1].get("lr", 0.0)) * schedule.factor(
                s.schedule, 0, 0, t.plan.steps, 0
            )
            with randomness.untouched(t.objective.model):
                inner.update(Work(t.objective, group), rate)
            after = self.look()
            flat.write(t.objective.parameters, kept)
            inner.load(state)
        records = max(t.feed.sizes.get("train", 0), 1)
        return bands(
            self.bounds,
            moved=after.entropy() - before.entropy(),
            way=before.way(),
            touched=t.plan.epochs * (t.feed.count("train", s.batch) * s.batch) / records
            if not t.feed.streaming
            else float(t.plan.epochs),
            hesitation=before.hesitation(),
            consent=1.0 if after is before else after.served(before),
        )

    # --- what it says ---

    def _start(self, inner: Optimizer) -> None:
        # Of a run that was killed before its first checkpoint: the same lines are written again.
        cut(self.trainer.run.ledger, 0)
        found = self.sky(inner)
        restless = [band for band in found if not band.calm]
        self.keep({"kind": "sky", "bounds": self.bounds.to_data(), "calm": not restless,
                   "bands": {b.name: b.value for b in found}})  # fmt: skip
        if self.trainer.world.first:
            draw(self.trainer.run, found)
        for band in restless:
            self.trainer.watcher.note(f"the sky is not calm: {band.said()}")
        if restless and not self.reason:
            raise NotCalm(restless, self.trainer.run.folder)
        if restless:
            self.keep({"kind": "override", "reason": self.reason})
            self.trainer.watcher.note(f"it starts all the same, because: {self.reason}")

    def keep(self, line: dict[str, Any]) -> None:
        """A line of the ledger."""
        sealed = ledger.seal(line, self.last)
        self.last = sealed["hash"]
        if self.trainer.world.first:
            self.trainer.run.log(self.trainer.run.ledger, sealed)

    def judge(self, before: Behaviour) -> bool:
        """The line of a cycle, and whether parameters are frozen from its update on."""
        after = self.look()
        action = reach(after, before)
        was, left = before.entropy(), after.entropy()
        verdict = self.rule.judge(action, was, left)
        self.keep(
            {
                "kind": "cycle",
                "update": self.count,
                "action": action,
                "entropy": was,
                "burned": 0.0 if verdict.frozen else was - left,
                "growth": verdict.growth,
                "burned_in_window": verdict.burned,
                "frozen": verdict.frozen,
            }
        )
        if verdict.changed:
            self.trainer.watcher.note(_words(verdict, self.count, action))
        return verdict.frozen


class Governed:
    """An optimiser whose updates are judged once a cycle, and taken back while the rule says so."""

    def __init__(self, inner: Optimizer, governor: Governor) -> None:
        self.inner, self.governor = inner, governor
        self.whole = inner.whole

    def update(self, work: Work, rate: float) -> Update:
        governor = self.governor
        parameters = governor.trainer.objective.parameters
        before = governor.look() if governor.count % governor.bounds.cycle == 0 else None
        frozen = governor.rule.frozen
        kept = flat.read(parameters) if frozen or before is not None else None
        update = self.inner.update(work, rate)
        governor.count += 1
        if before is not None:
            frozen = governor.judge(before)
        if not frozen:
            return update
        flat.write(parameters, kept)
        return replace(update, frozen=True)

    def state(self) -> Any:
        return self.inner.state()

    def load(self, state: Any) -> None:
        self.inner.load(state)


def _words(verdict: Verdict, count: int, action: float) -> str:
    if not verdict.frozen:
        return f"update {count}: calm again (action space {action:.2g} bits), parameters move"
    return (
        f"update {count}: the action space grew by {verdict.growth:.2g} bits while "
        f"{max(verdict.burned, 0.0):.2g} bits of entropy burned: parameters are frozen, "
        "the run only listens"
    )
