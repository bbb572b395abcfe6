"""Widths that a later line decides: one round of elaboration finds them for the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod

from qrlang.check.core.values import Pending
from qrlang.source import Span


@dataclass(slots=True)
class Widths:
    """By the name of the layer or the tensor."""

    hints: Mapping[str, tuple[int, ...]]  # what earlier rounds have found
    wanted: dict[str, tuple[tuple[int, ...], Span]] = field(default_factory=dict)  # found in this
    open: dict[str, tuple[Span, str]] = field(default_factory=dict)  # declared without one

    def want(self, value: Pending, shape: tuple[int, ...], at: Span) -> None:
        """Remembers which shape a later use gives to a value; the next round knows it."""
        if value.parts > 1:
            shape = (value.parts * prod(shape),)
        self.wanted.setdefault(value.key, (shape, at))

    def found(self) -> dict[str, tuple[int, ...]]:
        """What this round knows and those before did not."""
        return {k: shape for k, (shape, _) in self.wanted.items() if k not in self.hints}
