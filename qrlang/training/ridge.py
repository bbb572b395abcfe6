"""Ridge regression: the head of a reservoir in one go.

The program without its last linear layer gives the features; all the rest stays as it was drawn.
"""

from __future__ import annotations

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
    options = trainer.settings.optimizer[1]
    alpha, washout = float(options["alpha"]), int(options["washout"])
    body = make(features, road=trainer.settings.road or None, dtype=torch.float64,
                device=trainer.objective.device)  # fmt: skip
    body.load_state_dict(model.state_dict(), strict=False)
    body.shots, body.processor = model.shots, getattr(model, "processor", None)
    objective = Objective(body, features, trainer.settings.loss, trainer.world)
    gram, moment = _sums(trainer, objective, head.gain, washout)
    if head.bias is None:
        gram, moment = gram[:-1, :-1], moment[:-1]
    penalty = torch.full((len(gram),), alpha, dtype=torch.float64)
    if head.bias is not None:
        penalty[-1] = 0.0
    found = torch.linalg.lstsq(gram + torch.diag(penalty), moment, driver="gelsd").solution
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


def _sums(trainer: Trainer, objective: Objective, gain: float, washout: int) -> tuple[Any, Any]:
    """X'X and X'Y over the training data, X with a column of ones."""
    gram: Any = 0.0
    moment: Any = 0.0
    batches = trainer.feed.batches("train", trainer.settings.batch, seed=0, epoch=0, shuffle=False)
    with torch.no_grad():
        for whole in batches:
            part = whole.part(trainer.world.rank, trainer.world.size)
            if not part.size:
                continue
            x, y = _rows(objective, part, gain, washout)
            gram = gram + x.T @ x
            moment = moment + x.T @ y
    return trainer.world.sum(gram).cpu(), trainer.world.sum(moment).cpu()


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
