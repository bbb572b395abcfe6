"""Moves that are no circuit: a matrix, a preparation, a post-selection."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from qrlang.backends.torch.circuits import sweep
from qrlang.backends.torch.reversible.shared import Move


class Matrix(Move):
    """A unitary that is a value."""

    def __init__(self, n: int, u: Tensor, qubits: tuple[int, ...]) -> None:
        self.n = n
        self.u = u
        self.qubits = qubits

    def do(self, psi: Tensor, spare: Tensor | None) -> Tensor:
        return sweep.matrix(psi, self.u, self.n, self.qubits)

    def undo(self, psi: Tensor, g: Tensor | None) -> tuple[Tensor, Tensor | None, Any]:
        before = sweep.matrix(psi, self.u.mH, self.n, self.qubits)
        if g is None:
            return before, None, None
        front = sweep.to_front(g, self.n, self.qubits)
        own = front @ sweep.to_front(before, self.n, self.qubits).mH
        back = sweep.matrix(g, self.u.mH, self.n, self.qubits)
        return before, back, [own.sum_to_size(self.u.shape)]


class Prepare(Move):
    """Amplitudes on qubits that were |0…0⟩."""

    def __init__(self, n: int, amplitudes: Tensor, qubits: tuple[int, ...]) -> None:
        self.n = n
        self.amplitudes = amplitudes
        self.qubits = qubits

    def do(self, psi: Tensor, spare: Tensor | None) -> Tensor:
        rest = sweep.to_front(psi, self.n, self.qubits)[..., :1, :]
        return sweep.from_front(self.amplitudes[..., None] * rest, self.n, self.qubits)

    def undo(self, psi: Tensor, g: Tensor | None) -> tuple[Tensor, Tensor | None, Any]:
        rest = self._without(psi)
        if g is None:
            return self._with_zero(rest), None, None
        front = sweep.to_front(g, self.n, self.qubits)
        own = (front @ rest.mH)[..., 0]
        return (
            self._with_zero(rest),
            self._with_zero(self._without(g)),
            [own.sum_to_size(self.amplitudes.shape)],
        )

    def _without(self, psi: Tensor) -> Tensor:
        return self.amplitudes.conj()[..., None, :] @ sweep.to_front(psi, self.n, self.qubits)

    def _with_zero(self, rest: Tensor) -> Tensor:
        rows = torch.nn.functional.pad(rest, (0, 0, 0, 2 ** len(self.qubits) - 1))
        return sweep.from_front(rows, self.n, self.qubits)


class Select(Move):
    """Only the amplitudes where the qubits have one outcome. The others can't be had back, so they
    are kept."""

    def __init__(self, n: int, qubits: tuple[int, ...], outcome: int) -> None:
        self.n = n
        self.qubits = qubits
        self.outcome = outcome

    def do(self, psi: Tensor, spare: Tensor | None) -> Tensor:
        front = sweep.to_front(psi, self.n, self.qubits)
        kept = front[..., self.outcome, :]
        size = torch.linalg.vector_norm(kept, dim=-1, keepdim=True)
        self.size = torch.where(size > 0, size, torch.ones_like(size))
        self.lost = front.clone()
        self.lost[..., self.outcome, :] = 0
        return self._alone(kept / self.size)

    def undo(self, psi: Tensor, g: Tensor | None) -> tuple[Tensor, Tensor | None, Any]:
        kept = sweep.to_front(psi, self.n, self.qubits)[..., self.outcome, :]
        whole = self.lost.clone()
        whole[..., self.outcome, :] = kept * self.size
        before = sweep.from_front(whole, self.n, self.qubits)
        if g is None:
            return before, None, None
        own = sweep.to_front(g, self.n, self.qubits)[..., self.outcome, :]
        along = (kept.conj() * own).real.sum(-1, keepdim=True)
        return before, self._alone((own - along * kept) / self.size), None

    def _alone(self, kept: Tensor) -> Tensor:
        rows = kept.new_zeros(*kept.shape[:-1], 2 ** len(self.qubits), kept.shape[-1])
        rows[..., self.outcome, :] = kept
        return sweep.from_front(rows, self.n, self.qubits)
