"""What layers are done with, made from angles: tangents, flips, and tables of phases.

No number waits between threads here. A warp (or a sequence's part of one) has in its lanes

- the rotations of all layers that are made together, each layer's in a block of lanes. Who turns by
  more than half a turn is one vote, and a bit mask in every lane; where such flips lead is another;
  the product of the cosines is one over the block;
- the entries of the tables, a lane to an entry. A table's entries are the Walsh transform of its
  turns: lane y begins with the turn whose parity is y, and sums and differences go over the lanes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from qrlang.engine import nodes
from qrlang.engine.cuda.memory import batches, even
from qrlang.engine.cuda.rows import Rows
from qrlang.engine.cuda.source import ANGLE

UNROLLED = 4  # entries of a thread that stand side by side, so that they wait together


@dataclass(slots=True)
class Turns:
    """For each lane: a rotation of one of the layers, or nothing."""

    width: int
    block: int  # lanes of each layer
    angles: list[int] = field(default_factory=list)  # the row, or -1
    tangents: list[int | None] = field(default_factory=list)  # where it goes
    cosines: list[int | None] = field(default_factory=list)
    layers: list[int | None] = field(default_factory=list)
    columns: list[int] = field(default_factory=list)  # flips that change this bit of the slot


@dataclass(slots=True)
class Entries:
    """For each entry of the tables of all layers, each table's at a multiple of its size."""

    terms: list[int] = field(default_factory=list)  # the angle's row, or -1
    masks: list[int] = field(default_factory=list)  # lanes whose flips turn its sign
    single: list[int] = field(default_factory=list)  # is it a rotated qubit's own
    takes: list[int] = field(default_factory=list)  # does it take the cosines
    orders: list[int] = field(default_factory=list)  # of its layer among those made together
    bits: list[int] = field(default_factory=list)  # of its table
    goals: list[int | None] = field(default_factory=list)
    layers: list[int | None] = field(default_factory=list)

    def add(
        self, term: int = -1, mask: int = 0, single: int = 0, takes: int = 0, order: int = 0,
        bits: int = 0, goal: int | None = None, layer: int | None = None,
    ) -> None:  # fmt: skip
        for column, x in zip(
            (self.terms, self.masks, self.single, self.takes, self.orders, self.bits),
            (term, mask, single, takes, order, bits), strict=True,
        ):  # fmt: skip
            column.append(x)
        self.goals.append(goal)
        self.layers.append(layer)

    def packed(self) -> list[int]:
        """One number of 64 bits for each."""
        return [
            (t << 10 | b << 7 | o << 2 | k << 1 | s) << 32 | m
            for t, b, o, k, s, m in zip(
                self.terms, self.bits, self.orders, self.takes, self.single, self.masks,
                strict=True,
            )
        ]  # fmt: skip

    def part(self, first: int, count: int) -> Entries:
        at = slice(first, first + count)
        return Entries(
            self.terms[at], self.masks[at], self.single[at], self.takes[at], self.orders[at],
            self.bits[at], self.goals[at], self.layers[at],
        )  # fmt: skip


