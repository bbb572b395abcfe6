"""A circuit as a move, and its way back, block by block."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from qrlang.backends.torch.circuits import sweep
from qrlang.backends.torch.circuits.circuit import Circuit
from qrlang.backends.torch.circuits.fuse import (
    ControlledBlock,
    DiagonalBlock,
    MatrixBlock,
    PermutationBlock,
)
from qrlang.backends.torch.reversible.segment import native
from qrlang.backends.torch.reversible.shared import Move


class Gates(Move):
    """A circuit, block by block."""

    def __init__(self, circuit: Circuit, angles: Tensor) -> None:
        self.circuit = circuit
        self.angles = angles

    def do(self, psi: Tensor, spare: Tensor | None) -> Tensor:
        made = native(self.circuit, psi)
        self.normalised = made is not None
        if made is not None:
            return made.do(psi, self.angles, spare)
        return sweep.run(psi, self.circuit, self.angles)

    def undo(self, psi: Tensor, g: Tensor | None) -> tuple[Tensor, Tensor | None, Any]:
        made = native(self.circuit, psi) if g is not None else None
        self.normalised = made is not None
        if made is not None and g is not None:
            before, back, gradient = made.undo(psi, g, self.angles)
            return before, back, [gradient]
        way = _Back(self.circuit, self.angles, psi, g)
        for place in reversed(range(len(self.circuit.blocks))):
            way.block(place)
        state = way.state
        return state[0], None if g is None else state[1], way.gradients()


class _Back:
    """A circuit undone on ψ and g together ([1 or 2, batch, 2^n]), with the gradient of its angles.

    For a product of one-qubit gates the gradient needs no matrix of the block: with
    `M = g ψ†` after the block, traced over all other qubits, the cotangent of U on a qubit is M U.
    """

    def __init__(self, circuit: Circuit, angles: Tensor, psi: Tensor, g: Tensor | None) -> None:
        self.circuit = circuit
        self.wanted = g is not None and circuit.count > 0
        self.state = psi[None] if g is None else torch.stack([psi, g])
        with torch.set_grad_enabled(self.wanted):
            self.angles = angles.detach().requires_grad_(self.wanted)
            self.singles = circuit.singles(self.angles)
        self.adjoint = self.singles.detach().mH.resolve_conj()
        self.products = circuit.products(self.adjoint)
        self.traced: dict[int, Tensor] = {}  # by run: M
        self.ends: list[Tensor] = []
        self.cotangents: list[Tensor] = []

    def block(self, place: int) -> None:
        block = self.circuit.blocks[place]
        match block:
            case MatrixBlock():
                self._matrix(place, block)
            case DiagonalBlock():
                with torch.set_grad_enabled(self.wanted):
                    phase = self.circuit.phase(block, self.angles)
                if self.wanted:
                    self._found(phase, (self.state[1] * self.state[0].conj()).imag)
                turned = phase.detach()
                self.state = self.state * torch.complex(torch.cos(turned), -torch.sin(turned))
            case PermutationBlock():
                source = self.circuit.source(block, self.angles, inverse=True)
                self.state = self.state.index_select(-1, source)
            case ControlledBlock(gate=gate):
                with torch.set_grad_enabled(self.wanted):
                    u = self.circuit.gate_matrix(gate, self.angles)
                rows = self.circuit.rows(block, self.angles)
                after = self.state
                self.state = sweep.on_rows(after, u.detach().mH, rows)
                if self.wanted:
                    self._found(u, after[1][..., rows] @ self.state[0][..., rows].mH)

    def _matrix(self, place: int, block: MatrixBlock) -> None:
        n, qubits = self.circuit.n, block.qubits
        runs = self.circuit.runs_of(block)
        if runs is not None:
            if self.wanted:
                whole = _outer(self.state[1], self.state[0], n, qubits)
                traces = whole.flatten(-2) @ self.circuit.traces(len(qubits), whole)
                parts = traces.unflatten(-1, (len(qubits), 2, 2)).unbind(-3)
                for q, m in zip(qubits, parts, strict=True):
                    if q in runs:
                        self.traced[runs[q]] = m
            self.state = sweep.matrix(self.state, self.products[place], n, qubits)
            return
        with torch.set_grad_enabled(self.wanted):
            u = self.circuit.matrix(block, self.angles, self.singles)
        after = self.state
        self.state = sweep.matrix(after, u.detach().mH, n, qubits)
        if self.wanted:
            self._found(u, _outer(after[1], self.state[0], n, qubits))

    def _found(self, end: Tensor, cotangent: Tensor) -> None:
        if end.requires_grad:
            self.ends.append(end)
            self.cotangents.append(cotangent.sum_to_size(end.shape))

    def gradients(self) -> list[Tensor] | None:
        if self.traced and self.singles.requires_grad:
            zero = torch.zeros_like(next(iter(self.traced.values())))
            m = torch.stack([self.traced.get(r, zero) for r in range(self.singles.shape[-3])], -3)
            self._found(self.singles, m @ self.singles.detach())
        if not self.ends:
            return None
        return list(torch.autograd.grad(self.ends, self.angles, self.cotangents))


def _outer(g: Tensor, psi: Tensor, n: int, qubits: tuple[int, ...]) -> Tensor:
    """The cotangent of a matrix on these qubits: Σ over the rest of g ψ†, [batch, d, d]."""
    first, k = qubits[0], len(qubits)
    if qubits == tuple(range(first, first + k)) and first == 0:
        shape = (2**k, -1)
        return g.unflatten(-1, shape) @ psi.unflatten(-1, shape).mH
    if qubits == tuple(range(first, first + k)) and first + k == n:
        shape = (-1, 2**k)
        return g.unflatten(-1, shape).mT @ psi.unflatten(-1, shape).conj()
    return sweep.to_front(g, n, qubits) @ sweep.to_front(psi, n, qubits).mH
