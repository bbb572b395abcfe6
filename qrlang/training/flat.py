"""All parameters as one vector."""

from __future__ import annotations

from typing import Any

import torch


def read(parameters: list[Any]) -> Any:
    return torch.cat([p.detach().reshape(-1).double() for p in parameters])


def write(parameters: list[Any], vector: Any) -> None:
    at = 0
    with torch.no_grad():
        for p in parameters:
            p.copy_(vector[at : at + p.numel()].reshape(p.shape))
            at += p.numel()


def slope(parameters: list[Any], vector: Any) -> None:
    """An estimate of the gradient, where gradients are looked for."""
    at = 0
    for p in parameters:
        p.grad = vector[at : at + p.numel()].reshape(p.shape).to(p)
        at += p.numel()
