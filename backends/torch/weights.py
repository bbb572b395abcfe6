"""Parameters and how they begin.

Initial values are drawn in float64 on the CPU with torch's default generator, so one seed gives
the same model on every device, and in float32 the rounding of the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import torch
from torch import Tensor, nn

from qrlang.backends.torch.circuits.matrices import Constants, complex_of
from qrlang.gates import pauli_matrix

Start = Callable[[tuple[int, ...]], Tensor]
_constants = Constants()


def trained(*shape: int, start: Start) -> nn.Parameter:
    """A tensor that training changes."""
    return nn.Parameter(start(shape).to(torch.get_default_dtype()))


def frozen(*shape: int, start: Start) -> nn.Buffer:
    """A tensor that is drawn once and never trained; saved with the model."""
    return nn.Buffer(start(shape).to(torch.get_default_dtype()))


class Weights(nn.Module):
    """Some weights under one name."""

    def __init__(self, **weights: Tensor) -> None:
        super().__init__()
        for name, weight in weights.items():
            setattr(self, name, weight)


def uniform(low: float, high: float) -> Start:
    return lambda shape: low + (high - low) * torch.rand(shape, dtype=torch.float64)


def normal(mean: float, deviation: float) -> Start:
    return lambda shape: mean + deviation * torch.randn(shape, dtype=torch.float64)


def constant(value: float) -> Start:
    return lambda shape: torch.full(shape, value, dtype=torch.float64)


def values(*numbers: float) -> Start:
    return lambda shape: torch.tensor(numbers, dtype=torch.float64).reshape(shape)


def identity() -> Start:
    """Ones on the diagonal; for a unitary (all coefficients of its logarithm zero) the same."""

    def start(shape: tuple[int, ...]) -> Tensor:
        if len(shape) == 1:
            return torch.zeros(shape, dtype=torch.float64)
        return torch.eye(shape[0], shape[1], dtype=torch.float64)

    return start


def orthogonal(gain: float = 1.0) -> Start:
    def start(shape: tuple[int, ...]) -> Tensor:
        matrix = torch.empty(shape, dtype=torch.float64)
        return nn.init.orthogonal_(matrix, gain)

    return start


def haar() -> Start:
    """The 4^k coefficients of -i log U for a random unitary U."""

    def start(shape: tuple[int, ...]) -> Tensor:
        k = (shape[0].bit_length() - 1) // 2
        q, r = torch.linalg.qr(torch.randn(2**k, 2**k, dtype=torch.complex128))
        phase = r.diagonal() / r.diagonal().abs()
        eigenvalues, vectors = torch.linalg.eig(q * phase)
        h = vectors @ torch.diag(-eigenvalues.angle().to(vectors.dtype)) @ torch.linalg.inv(vectors)
        return torch.einsum("pij,ji->p", _pauli_words(k, h), h).real / 2**k

    return start


def unitary(coefficients: Tensor) -> Tensor:
    """exp(-i Σ c_P P) over the Pauli words of k qubits, from its 4^k coefficients."""
    k = (coefficients.shape[-1].bit_length() - 1) // 2
    dtype = complex_of(coefficients.dtype)
    words = _pauli_words(k, coefficients, dtype)
    h = torch.einsum("...p,pij->...ij", coefficients.to(dtype), words)
    return torch.linalg.matrix_exp(-1j * h)


def _pauli_words(k: int, like: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    words = ["".join(letters) for letters in product("IXYZ", repeat=k)]
    return _constants.get(k, lambda: [pauli_matrix(w) for w in words], like, dtype)
