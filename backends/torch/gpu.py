"""A GPU as torch names it, for the engine's kernels."""

from __future__ import annotations

from typing import Any

import torch


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
