"""The channels as tensors, differentiable in their probabilities.

State vectors take Kraus operators; density matrices what those make together, which has a slope
also where a probability is zero.
"""

from __future__ import annotations

import torch
from torch import Tensor

from qrlang.backends.torch.circuits.matrices import Constants, complex_of
from qrlang.gates import pauli_matrix

_constants = Constants()
_DECAY = [[[1, 0], [0, 0]], [[0, 0], [0, 1]], [[0, 1], [0, 0]], [[0, 0], [0, 0]]]
# On row and column of one qubit: what stays, the coherences, what was |1⟩ and is, and is no longer.
_DAMPED = [
    [[1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]],
    [[0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]],
    [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]],
    [[0, 0, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]],
]


def kraus(name: str, args: Tensor) -> Tensor:
    """The operators of a channel of `qrlang.gates.CHANNELS`, [..., how many, d, d]."""
    if name in ("amplitude_damping", "phase_damping"):
        parts = _constants.get("decay", _DECAY, args, complex_of(args.dtype))
        g = args[..., 0, None, None]
        stay = parts[0] + _root(1 - g) * parts[1]
        jump = _root(g) * (parts[2] if name == "amplitude_damping" else parts[1])
        return torch.stack([stay, jump], -3)
    operators, p = paulis(name, args)
    return _root(p)[..., None, None] * operators


def on_density(name: str, args: Tensor) -> Tensor:
    """A channel of one qubit, on row and column of it: [..., 4, 4]."""
    if name in ("amplitude_damping", "phase_damping"):
        empty, crossed, full, fallen = _constants.get(
            "damped", _DAMPED, args, complex_of(args.dtype)
        )
        g = args[..., 0, None, None]
        falls = fallen - full if name == "amplitude_damping" else 0 * full
        return empty + full + _root(1 - g) * crossed + g * falls
    operators, p = paulis(name, args)
    both = operators[:, :, None, :, None] * operators.conj()[:, None, :, None, :]
    return (p[..., None, None] * both.reshape(-1, 4, 4)).sum(-3)


def paulis(name: str, args: Tensor) -> tuple[Tensor, Tensor]:
    """Products of Pauli matrices [how many, d, d], and how probable each is, [..., how many]."""
    words, p = _paulis(name, args)
    key, matrices = ("words", tuple(words)), [pauli_matrix(w) for w in words]
    return _constants.get(key, matrices, args, complex_of(args.dtype)), p


def _paulis(name: str, args: Tensor) -> tuple[list[str], Tensor]:
    p = args[..., 0]
    if name == "depolarizing2":
        words = [a + b for a in "IXYZ" for b in "IXYZ"]
        return words, torch.stack([1 - p, *[p / 15] * 15], -1)
    zero = torch.zeros_like(p)
    px, py, pz = {
        "depolarizing": (p / 3, p / 3, p / 3),
        "bit_flip": (p, zero, zero),
        "phase_flip": (zero, zero, p),
        "pauli_channel": args.unbind(-1),
    }[name]
    return list("IXYZ"), torch.stack([(1 - px - py - pz).clamp_min(0), px, py, pz], -1)


def _root(p: Tensor) -> Tensor:
    """The square root, with no infinite slope at 0 (where the operator is absent)."""
    return torch.where(p > 0, torch.sqrt(torch.where(p > 0, p, torch.ones_like(p))), p * 0)
