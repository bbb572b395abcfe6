"""How the amplitudes of one space lie: which index bits are registers, which are threads, and where
an amplitude waits between two phases.

A thread holds 2^R amplitudes. A *phase* rotates the qubits that are bits of the register number;
between phases the state goes through its home, where every access is `home[a ^ constant]`, `a`
being linear in the thread number: index maps cost nothing there. In shared memory the slot of an
amplitude is its index with the low bits swizzled, so that the accesses of this circuit meet as few
bank conflicts as can be had.

Blocks of a cluster share the state by some bits of the index, and those qubits can't be rotated
where they tell blocks apart. So there are two layouts: one within a layer ("inner"), and one at its
end and between layers. In general the highest bits are the block's rank at first, and the next
lower ones at last: amplitudes are fetched from other blocks as a layer begins, through its map, and
between its halves. Two blocks can do with half of that where the map allows (crossing.py).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import product

from qrlang.engine.cuda.layout.crossing import Crossing
from qrlang.engine.gf2 import Affine, parity, rank
from qrlang.engine.nodes import Layer


@dataclass(frozen=True, slots=True)
class Place:
    """What each bit of the register number, and of the thread number (with the chunk above it),
    adds to the index: most often one bit of it."""

    registers: tuple[int, ...]
    threads: tuple[int, ...]
    inner: bool = False  # in which layout a thread finds all of them in its own block

    def index(self, j: int) -> int:
        """What the register number adds to the index."""
        return Affine(self.registers).linear(j)

    def split(self, mask: int) -> tuple[int, int]:
        """A parity mask as (of the register number, of the thread number)."""
        inner = sum(parity(mask & v) << k for k, v in enumerate(self.registers))
        return inner, sum(parity(mask & v) << k for k, v in enumerate(self.threads))


@dataclass(frozen=True, slots=True)
class Phase:
    place: Place
    registers: tuple[tuple[int, int], ...]  # (bit of the register number, number of the rotation)
    lanes: tuple[tuple[int, int], ...] = ()  # (bit of the lane, number of the rotation)
    # At its end the state crosses into the layout between layers.
    crosses: bool = False
    across: tuple[int, ...] = ()  # the number of the rotation on the qubit that tells blocks apart

    @property
    def numbers(self) -> list[int]:
        """Of its rotations, in the order in which they are undone."""
        return [*self.across, *(i for _, i in (*self.registers, *self.lanes))]


@dataclass(frozen=True, slots=True)
class Sweep:
    """Phases that a chunk of the state goes through before the next chunk is fetched. Between them
    it goes through the block's shared memory, where it is a state of its own, `tile`."""

    phases: tuple[Phase, ...]
    tile: Geometry | None = None
    within: tuple[Place, ...] = ()  # where each phase has its amplitudes in the tile


