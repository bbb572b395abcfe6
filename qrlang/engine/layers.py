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
        """Past what waits and past all rotations that leave it alone, to where it is in nobody's
        way."""
        where, sign = self.terms, 1
        if self.open:
            before, own = self.map.pull(mask)
            for layer in reversed(self.layers):
                if any(before >> bit & 1 and not a.zero for bit, a in layer.rotations.items()):
                    break
                where, mask, sign = layer.terms, before, sign * own
                before, own = layer.map.pull(mask)
        where[mask] = where.get(mask, Sum()) + angle * sign

    def move(self, index_map: IndexMap) -> None:
        back = index_map.inverse()
        moved: dict[int, Sum] = {}
        for mask, angle in self.terms.items():
            new, sign = back.pull(mask)
            moved[new] = moved.get(new, Sum()) + angle * sign
        self.terms = moved
        self.map = index_map.after(self.map)

    def rotate(self, bit: int, angle: Sum) -> None:
        """Into the earliest layer that it can be in."""
        if not (self.open and self.layers and _free(self.map, self.terms, bit)):
            self.flush()
        place = len(self.layers) - 1
        while place and bit not in self.layers[place].rotations:
            layer = self.layers[place]
            if not _free(layer.map, layer.terms, bit):
                break
            place -= 1
        found = self.layers[place].rotations
        self.rotated = True
        found[bit] = found.get(bit, Sum()) + angle

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


def _free(map_: IndexMap, terms: dict[int, Sum], bit: int) -> bool:
    """Whether a rotation of that bit may be before a map and a diagonal as well as after."""
    one = 1 << bit
    if any(mask & one and not angle.zero for mask, angle in terms.items()):
        return False
    if map_.shift & one or map_.cols[bit] != one:
        return False
    return not any(c & one for j, c in enumerate(map_.cols) if j != bit)
