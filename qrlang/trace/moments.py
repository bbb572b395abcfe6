"""From a run and a step to what is drawn of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from qrlang.backends.torch.emit.names import state_name
from qrlang.draw.run.moment import Moment
from qrlang.ir.program import Loop, Program
from qrlang.ir.walk import defs, qubits_of, uses, walk
from qrlang.probe.subject import Subject
from qrlang.probe.trace import externs_of
from qrlang.trace.errors import TraceError
from qrlang.trace.layout import Array
from qrlang.trace.lined import Lined
from qrlang.trace.net import Net
from qrlang.trace.reading import Record, Trace, has_trace, open_trace
from qrlang.trace.replay import play
from qrlang.trace.samples import Samples, chosen
from qrlang.trace.taps import tapped
from qrlang.training import checkpoint, start
from qrlang.training.run import Run


class Moments:
    """Of a run: any recorded step; without a trace, the steps of its checkpoints."""

    def __init__(self, path: str | Path, data_dir: str | None = None) -> None:
        self.run = Run.open(path)
        self.settings, self.about = self.run.settings(), self.run.about()
        self.program = self.run.program()
        self.data_dir = data_dir
        self.trace: Trace | None = open_trace(path) if has_trace(path) else None
        if self.trace is not None and not len(self.trace):
            self.trace = None
        self.taps = tapped(self.program).taps

    # --- steps ----------------------------------------------------------------------------------

    @property
    def steps(self) -> list[int]:
        return self.trace.steps if self.trace is not None else sorted(self._checkpoints)

    @cached_property
    def _checkpoints(self) -> dict[int, Path]:
        found: dict[int, Path] = {}
        for path in (self.run.best, self.run.last):
            if path.exists():
                page = checkpoint.load(path)[1]
                step = page.get("step", page.get("progress", {}).get("step"))
                found[int(step)] = path
        if not found:
            raise TraceError(
                f"'{self.run.folder}' has no trace and no checkpoint",
                f"train it: qrlc train --resume {self.run.folder}",
            )
        return found

    def nearest(self, step: int) -> int:
        """The last step at or before one that there is something of; -1: the last."""
        steps = self.steps
        if step == -1:
            return steps[-1]
        if not steps[0] <= step <= steps[-1]:
            kind = "was traced" if self.trace is not None else "has checkpoints"
            have = f"from {steps[0]} to {steps[-1]}" if self.trace is not None else \
                "at " + " and ".join(map(str, steps))  # fmt: skip
            raise TraceError(f"there is no step {step}: the run {kind} {have}")
        return max(s for s in steps if s <= step)

    def spread(self, most: int) -> list[int]:
        """So many steps at most, evenly among those there are."""
        steps = self.steps
        if len(steps) <= most:
            return steps
        picks = {round(k * (len(steps) - 1) / (most - 1)) for k in range(most)}
        return [steps[k] for k in sorted(picks)]

    @cached_property
    def curve(self) -> list[tuple[int, float]]:
        """Losses along the run: of its log, and where that is short, of the trace."""
        lines = [x for x in self.run.lines(self.run.metrics) if x["split"] == "train"]
        found = [(int(x["step"]), float(x["loss"])) for x in lines if x.get("loss") is not None]
        if len(found) < 12 and self.trace is not None:
            found = [(int(x["step"]), float(x["loss"])) for x in self.trace.lines
                      if x["loss"] is not None]  # fmt: skip
        return sorted(set(found))

    # --- one of them ----------------------------------------------------------------------------

    def at(self, step: int, sample: int = -1, moment: int = -1) -> Moment:
        """At a step of `steps`."""
        record = None if self.trace is None else self.trace.at(step)
        sample = self._there(sample)
        weights = self._weights(step, record)
        given, truth = self._sample(sample)
        played = play(self.program, given, weights, self._externs(weights), moment)
        if moment >= max(played.times.values(), default=0):
            most = max(played.times.values(), default=0)
            raise TraceError(
                f"there is no moment {moment + 1}",
                f"this sample has {most}" if most else "the model has no recurrence",
            )
        slopes = self._slopes(record)
        lined = Lined(played, slopes)
        lines = lined.lines()
        ranges = {} if record is None else record.ranges
        known = {k: v for k, v in played.values.items() if k not in self._unknown}
        net = Net(played.program, self.taps, known, weights, ranges, _norms(slopes))
        steers, reads = joints(lined, net)
        settings = ", ".join(f"{k} = {v}" for k, v in self.program.settings)
        return Moment(
            str(self.about["model"]), settings, step, self._total(), self._epoch(step, record),
            f"{self.samples.split} record {self.samples.rows[sample]}",
            ", ".join(f"moment {t + 1}" for t in played.place.values()),
            self._loss(step, record), 0.0 if record is None else record.rate,
            None if record is None else record.norm, self.settings.optimizer[0],
            self._answer(played.outputs, truth), lines, tuple(net.columns.values()),
            tuple(net.links), steers, reads,
            tuple(dict.fromkeys(net.carried)), tuple(self._notes(record)),
        )  # fmt: skip

    def _there(self, sample: int) -> int:
        """The number of a sample; -1: the first that is there."""
        kept = list(range(self.samples.count)) if self.trace is None else self.trace.kept
        if not kept:
            raise TraceError("the samples of this trace were erased: they were to be forgotten")
        if sample == -1:
            return kept[0]
        if sample not in kept:
            gone = "was erased" if sample < self.samples.count else "is not there"
            raise TraceError(
                f"sample {sample} {gone}", f"there are {', '.join(str(k) for k in kept)}"
            )
        return sample

    @cached_property
    def samples(self) -> Samples:
        if self.trace is not None:
            return self.trace.samples

        feed = start.reopen(self.run, self.settings, self.program, self.about, self.data_dir)
        return chosen(feed, "4")

    def _sample(self, k: int) -> tuple[dict[str, Any], Any]:
        """What the program is given, without padding; and what is true."""
        found: dict[str, Any] = self.samples.batch.row(k)
        for port in (*self.program.inputs, *self.program.targets):
            if port.name in found and port.type.kind in ("token", "class"):
                found[port.name] = np.asarray(found[port.name]).astype(np.int64)
        target = self.program.targets[-1].name if self.program.targets else ""
        return found, found.get(target)

    def _weights(self, step: int, record: Record | None) -> dict[str, Array]:
        """By the program's names. What never changes is in any checkpoint."""
        path = self._checkpoints[step] if record is None else next(iter(self._kept))
        tensors = {k: v.double().numpy() for k, v in checkpoint.load(path)[0].items()}
        for name, recorded in ({} if record is None else record.parameters).items():
            tensors[name] = self._whole(name, recorded, tensors[name])
        return {w.name: tensors[state_name(w.name)] for w in self.program.weights}

    @cached_property
    def _kept(self) -> list[Path]:
        found = [p for p in (self.run.last, self.run.best) if p.exists()]
        if not found:
            raise TraceError(f"'{self.run.folder}' has no checkpoint: weights that were not "
                             "traced are not known")  # fmt: skip
        return found

    def _whole(self, name: str, recorded: Array, before: Array) -> Array:
        """A tensor of which some numbers were recorded: rows of a table that the samples have, or
        some that will not do (see `_unknown`)."""
        assert self.trace is not None
        taken = self.trace.taken.get(name)
        if taken is None:
            return recorded.astype(float).reshape(before.shape)
        found = np.zeros(before.shape)
        if "rows" in taken:
            found[taken["rows"]] = recorded
        return found

    @cached_property
    def _unknown(self) -> set[int]:
        """Values that depend on tensors which are too large to be traced."""
        taken = {} if self.trace is None else self.trace.taken
        gone = {n for n, t in taken.items() if "rows" not in t}
        names = {w.name for w in self.program.weights if state_name(w.name) in gone}
        found = depending(self.program, names)
        steered = [op for op in walk(self.program.body) if qubits_of(op)]
        if any(v.id in found for op in steered for v in uses(op)):
            raise TraceError(
                f"{', '.join(sorted(names))} is too large to be traced, and angles depend on it",
                "no step of this run can be drawn",
            )
        return found

    def _externs(self, weights: Mapping[str, Array]) -> dict[str, Any]:
        if not self.program.externs:
            return {}
        return externs_of(Subject("", self.program, (), "", weights, 0, None, self.run.imports))

    # --- facts ----------------------------------------------------------------------------------

    def _slopes(self, record: Record | None) -> dict[str, Array]:
        """Gradients by the program's names: those that were recorded whole."""
        if record is None or self.trace is None:
            return {}
        found = record.gradients  # before the first update there are none: nothing is drawn of them
        found = found or {k: np.zeros_like(v) for k, v in record.parameters.items()}
        paths = {w.name: state_name(w.name) for w in self.program.weights}
        return {n: found[p] for n, p in paths.items() if p in found and p not in self.trace.taken}

    def _total(self) -> int:
        lines = self.run.lines(self.run.metrics)
        return max([int(x["step"]) for x in lines] + self.steps)

    def _epoch(self, step: int, record: Record | None) -> int:
        if record is not None:
            return record.epoch
        ends = [int(x["epoch"]) for x in self.run.lines(self.run.metrics) if x["step"] <= step]
        return max(ends, default=0)

    def _loss(self, step: int, record: Record | None) -> float | None:
        if record is not None and record.loss is not None:
            return record.loss
        lines = [x for x in self.run.lines(self.run.metrics) if x["split"] == "train"]
        found = [x.get("loss") for x in lines if x["step"] == step]
        return None if not found or found[-1] is None else float(found[-1])

    def _notes(self, record: Record | None) -> list[str]:
        notes = []
        if self._unknown:
            notes.append("layers that are too large to be traced are left out")
        if record is None:
            notes.append("no trace: weights of a checkpoint, and no gradients")
        return notes

    def _answer(self, outputs: Mapping[str, Array], truth: Any) -> str:
        if any(o.value.id in self._unknown for o in self.program.outputs):
            return ""
        kind = self.program.targets[-1].type if self.program.targets else None
        value = outputs.get("", next(iter(outputs.values()), None))
        if kind is None or value is None or truth is None:
            return ""
        if kind.seq:
            value, truth = value[-1], np.asarray(truth)[min(len(value), len(truth)) - 1]
        flat, true = np.ravel(value), np.ravel(np.asarray(truth))
        if kind.kind in ("class", "token") and flat.size > 1:
            p = np.exp(flat - flat.max())
            p = p / p.sum() if self.settings.loss[0] == "cross_entropy" else np.exp(flat)
            best = int(flat.argmax())
            chance = f" (p = {p[best]:.2f})" if math.isfinite(p[best]) and p[best] <= 1 else ""
            return f"says {best}{chance}, true {int(true[0])}"
        said = ", ".join(f"{x:.3g}" for x in flat[:3])
        meant = ", ".join(f"{x:.3g}" for x in true[:3])
        return f"says {said}, true {meant}"


