"""Losses by the types of output and target. Each gives a sum and a count for every sequence, so
that means over ragged batches, shares of a batch and confidence intervals are all the same sums."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional

from qrlang.ir.types import Type
from qrlang.training.settings import Choice

Tensor = Any


def per_sequence(
    output: Tensor, target: Tensor, kind: Type, inside: Tensor | None, loss: Choice
) -> tuple[Tensor, Tensor]:
    """The loss summed over each sequence, and over how many terms: two tensors [batch].

    inside: [batch, time], which moments count; None: all.
    """
    terms = _terms(output, target, kind, loss)
    axes = tuple(range(1, terms.dim()))
    if inside is None:
        counts = terms.new_full((terms.shape[0],), float(terms[0].numel()))
        return (terms.sum(axes) if axes else terms), counts
    mask = inside.reshape(*inside.shape, *(1,) * (terms.dim() - inside.dim()))
    each = terms[0, 0].numel()
    return torch.where(mask, terms, torch.zeros_like(terms)).sum(axes), inside.sum(1) * float(each)


def measured(loss: Choice) -> Choice:
    """As it is when nothing is trained: smoothing is no part of what a model is worth."""
    name, options = loss
    return name, {k: v for k, v in options.items() if k != "smoothing"}


def _terms(output: Tensor, target: Tensor, kind: Type, loss: Choice) -> Tensor:
    """[batch, (time), …]: not yet summed."""
    name, options = loss
    match name:
        case "cross_entropy":
            lead = output.shape[:-1]
            terms = functional.cross_entropy(
                output.reshape(-1, output.shape[-1]),
                target.reshape(-1).long(),
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


def choices(output: Tensor, kind: Type) -> Tensor:
    """What the model says, where something is chosen: class numbers, tokens, bits."""
    if kind.kind == "bit" or (kind.size == 2 and output.shape[-1:] != (2,)):
        bits = (output > 0).long()
        return bits[..., 0] if kind.kind != "bit" and bits.shape[-1:] == (1,) else bits
    return output.argmax(-1)
