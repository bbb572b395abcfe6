"""Of a batch of states: entanglement, and what its amplitudes look like. On torch tensors."""

from __future__ import annotations

from typing import Any

import torch

Tensor = Any
BINS = 8  # qubits whose basis states are told apart in `folded`


def plain(state: Any, batch: int) -> Tensor:
    """[batch, 2^n], or [batch, 2^n, 2^n] where it is mixed: the average over all shots."""
    psi = state.psi if hasattr(state, "psi") else state.tensor
    psi = psi.detach()
    rank = 2 if state.density else 1
    if psi.dim() == rank + 1:
        return psi.expand(batch, *psi.shape[1:])
    rho = psi if state.density else psi[..., :, None] * psi[..., None, :].conj()
    weight = state.run.weight
    weight = weight.expand(*weight.shape[:-1], batch)
    lanes = weight.dim()
    rho = rho.reshape(*(1,) * (lanes + 2 - rho.dim()), *rho.shape)
    front = tuple(range(lanes - 1))
    total = weight.sum(front)
    found = (weight[..., None, None] * rho).sum(front)
    return found / torch.where(total > 0, total, torch.ones_like(total))[..., None, None]


def qubits(state: Tensor, n: int) -> Tensor:
    """The entropy of each qubit by itself, in bits: [batch, n]."""
    return torch.stack([_binary(_reduced(state, n, q)) for q in range(n)], -1)


def cut(state: Tensor, n: int, k: int) -> Tensor:
    """Between the first k qubits and the rest, in bits: half the mutual information, which for a
    pure state is the entropy of either side. [batch]"""
    batch, left, right = len(state), 1 << k, 1 << (n - k)
    if state.dim() == 2:
        parts = state.reshape(batch, left, right)
        gram = parts @ parts.mH if left <= right else parts.mH @ parts
        return _entropy(gram)
    blocks = state.reshape(batch, left, right, left, right)
    first = torch.einsum("zaibi->zab", blocks)
    rest = torch.einsum("zaiaj->zij", blocks)
    half = (_entropy(first) + _entropy(rest) - _entropy(state)) / 2
    return half.clamp_min(0)


def folded(state: Tensor, n: int) -> Tensor:
    """Amplitudes up to a global phase, [batch, 2^min(n, BINS)]: the square of each is the
    probability of a bit string of the first qubits, its phase that of the likeliest basis state
    that begins with it (of a mixed state: relative to the likeliest of all, in its density
    matrix)."""
    batch = len(state)
    if state.dim() == 3:
        p = state.diagonal(dim1=-2, dim2=-1).real.clamp_min(0)
        column = state.gather(-1, p.argmax(-1)[:, None, None].expand(-1, state.shape[1], 1))[..., 0]
        state = torch.polar(p.sqrt(), torch.angle(column))
    parts = state.reshape(batch, 1 << min(n, BINS), -1)
    p = parts.real**2 + parts.imag**2
    likeliest = parts.gather(-1, p.argmax(-1, keepdim=True))[..., 0]
    return torch.polar(p.sum(-1).sqrt(), torch.angle(likeliest))


def _reduced(state: Tensor, n: int, q: int) -> Tensor:
    """The density matrix of one qubit, [batch, 2, 2]."""
    batch, left, right = len(state), 1 << q, 1 << (n - q - 1)
    if state.dim() == 2:
        parts = state.reshape(batch, left, 2, right).transpose(1, 2).reshape(batch, 2, -1)
        return parts @ parts.mH
    blocks = state.reshape(batch, left, 2, right, left, 2, right)
    return torch.einsum("zlarlbr->zab", blocks)


def _binary(rho: Tensor) -> Tensor:
    """Entropy of 2 × 2 matrices: from the length of their Bloch vectors."""
    x, y = 2 * rho[:, 0, 1].real, 2 * rho[:, 0, 1].imag
    z = (rho[:, 0, 0] - rho[:, 1, 1]).real
    length = torch.sqrt(x * x + y * y + z * z).double().clamp(0, 1)
    p = torch.stack([(1 + length) / 2, (1 - length) / 2], -1)
    return -torch.xlogy(p, p).sum(-1) / 0.6931471805599453


def _entropy(rho: Tensor) -> Tensor:
    p = torch.linalg.eigvalsh(rho).double().clamp_min(0)
    p = p / p.sum(-1, keepdim=True)
    return -torch.xlogy(p, p).sum(-1) / 0.6931471805599453
