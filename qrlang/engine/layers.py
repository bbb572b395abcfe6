"""Gathers lowered gates into layers: index map, then diagonal, then rotations.

What has come after the last rotations waits: phases and maps move through each other freely, so
all of them between two layers of rotations are one map and one diagonal.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from qrlang.engine.gf2 import Affine as IndexMap
from qrlang.engine.lower import Sum


@dataclass(slots=True)
class Draft:
    """A layer whose angles are still sums."""

    map: IndexMap
    terms: dict[int, Sum]
    rotations: dict[int, Sum] = field(default_factory=dict)


@dataclass(slots=True)
class Builder:
    """A `Sink` for one space."""

    n: int
    layers: list[Draft] = field(default_factory=list)
    map: IndexMap = field(init=False)
    terms: dict[int, Sum] = field(default_factory=dict)
    open: bool = False  # may the last layer still take rotations?
    rotated: bool = False

    def __post_init__(self) -> None:
        self.map = IndexMap.identity(self.n)

    def phase(self, mask: int, angle: Sum) -> None:
        if self.open:
            # Past what waits, and past the last rotations if they leave it alone.
            before, sign = self.map.pull(mask)
            last = self.layers[-1]
            if not any(before >> bit & 1 for bit in last.rotations):
                last.terms[before] = last.terms.get(before, Sum()) + angle * sign
                return
        self.terms[mask] = self.terms.get(mask, Sum()) + angle

    def move(self, index_map: IndexMap) -> None:
        back = index_map.inverse()
        moved: dict[int, Sum] = {}
        for mask, angle in self.terms.items():
            new, sign = back.pull(mask)
            moved[new] = moved.get(new, Sum()) + angle * sign
        self.terms = moved
        self.map = index_map.after(self.map)

    def rotate(self, bit: int, angle: Sum) -> None:
        if not (self.open and self.layers and self._passes(bit)):
            self.flush()
        last = self.layers[-1].rotations
        self.rotated = True
        last[bit] = last.get(bit, Sum()) + angle

    def _passes(self, bit: int) -> bool:
        one = 1 << bit
        if any(mask & one and not angle.zero for mask, angle in self.terms.items()):
            return False
        if self.map.shift & one or self.map.cols[bit] != one:
            return False
        return not any(c & one for j, c in enumerate(self.map.cols) if j != bit)

    def flush(self) -> None:
        """What waits becomes a layer of its own, without rotations yet."""
        terms = {m: a for m, a in self.terms.items() if m and not a.zero}
        self.layers.append(Draft(self.map, terms))
        self.map, self.terms = IndexMap.identity(self.n), {}
        self.open = True

    @property
    def waiting(self) -> bool:
        return not self.map.trivial or any(not a.zero for a in self.terms.values())

    def take(self) -> list[Draft]:
        done, self.layers, self.open = self.layers, [], False
        for draft in done:
            draft.terms = {m: a for m, a in draft.terms.items() if m and not a.zero}
        return done
