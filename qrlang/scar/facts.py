"""What a run folder says about its run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from qrlang.errors import UserError
from qrlang.ir.program import Expect, Probabilities, Program
from qrlang.ir.walk import walk
from qrlang.trace.layout import Array
from qrlang.trace.looks import Looks, afterwards, traced
from qrlang.trace.reading import Record
from qrlang.trace.taps import Tap, tapped
from qrlang.training.feed import Feed
from qrlang.training.run import Run
from qrlang.training.settings import Settings

STILL = 1e-4  # a readout that moves by less does not move


@dataclass(frozen=True)
class Readouts:
    """One group of readings of the watched samples over the run."""

    name: str
    every: Array  # [steps, samples, numbers], each at its last moment
    shot: Array | None  # the same of the deviation of a shot; None where that is not known
    shots: int  # of a reading in training; 0: exact

    @property
    def mean(self) -> Array:
        return np.asarray(self.every.mean(1))

    @property
    def band(self) -> Array:
        """The deviation over samples, and of the shots that training had."""
        square = self.every.var(1)
        if self.shots and self.shot is not None:
            square = square + (self.shot**2).mean(1) / self.shots
        return np.asarray(np.sqrt(square))


class Facts:
    """`feed`: the run's data, where it is open already."""

    def __init__(
        self, path: str | Path, feed: Feed | None = None, data_dir: str | None = None
    ) -> None:
        self.run = Run.open(path)
        self.about: dict[str, Any] = self.run.about()
        self.settings: Settings = self.run.settings()
        self.program: Program = self.run.program()
        self.lines = self.run.lines(self.run.metrics)
        self.result = self.run.outcome("sequences", "split", "best_epoch", "epochs")
        self.why = self.more = ""  # nothing was seen of any sample; and what the reason says
        self.looks: Looks | None = traced(path) or self._afterwards(feed, data_dir)
        # Samples that were not erased.
        self.kept: list[int] = [] if self.looks is None else list(self.looks.kept)
        self.taps = tapped(self.program).taps

    def _afterwards(self, feed: Feed | None, data_dir: str | None) -> Looks | None:
        """A run without a trace: its weights once more."""
        try:
            found = afterwards(self.run, feed, data_dir)
        except UserError as error:
            self.why = "the run has no trace, and its data cannot be opened to look at its weights"
            self.more = str(error)
            return None
        if found is None:
            self.why = "the run has no trace, and no weights are left"
        return found

    @property
    def records(self) -> Sequence[Record]:
        return () if self.looks is None else self.looks.records

    @property
    def last_step(self) -> int:
        steps = [int(x["step"]) for x in self.lines] + [r.step for r in self.records]
        return max(steps, default=0)

    def losses(self, split: str) -> list[tuple[int, float]]:
        return [(int(x["step"]), float(x["loss"])) for x in self.lines
                if x["split"] == split and x.get("loss") is not None]  # fmt: skip

    # --- of the trace ---------------------------------------------------------------------------

    def _ends(self, moments: list[int]) -> list[int]:
        """For each sample that is there, which of the recorded moments is its last."""
        assert self.looks is not None
        lengths = next(iter(self.looks.samples.batch.lengths.values()), None)
        if lengths is None:
            return [len(moments) - 1] * len(self.kept)
        return [max((k for k, t in enumerate(moments) if t < lengths[s]), default=0)
                for s in self.kept]  # fmt: skip

    def _tap(self, group: str) -> list[Tap]:
        return [t for t in self.taps if t.group == group]

    @cached_property
    def readouts(self) -> Readouts | None:
        """Those that are read last."""
        taps = self._tap("readouts")
        if not self.kept or not self.records or not taps:
            return None
        tap = taps[-1]
        assert self.looks is not None
        moments = self.looks.moments.get(tap.name, [0])
        ends = self._ends(moments)
        every = np.array([
            [r.get("readouts", tap.name)[s, e] for s, e in zip(self.kept, ends, strict=True)]
            for r in self.records
        ])  # [records, samples, numbers]  # fmt: skip
        ops = (op for op in walk(self.program.body) if isinstance(op, (Expect, Probabilities)))
        op = next(op for op in ops if op.out.id == tap.value)
        shots = op.shots or self.settings.shots
        return Readouts(tap.name, every, _deviation(op, every), shots)

    @cached_property
    def amplitudes(self) -> Array | None:
        """[steps, basis states] of the first sample; the phase that has no meaning is chosen so
        that each step goes on from the one before."""
        if not self.kept or not self.records or not self.records[0].names("amplitudes"):
            return None
        name = self.records[0].names("amplitudes")[0]
        found = []
        before: Array | None = None
        for record in self.records:
            now = record.get("amplitudes", name)[self.kept[0]].astype(complex)
            other = now[np.abs(now).argmax()] if before is None else np.vdot(now, before).conj()
            if abs(other) > 1e-12:
                now = now * (np.conj(other) / abs(other))
            found.append(now)
            before = now
        return np.array(found)

    @property
    def state_name(self) -> str:
        return self.records[0].names("amplitudes")[0] if self.records else ""

    @cached_property
    def activations(self) -> tuple[list[tuple[str, int]], Array] | None:
        """Names (with what 0 and 1 are) and widths of layers; [steps, all of their units], the
        mean over samples at their last moments, from 0 to 1: the extremes of the whole run."""
        taps = self._tap("activations")
        if not self.kept or not self.records or not taps:
            return None
        assert self.looks is not None
        names, parts = [], []
        for tap in taps:
            ends = self._ends(self.looks.moments.get(tap.name, [0]))
            raw = np.array([
                np.mean([r.get("activations", tap.name)[s, e]
                         for s, e in zip(self.kept, ends, strict=True)], 0)
                for r in self.records
            ])  # fmt: skip
            low, high = float(raw.min()), float(raw.max())
            span = high - low
            parts.append((raw - low) / span if span > 0 else np.zeros(raw.shape))
            names.append((f"{tap.name}: {low:.2g} … {high:.2g}", raw.shape[1]))
        return names, np.concatenate(parts, 1)

    @cached_property
    def unsure(self) -> tuple[str, Array] | None:
        """How uncertain each answer was, [steps, samples that are there], and in what it is
        measured."""
        if not self.kept or not self.records:
            return None
        kind = self.program.targets[-1].type if self.program.targets else None
        named = self.records[0].names("outputs")
        if kind is None or kind.kind not in ("class", "token") or not named:
            return None
        assert self.looks is not None
        name = named[0]
        moments = self.looks.moments.get(name, [0])
        ends = self._ends(moments) if kind.seq else [0] * len(self.kept)
        found = []
        for record in self.records:
            out = record.get("outputs", name).astype(float)
            rows = np.array([out[s, e].reshape(-1) for s, e in zip(self.kept, ends, strict=True)])
            found.append(_bits(rows, self.settings.loss[0]))
        return "bits of entropy in the answer", np.array(found)


def _deviation(op: Expect | Probabilities, values: Array) -> Array | None:
    """Of one shot, where a shot gives one of two numbers."""
    if isinstance(op, Probabilities):
        return np.asarray(np.sqrt(np.clip(values * (1 - values), 0, None)))
    plain = all(len(o) == 1 and abs(o[0][0]) == 1 for o in op.observables)
    return np.asarray(np.sqrt(np.clip(1 - values**2, 0, None))) if plain else None


def _bits(rows: Array, loss: str) -> Array:
    """The entropy of each row's distribution."""
    if loss == "nll":
        p = np.clip(rows, 0, None)
    else:
        p = np.exp(rows - rows.max(1, keepdims=True))
    p = p / np.maximum(p.sum(1, keepdims=True), 1e-300)
    return np.asarray(-np.sum(np.where(p > 0, p * np.log2(np.where(p > 0, p, 1)), 0), 1))
