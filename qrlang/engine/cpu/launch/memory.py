"""Memory that kernels work in and keep things in."""

from __future__ import annotations

import ctypes
import mmap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]


class Memory:
    """Bytes that stay: aligned to a page, in huge pages where the system has them."""

    def __init__(self, size: int) -> None:
        huge, large = 2 << 20, 2 << 20
        self.size = size
        length = size + huge if size >= large else max(size, 1)
        try:
            self.map = mmap.mmap(-1, length)
        except OSError as error:
            raise MemoryError(f"no {length:,} bytes for the states of a kernel") from error
        if size >= large and hasattr(mmap, "MADV_HUGEPAGE"):
            self.map.madvise(mmap.MADV_HUGEPAGE)
        start = ctypes.addressof(ctypes.c_char.from_buffer(self.map))
        self.address = (start + huge - 1) // huge * huge if size >= large else start

    def array(self, dtype: Any, count: int, offset: int = 0) -> Array:
        import numpy as np

        size = np.dtype(dtype).itemsize * count
        raw = (ctypes.c_char * size).from_address(self.address + offset)
        out = np.frombuffer(raw, dtype)
        return out


class Pool:
    """Memory handed out and taken back, so that a training step touches no new pages."""

    def __init__(self) -> None:
        self.free: list[Memory] = []

    def take(self, size: int) -> Memory:
        for i, m in enumerate(self.free):
            if size <= m.size <= 4 * size + (1 << 20):
                return self.free.pop(i)
        self.free.clear()
        return Memory(size)

    def give(self, memory: Memory) -> None:
        if len(self.free) < 4:
            self.free.append(memory)
