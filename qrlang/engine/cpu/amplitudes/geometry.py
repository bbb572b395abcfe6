"""How a state lies in memory, and in which passes it is walked over."""

from __future__ import annotations

from qrlang.engine.cpu.amplitudes.gather import Gather
from qrlang.engine.cpu.amplitudes.shape import Shape, Tables
from qrlang.engine.cpu.amplitudes.team import Team
from qrlang.engine.cpu.llvm.asm import Fn, Module, V
from qrlang.engine.gf2 import Affine

Pass = tuple[int, int]  # the lowest bit of the high index, and how many bits
NEAR, FAR = 16 << 10, 512 << 10  # bytes of a state that stay in the first and the second cache


def parted(high: int, first: int, more: int, piece: int) -> list[Pass]:
    """Bits of the high index in passes: `first` bits, then at most `more`, with a boundary where a
    piece of the state ends that fits the second cache."""
    if high <= first:
        return [(0, high)]
    parts, at = [(0, first)], first
    for end in (min(high, piece), high):
        rest = end - at
        count = -(-rest // more)
        for k in range(count):
            size = rest // count + (k < rest % count)
            parts.append((at, size))
            at += size
    return parts


class Geometry:
    """Also knows the functions written so far, each shape once.

    A state is planes of vectors. In the state layout the `w` lowest index bits live inside a
    vector, and every sequence has a state of its own. In the batch layout (`together`) they do
    not: a vector has one amplitude of as many sequences as it has lanes."""

    together = False

    def __init__(self, mod: Module, tables: Tables, team: Team) -> None:
        self.mod, self.fmt, self.tables, self.team = mod, mod.fmt, tables, team
        self.w = 0 if self.together else self.fmt.lane_bits
        self.unit = self.fmt.row >> self.w  # bytes from one index to the next
        self.names: dict[object, str] = {}

    def _name(self, kind: str, key: object) -> tuple[str, bool]:
        found = self.names.get((kind, key))
        if found:
            return found, True
        name = self.names[kind, key] = f"{kind}{len(self.names)}"
        return name, False

    def plane(self, n: int) -> int:
        """Bytes of a plane; not a power of two, so that planes do not share cache sets."""
        return (self.unit << n) + 3 * 64

    def padded(self, qubits: int) -> int:
        return max(qubits, self.w)

    @property
    def stride(self) -> int:
        """Bytes from one sum over a state to the next: a vector for each sequence, whose lanes are
        still to be added, or one with a lane for each."""
        return self.fmt.row * (1 if self.together else self.fmt.lanes)

    def number(self, fn: Fn, base: V, row: int, kind: str = "") -> V:
        """What goes with every amplitude of a vector: a sequence's number in all lanes, or each
        sequence's own."""
        if self.together:
            return fn.load(base, row * self.fmt.row, fn.vi if kind == fn.i else fn.vf)
        return fn.broadcast(base, row * self.fmt.row, kind or None)

    def turn(self, fn: Fn, gather: Gather, prm: V, row: int) -> V:
        """What is added to a gathered index (i64)."""
        if self.together:
            return fn.i64(gather.map.shift)
        return fn.cast("zext", fn.load(prm, row * self.fmt.row, fn.i), "i64")

    def passes(self, n: int) -> list[Pass]:
        """Of a layer forward, lowest bits first."""
        sizes = (3, 4) if self.fmt.machine.registers >= 32 else (2, 3)
        return parted(n - self.w, *sizes, self._piece(FAR, 2))

    def back_passes(self, n: int) -> list[Pass]:
        sizes = (3, 3) if self.fmt.machine.registers >= 32 else (2, 2)
        return parted(n - self.w, *sizes, self._piece(FAR, 4))

    def _piece(self, size: int, planes: int) -> int:
        """Bits of the high index of a piece whose planes take so many bytes."""
        return (size // (planes * self.fmt.row)).bit_length() - 1

    def levels(self, parts: list[Pass], planes: int) -> list[list[int]]:
        """The passes by the piece of the state they stay within: one that fits the nearest cache,
        one that fits the second, all of it."""
        limits = (self._piece(NEAR * planes // 2, planes), self._piece(FAR, planes))
        found: list[list[int]] = [[], [], []]
        for index, (lo, k) in enumerate(parts):
            found[sum(lo + k > limit for limit in limits)].append(index)
        if not found[0]:
            found[0], rest = [0], [i for level in found for i in level if i]
            found[1:] = [[i for i in rest if sum(parts[i]) <= limits[1]],
                         [i for i in rest if sum(parts[i]) > limits[1]]]  # fmt: skip
        # A single pass gains nothing from a piece of its own, unless more follow in a larger one.
        if len(found[0]) == 1 and (found[1] or found[2]):
            lower = found[1] if found[1] else found[2]
            lower.insert(0, found[0].pop())
        return [level for level in found if level]

    def back_order(self, shape: Shape) -> list[int]:
        """Positions of the rotations in the order in which they are undone."""
        w = self.w
        out: list[int] = []
        for lo, k in reversed(self.back_passes(shape.n)):
            out += [i for i, b in enumerate(shape.bits) if lo <= b - w < lo + k]
        return out + [i for i, b in enumerate(shape.bits) if b < w]

    def ways(self, n: int, layers: int) -> list[bool]:
        """For each of so many layers in a row: does its result stay in the other buffer. With an
        even number of those the state ends where it began; states of one pass never leave."""
        moves = n - self.w > max(self.passes(n)[0][1], self.back_passes(n)[0][1])
        return [moves and (layers % 2 == 0 or i > 0) for i in range(layers)]

    def gather_to(self, shape: Shape) -> Gather:
        return self._gather(shape.map.inverse(), bool(shape.bits))

    def gather_back(self, shape: Shape) -> Gather:
        return self._gather(shape.map, bool(shape.bits))

    def undone(self, gather: Gather) -> Gather:
        """The opposite of a gather, nothing flipped by angles."""
        return self._gather(gather.map.inverse(), False)

    def _gather(self, index_map: Affine, flips: bool) -> Gather:
        """A constant shift goes with the flips where there are some for each sequence."""
        if self.together:
            return Gather(index_map, 0, self.unit, False, "none")
        linear, flips = Affine(index_map.cols), flips or index_map.shift != 0
        return Gather(linear, self.w, self.unit, flips, self.fmt.machine.permute)
