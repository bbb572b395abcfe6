"""The threads that kernels run on."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from qrlang.system import environment, host

_executor: ThreadPoolExecutor | None = None
_one_call = threading.Lock()
_set = 0


def _after_fork() -> None:
    """A forked process has none of its parent's threads."""
    global _executor, _one_call
    _executor, _one_call = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _threads() -> ThreadPoolExecutor:
    global _executor  # noqa: PLW0603
    if _executor is None:
        _executor = ThreadPoolExecutor(max_workers=64, thread_name_prefix="qrlang")
    return _executor


def set_threads(count: int) -> None:
    """For kernels that are made from now on, whatever QRLANG_THREADS says; 0: what that says."""
    global _set  # noqa: PLW0603
    _set = count


def asked_threads() -> int:
    """0 if nobody has said how many."""
    return _set or environment.threads()


def default_threads() -> int:
    return asked_threads() or host.cores()


def in_parallel(count: int, part: Callable[[int], None]) -> None:
    """part(0) here, the others beside it. One call at a time: the threads of a team wait for each
    other."""
    if count == 1:
        part(0)
        return
    with _one_call:
        others = [_threads().submit(part, i) for i in range(1, count)]
        part(0)
        for f in others:
            f.result()
