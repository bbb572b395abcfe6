"""The state of everything that is drawn by lot while a model trains."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


def state(model: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"torch": torch.get_rng_state()}
    if torch.cuda.is_available():
        found["cuda"] = torch.cuda.get_rng_state()
    generator = getattr(model, "generator", None)
    if generator is not None:
        found["model"] = generator.get_state()
    return found


def restore(model: Any, state: dict[str, Any]) -> None:
    torch.set_rng_state(state["torch"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
    generator = getattr(model, "generator", None)
    if generator is not None and "model" in state:
        generator.set_state(state["model"])


@contextmanager
def untouched(model: Any) -> Iterator[None]:
    """What happens within is drawn by lot too, and changes nothing that is drawn later."""
    before = state(model)
    try:
        yield
    finally:
        restore(model, before)
