"""A circuit of road 2 as machine code of the engine, where it can be had: for a CPU or a GPU."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from qrlang.backends.torch import gpu
from qrlang.backends.torch.circuits.circuit import Circuit
from qrlang.backends.torch.ops import plain
from qrlang.ir.program import Angle

_DTYPES = {torch.complex64: "float32", torch.complex128: "float64"}
LEAST = 2  # qubits from which it pays to make the code
_made: dict[tuple[int, str, str, str], Any] = {}


class Native:
    """On a CPU. `do` and `undo` on tensors [batch, 2^n], up to a global phase; states come out
    with norm one."""

    def __init__(self, kernel: Any) -> None:
        self.kernel = kernel

    def do(self, psi: Tensor, angles: Tensor, spare: Tensor | None = None) -> Tensor:
        psi, rows = plain(psi.detach()), _rows(angles, psi)
        fits = spare is not None and spare.is_contiguous() and spare.shape == psi.shape
        out = spare if spare is not None and fits else torch.empty_like(psi)
        self.kernel.run(
            False, psi.shape[0], psi.data_ptr(), 0, rows.data_ptr(), out.data_ptr(), 0, 0
        )
        return out

    def undo(self, psi: Tensor, g: Tensor, angles: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The state and its cotangent before, and the gradient of the angles."""
        psi, g, rows = plain(psi.detach()), plain(g.detach()), _rows(angles, psi)
        before, back, gradient = torch.empty_like(psi), torch.empty_like(g), torch.empty_like(rows)
        self.kernel.run(
            True, psi.shape[0], psi.data_ptr(), g.data_ptr(), rows.data_ptr(),
            before.data_ptr(), back.data_ptr(), gradient.data_ptr(),
        )  # fmt: skip
        return before, back, gradient.sum_to_size(angles.shape)


class OnGpu:
    """The same on a GPU, on torch's stream; nothing waits."""

    def __init__(self, kernel: Any) -> None:
        self.kernel = kernel

    def do(self, psi: Tensor, angles: Tensor, spare: Tensor | None = None) -> Tensor:
        psi = plain(psi.detach())
        fits = spare is not None and spare.is_contiguous() and spare.shape == psi.shape
        out = spare if spare is not None and fits else torch.empty_like(psi)
        done: Tensor = self.kernel.do(psi, _rows(angles, psi), out)
        return done

    def undo(self, psi: Tensor, g: Tensor, angles: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        rows = _rows(angles, psi)
        before, back, gradient = self.kernel.undo(plain(psi.detach()), plain(g.detach()), rows)
        return before, back, gradient.sum_to_size(angles.shape)


def native(circuit: Circuit, psi: Tensor) -> Native | OnGpu | None:
    dtype = _DTYPES.get(psi.dtype)
    where = machine(psi)
    if circuit.n < LEAST or dtype is None or not where or psi.dim() != 2:
        return None
    key = (circuit.n, circuit.text, dtype, f"{where} {psi.device}")
    if key not in _made:
        _made[key] = _make(circuit, dtype, psi if where == "cuda" else None)
    found: Native | OnGpu | None = _made[key]
    return found


def machine(psi: Tensor) -> str:
    """Whose code a state is for: "cpu", "cuda", or "" for none."""
    kind: str = psi.device.type
    if kind == "cuda":
        return "" if gpu.unavailable(psi.device) else kind
    return kind if kind == "cpu" else ""


def _make(circuit: Circuit, dtype: str, on: Tensor | None) -> Native | OnGpu | None:
    from qrlang.engine.cpu.llvm.machine import NoCompiler
    from qrlang.engine.cuda.launch.launcher import Unavailable
    from qrlang.engine.lower import Unsupported
    from qrlang.engine.segment import Segment, plan_segment

    place: dict[Angle, int] = {}
    for i, angle in enumerate(circuit.fused.angles):
        place.setdefault(angle, i)

    def column(angle: Angle) -> int | None:
        if angle.terms and angle not in place:
            raise Unsupported("an angle that was put together anew")
        return place[angle] if angle.terms else None

    plan = plan_segment(circuit.n, circuit.elements, circuit.count, column)
    if not isinstance(plan, Segment):
        return None
    try:
        if on is not None:
            from qrlang.engine.cuda.launch.steps import SegmentKernel

            return OnGpu(SegmentKernel(plan, dtype, gpu.launcher(on.device)))
        from qrlang.engine.cpu.segment import segment_kernel

        return Native(segment_kernel(plan, dtype))
    except (NoCompiler, Unavailable):
        return None


def _rows(angles: Tensor, psi: Tensor) -> Tensor:
    return plain(angles.detach().expand(psi.shape[0], angles.shape[-1]))
