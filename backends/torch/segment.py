"""A circuit of road 2 as machine code of the engine, where it can be had."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from qrlang.backends.torch.circuit import Circuit
from qrlang.ir.program import Angle

_DTYPES = {torch.complex64: "float32", torch.complex128: "float64"}
LEAST = 6  # qubits from which it pays to make the code
_made: dict[tuple[int, str, str], Any] = {}


class Native:
    """`do` and `undo` on tensors [batch, 2^n], up to a global phase."""

    def __init__(self, kernel: Any) -> None:
        self.kernel = kernel

    def do(self, psi: Tensor, angles: Tensor) -> Tensor:
        return torch.from_numpy(self.kernel.do(_array(psi), _array(_rows(angles, psi))))

    def undo(self, psi: Tensor, g: Tensor, angles: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The state and its cotangent before, and the gradient of the angles."""
        found = self.kernel.undo(_array(psi), _array(g), _array(_rows(angles, psi)))
        before, back, gradient = map(torch.from_numpy, found)
        return before, back, gradient.sum_to_size(angles.shape)


def native(circuit: Circuit, psi: Tensor) -> Native | None:
    dtype = _DTYPES.get(psi.dtype)
    if circuit.n < LEAST or dtype is None or psi.device.type != "cpu" or psi.dim() != 2:
        return None
    key = (circuit.n, circuit.text, dtype)
    if key not in _made:
        _made[key] = _make(circuit, dtype)
    found: Native | None = _made[key]
    return found


def _make(circuit: Circuit, dtype: str) -> Native | None:
    try:
        from qrlang.engine.cpu.segment import segment_kernel
        from qrlang.engine.segment import Segment, plan_segment
    except ImportError:
        return None
    place: dict[Angle, int] = {}
    for i, angle in enumerate(circuit.fused.angles):
        place.setdefault(angle, i)
    try:
        plan = plan_segment(
            circuit.n,
            circuit.elements,
            circuit.count,
            lambda a: place[a] if a.terms else None,
        )
        if not isinstance(plan, Segment):
            return None
        return Native(segment_kernel(plan, dtype))
    except (KeyError, RuntimeError, OSError):
        return None  # an angle was put together anew, or no code can be made here


def _rows(angles: Tensor, psi: Tensor) -> Tensor:
    return angles.expand(psi.shape[0], angles.shape[-1])


def _array(x: Tensor) -> Any:
    return x.detach().resolve_conj().resolve_neg().numpy()
