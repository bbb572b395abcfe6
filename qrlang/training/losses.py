"""Losses by the types of output and target. Each gives a sum and a count for every sequence, so
that means over ragged batches, shares of a batch and confidence intervals are all the same sums."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn import functional

from qrlang.errors import TrainingError
from qrlang.ir.types import Type
from qrlang.training.feed import Feed

Tensor = Any
Loss = tuple[str, dict[str, Any]]  # as it is set; `weights` of classes, where they are `balanced`


def per_sequence(
    output: Tensor, target: Tensor, kind: Type, inside: Tensor | None, loss: Loss
) -> tuple[Tensor, Tensor]:
    """The loss summed over each sequence, and over how many terms: two tensors [batch]. Where
    classes have weights, a term counts as much as its class.

    inside: [batch, time], which moments count; None: all.
    """
    terms = _terms(output, target, kind, loss)
    weights = loss[1].get("weights")
    if weights is not None:
        shares = weights.to(terms)[target.long()].reshape(terms.shape)
        if loss[0] != "cross_entropy":  # which has taken them in, with its smoothing
            terms = terms * shares
        if inside is not None:
            shares = torch.where(inside, shares, torch.zeros_like(shares))
            terms = torch.where(inside, terms, torch.zeros_like(terms))
        return _flat(terms).sum(1), _flat(shares).sum(1)
    axes = tuple(range(1, terms.dim()))
    if inside is None:
        counts = terms.new_full((terms.shape[0],), float(terms[0].numel()))
        return (terms.sum(axes) if axes else terms), counts
    mask = inside.reshape(*inside.shape, *(1,) * (terms.dim() - inside.dim()))
    each = terms[0, 0].numel()
    return torch.where(mask, terms, torch.zeros_like(terms)).sum(axes), inside.sum(1) * float(each)


def _flat(terms: Tensor) -> Tensor:
    return terms.reshape(terms.shape[0], -1)


def measured(loss: Loss) -> Loss:
    """As it is when nothing is trained: smoothing and weights are no part of what a model is
    worth."""
    name, options = loss
    return name, {k: v for k, v in options.items() if k not in ("smoothing", "weights")}


def balanced(loss: Loss, feed: Feed, target: str, classes: int, like: Tensor) -> Loss:
    """With weights for the classes of the training split, so that each counts as much as the
    others however often it comes."""
    name, options = loss
    if not options.get("balanced"):
        return loss
    counts = np.zeros(classes)
    for batch in feed.batches("train", 1024, seed=0, epoch=0, shuffle=False):
        labels = torch.as_tensor(batch.values[target]).cpu().numpy().astype(int)
        inside = np.ones(labels.shape, bool)
        if target in batch.lengths:
            inside &= np.arange(labels.shape[1]) < np.asarray(batch.lengths[target])[:, None]
        if labels.ndim > 1 and batch.counted is not None:
            inside &= np.asarray(batch.counted, bool)
        counts += np.bincount(labels[inside], minlength=classes)
    there = counts > 0
    if there.sum() < 2:
        raise TrainingError(f"`{name}(balanced: true)`: the training data has one class only",
                            "leave `balanced` out, or give more data")  # fmt: skip
    weights = np.where(there, counts.sum() / (there.sum() * np.maximum(counts, 1)), 0.0)
    return name, {**options, "weights": like.new_tensor(weights)}


def _terms(output: Tensor, target: Tensor, kind: Type, loss: Loss) -> Tensor:
    """[batch, (time), …]: not yet summed."""
    name, options = loss
    match name:
        case "cross_entropy":
            lead = output.shape[:-1]
            weights = options.get("weights")
            terms = functional.cross_entropy(
                output.reshape(-1, output.shape[-1]),
                target.reshape(-1).long(),
                weight=None if weights is None else weights.to(output),
                reduction="none",
                label_smoothing=float(options.get("smoothing", 0.0)),
            )
            return terms.reshape(lead)
        case "nll":
            chosen = output.gather(-1, target.long()[..., None])[..., 0]
            return -chosen.clamp_min(1e-12).log()
        case "fidelity":
            return 1 - output
        case "bce":
            goal = _like(target, output)
            return functional.binary_cross_entropy_with_logits(output, goal, reduction="none")
    goal = _like(target, output)
    match name:
        case "mse":
            return (output - goal) ** 2
        case "mae":
            return (output - goal).abs()
        case "huber":
            return functional.huber_loss(
                output, goal, reduction="none", delta=float(options.get("delta", 1.0))
            )
    raise AssertionError(name)


def _like(target: Tensor, output: Tensor) -> Tensor:
    """The same numbers in the output's shape: `real` goes with `real[1]`."""
    return target.to(output.dtype).reshape(output.shape)


def scores(output: Tensor, kind: Type) -> Tensor:
    """Of classes and tokens, one for each. Of two, a single number may have said it: by how much
    the second is ahead."""
    axes = 1 + int(kind.seq)
    if kind.size != 2 or output.shape[axes:].numel() != 1:
        return output
    ahead = output.reshape(output.shape[:axes])
    return torch.stack([torch.zeros_like(ahead), ahead], -1)


def lead(output: Tensor, kind: Type) -> Tensor:
    """By how much the second of two classes is ahead of the first."""
    each = scores(output, kind)
    return each[..., 1] - each[..., 0]


def choices(output: Tensor, kind: Type) -> Tensor:
    """What the model says, where something is chosen: class numbers, tokens, bits."""
    return (output > 0).long() if kind.kind == "bit" else scores(output, kind).argmax(-1)
