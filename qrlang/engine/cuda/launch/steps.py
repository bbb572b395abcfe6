"""A segment on torch tensors, for callers that keep the state: done, and undone with its cotangent.

Nothing waits for the device. An angle that is not finite makes the state so.
"""

from __future__ import annotations

from typing import Any

import torch

from qrlang.engine.cuda.launch.launcher import NOT_MADE, Launcher, Loaded, Unavailable
from qrlang.engine.cuda.layout.mapping import Mapping, choose
from qrlang.engine.cuda.segment import plan_of, write
from qrlang.engine.cuda.source import Argument, KernelSpec, Source
from qrlang.engine.nodes import Refusal
from qrlang.engine.segment import Segment

Tensor = Any


class SegmentKernel:
    """States are complex tensors [batch, 2^n], angles real ones [batch, count], all contiguous.
    States come out with norm one."""

    def __init__(self, segment: Segment, dtype: str, launcher: Launcher) -> None:
        self.segment, self.dtype, self.launcher = segment, dtype, launcher
        self.plan = plan_of(segment)
        self.made: dict[Mapping, tuple[Source, Loaded]] = {}
        first = choose(self.plan, 1, dtype, launcher.arch)
        if isinstance(first, Refusal):
            raise Unavailable(first.reason)

    def do(self, psi: Tensor, angles: Tensor, out: Tensor) -> Tensor:
        source, loaded = self._kernels(len(psi))
        error = torch.zeros(1, dtype=torch.int64, device=psi.device)
        given = {"state": psi, "angles": angles, "state_out": out, "error": error}
        self._launch(loaded, source.forward, len(psi), given)
        return out

    def undo(self, psi: Tensor, g: Tensor, angles: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The state and the cotangent (dL/dRe + i dL/dIm) before, and the angles' gradient."""
        source, loaded = self._kernels(len(psi))
        found = torch.empty_like(psi), torch.empty_like(g), torch.empty_like(angles)
        given = {
            "state": psi, "cotangent": g, "angles": angles, "state_out": found[0],
            "cotangent_out": found[1], "angle_gradient": found[2],
        }  # fmt: skip
        self._launch(loaded, source.backward, len(psi), given)
        return found

    def _kernels(self, batch: int) -> tuple[Source, Loaded]:
        mapping = choose(self.plan, batch, self.dtype, self.launcher.arch)
        assert not isinstance(mapping, Refusal)
        if mapping not in self.made:
            if self.launcher.capturing:
                raise RuntimeError(NOT_MADE)
            source = write(self.segment, mapping)
            self.made[mapping] = source, self.launcher.load(source)
        return self.made[mapping]

    def _launch(
        self, loaded: Loaded, spec: KernelSpec, batch: int, given: dict[str, Tensor]
    ) -> None:
        if not batch:
            return
        blocks, values, alive = spec.blocks(batch), [], []
        for a in spec.arguments:
            if a.kind == "batch":
                values.append(batch)
            elif a.kind == "workspace":
                alive.append(self._buffer(a, batch, blocks, given["state"]))
                values.append(alive[-1].data_ptr())
            else:
                values.append(given[a.kind].data_ptr())
        loaded.launch(spec, blocks, values)

    def _buffer(self, a: Argument, batch: int, blocks: int, like: Tensor) -> Tensor:
        kinds = {"real": like.real.dtype, "byte": torch.uint8}
        dtype = kinds.get(a.type) or getattr(torch, a.type)
        return torch.empty(a.count(batch, blocks, {}), dtype=dtype, device=like.device)
