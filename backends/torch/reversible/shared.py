"""The state that all nodes share, and the moves by which it goes forward and back."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class GradientError(RuntimeError):
    """A gradient that one shared state can't give."""


class Move:
    """Something that was done to the state."""

    mask: Tensor | None = None
    normalised = False  # did the last `do` or `undo` see to the norm itself

    def do(self, psi: Tensor, spare: Tensor | None) -> Tensor:
        """The state after. `spare`: memory of another state that may be written to."""
        raise NotImplementedError

    def undo(self, psi: Tensor, g: Tensor | None) -> tuple[Tensor, Tensor | None, Any]:
        """The state and its cotangent before, and the gradients of the move's own numbers."""
        raise NotImplementedError


class Shared:
    """The state that all nodes of a run share, and the way back."""

    def __init__(self, psi: Tensor) -> None:
        self.psi: Tensor | None = psi
        self.g: Tensor | None = None
        self.spare: Tensor | None = None
        self.moves: list[Move] = []
        self.at = 0  # how many moves the state has behind it
        self.walking = False
        self.task = -1  # the backward pass that is walking

    def do(self, move: Move) -> None:
        if self.walking:
            raise GradientError("the qubits were used again after a backward pass through them")
        self._do(move)

    def _do(self, move: Move) -> None:
        assert self.psi is not None
        new = move.do(self.psi, self.spare)
        if not move.normalised:
            new = renormalised(new)
        if move.mask is not None:
            new = torch.where(move.mask[..., None], new, self.psi)
        # The next move writes where this one read: fresh memory for each step, with the small
        # records in between, would leave a hole as large as a state for each.
        self.spare, self.psi = self.psi, new

    def begin_walk(self, at: int) -> None:
        """Back to where the state had `at` moves behind it; what lies after it had no gradient."""
        self.walking = True
        task = torch._C._current_graph_task_id()
        if task != self.task:
            self.task, self.g = task, None  # a new backward pass, perhaps over a kept graph
        if self.psi is None:
            self.psi, last, self.at = self.start(), self.at, 0
            self._forward(last)
        self._forward(at)
        while self.at > at:
            self.undo_last()

    def undo_last(self) -> Any:
        move = self.moves[self.at - 1]
        assert self.psi is not None
        mask = move.mask
        g = self.g if mask is None or self.g is None else self.g * mask[..., None]
        psi, back, gradients = move.undo(self.psi, g)
        if not move.normalised:
            psi = renormalised(psi)
        if mask is not None:
            psi = torch.where(mask[..., None], psi, self.psi)
            if back is not None and self.g is not None:
                back = torch.where(mask[..., None], back, self.g)
        self.psi, self.g = psi, back
        self.at -= 1
        if self.at == 0:
            self.g = None  # nothing before it needs a gradient
        return gradients

    def add(self, g: Tensor) -> None:
        self.g = g if self.g is None else self.g + g

    def forget(self) -> None:
        """The qubits' life has ended: from |0…0⟩ and its moves the state can be had again."""
        self.psi = self.spare = None

    def _forward(self, at: int) -> None:
        """Moves that were undone before, or forgotten with the state, once more."""
        for move in self.moves[self.at : at]:
            self._do(move)
            self.at += 1

    def start(self) -> Tensor:
        raise AssertionError  # set by the qubits


def renormalised(psi: Tensor) -> Tensor:
    """Rounding makes the norm drift; once a step brings it back."""
    parts = torch.view_as_real(psi).flatten(-2)  # the norm of complex numbers is far slower
    return psi / torch.linalg.vector_norm(parts, dim=-1, keepdim=True)
