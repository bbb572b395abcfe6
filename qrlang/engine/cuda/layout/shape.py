"""A layer as far as its code depends on it, and how its diagonal falls into tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qrlang.engine.cuda.layout.geometry import Geometry, Phase, Place
from qrlang.engine.gf2 import Affine, parity, rank
from qrlang.engine.nodes import Layer


@dataclass(frozen=True, slots=True)
class Table:
    """The factor of some masks: an entry for every setting of the parities `basis`."""

    basis: tuple[int, ...]
    members: tuple[tuple[int, int], ...]  # (number of the mask, its parity over the entry's number)

    @property
    def bits(self) -> int:
        return len(self.basis)

    def entry(self, index: int) -> int:
        return sum(parity(m & index) << k for k, m in enumerate(self.basis))


def tables(masks: Sequence[int], place: Place, threads: int) -> tuple[Table, ...]:
    """Tables that are cheap to make and to use: those of masks without register bits are looked up
    once by a thread, the others for every amplitude. A warp makes one in its lanes."""
    best: tuple[float, tuple[Table, ...]] | None = None
    for most in range(2, min(5, threads) + 1):
        outer = [m for m in masks if not place.split(m)[0]]
        near = _grouped(masks, [m for m in masks if m not in outer], most, outer)
        held = {masks[m] for t in near for m, _ in t.members}
        far = _grouped(masks, [m for m in outer if m not in held], most)
        entries = sum((50 + 3 * t.bits) << t.bits for t in near + far)
        used = sum(10 + 5 * min(1 << len(place.registers), 1 << t.bits) for t in near)
        used += 15 * len(far) + (4 * len(near) << len(place.registers))
        cost = entries / (1 << threads) + used
        if best is None or cost < best[0]:
            # Those of which a thread needs fewest entries come first: their products are shared.
            steps = [place.index(1 << k) for k in range(len(place.registers))]
            count = {t: len({t.entry(x) for x in steps} - {0}) for t in near}
            best = cost, (*far, *sorted(near, key=lambda t: count[t]))
    return best[1] if best else ()


def _grouped(
    masks: Sequence[int], chosen: Sequence[int], most: int, free: Sequence[int] = ()
) -> list[Table]:
    """As few tables as a greedy walk finds with at most 2^most entries each. What is `free` goes
    along where it makes none larger."""
    groups: list[list[int]] = []
    for m in sorted(chosen, key=lambda m: ((m & -m).bit_length(), m)):
        same = [g for g in groups if rank([*g, m]) == rank(g)]
        room = [g for g in groups if rank([*g, m]) <= most]
        if same:
            same[0].append(m)
        elif room:
            room[-1].append(m)
        else:
            groups.append([m])
    for m in free:
        for g in groups:
            if rank([*g, m]) == rank(g):
                g.append(m)
                break
    out = []
    for g in groups:
        basis = _reduced(g)
        pivots = [m & -m for m in basis]
        members = [(masks.index(m), sum(bool(m & p) << k for k, p in enumerate(pivots))) for m in g]
        out.append(Table(tuple(basis), tuple(members)))
    return out


def _reduced(vectors: Sequence[int]) -> list[int]:
    """A basis in which each vector's lowest bit is in no other."""
    basis: list[int] = []
    for v in vectors:
        for b in basis:
            if v & b & -b:
                v ^= b
        if v:
            basis = [b ^ v if b & v & -v else b for b in basis]
            basis.append(v)
    return sorted(basis)


@dataclass(frozen=True, slots=True)
class Shape:
    """Rotations are numbered in the order in which they are undone."""

    map: Affine
    terms: tuple[int, ...]  # masks that have an angle
    bits: tuple[int, ...]  # rotated
    masks: tuple[int, ...]  # of the terms, and of every rotated qubit: its sign when it is flipped
    tables: tuple[Table, ...]
    flips: tuple[int, ...]  # of each rotation: how the slot changes where it is flipped

    @staticmethod
    def of(layer: Layer, geometry: Geometry) -> Shape:
        terms = tuple(m for m, _ in layer.terms)
        rotated = [b for b, _ in layer.rotations]
        phases = [p for sweep in geometry.sweeps(rotated) for p in sweep.phases]
        bits = tuple(undone(phases, rotated))
        masks = tuple(dict.fromkeys((*terms, *(1 << b for b in bits))))
        place = geometry.sweeps(bits)[0].phases[0].place
        found = tables(masks, place, geometry.threads - geometry.cluster)
        index_map = layer.map.padded(geometry.bits)
        back = index_map.inverse()
        flips = tuple(geometry.slot(back.linear(1 << b)) for b in bits)
        return Shape(index_map, terms, bits, masks, found, flips)

    @property
    def smallest(self) -> int:
        """The table that takes the cosines: the one with fewest entries."""
        return min(range(len(self.tables)), key=lambda q: self.tables[q].bits, default=-1)

    @property
    def moves(self) -> bool:
        """Can an amplitude come from another place than where it goes."""
        return not self.map.trivial or bool(self.bits)

    @property
    def block(self) -> int:
        """Lanes for its rotations, and for the bits of a slot."""
        most = max([len(self.bits), *(x.bit_length() for x in self.flips)])
        return 1 << (most - 1).bit_length() if most else 1

    # Where things lie among a layer's parameters, in numbers: tangents first.
    @property
    def at_cos(self) -> int:
        """For each rotation: the squared product of its cosine and those before."""
        return len(self.bits)

    @property
    def at_words(self) -> int:
        """Flips as a slot, and by the rotations' numbers."""
        return 2 * len(self.bits)

    @property
    def at_tables(self) -> int:
        return self.at_words + 2

    def at_table(self, number: int) -> int:
        """Large ones lie first: each at a multiple of its size."""
        key = [(-t.bits, q) for q, t in enumerate(self.tables)]
        before = [q for q in range(len(key)) if key[q] < key[number]]
        return self.at_tables + sum(2 << self.tables[q].bits for q in before)

    @property
    def parameters(self) -> int:
        return self.at_tables + (sum(2 << t.bits for t in self.tables) or 2)

    @property
    def sums(self) -> int:
        """How many sums its way back gives: of the rotations, of the terms, the norm."""
        return len(self.bits) + len(self.terms) + 1


def undone(phases: Sequence[Phase], rotated: Sequence[int]) -> list[int]:
    """Rotated bits, last phase first."""
    out: list[int] = []
    for phase in reversed(phases):
        out += [rotated[i] for i in phase.numbers]
    return out
