"""What a training will take on a device, said before anything is sent.

The batches of an epoch go through the model with nothing sent: how many circuits those are does
not depend on any number, only on how long the sequences are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch

from qrlang.diagnostics.words import plural
from qrlang.hardware.budget import Prices, Spent
from qrlang.hardware.device import Device, Limits, Template, Usage, described
from qrlang.hardware.footprint import survival
from qrlang.hardware.gradient.processor import Processor
from qrlang.hardware.jobs import Counts, Task
from qrlang.hardware.mitigation import NONE, Confusion, Mitigation
from qrlang.training.feed import Batch, split_of
from qrlang.training.loop import Trainer
from qrlang.training.objective import ON_DEVICE


@dataclass(frozen=True, slots=True)
class Amount:
    jobs: int = 0
    circuits: int = 0
    executions: int = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.jobs + other.jobs, self.circuits + other.circuits,
                      self.executions + other.executions)  # fmt: skip

    def __sub__(self, other: Amount) -> Amount:
        return self + other * -1

    def __mul__(self, times: int) -> Amount:
        return Amount(self.jobs * times, self.circuits * times, self.executions * times)


@dataclass(frozen=True, slots=True)
class Preflight:
    device: dict[str, Any]
    shots: int
    method: str  # where the slopes come from
    updates: int
    update: Amount  # the first one
    calibration: Amount  # of misread bits
    training: Amount
    validation: Amount  # all of them
    test: Amount
    qubits: int
    depth: int
    two_qubit: int
    survival: float | None
    price: float | None
    prices: Prices
    seconds: float | None  # at most, that the device is busy
    most: bool  # it may be less

    @property
    def total(self) -> Amount:
        return self.calibration + self.training + self.validation + self.test

    @property
    def spent(self) -> Spent:
        return Counts(jobs=self.total.jobs, executions=self.total.executions,
                      seconds=self.seconds or 0.0)  # fmt: skip

    def to_data(self) -> dict[str, Any]:
        return {**asdict(self), "total": asdict(self.total)}


# How often an update looks at its batches: without slopes, with slopes; whether that is the most.
_LOOKS = {"spsa": (2, 0, False), "nelder_mead": (2, 0, True), "lbfgs": (0, 25, True),
          "ridge": (2, 0, False)}  # fmt: skip


def preflight(
    trainer: Trainer, device: Device, shots: int, prices: Prices, mitigation: Mitigation = NONE
) -> Preflight:
    s = trainer.settings
    name, options = s.optimizer
    plain, sloped, most = _LOOKS.get(name, (0, 1, False))
    if name == "lbfgs":
        sloped = int(options["max_iterations"]) * 5 // 4
    rehearsal = _Rehearsal(trainer, device, shots, mitigation)
    groups = [_sum(rehearsal(b, True) * sloped + rehearsal(b, False) * plain for b in group)
              for group in _groups(trainer)]  # fmt: skip
    rounds, rest = divmod(trainer.plan.steps, max(len(groups), 1))
    training = _sum(groups) * rounds + _sum(groups[:rest])
    if name == "nelder_mead":  # the corners of the simplex come first
        corners = 1 + sum(p.numel() for p in trainer.objective.parameters)
        training = training + _sum(groups) * max(corners - plain, 0)
    validation = Amount()
    if trainer.feed.sizes.get("validation"):
        validation = rehearsal.split("validation", s.batch) * trainer.plan.epochs
    test = rehearsal.split(split_of(trainer.feed, None), max(s.batch, 64))
    largest = rehearsal.largest
    found = device.footprint(largest) if largest else None
    total = rehearsal.calibration + training + validation + test
    usage: Usage | None = getattr(device, "usage", None)
    seconds = None
    if usage is not None and largest is not None:
        noisier = [device.footprint(replace(largest, fold=k)) for k in mitigation.scales]
        each = usage.shot + sum(x.seconds or 0.0 for x in noisier) / len(noisier)
        seconds = usage.job * total.jobs + each * total.executions
    counts = Counts(jobs=total.jobs, executions=total.executions, seconds=seconds or 0.0)
    return Preflight(
        dict(device.describe()), shots,
        "two losses at a time" if plain and not sloped else "parameter shift",
        trainer.plan.steps, groups[0] if groups else Amount(), rehearsal.calibration,
        training, validation, test,
        largest.qubits if largest else 0, found.depth if found else 0,
        found.two_qubit if found else 0,
        survival(found, device.errors, largest.qubits) if found and largest else None,
        prices.of(counts), prices, seconds, most or s.early_stopping > 0,
    )  # fmt: skip


def _groups(trainer: Trainer) -> list[list[Batch]]:
    """The batches of each update of an epoch."""
    s = trainer.settings
    batches = list(trainer.feed.batches("train", s.batch, seed=s.seed, epoch=0, shuffle=True))
    size = len(batches) if trainer.optimizer.whole else s.accumulate
    return [batches[i : i + size] for i in range(0, len(batches), max(size, 1))]


def _sum(amounts: Any) -> Amount:
    total = Amount()
    for one in amounts:
        total = total + one
    return total


class _Rehearsal:
    """What a batch takes, once for each combination of lengths."""

    def __init__(
        self, trainer: Trainer, device: Device, shots: int, mitigation: Mitigation
    ) -> None:
        self.trainer, self.device, self.shots = trainer, device, shots
        self.mitigation = mitigation
        self.confusions: dict[tuple[int, ...], Confusion] = {}
        self.calibration = Amount()  # once for all batches
        self.largest: Template | None = None
        self._known: dict[Any, Amount] = {}

    def split(self, name: str, batch: int) -> Amount:
        feed, batch = self.trainer.feed, max(batch, ON_DEVICE)
        batches: Iterator[Batch] = feed.batches(name, batch, seed=0, epoch=0, shuffle=False)
        return _sum(self(b, False) for b in batches)

    def __call__(self, batch: Batch, sloped: bool) -> Amount:
        shapes = tuple((k, np.shape(v)) for k, v in sorted(batch.values.items()))
        ends = tuple((k, tuple(sorted(map(int, v)))) for k, v in sorted(batch.lengths.items()))
        key = (shapes, ends, sloped)
        if key not in self._known:
            known = len(self.confusions)
            found = self._rehearsed(batch, sloped)
            if len(self.confusions) > known:
                again = self._rehearsed(batch, sloped)
                self.calibration, found = self.calibration + found - again, again
            self._known[key] = found
        return self._known[key]

    def _rehearsed(self, batch: Batch, sloped: bool) -> Amount:
        model = self.trainer.objective.model
        processor = Processor(self.device, self.shots, rehearsal=True, mitigation=self.mitigation)
        processor.desk.confusions = self.confusions
        processor.desk.see = self._see
        before, model.processor = model.processor, processor
        try:
            with torch.set_grad_enabled(sloped):
                self.trainer.objective.forward(batch)
        finally:
            model.processor = before
        return _amount(processor.counts) + shifted(processor, self.device.limits)

    def _see(self, round: int, tasks: Sequence[Task]) -> None:
        del round
        for task in tasks:
            if self.largest is None or len(task.template.steps) > len(self.largest.steps):
                self.largest = task.template


def _amount(counts: Counts) -> Amount:
    return Amount(counts.jobs, counts.circuits, counts.executions)


def shifted(processor: Processor, limits: Limits) -> Amount:
    """The round of circuits that the slopes of a forward pass take."""
    by_shots: dict[int, int] = {}
    less = processor.desk.mitigation
    for session in processor.rehearsed:
        for readout in session.readouts:
            shots = readout.shots or processor.shots
            shots = -(-shots // less.twirl) * less.twirl
            count = readout.circuits() * len(less.scales) * less.twirl
            by_shots[shots] = by_shots.get(shots, 0) + count
    circuits = sum(by_shots.values())
    executions = sum(shots * n for shots, n in by_shots.items()) // less.twirl
    groups = by_shots if limits.alike else {processor.shots: circuits}
    jobs = 0
    for shots, count in groups.items():
        room = limits.circuits or max(count, 1)
        if limits.executions and shots:
            room = min(room, max(limits.executions // shots, 1) * less.twirl)
        jobs += -(-count // room)
    return Amount(jobs, circuits, executions)


def page(found: Preflight, name: str) -> str:
    """For people."""
    how = f"{found.shots} shots a circuit" if found.shots else "exact"
    most = "at most " if found.most else ""

    def line(title: str, a: Amount, more: str = "") -> str:
        return (f"  {title:<11} {a.circuits:,} circuits, {a.executions:,} executions, "
                f"{plural(a.jobs, 'job')}{more}")  # fmt: skip

    lines = [
        f"preflight: training {name} on {described(found.device)}",
        f"  slopes      {found.method}, {how}",
        *([line("calibration", found.calibration)] if found.calibration.jobs else []),
        line("an update", found.update),
        line("training", found.training, f" ({most}{found.updates:,} updates)"),
    ]
    if found.validation.circuits:
        lines.append(line("validation", found.validation))
    lines += [line("test", found.test), line("in all", found.total)]
    kept = "" if found.survival is None else f", survival {found.survival:.3g}"
    lines.append(f"  largest     {found.qubits} qubits, depth {found.depth}, "
                 f"{found.two_qubit} gates on two{kept}")  # fmt: skip
    if found.seconds is not None:
        lines.append(
            f"  time        at most {found.seconds:,.0f} s of the device, without the queue"
        )
    price = found.prices.words(found.price, found.seconds is not None)
    return "\n".join([*lines, f"  price       {price}"]) + "\n"
