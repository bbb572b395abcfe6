"""A plan's two kernels for the batch at hand, and how they are launched on torch's memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch

from qrlang.engine.cuda.launch.launcher import NOT_MADE, Launcher, Loaded, Unavailable
from qrlang.engine.cuda.layout.mapping import Mapping as Threads
from qrlang.engine.cuda.layout.mapping import choose
from qrlang.engine.cuda.source import Argument, KernelSpec, Source
from qrlang.engine.nodes import Plan, Refusal

Tensor = Any
Found = dict[tuple[str, int], Tensor | None]  # tensors by what an argument is, and its number
DTYPES = {"float32": torch.float32, "float64": torch.float64}


@dataclass(slots=True)
class Made:
    """The kernels of one mapping."""

    source: Source
    loaded: Loaded


class Kernels:
    def __init__(
        self, plan: Plan, dtype: str, launcher: Launcher, write: Callable[[Threads], Source]
    ) -> None:
        self.plan, self.launcher, self.write = plan, launcher, write
        self.real = DTYPES[dtype]
        self.mapping = lru_cache(64)(lambda batch: choose(plan, batch, dtype, launcher.arch))
        self.made: dict[Threads, Made] = {}
        self._mapping(1)  # what keeps them from being made is said at once

    def _mapping(self, batch: int) -> Threads:
        found = self.mapping(batch)
        if isinstance(found, Refusal):
            raise Unavailable(found.reason)
        return found

    def kernels(self, batch: int) -> Made:
        """Made for the mapping that suits a batch; another batch may have the same one."""
        mapping = self._mapping(batch)
        if mapping not in self.made:
            if self.launcher.capturing:
                raise RuntimeError(NOT_MADE)
            source = self.write(mapping)
            self.made[mapping] = Made(source, self.launcher.load(source))
        return self.made[mapping]

    def empty(self, count: int, kind: str) -> Tensor:
        dtype = self.real if kind == "real" else getattr(torch, {"byte": "uint8"}.get(kind, kind))
        return torch.empty(count, dtype=dtype, device=self.launcher.device)

    def buffer(self, a: Argument, spec: KernelSpec, batch: int, times: Mapping[int, int]) -> Tensor:
        made = self.empty(a.count(batch, spec.blocks(batch), times), a.type)
        return made.zero_() if a.zero else made

    def launch(
        self, loaded: Loaded, spec: KernelSpec, batch: int, found: Found,
        times: Mapping[int, int] | None = None, seed: int = 0,
    ) -> None:  # fmt: skip
        """`times`: of the inputs that are sequences."""
        if not batch:
            return
        times = times or {}
        values, alive = [], []
        for a in spec.arguments:
            match a.kind:
                case "batch":
                    values.append(batch)
                case "time":
                    values.append(times[a.index])
                case "seed":
                    values.append(seed)
                case "workspace":
                    alive.append(self.buffer(a, spec, batch, times))
                    values.append(alive[-1].data_ptr())
                case _:
                    x = found.get((a.kind, a.index))
                    values.append(0 if x is None else x.data_ptr())
        loaded.launch(spec, spec.blocks(batch), values)
