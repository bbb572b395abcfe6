"""What turns a text into kernels that can be launched: a GPU, or whatever stands in for one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from qrlang.engine.cuda.source import KernelSpec, Source


class Unavailable(RuntimeError):
    """Why kernels can't be made or launched here, as a sentence without a full stop."""


class Loaded(Protocol):
    def launch(self, spec: KernelSpec, blocks: int, values: Sequence[int]) -> None:
        """`values`: one for each argument, addresses and numbers alike. Returns at once."""


class Launcher(Protocol):
    """One device."""

    arch: int  # 90 for compute capability 9.0
    device: Any  # of torch: where the memory is

    def load(self, source: Source) -> Loaded:
        """Compiled, or from the cache; ready to launch."""

    @property
    def capturing(self) -> bool:
        """Is a CUDA graph being recorded, so that nothing may be waited for."""
