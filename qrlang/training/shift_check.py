"""Gradients held against parameter shifts, before a run begins.

The model is run once more with every readout computed by our own exact simulator and its slopes
along each angle from shifted circuits, as a device would give them; the rest is the chain rule. So
angles that a controller makes are shifted themselves. No engine and no adjoint has a part in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from qrlang.backends.torch.load import make
from qrlang.errors import TrainingError
from qrlang.hardware.device import DeviceError
from qrlang.hardware.gradient.processor import Processor
from qrlang.hardware.simulator import Simulator
from qrlang.ir.program import Program
from qrlang.training.feed import Batch
from qrlang.training.loop import Trainer
from qrlang.training.objective import Objective, Work
from qrlang.training.world import World

SEQUENCES, MOMENTS = 2, 6  # of the first batch: shifts take two circuits for each angle
TOLERANCE = {torch.float32: 1e-3, torch.float64: 1e-6}  # of the largest slope


@dataclass(frozen=True)
class Row:
    name: str
    shift: float
    road: float


@dataclass(frozen=True)
class Check:
    rows: tuple[Row, ...]  # some, by lot
    worst: float  # difference of all, over the largest slope
    allowed: float
    count: int
    road: str

    @property
    def good(self) -> bool:
        return self.worst <= self.allowed

    def text(self) -> str:
        width = max(len(r.name) for r in self.rows)
        lines = [f"{'':{width}}  {'by shift':>12}  {self.road:>12}  {'difference':>10}"]
        lines += [f"{r.name:{width}}  {r.shift:12.5g}  {r.road:12.5g}  {r.road - r.shift:10.1e}"
                  for r in self.rows]  # fmt: skip
        verdict = "agree" if self.good else "DIFFER"
        lines.append(
            f"{self.count} slopes {verdict}: they differ by {self.worst:.1e} of the largest at "
            f"most ({self.allowed:.0e} is allowed)"
        )
        return "\n".join(lines)


def check(trainer: Trainer, count: int) -> Check:
    """`count` slopes, drawn by lot, out of all of them."""
    whole = trainer.objective
    objective = Objective(whole.model, whole.program, whole.loss, World())
    few = small(next(iter(trainer.groups()))[0], whole.program)
    was, shots = objective.model.training, objective.model.shots
    objective.model.eval()
    objective.model.shots = 0
    try:
        road = _gradient(objective, few)
        kind = objective.model.chosen_road()
    finally:
        objective.model.train(was)
        objective.model.shots = shots
    shift = _gradient(_by_shift(objective), few)
    names = [
        f"{n}[{', '.join(map(str, i))}]" if i else n
        for n, g in shift.items()
        for i in np.ndindex(g.shape)
    ]
    one, two = (np.concatenate([g[n].reshape(-1) for n in shift]) for g in (shift, road))
    largest = float(np.abs(one).max()) or 1.0
    lot = np.random.default_rng(trainer.settings.seed)
    picked = np.sort(lot.permutation(len(one))[:count])
    return Check(
        tuple(Row(names[k], float(one[k]), float(two[k])) for k in picked),
        float(np.abs(one - two).max()) / largest,
        TOLERANCE[objective.parameters[0].dtype],
        len(one),
        kind,
    )


def small(batch: Batch, program: Program) -> Batch:
    """The beginnings of its first sequences."""
    long = {v.name for v in (*program.inputs, *program.targets) if v.type.seq}
    cut = (slice(0, SEQUENCES), slice(0, MOMENTS))
    return Batch(
        {k: np.asarray(x)[cut if k in long else cut[:1]] for k, x in batch.values.items()},
        {k: np.minimum(np.asarray(n)[:SEQUENCES], MOMENTS) for k, n in batch.lengths.items()},
    )


def _by_shift(objective: Objective) -> Objective:
    model = make(objective.program, road="plain", dtype=torch.float64)
    model.load_state_dict(objective.model.state_dict())
    frozen = {n for n, p in objective.model.named_parameters() if not p.requires_grad}
    for name, p in model.named_parameters():
        p.requires_grad_(name not in frozen)
    model.eval()
    model.processor = Processor(Simulator(), 0)
    return Objective(model, objective.program, objective.loss, World())


def _gradient(objective: Objective, batch: Batch) -> Mapping[str, Any]:
    try:
        Work(objective, [batch]).gradient()
    except DeviceError as error:
        raise TrainingError(
            f"gradients cannot be checked by shifts: {error}", "leave out --check-gradient"
        ) from None
    return {
        n: p.grad.detach().double().cpu().numpy()
        for n, p in objective.model.named_parameters()
        if p.requires_grad
    }
