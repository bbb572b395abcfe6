"""Gate matrices as torch tensors, for many angles at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from qrlang.backends.torch.ops import transformed
from qrlang.gates import GATES, pauli_matrix


class Constants:
    """Arrays that a circuit needs on a device, made once for each device and dtype. One that takes
    long to write down comes as a function that does."""

    def __init__(self) -> None:
        self._made: dict[tuple[Any, ...], Tensor] = {}

    def get(self, key: Any, array: Any, like: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        dtype = dtype or like.dtype
        found = self._made.get((key, dtype, like.device))
        if found is None:
            with torch.inference_mode(False):  # it is kept for calls that train, too
                plain = np.asarray(array() if callable(array) else array)
                found = torch.as_tensor(plain).to(device=like.device, dtype=dtype)
            if not transformed():  # what is made there is wrapped, or holds no numbers at all
                self._made[(key, dtype, like.device)] = found
        return found


_constants = Constants()


def complex_of(real: torch.dtype) -> torch.dtype:
    return torch.complex128 if real == torch.float64 else torch.complex64


def gate_matrices(name: str, angles: Tensor) -> Tensor:
    """`angles` is [..., count, angles of the gate]; the result [..., count, d, d], complex."""
    spec = GATES[name]
    dtype = complex_of(angles.dtype)
    if spec.angles == 0:
        fixed = _constants.get(name, spec.matrix(), angles, dtype)
        return fixed.expand(*angles.shape[:-1], *fixed.shape)
    if spec.pauli:
        half = angles[..., 0, None, None] / 2
        pauli = _constants.get(spec.pauli, pauli_matrix(spec.pauli), angles, dtype)
        one = _constants.get(("one", len(pauli)), np.eye(len(pauli)), angles, dtype)
        return torch.cos(half) * one - 1j * torch.sin(half) * pauli
    return _OTHERS[name](*angles.unbind(-1))


def _phase(angle: Tensor) -> Tensor:
    return torch.complex(torch.cos(angle), torch.sin(angle))


def _square(*rows: tuple[Tensor, ...]) -> Tensor:
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


def _p(a: Tensor) -> Tensor:
    phase = _phase(a)
    one, zero = torch.ones_like(phase), torch.zeros_like(phase)
    return _square((one, zero), (zero, phase))


def _u(theta: Tensor, phi: Tensor, lam: Tensor) -> Tensor:
    c, s = torch.cos(theta / 2), torch.sin(theta / 2)
    return _square(
        (torch.complex(c, torch.zeros_like(c)), -_phase(lam) * s),
        (_phase(phi) * s, _phase(phi + lam) * c),
    )


def _r(theta: Tensor, phi: Tensor) -> Tensor:
    c, s = torch.cos(theta / 2), torch.sin(theta / 2)
    c = torch.complex(c, torch.zeros_like(c))
    return _square((c, -1j * _phase(-phi) * s), (-1j * _phase(phi) * s, c))


def _xx_plus_yy(a: Tensor) -> Tensor:
    c, s = torch.cos(a / 2), torch.sin(a / 2)
    zero = torch.zeros_like(c)
    c, s = torch.complex(c, zero), torch.complex(zero, -s)
    one, zero = torch.ones_like(c), torch.zeros_like(c)
    return _square(
        (one, zero, zero, zero), (zero, c, s, zero), (zero, s, c, zero), (zero, zero, zero, one)
    )


_OTHERS: dict[str, Callable[..., Tensor]] = {"p": _p, "u": _u, "r": _r, "xx_plus_yy": _xx_plus_yy}
