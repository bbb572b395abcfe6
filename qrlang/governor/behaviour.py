"""What a model does, in bits: its outputs on some sequences, each as a probability distribution.

Classes, tokens and bits have one already. A number is a normal distribution around what the model
says, as wide as its error on the same sequences, and known to 1 % of the spread of its targets:
finer differences than that are none.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import logsigmoid

from qrlang.ir.types import Type
from qrlang.training import losses
from qrlang.training.feed import Batch
from qrlang.training.objective import Objective

Tensor = Any
RESOLUTION = 0.01  # of a number, in standard deviations of its targets


@dataclass(frozen=True)
class Behaviour:
    """The distributions of all outputs, as logarithms of probabilities or as mean and variance."""

    logs: Tensor | None  # [outputs, outcomes], natural logarithms
    mean: Tensor | None  # [outputs]
    variance: float  # of the numbers
    floor: float  # the square of their resolution
    each: Tensor  # [sequences]: the loss of each

    def entropy(self) -> float:
        """Bits a model is unsure of its own outputs: the mean over outputs of -Σ p log₂ p; of a
        number, the bits that its width has over its resolution, ½ log₂(1 + σ²/r²)."""
        if self.logs is None:
            return 0.5 * math.log2(1 + self.variance / self.floor)
        return float(-(self.logs.exp() * _finite(self.logs)).sum(-1).mean()) / math.log(2)

    def most(self) -> float:
        """The entropy of a model that knows nothing: every outcome as likely as any other; of a
        number, as wide as its targets."""
        if self.logs is None:
            return 0.5 * math.log2(1 + 1 / RESOLUTION**2)
        return math.log2(self.logs.shape[-1])

    def way(self) -> float:
        """Bits by which its entropy could move at most: to nothing, or to the most there is."""
        here = self.entropy()
        return max(here, self.most() - here)

    def hesitation(self) -> float:
        """Entropy as a share of the most there could be; of a number, the variance not explained,
        of that of the targets."""
        if self.logs is None:
            return min(1.0, self.variance / (self.floor / RESOLUTION**2))
        return self.entropy() / self.most()

    def served(self, before: Behaviour) -> float:
        """The share of sequences whose loss is lower than it was."""
        return float((self.each < before.each).double().mean())


def reach(after: Behaviour, before: Behaviour) -> float:
    """Bits of new behaviour: the mean over outputs of KL(after ‖ before), how surprised the model
    as it was would be by the model as it would be."""
    if after.logs is not None and before.logs is not None:
        # What underflows in `before` is as unlikely as a double can say.
        other = before.logs.clamp_min(-700.0)
        nats = (after.logs.exp() * (_finite(after.logs) - other)).sum(-1).mean()
        return max(0.0, float(nats) / math.log(2))
    assert after.mean is not None and before.mean is not None
    new, old = after.variance + before.floor, before.variance + before.floor
    moved = float(((after.mean - before.mean) ** 2).mean())
    return max(0.0, 0.5 * (math.log(old / new) + (new + moved) / old - 1) / math.log(2))


def look(objective: Objective, batch: Batch) -> Behaviour:
    """What a model does on these sequences. On the simulator, also where it is trained on a
    device: no errors, and no cost."""
    model = objective.model
    was, processor = model.training, getattr(model, "processor", None)
    if processor is not None:
        model.processor = None
    model.eval()
    try:
        with torch.no_grad():
            output, target, inside = objective.forward(batch)
            each, _ = losses.per_sequence(output, target, objective.kind, inside, objective.loss)
            return observe(output, target, objective.kind, objective.loss[0], inside, each)
    finally:
        model.train(was)
        if processor is not None:
            model.processor = processor


def observe(
    output: Tensor, target: Tensor, kind: Type, loss: str, inside: Tensor | None, each: Tensor
) -> Behaviour:
    """The outputs of one batch. `inside` [batch, time]: the moments that count."""
    output, target = output.detach().double(), target.detach()
    match loss:
        case "cross_entropy":
            return Behaviour(_kept(output.log_softmax(-1), inside), None, 0.0, 1.0, each)
        case "nll":
            return Behaviour(_kept(output.clamp_min(0.0).log(), inside), None, 0.0, 1.0, each)
        case "bce" | "fidelity":
            yes = output if loss == "bce" else output.clamp(0, 1).logit()
            logs = torch.stack([logsigmoid(-yes), logsigmoid(yes)], -1)
            return Behaviour(_kept(logs, inside), None, 0.0, 1.0, each)
    mean = _values(output, inside)
    goal = _values(target.double().reshape(output.shape), inside)
    spread = float(goal.var(unbiased=False)) or float((goal**2).mean()) or 1.0
    variance = float(((mean - goal) ** 2).mean())
    return Behaviour(None, mean, variance, RESOLUTION**2 * spread, each)


def _kept(logs: Tensor, inside: Tensor | None) -> Tensor:
    """[outputs, outcomes] of the moments that count."""
    if inside is not None:
        logs = logs[inside]
    return logs.reshape(-1, logs.shape[-1])


def _values(x: Tensor, inside: Tensor | None) -> Tensor:
    return (x if inside is None else x[inside]).reshape(-1)


def _finite(logs: Tensor) -> Tensor:
    """0 log 0 is 0."""
    return logs.clamp_min(-1e4)
