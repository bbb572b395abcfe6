"""Memory of large tensors that stays with the process from update to update.

The C library gives a large block back to the system as soon as it is free, and asks for a new one
a moment later, whose pages are cleared one by one as they are touched. With scores of 10,000 words
that takes as long as all there is to compute. What stays is a few blocks of each size.
"""

from __future__ import annotations

import ctypes
import sys

LARGEST = 128 << 20  # bytes of a block that stays; beyond, memory counts for more than time
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
_NEVER = 2**31 - 1


def keep() -> bool:
    """From now on what is freed is used again. False: this C library has no such setting."""
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_MMAP_THRESHOLD, LARGEST)) and bool(mallopt(_TRIM_THRESHOLD, _NEVER))
