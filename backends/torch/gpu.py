"""A GPU as torch names it, for the engine's kernels; and what they find wrong there."""

from __future__ import annotations

from collections import deque
from typing import Any

import torch
from torch import Tensor


def index(device: torch.device) -> int:
    if device.index is not None:
        return int(device.index)
    return torch.cuda.current_device() if device.type == "cuda" else 0


def unavailable(device: torch.device) -> str:
    """What keeps any kernel from running on a device; "" if nothing does."""
    from qrlang.engine.cuda.launch import device as gpus

    return gpus.why_not(index(device))


def launcher(device: torch.device) -> Any:
    from qrlang.engine.cuda.launch import device as gpus

    return gpus.gpu(index(device))


class Faults:
    """What calls have found wrong and nobody has looked at yet: numbers on the way from a GPU."""

    def __init__(self) -> None:
        self.waiting: deque[tuple[Any, Tensor, Any]] = deque()

    def __reduce__(self) -> Any:
        return Faults, ()  # a copy of a model has none

    def add(self, kernel: Any, saved: Any) -> None:
        error = saved.error
        if error.device.type != "cuda":
            self.waiting.append((kernel, error, None))
            return
        here = torch.empty(1, dtype=torch.int64, pin_memory=True)
        here.copy_(error, non_blocking=True)
        event = torch.cuda.Event()
        # Of its own device, whichever is the current one.
        event.record(torch.cuda.current_stream(error.device))
        self.waiting.append((kernel, here, event))

    def look(self, wait: bool) -> None:
        """Raises the first; without waiting, of those that have arrived. Each is taken by one
        thread: others may call the model meanwhile."""
        while True:
            try:
                kernel, word, event = one = self.waiting.popleft()
            except IndexError:
                return
            if event is not None and not wait and not event.query():
                self.waiting.appendleft(one)
                return
            if event is not None:
                event.synchronize()
            code = int(word[0])
            if code:
                self.waiting.clear()
                raise FloatingPointError(kernel.words_for(code))
