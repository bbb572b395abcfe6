"""What turns a text into kernels that can be launched: a GPU, or whatever stands in for one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from qrlang.engine.cuda.source import KernelSpec, Source

NOT_MADE = (
    "kernels for this batch are not made yet: call the model once, forward and backward, before a "
    "CUDA graph of it is captured"
)


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
        """Compiled, or from the cache; a kernel that is not made yet is waited for when it is
        launched."""

    @property
    def capturing(self) -> bool:
        """Is a CUDA graph being recorded, so that nothing may be waited for."""