class Parameters(Rows):
    @property
    def _width(self) -> int:
        """Lanes that vote together: of a sequence, or of its warp."""
        return min(32, self.mapping.group)

    def _batches(self, k: int) -> list[list[int]]:
        """Layers of a circuit, by number, in parts whose parameters are made together."""
        out, at = [], 0
        for part in batches(self.shapes[k], self.memory.limit, self._width):
            out.append(list(range(at, at + len(part))))
            at += len(part)
        return out

    def _places(self, k: int, part: list[int]) -> dict[int, int]:
        """Where the parameters of each layer of a part begin."""
        at, out = self.memory.parameters, {}
        for i in part:
            out[i] = at
            at += even(self.shapes[k][i].parameters)
        return out

    def _norm(self, s: int) -> str:
        return f"own[{self.memory.norms + s}]"

    # --- what goes where

    def _turns(self, node: nodes.Circuit, k: int, part: list[int]) -> Turns:
        width, shapes = self._width, self.shapes[k]
        block = max(shapes[i].block for i in part)
        assert len(part) * block <= width
        angle, places = self.addresses(node.angles), self._places(k, part)
        found = Turns(width, block)
        for order, i in enumerate(part):
            shape, at, rows = shapes[i], places[i], dict(node.layers[i].rotations)
            for j in range(block):
                inside = j < len(shape.bits)
                found.angles.append(angle[rows[shape.bits[j]]] if inside else -1)
                found.tangents.append(at + j if inside else None)
                found.cosines.append(at + shape.at_cos + j if inside else None)
                found.layers.append(i)
                hit = sum(1 << n for n, slot in enumerate(shape.flips) if slot >> j & 1)
                found.columns.append(hit << order * block)
        rest = width - len(found.angles)
        found.angles += [-1] * rest
        found.columns += [0] * rest
        for column in (found.tangents, found.cosines, found.layers):
            column += [None] * rest
        return found

    def _entries(self, node: nodes.Circuit, k: int, part: list[int], block: int) -> Entries:
        angle, places = self.addresses(node.angles), self._places(k, part)
        found = Entries()
        for order, i in enumerate(part):
            shape, layer = self.shapes[k][i], node.layers[i]
            term_row = dict(layer.terms)
            ordered = sorted(range(len(shape.tables)), key=shape.at_table)
            while ordered and len(found.goals) % (1 << shape.tables[ordered[0]].bits):
                found.add()
            for q in ordered:
                table = shape.tables[q]
                member = {y: shape.masks[m] for m, y in table.members}
                for y in range(1 << table.bits):
                    mask = member.get(y, 0)
                    row = term_row.get(mask, -1)
                    lanes = sum(1 << j for j, b in enumerate(shape.bits) if mask >> b & 1)
                    found.add(
                        -1 if row < 0 else angle[row], lanes << order * block,
                        int(mask.bit_count() == 1 and lanes != 0), int(q == shape.smallest),
                        order, table.bits, places[i] + shape.at_table(q) + 2 * y, i,
                    )  # fmt: skip
        return found

    def _lanes(self, count: int) -> int:
        """Whole warps that so many entries need."""
        return -(-count // self._width) * self._width

    def _formula(self, values: Sequence[int | None], r: str) -> str:
        """values[r], where None may be anything: by one step or two, else from memory."""
        known = [(i, v) for i, v in enumerate(values) if v is not None]
        if not known:
            return "0"
        slopes = ((y - x) // (j - i) for (i, x), (j, y) in pairwise(known))
        step = min(slopes, default=0, key=abs)
        starts = [v - step * i for i, v in known]
        changes = [n for n in range(1, len(known)) if starts[n] != starts[n - 1]]
        by = f" + {r} * {step}" if step else ""
        if not changes:
            return f"({starts[0]}{by})"
        if len(changes) == 1:
            edge = known[changes[0]][0]
            return f"(({r} < {edge}u ? {starts[0]} : {starts[-1]}){by})"
        return self.numbers([known[0][1] if v is None else v for v in values], r)

    def _votes(self, x: str) -> str:
        """A bit of each lane of the group (or of its warp), the first one's lowest."""
        all_of = f"__ballot_sync(0xffffffffu, {x})"
        return all_of if self._width == 32 else f"{all_of} >> (threadIdx.x & {32 - self._width}u)"

    # --- the text

    def _prepare(
        self, node: nodes.Circuit, k: int, part: list[int], scaled: int, report: bool
    ) -> None:
        """Parameters of some layers; `scaled` is the layer that brings the norm back to one."""
        out, group = self.out, self.mapping.group
        turns = self._turns(node, k, part)
        entries = self._entries(node, k, part, turns.block)
        rotated = any(x >= 0 for x in turns.angles)
        count = len(entries.goals)
        passes = -(-count // group)
        while len(entries.goals) < passes * group:
            entries.add()
        with out.block(""):
            # What comes from memory begins to come before the barrier.
            lane = "ln" if group <= 32 else "(ln & 31u)"
            if rotated:
                packed = [a << 32 | c for a, c in zip(turns.angles, turns.columns, strict=True)]
                out(f"const L turn = {self.layers.table('L', packed)}[{lane}];")
            table = self.layers.table("L", entries.packed()) if count else ""
            if passes <= UNROLLED:
                for n in range(passes):
                    out(f"const L entry{n} = {table}[ln + {n * group}u];")
            if not self.clean:
                self.barrier()
            busy = self._lanes(count)
            with out.block(f"if (ln < {busy}u)" if 0 < busy < group else ""):
                if report:
                    out("int bad = -1;")
                if rotated:
                    self._rotations(k, part, turns)
                elif scaled in part:
                    out("const U f = 0;", "F c = F(1);")
                else:
                    out("const U f = 0;", "const F c = F(1);")
                if scaled in part:
                    self._scaled(node, k, part, scaled, turns, lane)
                scaling = rotated or scaled in part
                for n in range(passes if passes <= UNROLLED else 0):
                    rest = count - n * group
                    mine = entries.part(n * group, group)
                    busy = self._lanes(rest)
                    with out.block(f"if (ln < {busy}u)" if n and busy < group else ""):
                        self._entry(mine, f"entry{n}", "ln", rest, turns, scaling, report)
                if passes > UNROLLED:
                    each = f"for (U r = ln; r < {self._lanes(count)}u; r += {group}u)"
                    with out.rolled(each):
                        out(f"const L entry = {table}[r];")
                        self._entry(entries, "entry", "r", count, turns, scaling, report)
                if report:
                    if rotated:
                        out(f"if (!good(y)) bad = {self._formula(turns.layers, lane)};")
                    where = f"{ANGLE}, {k} << 8 | (bad & 255)"
                    out(f"if (bad >= 0) report(error, {where}, {self.time}, b);")
            self.barrier()
        if scaled in part:
            # The layers that follow end with a barrier: nobody reads this before.
            out(f"if (ln == 0) {self._norm(node.space)} = F(1);")

    def _rotations(self, k: int, part: list[int], turns: Turns) -> None:
        """Tangents; `c`, in whose blocks' last lanes are the cosines' products; `f`: flips."""
        out, block, places = self.out, turns.block, self._places(k, part)
        out("const int row = (int)(turn >> 32);")
        out("const F y = row >= 0 ? v[row] : F(0);")
        out("F rest, s, c;", "const U odd = halved(y, rest) & 1u;")
        out(f"const U f = {self._votes('odd')};")
        out(f"const U slots = {self._votes('parity(f & (U)turn)')};")
        out("near_sincos(rest, s, c);", "const F tangent = quotient(s, c);")
        by = 1
        while by < block:
            if self.backward:
                out(f"{{ const F o = __shfl_up_sync(0xffffffffu, c, {by});")
                out(f"  c *= (ln & {block - 1}u) >= {by}u ? o : F(1); }}")
            else:
                out(f"c *= over(c, {by});")
            by *= 2
        first = "ln < 32u && " if self.mapping.group > 32 else ""
        with out.block(f"if ({first}row >= 0)"):
            out(f"own[{self._formula(turns.tangents, 'ln')}] = tangent;")
            if self.backward:
                out(f"own[{self._formula(turns.cosines, 'ln')}] = c * c;")
        # Each layer's flips: as a slot, and by the rotations' numbers.
        words = [places[i] + self.shapes[k][i].at_words for i in part]
        with out.block(f"if (ln < {len(part)}u)"):
            out(f"W* const word = (W*)own + {self._formula(words, 'ln')};")
            for n, bits in enumerate(("slots", "f")[: 1 + self.backward]):
                mine = bits if len(part) == 1 else f"({bits} >> ln * {block})"
                out(f"word[{n}] = {mine} & {(1 << block) - 1:#x}u;")

    def _scaled(
        self, node: nodes.Circuit, k: int, part: list[int], scaled: int, turns: Turns, lane: str
    ) -> None:
        out, shape = self.out, self.shapes[k][scaled]
        order = part.index(scaled)
        out(f"const F one = unit({self._norm(node.space)});")
        if not shape.tables:
            at = self._places(k, part)[scaled] + shape.at_tables
            out(f"if (ln == 0) own[{at}] = one;")
        elif len(part) == 1:
            out("c *= one;")
        else:
            out(f"c *= {lane} / {turns.block}u == {order}u ? one : F(1);")

    def _entry(
        self, mine: Entries, packed: str, r: str, count: int, turns: Turns, scaling: bool,
        report: bool,
    ) -> None:  # fmt: skip
        """The entry number r: its turn, then all turns of its table."""
        out = self.out
        n = min(count, len(mine.goals))
        used = Entries(*(getattr(mine, name)[:n] for name in Entries.__slots__))
        out(f"const int h = (int)({packed} >> 32);", "const int term = h >> 10;")
        out("const F x = term >= 0 ? v[term] : F(0);", "W u = turns(x);")
        if any(used.masks):
            out(f"if (parity(f & (U){packed})) u = (W)0 - u - ((W)(h & 1) << QUARTER);")
        for b in range(max(used.bits)):
            out(f"{{ const W o = over(u, {1 << b}), t = ln & {1 << b}u ? o - u : o + u;")
            some = any(x <= b for x in used.bits)
            out(f"  u = {f'(h >> 7 & 7) > {b} ? t : u' if some else 't'}; }}")
        scale = "F(1)"
        if scaling:
            end = turns.block - 1
            if len(set(used.orders)) == 1:
                source = str(used.orders[0] * turns.block + end)
            else:
                source = f"((h >> 2 & 31) * {turns.block} + {end})"
            width = "" if turns.width == 32 else f", {turns.width}"
            out(f"const F all = __shfl_sync(0xffffffffu, c, {source}{width});")
            scale = "all" if all(used.takes) else "h & 2 ? all : F(1)"
        whole = count >= len(mine.goals) and all(g is not None for g in used.goals)
        guard = "" if whole else f"if (h & {7 << 7}) "
        out(f"{guard}*(C*)(own + {self._formula(mine.goals, r)}) = phase(u, {scale});")
        if report:
            out(f"if (!good(x)) bad = {self._formula(mine.layers, r)};")
