"""Moves and readouts as autograd nodes, tied by a token."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from qrlang.backends.torch.ops import first_order
from qrlang.backends.torch.reversible.readings import Reading
from qrlang.backends.torch.reversible.shared import Move, Shared


class Node(torch.autograd.Function):
    """A move: (token, its numbers) -> token."""

    @staticmethod
    def forward(ctx: Any, shared: Shared, move: Move, token: Tensor, *numbers: Tensor) -> Tensor:
        shared.do(move)
        ctx.shared, ctx.place = shared, shared.at
        ctx.save_for_backward(*numbers)
        return token.clone()

    @staticmethod
    @first_order
    def backward(ctx: Any, token: Tensor) -> tuple[Tensor | None, ...]:
        numbers = ctx.saved_tensors  # raises if they were changed in place
        shared: Shared = ctx.shared
        shared.begin_walk(ctx.place)
        gradients = shared.undo_last()
        if gradients is None:
            gradients = [torch.zeros_like(x) for x in numbers]
        return (None, None, torch.zeros_like(token), *gradients)


class Readout(torch.autograd.Function):
    """A readout: token -> (values, token)."""

    @staticmethod
    def forward(ctx: Any, shared: Shared, reading: Reading, token: Tensor) -> tuple[Tensor, Tensor]:
        ctx.shared, ctx.reading, ctx.place = shared, reading, shared.at
        assert shared.psi is not None
        return reading.of(shared.psi), token.clone()

    @staticmethod
    @first_order
    def backward(ctx: Any, values: Tensor, token: Tensor) -> tuple[None, None, Tensor]:
        shared: Shared = ctx.shared
        shared.begin_walk(ctx.place)
        assert shared.psi is not None
        shared.add(ctx.reading.cotangent(shared.psi, values))
        return None, None, torch.zeros_like(token)


# --- readings -------------------------------------------------------------------------------------
