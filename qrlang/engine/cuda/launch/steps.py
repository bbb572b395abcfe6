"""A segment on torch tensors, for callers that keep the state: done, and undone with its cotangent.

Nothing waits for the device. An angle that is not finite makes the state so.
"""

from __future__ import annotations

import torch

from qrlang.engine.cuda.launch.kernels import Kernels, Tensor
from qrlang.engine.cuda.launch.launcher import Launcher
from qrlang.engine.cuda.segment import plan_of, write
from qrlang.engine.segment import Segment


class SegmentKernel(Kernels):
    """States are complex tensors [batch, 2^n], angles real ones [batch, count], all contiguous.
    States come out with norm one."""

    def __init__(self, segment: Segment, dtype: str, launcher: Launcher) -> None:
        super().__init__(plan_of(segment), dtype, launcher, lambda m: write(segment, m))

    def do(self, psi: Tensor, angles: Tensor, out: Tensor) -> Tensor:
        made, error = self.kernels(len(psi)), self.empty(1, "int64").zero_()
        given = {"state": psi, "angles": angles, "state_out": out, "error": error}
        found = {(kind, -1): x for kind, x in given.items()}
        self.launch(made.loaded, made.source.forward, len(psi), found)
        return out

    def undo(self, psi: Tensor, g: Tensor, angles: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The state and the cotangent (dL/dRe + i dL/dIm) before, and the angles' gradient."""
        made = self.kernels(len(psi))
        before = torch.empty_like(psi), torch.empty_like(g), torch.empty_like(angles)
        given = {
            "state": psi, "cotangent": g, "angles": angles, "state_out": before[0],
            "cotangent_out": before[1], "angle_gradient": before[2],
        }  # fmt: skip
        found = {(kind, -1): x for kind, x in given.items()}
        self.launch(made.loaded, made.source.backward, len(psi), found)
        return before
