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
from dataclasses import dataclass

from qrlang.engine import nodes
from qrlang.engine.cuda.kernel.lanes import Entry, Together, Turn
from qrlang.engine.cuda.kernel.rows import Rows
from qrlang.engine.cuda.layout.memory import batches, even
from qrlang.engine.cuda.source import ANGLE

UNROLLED = 4  # entries of a thread that stand side by side, so that they wait together


@dataclass(frozen=True, slots=True)
class Walk:
    """Entries that threads make at once, one each: the name of what belongs to them, which of them
    is the thread's."""

    name: str
    r: str
    entries: list[Entry]

    @property
    def goals(self) -> list[int | None]:
        return [e.goal for e in self.entries]

    @property
    def layers(self) -> list[int | None]:
        return [e.layer for e in self.entries]


class Parameters(Rows):
    def _batches(self, k: int) -> list[list[int]]:
        """Layers of a circuit, by number, in parts whose parameters are made together."""
        out, at = [], 0
        for part in batches(self.shapes[k], self.memory.limit, self.mapping.width):
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

    def _together(self, node: nodes.Circuit, k: int, part: list[int]) -> Together:
        places = self._places(k, part)
        return Together(
            part, [node.layers[i] for i in part], [self.shapes[k][i] for i in part],
            [places[i] for i in part], self.addresses(node.angles), self.memory.zero,
            self.mapping.width,
        )  # fmt: skip

    def _votes(self, x: str) -> str:
        """A bit of each lane of the group (or of its warp), the first one's lowest."""
        all_of = f"__ballot_sync(0xffffffffu, {x})"
        return (
            all_of
            if self.mapping.width == 32
            else f"{all_of} >> (threadIdx.x & {32 - self.mapping.width}u)"
        )

    # --- the text

    def _prepare(
        self, node: nodes.Circuit, k: int, part: list[int], scaled: int, report: bool
    ) -> None:
        """Parameters of some layers; `scaled` is the layer that brings the norm back to one."""
        out, group = self.out, self.mapping.group
        all_of = self._together(node, k, part)
        turns, entries = all_of.turns(), all_of.entries()
        rotated = any(t.tangent is not None for t in turns)
        count = len(entries)
        passes = -(-count // group)
        entries += [Entry(all_of.zero)] * (passes * group - count)
        beside = [
            Walk(str(n), "ln", entries[n * group : (n + 1) * group])
            for n in range(passes if passes <= UNROLLED else 0)
        ]
        lane = "ln" if group <= 32 else "(ln & 31u)"
        table = self.layers.table("L", [e.packed for e in entries]) if count else ""
        with out.block(""):
            # What comes from memory begins to come before the barrier.
            if rotated:
                packed = [t.angle << 32 | t.column for t in turns]
                out(f"const L turn = {self.layers.table('L', packed)}[{lane}];")
            for n, walk in enumerate(beside):
                out(f"const L entry{walk.name} = {table}[ln + {n * group}u];")
            if not self.clean:
                self.barrier()
            busy = -(-count // self.mapping.width) * self.mapping.width
            with out.block(f"if (ln < {busy}u)" if 0 < busy < group else ""):
                # Side by side, and without a branch: all wait together.
                if report:
                    out("int bad = -1;")
                if rotated:
                    out("const F y = v[turn >> 32];")
                self._angles_of(beside, report)
                if rotated:
                    self._flips(all_of, turns)
                else:
                    out("const U f = 0;", "F c = F(1);")
                if scaled in part:
                    out(f"const F one = unit({self._norm(node.space)});")
                self._walsh(beside, self._all_cosines(all_of.block) if rotated else [])
                if self.backward and rotated:
                    at = self.numbers([t.cosine for t in turns], "ln")
                    out(f"if ({self._rotates(turns)}) own[{at}] = c * c;")
                if scaled in part:
                    self._scaled(all_of, part.index(scaled), lane)
                scaling = rotated or scaled in part
                self._phases(beside, all_of, scaling)
                if passes > UNROLLED:
                    with out.rolled(f"for (U r = ln; r < {busy}u; r += {group}u)"):
                        one = [Walk("", "r", entries)]
                        out(f"const L entry = {table}[r];")
                        self._angles_of(one, report)
                        self._walsh(one, [])
                        self._phases(one, all_of, scaling)
                if report:
                    if rotated:
                        index = self.numbers([t.layer for t in turns], lane)
                        out(f"if (!good(y)) bad = {index};")
                    where = f"{ANGLE}, {k} << 8 | (bad & 255)"
                    # A warp without a sequence does what is outside of loops, with no mean of any.
                    there = "" if self.around or self.mapping.sequences == 1 else "real && "
                    out(f"if ({there}bad >= 0) report(error, {where}, {self.time}, b);")
            self.barrier()
        if scaled in part:
            # The layers that follow end with a barrier: nobody reads this before.
            out(f"if (ln == 0) {self._norm(node.space)} = F(1);")

    def _rotates(self, turns: list[Turn]) -> str:
        """Is this thread one that writes what its rotation has."""
        used = [t.tangent is not None for t in turns]
        if used == sorted(used, reverse=True):
            return f"ln < {sum(used)}u"
        first = "ln < 32u && " if self.mapping.group > 32 else ""
        return f"{first}(int)(turn >> 32) != {self.memory.zero}"

    def _flips(self, all_of: Together, turns: list[Turn]) -> None:
        """Tangents; `c`, the cosine; `f`, who is flipped; and to where all flips lead."""
        out, block, many = self.out, all_of.block, len(all_of.shapes)
        out("F rest, s, c;", "const U odd = halved(y, rest) & 1u;")
        out(f"const U f = {self._votes('odd')};")
        out(f"const U slots = {self._votes('parity(f & (U)turn)')};")
        out("near_sincos(rest, s, c);", "const F ratio = quotient(s, c);")
        at = self.numbers([t.tangent for t in turns], "ln")
        out(f"if ({self._rotates(turns)}) own[{at}] = ratio;")
        # Each layer's flips: as a slot, and by the rotations' numbers.
        words = [at + s.at_words for at, s in zip(all_of.places, all_of.shapes, strict=True)]
        with out.block(f"if (ln < {many}u)"):
            out(f"W* const word = (W*)own + {self.numbers(words, 'ln')};")
            for n, bits in enumerate(("slots", "f")[: 1 + self.backward]):
                mine = bits if many == 1 else f"({bits} >> ln * {block})"
                out(f"word[{n}] = {mine} & {(1 << block) - 1:#x}u;")

    def _all_cosines(self, block: int) -> list[str]:
        """Steps to the product of the block's cosines, in its last lane; backward every lane has
        its own and those before."""
        out, by = [], 1
        while by < block:
            if self.backward:
                mine = f"(ln & {block - 1}u) >= {by}u"
                out.append(
                    f"{{ const F o = __shfl_up_sync(0xffffffffu, c, {by}); "
                    f"c *= {mine} ? o : F(1); }}"
                )
            else:
                out.append(f"c *= over(c, {by});")
            by *= 2
        return out

    def _scaled(self, all_of: Together, order: int, lane: str) -> None:
        out, shape = self.out, all_of.shapes[order]
        if not shape.tables:
            out(f"if (ln == 0) own[{all_of.places[order] + shape.at_tables}] = one;")
        elif len(all_of.shapes) == 1:
            out("c *= one;")
        else:
            out(f"c *= {lane} / {all_of.block}u == {order}u ? one : F(1);")

    def _angles_of(self, walks: Sequence[Walk], report: bool) -> None:
        for w in walks:
            n = w.name
            self.out(f"const int head{n} = (int)(entry{n} >> 32);")
            self.out(f"const F x{n} = v[head{n} >> 11];")
            if report:
                self.out(f"if (!good(x{n})) bad = {self.numbers(w.layers, w.r)};")

    def _walsh(self, walks: Sequence[Walk], beside: Sequence[str]) -> None:
        """From an entry's own turn to those of its table; other steps go along."""
        out = self.out
        for w in walks:
            n = w.name
            out(f"W u{n} = turns(x{n});")
            if any(e.lanes for e in w.entries):
                sign = f"parity(f & (U)entry{n})"
                out(f"u{n} = {sign} ? (W)0 - u{n} - ((W)head{n} << QUARTER) : u{n};")
        most = [max(e.bits for e in w.entries) for w in walks]
        for b in range(max([len(beside), *most])):
            if b < len(beside):
                out(beside[b])
            for w, bits in zip(walks, most, strict=True):
                if b >= bits:
                    continue
                u = f"u{w.name}"
                out(f"{{ const W o = over({u}, {1 << b}), t = ln & {1 << b}u ? o - {u} : o + {u};")
                some = any(0 < e.bits <= b for e in w.entries)
                out(f"  {u} = {f'(head{w.name} >> 7 & 7) > {b} ? t : {u}' if some else 't'}; }}")

    def _phases(self, walks: Sequence[Walk], all_of: Together, scaling: bool) -> None:
        out, block = self.out, all_of.block
        scales = []
        for w in walks:
            n, scale = w.name, "F(1)"
            if scaling:
                orders = {e.order for e in w.entries if e.bits}
                source = f"((head{n} >> 2 & 31) * {block} + {block - 1})"
                if len(orders) == 1:
                    source = str((orders.pop() + 1) * block - 1)
                width = "" if self.mapping.width == 32 else f", {self.mapping.width}"
                out(f"const F all{n} = __shfl_sync(0xffffffffu, c, {source}{width});")
                whole = all(e.takes for e in w.entries)
                scale = f"all{n}" if whole else f"head{n} & 1024 ? all{n} : F(1)"
            scales.append(scale)
        for w, scale in zip(walks, scales, strict=True):
            out(f"const C e{w.name} = phase(u{w.name}, {scale});")
        for w in walks:
            guard = "" if all(e.bits for e in w.entries) else f"if (head{w.name} >> 7 & 7) "
            at = self.numbers(w.goals, w.r)
            out(f"{guard}*(C*)(own + {at}) = e{w.name};")
