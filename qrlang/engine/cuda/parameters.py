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
    angles: list[int] = field(default_factory=list)  # the row, or one that is zero
    tangents: list[int | None] = field(default_factory=list)  # where it goes
    cosines: list[int | None] = field(default_factory=list)
    layers: list[int | None] = field(default_factory=list)
    columns: list[int] = field(default_factory=list)  # flips that change this bit of the slot


@dataclass(slots=True)
class Entries:
    """For each entry of the tables of all layers, each table's at a multiple of its size."""

    terms: list[int] = field(default_factory=list)  # the angle's row, or one that is zero
    masks: list[int] = field(default_factory=list)  # lanes whose flips turn its sign
    single: list[int] = field(default_factory=list)  # is it a rotated qubit's own
    takes: list[int] = field(default_factory=list)  # does it take the cosines
    orders: list[int] = field(default_factory=list)  # of its layer among those made together
    bits: list[int] = field(default_factory=list)  # of its table
    goals: list[int | None] = field(default_factory=list)
    layers: list[int | None] = field(default_factory=list)

    def add(
        self, term: int, mask: int = 0, single: int = 0, takes: int = 0, order: int = 0,
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
        assert max(self.terms) < 1 << 20
        return [
            (t << 11 | k << 10 | b << 7 | o << 2 | s) << 32 | m  # bit 33 stays clear
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


@dataclass(frozen=True, slots=True)
class Walk:
    """Entries that threads make at once, one each: the name of what belongs to them, which of them
    is the thread's."""

    name: str
    r: str
    entries: Entries


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
        zero = self.memory.zero
        found = Turns(width, block)
        for order, i in enumerate(part):
            shape, at, rows = shapes[i], places[i], dict(node.layers[i].rotations)
            for j in range(block):
                inside = j < len(shape.bits)
                found.angles.append(angle[rows[shape.bits[j]]] if inside else zero)
                found.tangents.append(at + j if inside else None)
                found.cosines.append(at + shape.at_cos + j if inside else None)
                found.layers.append(i)
                hit = sum(1 << n for n, slot in enumerate(shape.flips) if slot >> j & 1)
                found.columns.append(hit << order * block)
        rest = width - len(found.angles)
        found.angles += [zero] * rest
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
                self._idle(found)
            for q in ordered:
                table = shape.tables[q]
                member = {y: shape.masks[m] for m, y in table.members}
                for y in range(1 << table.bits):
                    mask = member.get(y, 0)
                    row = angle[term_row[mask]] if mask in term_row else self.memory.zero
                    lanes = sum(1 << j for j, b in enumerate(shape.bits) if mask >> b & 1)
                    found.add(
                        row, lanes << order * block,
                        int(mask.bit_count() == 1 and lanes != 0), int(q == shape.smallest),
                        order, table.bits, places[i] + shape.at_table(q) + 2 * y, i,
                    )  # fmt: skip
        return found

    def _idle(self, entries: Entries) -> None:
        entries.add(self.memory.zero)

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
        rotated = any(x != self.memory.zero for x in turns.angles)
        count = len(entries.goals)
        passes = -(-count // group)
        while len(entries.goals) < passes * group:
            self._idle(entries)
        beside = [
            Walk(str(n), "ln", entries.part(n * group, group))
            for n in range(passes if passes <= UNROLLED else 0)
        ]
        lane = "ln" if group <= 32 else "(ln & 31u)"
        table = self.layers.table("L", entries.packed()) if count else ""
        with out.block(""):
            # What comes from memory begins to come before the barrier.
            if rotated:
                packed = [a << 32 | c for a, c in zip(turns.angles, turns.columns, strict=True)]
                out(f"const L turn = {self.layers.table('L', packed)}[{lane}];")
            for n, walk in enumerate(beside):
                out(f"const L entry{walk.name} = {table}[ln + {n * group}u];")
            if not self.clean:
                self.barrier()
            busy = -(-count // self._width) * self._width
            with out.block(f"if (ln < {busy}u)" if 0 < busy < group else ""):
                # Side by side, and without a branch: all wait together.
                if report:
                    out("int bad = -1;")
                if rotated:
                    out("const F y = v[turn >> 32];")
                self._angles_of(beside, report)
                if rotated:
                    self._flips(k, part, turns)
                else:
                    out("const U f = 0;", "F c = F(1);")
                if scaled in part:
                    out(f"const F one = unit({self._norm(node.space)});")
                self._walsh(beside, self._product(turns) if rotated else [])
                if self.backward and rotated:
                    at = self._formula(turns.cosines, "ln")
                    out(f"if ({self._rotates(turns)}) own[{at}] = c * c;")
                if scaled in part:
                    self._scaled(k, part, scaled, turns, lane)
                scaling = rotated or scaled in part
                self._phases(beside, turns, scaling)
                if passes > UNROLLED:
                    with out.rolled(f"for (U r = ln; r < {busy}u; r += {group}u)"):
                        one = [Walk("", "r", entries)]
                        out(f"const L entry = {table}[r];")
                        self._angles_of(one, report)
                        self._walsh(one, [])
                        self._phases(one, turns, scaling)
                if report:
                    if rotated:
                        out(f"if (!good(y)) bad = {self._formula(turns.layers, lane)};")
                    where = f"{ANGLE}, {k} << 8 | (bad & 255)"
                    out(f"if (bad >= 0) report(error, {where}, {self.time}, b);")
            self.barrier()
        if scaled in part:
            # The layers that follow end with a barrier: nobody reads this before.
            out(f"if (ln == 0) {self._norm(node.space)} = F(1);")

    def _rotates(self, turns: Turns) -> str:
        """Is this thread one that writes what its rotation has."""
        used = [x != self.memory.zero for x in turns.angles]
        if used == sorted(used, reverse=True):
            return f"ln < {sum(used)}u"
        first = "ln < 32u && " if self.mapping.group > 32 else ""
        return f"{first}(int)(turn >> 32) != {self.memory.zero}"

    def _flips(self, k: int, part: list[int], turns: Turns) -> None:
        """Tangents; `c`, the cosine; `f`, who is flipped; and to where all flips lead."""
        out, block, places = self.out, turns.block, self._places(k, part)
        out("F rest, s, c;", "const U odd = halved(y, rest) & 1u;")
        out(f"const U f = {self._votes('odd')};")
        out(f"const U slots = {self._votes('parity(f & (U)turn)')};")
        out("near_sincos(rest, s, c);", "const F ratio = quotient(s, c);")
        out(f"if ({self._rotates(turns)}) own[{self._formula(turns.tangents, 'ln')}] = ratio;")
        # Each layer's flips: as a slot, and by the rotations' numbers.
        words = [places[i] + self.shapes[k][i].at_words for i in part]
        with out.block(f"if (ln < {len(part)}u)"):
            out(f"W* const word = (W*)own + {self._formula(words, 'ln')};")
            for n, bits in enumerate(("slots", "f")[: 1 + self.backward]):
                mine = bits if len(part) == 1 else f"({bits} >> ln * {block})"
                out(f"word[{n}] = {mine} & {(1 << block) - 1:#x}u;")

    def _product(self, turns: Turns) -> list[str]:
        """Steps to the product of the block's cosines, in its last lane; backward every lane has
        its own and those before."""
        out, by = [], 1
        while by < turns.block:
            if self.backward:
                mine = f"(ln & {turns.block - 1}u) >= {by}u"
                out.append(
                    f"{{ const F o = __shfl_up_sync(0xffffffffu, c, {by}); "
                    f"c *= {mine} ? o : F(1); }}"
                )
            else:
                out.append(f"c *= over(c, {by});")
            by *= 2
        return out

    def _scaled(self, k: int, part: list[int], scaled: int, turns: Turns, lane: str) -> None:
        out, shape, order = self.out, self.shapes[k][scaled], part.index(scaled)
        if not shape.tables:
            at = self._places(k, part)[scaled] + shape.at_tables
            out(f"if (ln == 0) own[{at}] = one;")
        elif len(part) == 1:
            out("c *= one;")
        else:
            out(f"c *= {lane} / {turns.block}u == {order}u ? one : F(1);")

    def _angles_of(self, walks: Sequence[Walk], report: bool) -> None:
        for w in walks:
            n = w.name
            self.out(f"const int head{n} = (int)(entry{n} >> 32);")
            self.out(f"const F x{n} = v[head{n} >> 11];")
            if report:
                self.out(f"if (!good(x{n})) bad = {self._formula(w.entries.layers, w.r)};")

    def _walsh(self, walks: Sequence[Walk], beside: Sequence[str]) -> None:
        """From an entry's own turn to those of its table; other steps go along."""
        out = self.out
        for w in walks:
            n = w.name
            out(f"W u{n} = turns(x{n});")
            if any(w.entries.masks):
                sign = f"parity(f & (U)entry{n})"
                out(f"u{n} = {sign} ? (W)0 - u{n} - ((W)head{n} << QUARTER) : u{n};")
        most = [max(w.entries.bits) for w in walks]
        for b in range(max([len(beside), *most])):
            if b < len(beside):
                out(beside[b])
            for w, bits in zip(walks, most, strict=True):
                if b >= bits:
                    continue
                u = f"u{w.name}"
                out(f"{{ const W o = over({u}, {1 << b}), t = ln & {1 << b}u ? o - {u} : o + {u};")
                some = any(0 < x <= b for x in w.entries.bits)
                out(f"  {u} = {f'(head{w.name} >> 7 & 7) > {b} ? t : {u}' if some else 't'}; }}")

    def _phases(self, walks: Sequence[Walk], turns: Turns, scaling: bool) -> None:
        out, end = self.out, turns.block - 1
        scales = []
        for w in walks:
            n, e = w.name, w.entries
            scale = "F(1)"
            if scaling:
                orders = {o for o, bits in zip(e.orders, e.bits, strict=True) if bits}
                source = f"((head{n} >> 2 & 31) * {turns.block} + {end})"
                if len(orders) == 1:
                    source = str(orders.pop() * turns.block + end)
                width = "" if turns.width == 32 else f", {turns.width}"
                out(f"const F all{n} = __shfl_sync(0xffffffffu, c, {source}{width});")
                scale = f"all{n}" if all(e.takes) else f"head{n} & 1024 ? all{n} : F(1)"
            scales.append(scale)
        for w, scale in zip(walks, scales, strict=True):
            out(f"const C e{w.name} = phase(u{w.name}, {scale});")
        for w in walks:
            guard = "" if all(w.entries.bits) else f"if (head{w.name} >> 7 & 7) "
            at = self._formula(w.entries.goals, w.r)
            out(f"{guard}*(C*)(own + {at}) = e{w.name};")
