"""Sequences that one recurrence runs over together end together."""

from __future__ import annotations

import torch
from torch import Tensor

from qrlang.backends.torch.ops import may_look
from qrlang.engine.bodies import Together
from qrlang.engine.nodes import Plan


def same_ends(who: str, ends: list[tuple[Tensor | None, int]]) -> None:
    """Refuses others. Of each: its lengths (None: all full), and the time axis."""
    (first, time), *others = ends
    for other, own in others:
        if other is first:
            continue
        a = torch.full_like(other, time) if first is None else first
        b = torch.full_like(a, own) if other is None else other
        if may_look(a) and bool((a != b).any()):
            at = int((a != b).nonzero()[0])
            raise ValueError(
                f"{who} go in step, and have {int(a[at])} and {int(b[at])} moments in sequence "
                f"{at} of the batch: their `lengths` have to be the same"
            )


def check_ends(
    plan: Plan, loops: list[Together], inputs: list[Tensor], own: list[Tensor | None]
) -> None:
    for loop in loops:
        names = [f"`{plan.inputs[i].name}`" for i, _ in loop]
        ends = [
            (None if (e := own[i]) is None else e + more if more else e, inputs[i].shape[1] + more)
            for i, more in loop
        ]
        same_ends(" and ".join(names), ends)
