"""What of this machine a process may use: the least of what there is and what its control groups
leave it. A container or a job of a batch system sees all cores and all memory; threads beyond its
quota wait for each other, and memory beyond its limit ends it without a word.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_MINE = Path("/proc/self/cgroup")


def cores() -> int:
    """Of the CPU; at least one."""
    if hasattr(os, "sched_getaffinity"):
        there = len(os.sched_getaffinity(0))
    else:
        there = os.cpu_count() or 1
    return max(1, min(there, _quota(_MINE, _CGROUPS) or there))


def memory() -> int:
    """Bytes; 0: the system does not say."""
    try:
        there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        there = 0
    return min(there, _limit(_MINE, _CGROUPS) or there)


@functools.cache
def _limit(mine: Path, groups: Path) -> int:
    """Bytes of memory; 0: no limit."""
    found: list[int] = []
    for folder in _folders(mine, groups, "memory"):
        found += _numbers(folder / "memory.max") or _numbers(folder / "memory.limit_in_bytes")
    return min(found, default=0)


@functools.cache
def _quota(mine: Path, groups: Path) -> int:
    """Whole cores' worth of time, at least one; 0: no limit."""
    found: list[int] = []
    for folder in _folders(mine, groups, "cpu"):
        both = _numbers(folder / "cpu.max") or [
            *_numbers(folder / "cpu.cfs_quota_us"),
            *_numbers(folder / "cpu.cfs_period_us"),
        ]
        if len(both) == 2:  # microseconds, in each so many
            found.append(max(1, both[0] // both[1]))
    return min(found, default=0)


def _folders(mine: Path, groups: Path, controller: str) -> Iterator[Path]:
    """Of the groups that this process is in, the outer ones too: each may set a limit."""
    try:
        lines = mine.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return
    for line in lines:
        if line.count(":") < 2:  # of a sandbox that imitates the system
            continue
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        # One tree for all controllers (version 2), or one for each. In a container the path may
        # be the host's, and the group lies at the root of what is mounted.
        root = groups / controller if controllers else groups
        inner = root / path.lstrip("/")
        yield root
        while inner != root and inner.is_relative_to(root):
            yield inner
            inner = inner.parent


def _numbers(file: Path) -> list[int]:
    """None for `max`, -1 (no limit, both), and for a file that is not there or holds none."""
    try:
        numbers = [int(w) for w in file.read_text(encoding="utf-8").split()]
    except (OSError, ValueError):
        return []
    return numbers if all(n > 0 for n in numbers) else []
