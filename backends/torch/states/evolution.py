"""exp(-i t H) of a sum of Pauli products, as a matrix."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from qrlang.backends.torch.circuits.matrices import complex_of
from qrlang.backends.torch.ops import may_look
from qrlang.backends.torch.states.observables import flips_and_phase
from qrlang.ir.program import PauliString


class Evolutions:
    """Those of one call. What is the same for every sequence and has no slope, as in a reservoir,
    is exponentiated once, however many steps take it."""

    def __init__(self) -> None:
        self._made: dict[Any, Tensor] = {}

    def of(self, n: int, strings: tuple[PauliString, ...], factors: Tensor) -> Tensor:
        """exp(-i Σ factor * string) on `n` qubits; `factors` [..., strings]."""
        fixed = factors.dim() == 1 and not factors.requires_grad and factors.device.type == "cpu"
        if not fixed or not may_look(factors):
            return _exponential(n, strings, factors)
        key = n, strings, tuple(factors.tolist())
        if key not in self._made:
            self._made[key] = _exponential(n, strings, factors)
        return self._made[key]


def _exponential(n: int, strings: tuple[PauliString, ...], factors: Tensor) -> Tensor:
    size, dtype, device = 2**n, complex_of(factors.dtype), factors.device
    which, places, phases = (torch.as_tensor(x, device=device) for x in _table(n, strings))
    entries = factors.to(dtype)[..., None] * phases.to(dtype)
    rows = entries.new_zeros(*factors.shape[:-1], len(places), size)
    rows = rows.index_add(-2, which, entries).flatten(-2)
    h = rows.new_zeros(*factors.shape[:-1], size * size).index_copy(-1, places.flatten(), rows)
    return torch.linalg.matrix_exp(-1j * h.unflatten(-1, (size, size)))


@lru_cache(maxsize=64)
def _table(n: int, strings: tuple[PauliString, ...]) -> tuple[Any, Any, Any]:
    """Strings that flip the same bits have their numbers in the same places of the matrix, one in
    each row: which of these sets each string belongs to, the places of each, and its phases."""
    pairs = [flips_and_phase(n, s) for s in strings]
    flips = sorted({f for f, _ in pairs})
    x = np.arange(2**n)
    places = np.stack([x * 2**n + (x ^ f) for f in flips])
    return np.array([flips.index(f) for f, _ in pairs]), places, np.stack([p for _, p in pairs])
