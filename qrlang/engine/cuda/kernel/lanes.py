"""Which lane makes what of the parameters of layers that are made together."""

from __future__ import annotations

from dataclasses import dataclass

from qrlang.engine.cuda.layout.shape import Shape
from qrlang.engine.nodes import Layer


@dataclass(frozen=True, slots=True)
class Turn:
    """What a lane does for the rotations: one of them, or nothing."""

    angle: int  # the row, or one that is zero
    column: int = 0  # lanes whose flips change this lane's bit of the slot
    layer: int | None = None
    tangent: int | None = None  # where it goes
    cosine: int | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of a table, or nothing."""

    angle: int  # the row of the term that it begins with, or one that is zero
    lanes: int = 0  # whose flips turn its sign
    single: bool = False  # is the term on a rotated qubit alone
    takes: bool = False  # does the table take the cosines
    order: int = 0  # of the layer among those made together
    bits: int = 0  # of the table
    layer: int | None = None
    goal: int | None = None  # where it goes

    @property
    def packed(self) -> int:
        assert self.angle < 1 << 20
        flags = self.takes << 10 | self.bits << 7 | self.order << 2 | self.single
        return (self.angle << 11 | flags) << 32 | self.lanes


@dataclass(frozen=True, slots=True)
class Together:
    numbers: list[int]  # of the layers in their circuit
    layers: list[Layer]
    shapes: list[Shape]
    places: list[int]  # where the parameters of each begin
    angles: list[int]  # the rows
    zero: int  # a row that is zero
    width: int  # lanes that vote together

    @property
    def block(self) -> int:
        """Lanes for the rotations of each layer."""
        return max(s.block for s in self.shapes)

    def turns(self) -> list[Turn]:
        block, found = self.block, []
        assert len(self.layers) * block <= self.width
        for order, (i, shape) in enumerate(zip(self.numbers, self.shapes, strict=True)):
            at, rows = self.places[order], dict(self.layers[order].rotations)
            for j in range(block):
                hit = sum(1 << n for n, slot in enumerate(shape.flips) if slot >> j & 1)
                column = hit << order * block
                if j < len(shape.bits):
                    row = self.angles[rows[shape.bits[j]]]
                    found.append(Turn(row, column, i, at + j, at + shape.at_cos + j))
                else:
                    found.append(Turn(self.zero, column, i))
        return found + [Turn(self.zero)] * (self.width - len(found))

    def entries(self) -> list[Entry]:
        """Of all tables, each table's at a multiple of its size."""
        found: list[Entry] = []
        for order, (i, shape) in enumerate(zip(self.numbers, self.shapes, strict=True)):
            ordered = sorted(range(len(shape.tables)), key=shape.at_table)
            while ordered and len(found) % (1 << shape.tables[ordered[0]].bits):
                found.append(Entry(self.zero))
            for q in ordered:
                member = {y: shape.masks[m] for m, y in shape.tables[q].members}
                for y in range(1 << shape.tables[q].bits):
                    found.append(self._entry(order, i, q, y, member.get(y, 0)))
        return found

    def _entry(self, order: int, layer: int, q: int, y: int, mask: int) -> Entry:
        shape, rows = self.shapes[order], dict(self.layers[order].terms)
        angle = self.angles[rows[mask]] if mask in rows else self.zero
        hit = sum(1 << j for j, b in enumerate(shape.bits) if mask >> b & 1)
        return Entry(
            angle, hit << order * self.block, mask.bit_count() == 1 and hit != 0,
            q == shape.smallest, order, shape.tables[q].bits, layer,
            self.places[order] + shape.at_table(q) + 2 * y,
        )  # fmt: skip
