"""Where a kernel's things lie in shared memory: states, weights, and what each sequence has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from qrlang.engine import nodes
from qrlang.engine.bodies import loop_rows, walk_nodes
from qrlang.engine.cuda.layout.crossing import Crossing
from qrlang.engine.cuda.layout.geometry import Geometry
from qrlang.engine.cuda.layout.mapping import PARAMETERS, Mapping
from qrlang.engine.cuda.layout.multiprocessor import shared_limit
from qrlang.engine.cuda.layout.shape import Shape
from qrlang.engine.nodes import Plan
from qrlang.engine.renamed import renamed

ROWS = 96 << 10  # bytes of a block's rows up to which they lie in shared memory
WEIGHTS = 64 << 10  # the same for weights


def geometries(plan: Plan, mapping: Mapping, backward: bool = False) -> list[Geometry]:
    """One for each space; a space with fewer qubits than there are threads gets idle ones. States
    lie in the same slots in both kernels."""
    out = []
    for s, n in enumerate(plan.spaces):
        bits = mapping.bits(n)
        registers = min(mapping.registers, bits - mapping.threads)
        layers = [layer for c in plan.circuits if c.space == s for layer in c.layers]
        two = mapping.shared and mapping.cluster == 1
        g = Geometry(
            bits, registers, mapping.threads, mapping.cluster, mapping.shuffled, mapping.shared,
            mapping.size, backward=backward, crossing=Crossing.of(layers, bits) if two else None,
        )  # fmt: skip
        g.swizzle(layers)
        out.append(g)
    return out


@dataclass(slots=True)
class Memory:
    """Offsets: in bytes for a block, in numbers within what a sequence has."""

    plan: Plan
    mapping: Mapping
    backward: bool
    geometries: list[Geometry]
    shapes: list[list[Shape]]  # of each circuit
    homes: list[int] = field(default_factory=list)  # bytes; each followed by its costate
    # Weights, and whether turned round: offset in bytes, stride.
    weights: dict[tuple[int, bool], tuple[int, int]] = field(default_factory=dict)
    row_of: list[int] = field(default_factory=list)
    zero: int = 0  # a row that is always zero
    outer: int = 0  # rows of the outermost body
    rows_shared: bool = True
    own: int = 0  # where sequences' own begin
    adjoint: int = 0
    parameters: int = 0
    parameter_room: int = 0
    sums: int = 0
    sums_room: int = 0
    norms: int = 0
    stride: int = 0
    row_stride: int = 0  # of rows in global memory
    bytes: int = 0

    def __post_init__(self) -> None:
        m, plan = self.mapping, self.plan
        count = m.sequences
        at = 0
        self.homes = [0] * len(plan.spaces)
        if m.shared:
            order = sorted(range(len(plan.spaces)), key=lambda s: -self.geometries[s].bytes)
            for s in order:
                self.homes[s] = self.geometries[s].home = at
                at += self.geometries[s].bytes * (2 if self.backward else 1) * count
        elif self.geometries:
            at += max(g.tile_bytes for g in self.geometries) * (2 if self.backward else 1)
        rows = self._rows()
        kinds = 2 if self.backward else 1
        fixed = self._fixed()
        room = shared_limit(m.arch) - (1 << 10) - at
        own = self._rounded(fixed + kinds * rows)
        self.rows_shared = count * own * m.size <= min(room, ROWS)
        own = own if self.rows_shared else self._rounded(fixed)
        self.stride, self.row_stride = own, kinds * rows
        place = 0 if not self.rows_shared else kinds * rows + (kinds * rows) % 2
        self.adjoint = rows
        self.parameters = place
        self.sums = place + self.parameter_room
        self.norms = self.sums + 2 * self.sums_room
        self.own = at
        at += count * own * m.size
        self._weights(at, room - count * own * m.size)

    def _rounded(self, own: int) -> int:
        """Numbers of a sequence: whole pieces, and sequences of one warp start at different
        banks."""
        m = self.mapping
        own += -own % self.piece
        while m.group < 32 and own * m.size // 4 % 32 != m.group * m.size // 4 % 32:
            own += self.piece
        return own

    @property
    def piece(self) -> int:
        """Numbers that are read at once: 16 bytes."""
        return 16 // self.mapping.size

    def _rows(self) -> int:
        """Lays out the rows of slots: what a product walks along begins where pieces of it and of
        the weight begin, what is kept of a step lies in a row, what only renames has no place."""
        plan, piece = self.plan, self.piece
        others = renamed(plan)
        wish: dict[int, int] = {}
        for n in walk_nodes(plan.body):
            if not isinstance(n, nodes.Linear):
                continue
            places = others.get(n.x) or [(n.x, k) for k in range(plan.slots[n.x])]
            before = (-1, -1)
            for column, (s, k) in enumerate(places):
                if before != (s, k - 1):
                    wish.setdefault(s, (column - k) % piece)
                before = s, k
            wish.setdefault(n.out, 0)
        self.row_of = [0] * len(plan.slots)
        rows = 0

        def place(slots: Sequence[int]) -> None:
            nonlocal rows
            past = 0
            for s in slots:
                if s in wish:
                    rows += (wish[s] - rows - past) % piece
                    break
                past += plan.slots[s]
            for s in slots:
                self.row_of[s] = rows
                rows += plan.slots[s]

        for s in range(plan.outer):
            if s not in others:
                place([s])
        self.outer = rows
        kept = [
            [s for s, _ in loop_rows(n, plan)]
            for n in walk_nodes(plan.body)
            if isinstance(n, nodes.Loop)
        ]
        inside = {s for slots in kept for s in slots}
        rest = [[s] for s in range(plan.outer, len(plan.slots)) if s not in inside]
        for slots in (*kept, *rest):
            if not any(s in others for s in slots):
                place(slots)
        self.zero = rows
        return rows + piece - rows % piece

    def _fixed(self) -> int:
        """Numbers that a sequence has beside its rows."""
        most, sums = 0, 1
        limit = max(1, PARAMETERS // self.mapping.sequences)
        for shapes in self.shapes:
            for part in batches(shapes, limit, self.mapping.width):
                most = max(most, sum(even(s.parameters) for s in part))
            sums = max([sums, *(s.sums for s in shapes)])
        sums = max([sums, *(len(c.masks) for c in self.plan.circuits)])
        self.parameter_room = even(most)
        self.sums_room = even(sums * max(1, self.mapping.group // 32))
        return even(self.parameter_room + 2 * self.sums_room + even(len(self.plan.spaces)) + 2)

    @property
    def limit(self) -> int:
        """Parameters of layers that are made together."""
        return max(self.parameter_room, 1)

    @property
    def abreast(self) -> int:
        """Sequences that share a warp: its lanes do their products together, so that each weight
        is read once for all of them."""
        return max(1, 32 // self.mapping.group) if self.rows_shared else 1

    @property
    def threads(self) -> int:
        """That share the rows of a product."""
        return self.mapping.group * self.abreast

    def lanes(self, many: int, inner: int, cycles: int = 2) -> int:
        """How many lanes share the sum of one row, so that it is there soonest: a piece takes some
        cycles and those to use it, a sum over a shuffle 29."""
        cycles += 4 * self.abreast
        pieces = -(-inner // self.piece)
        room = min(pieces, self.threads // many)
        fit = [x for x in range(6) if not x or 1 << x <= room]
        return 1 << min(fit, key=lambda x: cycles * -(-pieces // (1 << x)) + 29 * x)

    def _stride(self, many: int, width: int) -> int:
        """Of a weight's rows: eight lanes that read a piece each meet different banks."""
        lanes, pieces = self.lanes(many, width), -(-width // self.piece)
        while lanes < 8 and pieces % (2 * lanes) != lanes:
            pieces += 1
        return pieces * self.piece

    def _weights(self, at: int, room: int) -> None:
        """Weights that fit, the small ones first; backward, also turned round, where that leaves
        room for as many blocks."""
        m = self.mapping
        sizes: dict[tuple[int, bool], tuple[int, int]] = {}
        inner = [n for x in self.plan.body if isinstance(x, nodes.Loop) for n in walk_nodes(x.body)]
        for n in walk_nodes(self.plan.body):
            if not isinstance(n, nodes.Linear):
                continue
            many, width = self.plan.slots[n.out], self.plan.slots[n.x]
            if self.backward:
                sizes[n.weight, True] = (width, self._stride(width, many))
            if not self.backward or any(x is n for x in inner):
                sizes[n.weight, False] = (many, self._stride(many, width))
                if n.bias >= 0:
                    sizes[n.bias, False] = (many, 1)
        room = min(room, WEIGHTS)
        wanted, limit = m.side_by_side, shared_limit(m.arch)
        held = 0  # blocks without what is turned round
        for w, (many, stride) in sorted(sizes.items(), key=lambda x: (x[0][1], x[1][0] * x[1][1])):
            size = (many * stride * m.size + 15) & ~15
            if w[1]:
                held = held or min(wanted, limit // (at + 1024))
            if size <= room and limit // (at + size + 1024) >= held:
                self.weights[w] = (at, stride)
                at += size
                room -= size
        self.bytes = at


def even(x: int) -> int:
    return x + x % 2


def batches(shapes: list[Shape], limit: int, lanes: int) -> list[list[Shape]]:
    """Layers in order, in parts whose parameters fit, and whose rotations fit into the lanes."""
    out: list[list[Shape]] = []
    used = block = 0
    for s in shapes:
        size = even(s.parameters)
        block = max(block, s.block)
        if not out or used + size > limit or (len(out[-1]) + 1) * block > lanes:
            out.append([])
            used, block = 0, s.block
        out[-1].append(s)
        used += size
    return out
