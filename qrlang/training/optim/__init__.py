"""Optimisers: torch's own, and some that use no gradient."""

from qrlang.training.optim.make import make

__all__ = ["make"]
