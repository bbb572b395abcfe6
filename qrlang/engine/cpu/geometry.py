"""How a state lies in memory, and in which passes it is walked over."""

from __future__ import annotations

from qrlang.engine.cpu.asm import Module
from qrlang.engine.cpu.gather import Gather
from qrlang.engine.cpu.shape import Shape, Tables
from qrlang.engine.cpu.team import Team
from qrlang.engine.gf2 import Affine


class Geometry:
    """Also knows the functions written so far, each shape once."""

    def __init__(self, mod: Module, tables: Tables, team: Team) -> None:
        self.mod, self.fmt, self.tables, self.team = mod, mod.fmt, tables, team
        self.names: dict[object, str] = {}

    def _name(self, kind: str, key: object) -> tuple[str, bool]:
        found = self.names.get((kind, key))
        if found:
            return found, True
        name = self.names[kind, key] = f"{kind}{len(self.names)}"
        return name, False

    def plane(self, n: int) -> int:
        """Bytes of a plane; not a power of two, so that planes do not share cache sets."""
        return (self.fmt.size << n) + 3 * 64

    def passes(self, n: int) -> list[tuple[int, int]]:
        """(lowest bit, how many) of the high index bits of each pass."""
        high = n - self.fmt.lane_bits
        first, more = (3, 4) if self.fmt.machine.registers >= 32 else (2, 3)
        if high <= first:
            return [(0, high)]
        rest = high - first
        count = -(-rest // more)
        parts, at = [(0, first)], first
        for k in range(count):
            size = rest // count + (k < rest % count)
            parts.append((at, size))
            at += size
        return parts

    def back_passes(self, n: int) -> list[tuple[int, int]]:
        high = n - self.fmt.lane_bits
        first, more = (2, 3) if self.fmt.machine.registers >= 32 else (1, 2)
        if high <= first:
            return [(0, high)]
        rest = high - first
        count = -(-rest // more)
        parts, at = [(0, first)], first
        for k in range(count):
            size = rest // count + (k < rest % count)
            parts.append((at, size))
            at += size
        return parts

    def back_order(self, shape: Shape) -> list[int]:
        """Positions of the rotations in the order in which they are undone."""
        w = self.fmt.lane_bits
        out: list[int] = []
        for lo, k in reversed(self.back_passes(shape.n)):
            out += [i for i, b in enumerate(shape.bits) if lo <= b - w < lo + k]
        return out + [i for i, b in enumerate(shape.bits) if b < w]

    def ways(self, n: int, layers: int) -> list[bool]:
        """For each of so many layers in a row: does its result stay in the other buffer. With an
        even number of those the state ends where it began; states of one pass never leave."""
        moves = n - self.fmt.lane_bits > max(self.passes(n)[0][1], self.back_passes(n)[0][1])
        return [moves and (layers % 2 == 0 or i > 0) for i in range(layers)]

    def gather_to(self, shape: Shape) -> Gather:
        inverse = shape.map.inverse()
        flips = bool(shape.bits) or shape.map.shift != 0
        return self._gather(Affine(inverse.cols), flips)

    def gather_back(self, shape: Shape) -> Gather:
        flips = bool(shape.bits) or shape.map.shift != 0
        return self._gather(Affine(shape.map.cols), flips)

    def linear(self, linear: Affine) -> Gather:
        """A map by itself, nothing flipped."""
        return self._gather(linear, False)

    def _gather(self, linear: Affine, flips: bool) -> Gather:
        return Gather(linear, self.fmt.lane_bits, flips, self.fmt.machine.permute)