@dataclass(slots=True)
class Geometry:
    bits: int  # of the index: qubits, and zeros above them where threads would be idle
    registers: int
    threads: int  # bits of the thread number within the sequence, all blocks of a cluster together
    cluster: int  # bits of the block's rank: the highest of the thread number
    shuffled: bool  # qubits on lanes are rotated by shuffles
    shared: bool  # else the home is global memory
    size: int  # bytes of a real number
    slots: tuple[int, ...] = field(default=())  # of a linear map: position -> slot
    home: int = 0  # of the block's first sequence, in bytes of shared memory
    backward: bool = False  # of which kernel
    crossing: Crossing | None = None
    # From an index to its position: with the rank above what is within a block.
    inner: Affine = field(init=False)
    between: Affine = field(init=False)

    def __post_init__(self) -> None:
        if not self.slots:
            self.slots = tuple(1 << i for i in range(self.bits))
        self.inner = self.between = Affine.identity(self.bits)
        if self.crossing:
            self.inner, self.between = self.crossing.layouts(self.bits)
        elif self.split:
            cols, c = list(self.inner.cols), self.cluster
            top = self.bits - c
            cols[top:], cols[top - c : top] = cols[top - c : top], cols[top:]
            self.between = Affine(tuple(cols))

    @property
    def chunks(self) -> int:
        """Bits of the index that a thread walks along."""
        return self.bits - self.registers - self.threads

    @property
    def local(self) -> int:
        """Bits of the index within a block."""
        return self.bits - self.cluster if self.shared else self.bits

    @property
    def bytes(self) -> int:
        """Of a state, in each block."""
        return 2 * self.size << self.local

    # --- the rank of a block

    @property
    def split(self) -> bool:
        """Do blocks share the state in their shared memory."""
        return self.shared and self.cluster > 0

    @property
    def fetches(self) -> bool:
        """Do layers begin, and phases, with amplitudes of other blocks."""
        return self.split and self.crossing is None

    def layout(self, inner: bool) -> Affine:
        return self.inner if inner else self.between

    def slot(self, index: int, inner: bool = False) -> int:
        """With the rank above the slot of the block."""
        return Affine(self.slots).linear(self.layout(inner).linear(index))

    def place(self, wanted: Sequence[int] = (), inner: bool = False) -> Place:
        """These bits in registers, and others until those are full; a thread finds all of them in
        its own block."""
        at = self.layout(inner).inverse().cols  # by the position
        room = self.local if self.split else self.bits
        registers = [at.index(1 << b) for b in wanted]
        # Blocks that walk along global memory together have their rank in the highest bits.
        for q in reversed(range(room if self.split else room - self.cluster)):
            if len(registers) < self.registers and q not in registers:
                registers.append(q)
        threads = [q for q in range(self.bits) if q not in registers]
        return Place(tuple(at[q] for q in sorted(registers)), tuple(at[q] for q in threads), inner)

    def phases(self, rotated: Sequence[int]) -> list[Phase]:
        """At least one; rotations are numbered as in `rotated`."""
        number = {1 << b: i for i, b in enumerate(rotated)}

        def turned(vectors: Sequence[int], mine: Sequence[int]) -> tuple[tuple[int, int], ...]:
            here = {1 << b for b in mine} & number.keys()
            return tuple((k, number[v]) for k, v in enumerate(vectors) if v in here)

        if self.shuffled:
            # What finds room is rotated in registers, the rest by shuffles.
            place = self.place(sorted(rotated)[-self.registers :] if self.registers else ())
            return [Phase(place, turned(place.registers, rotated), turned(place.threads, rotated))]
        out = []
        for mine, within in self._groups(sorted(rotated)):
            place = self.place(mine, within)
            out.append(Phase(place, turned(place.registers, mine)))
        if self.crossing:
            across = number.get(1 << self.crossing.qubit)
            last = () if across is None else (across,)
            out[-1] = replace(out[-1], crosses=True, across=last)
        return out

    def _groups(self, todo: list[int]) -> list[tuple[list[int], bool]]:
        """Rotated bits by phase, and whether the phase is one of the inner half."""
        if not self.split:
            return [(g, False) for g in self._evenly(todo, 1)]
        if self.crossing:
            # At last the bit whose place is taken, among high ones: so lanes count along low ones
            # where amplitudes are fetched from the other block, whole lines at a time.
            pivot = self.crossing.pivot
            first = [b for b in todo if b not in (pivot, self.crossing.qubit)]
            return [(g, True) for g in self._evenly([*first, pivot], 1)]
        ranks = range(self.local - self.cluster, self.local)  # between layers
        last = [b for b in todo if b >= self.local]
        first = [b for b in todo if b in ranks]
        free = [b for b in todo if b not in last and b not in first]
        # The half that ends the layer takes what it has room for. Where amplitudes go from block to
        # block, lanes count along the lowest bits, whole lines at a time: strewn, it takes six
        # times as long. So those bits are rotated where nothing goes: forward at the end of the
        # first half, backward in the half that ends the layer, and else amid the first.
        room = max(self.registers, -(-len(last) // self.registers) * self.registers) - len(last)
        free = free[::-1] if self.backward else free
        at = max(0, len(free) - room)
        first, last = sorted(first + free[:at]), sorted(last + free[at:])
        groups = [sorted(g) for g in self._evenly(first[::-1], 0)]
        if self.backward and len(groups) > 2:
            groups.insert(1, groups.pop())
        return [*((g, True) for g in groups), *((g, False) for g in self._evenly(last, 1))]

    def _evenly(self, todo: list[int], least: int) -> list[list[int]]:
        count = max(least, -(-len(todo) // self.registers))
        return [todo[len(todo) * i // count : len(todo) * (i + 1) // count] for i in range(count)]

    # --- global memory: a tile at a time

    @property
    def tile_bits(self) -> int:
        """Of the index: what a block has in its registers at once."""
        return self.registers + self.threads - self.cluster

    @property
    def tile_bytes(self) -> int:
        return 2 * self.size << self.tile_bits

    def sweeps(self, rotated: Sequence[int]) -> list[Sweep]:
        """At least one. In shared memory each phase is one; global memory is walked along as few
        times as there are tiles for all rotated qubits."""
        if self.shared:
            return [Sweep((p,)) for p in self.phases(rotated)]
        line = min(4 if self.size == 4 else 3, self.tile_bits - 1)  # bits of 128 bytes
        todo, out = sorted(rotated), []
        while True:
            tile = list(range(line))
            mine: list[int] = []
            for b in todo:
                if b in tile or len(tile) < self.tile_bits:
                    mine.append(b)
                    tile += [] if b in tile else [b]
            todo = [b for b in todo if b not in mine]
            # What room is left goes to the lowest bits: longer pieces of memory.
            tile += [b for b in range(self.bits) if b not in tile][: self.tile_bits - len(tile)]
            out.append(self._sweep(sorted(tile), mine, rotated, line))
            if not todo:
                return out

    def _sweep(
        self, tile: list[int], mine: list[int], rotated: Sequence[int], line: int
    ) -> Sweep:  # fmt: skip
        number = {b: i for i, b in enumerate(rotated)}
        count = -(-len(mine) // self.registers)
        groups = [mine[len(mine) * i // count : len(mine) * (i + 1) // count] for i in range(count)]
        # The order is free. Those on the bits of a line lie in the middle, so that at both ends a
        # warp reads or writes whole lines.
        low = [g for g in groups if g[0] < line]
        high = [g for g in groups if g[0] >= line]
        groups = [*(high[:1] or [[]]), *low, *high[1:]]
        if groups[-1] and groups[-1][0] < line:
            groups.append([])
        outside = [b for b in range(self.bits) if b not in tile]
        phases = []
        for group in groups:
            inner = list(group)
            inner += [b for b in reversed(tile) if b not in inner][: self.registers - len(inner)]
            inner.sort()
            threads = [*(b for b in tile if b not in inner), *outside]
            place = Place(tuple(1 << b for b in inner), tuple(1 << b for b in threads))
            turned = tuple((k, number[b]) for k, b in enumerate(inner) if b in group)
            phases.append(Phase(place, turned))
        at = {1 << b: 1 << k for k, b in enumerate(tile)}
        within = tuple(
            Place(
                tuple(at[b] for b in p.place.registers),
                tuple(at[b] for b in p.place.threads if b in at),
            )
            for p in phases
        )
        own = Geometry(
            self.tile_bits, self.registers, self.tile_bits - self.registers, 0, False, True,
            self.size,
        )  # fmt: skip
        words = 4 if self.size == 4 else 3
        if own.threads >= words:
            own.slots = own.swizzled([w.threads[:words] for w in within], words)
        return Sweep(tuple(phases), own, within)

    # --- shared memory

    def swizzle(self, layers: Sequence[Layer]) -> None:
        """Chooses the slots by what these layers need, in both kernels."""
        words = 4 if self.size == 4 else 3  # lanes of one transaction: 128 bytes
        if not self.shared or self.local <= words or self.threads < words:
            return
        wanted = [[self.between.linear(v) for v in self.place().threads[:words]]]
        ways = [replace(self, backward=b) for b in (False, True)]
        for layer, way in product(layers, ways):
            phases = way.phases([b for b, _ in layer.rotations])
            back = layer.map.padded(self.bits).inverse()
            for phase in phases:
                where = self.layout(phase.place.inner)
                wanted.append([where.linear(v) for v in phase.place.threads[:words]])
            first = phases[0].place.threads[:words]
            wanted.append([self.between.linear(back.linear(v)) for v in first])
        self.slots = self.swizzled(wanted, words)

    def swizzled(self, wanted: Sequence[Sequence[int]], words: int) -> tuple[int, ...]:
        """Slots that accesses with these indices, and their sums, meet few bank conflicts at."""
        keep = (1 << self.local) - 1
        patterns = list(dict.fromkeys(tuple(c & keep for c in p) for p in wanted))
        low = (1 << words) - 1

        def conflicts(columns: list[int]) -> int:
            total = 0
            for p in patterns:
                images = []
                for index in p:
                    out = index & low
                    for k, col in enumerate(columns):
                        if index >> (words + k) & 1:
                            out ^= col
                    images.append(out)
                total += (1 << (words - rank(images))) - 1
            return total

        high = self.local - words
        r = max(1, self.registers)
        first_try = [0] * high
        for k in range(high):
            for by in (r, r + 1):
                if 0 <= words + k - by < words:
                    first_try[k] ^= 1 << (words + k - by)
        best, least = first_try, conflicts(first_try)
        dice = random.Random(0)
        for _ in range(400):
            if not least:
                break
            # Half the tries change one column of the best.
            tried = list(best)
            for k in [dice.randrange(high)] if dice.random() < 0.5 else range(high):
                tried[k] = dice.randrange(1 << words)
            found = conflicts(tried)
            if found < least:
                best, least = tried, found
        cols = [1 << b for b in range(self.bits)]
        for k, col in enumerate(best):
            cols[words + k] ^= col
        return tuple(cols)
