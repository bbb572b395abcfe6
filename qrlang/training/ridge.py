"""Ridge regression: the head of a reservoir in one go.

The program without its last linear layer gives the features; all the rest stays as it was drawn.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch

from qrlang.backends.torch.load import make
from qrlang.errors import TrainingError
from qrlang.ir.program import Linear, Loop, Op, Output, Program
from qrlang.ir.types import seq
from qrlang.passes import PASSES, run_passes
from qrlang.training.feed import Batch
from qrlang.training.loop import Trainer
from qrlang.training.objective import Objective


def solve(trainer: Trainer) -> None:
    """Sets the head's weights, and writes what a trained run has."""
    if trainer.progress.finished:
        return
    trainer.begin()
    program, model = trainer.objective.program, trainer.objective.model
    head, features = headless(program)
    alpha, washout = float(trainer.settings.optimizer[1]["alpha"]), trainer.settings.washout
    body = make(features, road=trainer.settings.road or None, dtype=torch.float64,
                device=trainer.objective.device)  # fmt: skip
    body.load_state_dict(model.state_dict(), strict=False)
    body.shots, body.processor = model.shots, getattr(model, "processor", None)
    objective = Objective(body, features, trainer.settings.loss, trainer.world)
    found = _least(_triangle(trainer, objective, head.gain, washout), alpha, head)
    state = model.state_dict()
    weights = found if head.bias is None else found[:-1]
    with torch.no_grad():
        state[head.weight].copy_(weights.T.reshape(state[head.weight].shape))
        if head.bias is not None:
            state[head.bias].copy_(found[-1].reshape(state[head.bias].shape))
    trainer.solved()


def headless(program: Program) -> tuple[Linear, Program]:
    """The linear layer that makes the output, and the program whose output is its input."""
    value = program.outputs[0].value
    body = list(program.body)
    for k, op in enumerate(body):
        if isinstance(op, Linear) and op.out == value:
            return op, _with(program, body, Output("", op.x))
        if isinstance(op, Loop):
            for j, emit in enumerate(op.emits):
                head = _maker(op.body, emit.value.id)
                if emit.out == value and head is not None:
                    out = replace(emit.out, type=seq(head.x.type))
                    emits = list(op.emits)
                    emits[j] = replace(emit, value=head.x, out=out)
                    body[k] = replace(op, emits=tuple(emits))
                    return head, _with(program, body, Output("", out))
    raise TrainingError(
        f"`ridge` trains the last linear layer, and the output of {program.name} comes from none",
        "end the model with `linear(…)`, or take another optimiser",
    )


def _maker(ops: tuple[Op, ...], number: int) -> Linear | None:
    return next((o for o in ops if isinstance(o, Linear) and o.out.id == number), None)


def _with(program: Program, body: list[Op], output: Output) -> Program:
    return run_passes(replace(program, body=tuple(body), outputs=(output,)), (PASSES["prune"],))


def _triangle(trainer: Trainer, objective: Objective, gain: float, washout: int) -> Any:
    """R of the QR decomposition of all training data, [X 1 Y], a batch after the other.

    Sums of X'X would be as short, but readouts of a reservoir are often nearly dependent, and
    the squares lose half of the digits that tell them apart.
    """
    seen: Any = None
    batches = trainer.feed.batches("train", trainer.settings.batch, seed=0, epoch=0, shuffle=False)
    with torch.no_grad():
        for whole in batches:
            part = whole.part(trainer.world.rank, trainer.world.size)
            if part.size:
                rows = torch.cat(_rows(objective, part, gain, washout), 1)
                seen = _folded([rows] if seen is None else [seen, rows])
    found = [r.cpu() for r in trainer.world.gather(seen) if r is not None]
    if not sum(map(len, found)):
        raise TrainingError(
            f"`washout: {washout}` leaves no moment of the training sequences",
            "they are shorter than that: give less",
        )
    return _folded(found)


def _folded(parts: list[Any]) -> Any:
    return torch.linalg.qr(torch.cat(parts), mode="r").R


def _least(triangle: Any, alpha: float, head: Linear) -> Any:
    """The weights, a row for each feature, with the least sum of squared errors plus `alpha`
    times their own squares, that of the bias left out."""
    width = head.x.type.count + 1
    x, y = triangle[:, :width], triangle[:, width:]
    if head.bias is None:
        x = x[:, :-1]
    penalty = math.sqrt(alpha) * torch.eye(width - 1, x.shape[1], dtype=x.dtype)
    x, y = torch.cat([x, penalty]), torch.cat([y, y.new_zeros(width - 1, y.shape[1])])
    return torch.linalg.lstsq(x, y, driver="gelsd").solution


def _rows(objective: Objective, batch: Batch, gain: float, washout: int) -> tuple[Any, Any]:
    features, target, inside = objective.forward(batch)
    kind = objective.kind
    lead = 2 if kind.seq else 1
    x = gain * features.double().reshape(*features.shape[:lead], -1)
    if objective.loss[0] == "bce":  # a score above 0 says yes
        y = 2 * target.double().reshape(*target.shape[:lead], -1) - 1
    elif kind.kind in ("class", "token"):
        y = torch.nn.functional.one_hot(target.long(), kind.size).double()
    else:
        y = target.double().reshape(*target.shape[:lead], -1)
    x = torch.cat([x, x.new_ones(*x.shape[:-1], 1)], -1)
    if not kind.seq:
        return x, y
    keep = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device) if inside is None else inside
    if batch.counted is not None:
        keep = keep & torch.as_tensor(batch.counted).to(keep)
    keep = keep & (torch.arange(x.shape[1], device=x.device) >= washout)
    return x[keep], y[keep]