def joints(
    lined: Lined, net: Net
) -> tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]:
    """Which columns make angles of which circuits, and which circuits are read by which columns."""
    steers = [
        (column, lined.circuit_of[key])
        for column, keys in net.steering.items()
        for key in sorted(keys & lined.circuit_of.keys())
    ]
    reads = [
        (circuit, net.of_value[value])
        for value, circuit in lined.readings.items()
        if value in net.of_value
    ]
    return tuple(dict.fromkeys(steers)), tuple(dict.fromkeys(reads))


def depending(program: Program, weights: set[str]) -> set[int]:
    """The values that depend on some weights."""
    found: set[int] = set()
    before = -1
    while weights and len(found) > before:  # a carry brings it round to the beginning
        before = len(found)
        for op in walk(program.body):
            if isinstance(op, Loop):
                for carry in op.carries:
                    if {carry.next.id, carry.initial.id} & found:
                        found |= {carry.arg.id, carry.out.id}
                found |= {e.out.id for e in op.emits if e.value.id in found}
                found |= {i.item.id for i in op.items if i.sequence.id in found}
                continue
            own = {getattr(op, "weight", None), getattr(op, "bias", None)}
            own |= set(getattr(op, "weights", ()))
            if own & weights or {v.id for v in uses(op)} & found:
                found |= {v.id for v in defs(op)}
    return found


def _norms(slopes: Mapping[str, Array]) -> dict[str, float]:
    return {k: float(np.linalg.norm(v.astype(float))) for k, v in slopes.items()}
