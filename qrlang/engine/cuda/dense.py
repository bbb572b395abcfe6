"""Weights on rows: products, tables, and what their gradients are added up from.

Few weights of many short sequences: a warp adds up their gradients in its registers, for all its
sequences and moments. Else every moment's factors are written out, to be multiplied afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

from qrlang.engine import nodes
from qrlang.engine.cuda import functions
from qrlang.engine.cuda.frame import Frame
from qrlang.engine.cuda.source import BLOCKS, Argument, Dim, Reduction
from qrlang.engine.cuda.text import real

ACCUMULATORS = 64  # registers for sums of gradients
BESIDE = 4  # rows of a product that a thread has at once
STRAIGHT = 16  # pieces of a row up to which there is no loop
FEW = 0  # register bits of a state up to which there is room for them


@dataclass(slots=True)
class Kept:
    """Sums that the lanes of a warp keep for one node: lane l has rows (or columns) l, l + 32 …"""

    name: str
    rows: bool  # is it rows of the weight, rather than columns, that go with lanes
    rounds: int  # how many of them a lane has
    first: int  # where the weight lies among all sums of the loop
    bias: int = -1

    def sum(self, k: int, i: int | str) -> str:
        return f"{self.name}_{k}_{i}"


@dataclass(frozen=True, slots=True)
class Factors:
    """Where the weight of a row and a column of a product lies, and how many lanes share a row."""

    base: str
    across: int
    along: int
    lanes: int
    wide: bool  # does a row begin where a piece of 16 bytes may be read, and lie in a row

    def at(self, row: str) -> str:
        """The first weight of a row."""
        return f"{self.base}[{row}{f' * {self.across}u' if self.across != 1 else ''}]"


class Dense(Frame):
    sums: dict[int, Kept]

    # --- gradients that warps add up

    def begin_sums(self, body: Sequence[nodes.Node]) -> list[tuple[nodes.Linear, Kept]]:
        """Declares the sums of a loop's products, if they all find room."""
        m = self.mapping
        self.sums = {}
        found: list[tuple[nodes.Linear, Kept]] = []
        if (
            m.registers > FEW
            or m.group > 32
            or m.cluster
            or not self.memory.rows_shared
            or self.around
        ):
            return found
        used = first = 0
        for node in body:
            if not isinstance(node, nodes.Linear):
                continue
            many, width = self.count(node.out), self.count(node.x)
            by_rows, by_columns = -(-many // 32) * width, -(-width // 32) * many
            rows = by_rows <= by_columns
            kept = Kept(f"w{len(found)}", rows, -(-(many if rows else width) // 32), first)
            used += min(by_rows, by_columns)
            first += many * width
            if node.bias >= 0:
                kept.bias = first
                first += many
                used += -(-many // 32)
            found.append((node, kept))
        if used > ACCUMULATORS:
            return []
        for node, kept in found:
            self.sums[id(node)] = kept
            for k in range(kept.rounds):
                for i in range(self._beside(node, kept)):
                    self.out(f"F {kept.sum(k, i)} = F(0);")
            if kept.bias >= 0:
                for k in range(-(-self.count(node.out) // 32)):
                    self.out(f"F {kept.sum(k, 'b')} = F(0);")
        return found

    def _beside(self, node: nodes.Linear, kept: Kept) -> int:
        return self.count(node.x if kept.rows else node.out)

    def _add_sums(self, node: nodes.Linear, kept: Kept) -> None:
        out, m, memory = self.out, self.mapping, self.memory
        size = memory.stride * m.size
        a, x = [memory.adjoint + i for i in self.addresses(node.out)], self.addresses(node.x)
        many, width = self.count(node.out), self.count(node.x)
        mine, other, count = (a, x, many) if kept.rows else (x, a, width)
        here = 32 // m.group
        with out.block(""):
            out("const U lane = threadIdx.x & 31u;")
            out(f"const U warp = {memory.own}u + (threadIdx.x >> 5) * {here * size}u;")
            for j in range(here):
                with out.block(""):
                    out(f"const F* const one = (const F*)(smem + warp + {j * size}u);")
                    for k in range(kept.rounds):
                        lane = f"lane + {32 * k}u"
                        full = 32 * (k + 1) <= count
                        value = f"one[{self.numbers(mine, f'({lane})')}]"
                        guarded = value if full else f"{lane} < {count}u ? {value} : F(0)"
                        d = out.let("F", guarded, "d")
                        for i in range(self._beside(node, kept)):
                            out(f"{kept.sum(k, i)} += {d} * one[{other[i]}];")
                        if kept.bias >= 0 and kept.rows:
                            out(f"{kept.sum(k, 'b')} += {d};")
                    if kept.bias >= 0 and not kept.rows:
                        for k in range(-(-many // 32)):
                            lane = f"lane + {32 * k}u"
                            value = f"{lane} < {many}u ? one[{a[0]} + {lane}] : F(0)"
                            out(f"{kept.sum(k, 'b')} += {value};")

    def end_sums(self, found: list[tuple[nodes.Linear, Kept]]) -> None:
        """Every warp's sums, to be added up over all of them."""
        if not found:
            return
        out = self.out
        sizes = [self.count(n.out) * (self.count(n.x) + (n.bias >= 0)) for n, _ in found]
        total, warps = sum(sizes), self.mapping.block // 32
        g = len(self.gradients)
        shape = (BLOCKS, Dim(warps), Dim(total))
        self.gradients.append(Argument("gradient", f"g{g}", g, "real", shape))
        with out.block(""):
            out("const U lane = threadIdx.x & 31u;")
            at = f"((L)blockIdx.x * {warps} + (threadIdx.x >> 5)) * {total}"
            out(f"F* const goal = g{g} + {at};")
            for node, kept in found:
                many, width = self.count(node.out), self.count(node.x)
                count = many if kept.rows else width
                for k in range(kept.rounds):
                    with out.block(f"if (lane + {32 * k}u < {count}u)"):
                        for i in range(self._beside(node, kept)):
                            row, column = (f"(lane + {32 * k}u)", str(i))
                            if not kept.rows:
                                row, column = column, row
                            where = f"{kept.first} + {row} * {width} + {column}"
                            out(f"goal[{where}] = {kept.sum(k, i)};")
                self.reductions.append(
                    Reduction(node.weight, "blocks", g, factor=node.gain, first=kept.first)
                )
                if kept.bias < 0:
                    continue
                for k in range(-(-many // 32)):
                    where = f"{kept.bias} + lane + {32 * k}u"
                    out(f"if (lane + {32 * k}u < {many}u) goal[{where}] = {kept.sum(k, 'b')};")
                self.reductions.append(Reduction(node.bias, "blocks", g, first=kept.bias))
        self.sums = {}

    # --- products

    def _lane_sum(self, name: str, lanes: int) -> None:
        by = 1
        while by < lanes:
            self.out(f"{name} += over({name}, {by});")
            by *= 2

    @property
    def _into(self) -> str:
        """Inside a loop within a loop sums gather; else every moment has its own row."""
        return "+=" if len(self.around) > 1 else "="

    def _sink(self, width: int) -> tuple[int, str]:
        g, here = self.gradient(width)
        if len(self.around) > 1:
            a = self.gradients[g]
            self.gradients[g] = Argument(a.kind, a.name, a.index, a.type, a.shape, True)
        return g, here

    def _factors(self, w: int, many: int, width: int, turned: bool = False) -> Factors:
        """A weight of so many rows; turned round, a product goes over its columns."""
        held = self.memory.weights
        if (w, turned) in held:
            at, stride = held[w, turned]
            lanes = self.memory.lanes(width, many) if turned else self.memory.lanes(many, width)
            return Factors(f"((const F*)(smem + {at}))", stride, 1, lanes, True)
        # Where rows do not lie in a row, lanes next to each other read one after the other.
        count, inner = (width, many) if turned else (many, width)
        lanes, group = 1, self.mapping.group
        while lanes < 32 and count * lanes * 2 <= group and lanes * 4 <= inner:
            lanes *= 2
        base, stride = f"w{w}", width
        if (w, False) in held:
            at, stride = held[w, False]
            base = f"((const F*)(smem + {at}))"
        across, along = (1, stride) if turned else (stride, 1)
        return Factors(base, across, along, lanes, False)

    def _runs(self, slot: int) -> list[tuple[int, int, int]]:
        """A slot as pieces that lie in a row: (first row, how many, where the first is)."""
        found: list[list[int]] = []
        for i, at in enumerate(self.addresses(slot)):
            if found and found[-1][2] + found[-1][1] == at:
                found[-1][1] += 1
            else:
                found.append([i, 1, at])
        return [(a, b, c) for a, b, c in found]

    def _dot(
        self, many: int, slot: int, kind: str, w: Factors, done: Callable[[str, str], None],
        start: str = "",
    ) -> None:  # fmt: skip
        """For each of `many` rows: s = start + Σ_i weight of i times row i of a slot, then
        `done(row, s)` by one thread. A thread with several rows reads the slot once for them."""
        out, group, piece = self.out, self.mapping.group, self.memory.piece
        lanes = w.lanes
        rounds = -(-many * lanes // group)
        beside = min(rounds, BESIDE)
        first, head, tail = "ln", "", many * lanes % group
        if lanes > 1:
            first = f"ln / {lanes}u"
        elif rounds > beside:
            first = out.fresh("r")
            head = f"for (U {first} = ln; {first} < {many}u; {first} += {beside * group}u)"
            tail = 1
        elif many < group:
            head, tail = f"if (ln < {many}u)", 0
        with out.rolled(head) if rounds > beside else out.block(head):
            if lanes > 1:
                out(f"const U j = ln % {lanes}u;")
            rows, bases, sums, guards = [], [], [], []
            for k in range(beside):
                o = f"{first} + {k * group}u" if k else first
                whole = not tail or (rounds == beside and k < beside - 1)
                guards.append("" if whole else f"{o} < {many}u")
                o = o if whole else f"({o} < {many}u ? {o} : {many - 1}u)"
                rows.append(out.let("U", o, "o"))
                bases.append(out.let("F* const", f"{w.base} + {rows[-1]} * {w.across}u", "w"))
                begin = start.format(o=rows[-1]) if start else "F(0)"
                if start and lanes > 1:
                    begin = f"j == 0 ? {begin} : F(0)"
                sums.append(out.fresh("s"))
                out(f"V {sums[-1]} = begun({begin});" if w.wide else f"F {sums[-1]} = {begin};")
            single = 0
            for column, count, at in self._runs(slot):
                ahead = -at % piece if w.wide and (at - column) % piece == 0 else 0
                size = piece if w.wide and (at - column) % piece == 0 else 1
                steps = max(0, count - ahead) // size if size > 1 or count > 4 else 0
                done_by = range(ahead, ahead + steps * size) if steps else range(0)
                if steps:
                    self._pieces(w, kind, column + ahead, at + ahead, steps, size, bases, sums)
                for i in range(count):
                    if i in done_by:
                        continue
                    with out.block(f"if (j == {single % lanes}u)") if lanes > 1 else nullcontext():
                        for base, s in zip(bases, sums, strict=True):
                            part = f"{s}.{'xyzw'[single % piece]}" if w.wide else s
                            out(f"{part} += {base}[{(column + i) * w.along}] * {kind}[{at + i}];")
                    single += 1
            for o, s, guard in zip(rows, sums, guards, strict=True):
                total = out.fresh("s")
                out(f"F {total} = {f'total({s})' if w.wide else s};")
                self._lane_sum(total, lanes)
                if lanes > 1:
                    guard = f"{guard} && j == 0" if guard else "j == 0"
                with out.block(f"if ({guard})") if guard else nullcontext():
                    done(o, total)

    def _pieces(
        self, w: Factors, kind: str, column: int, at: int, steps: int, size: int,
        bases: list[str], sums: list[str],
    ) -> None:  # fmt: skip
        """Some columns of a product, pieces of them in turn to the lanes of a row."""
        out, lanes = self.out, w.lanes
        turns = -(-steps // lanes)
        out("#pragma unroll" if turns <= STRAIGHT else "#pragma unroll 4")
        with out.block(f"for (U q = 0; q < {turns}u; ++q)"):
            i = "q"
            if lanes > 1:
                out(f"const U i = q * {lanes}u + j;")
                i = "i"
            guard = f"if (q < {steps // lanes}u || i < {steps}u)" if steps % lanes else ""
            with out.block(guard) if guard else nullcontext():
                if size > 1:
                    x = out.let("V", f"((const V*)({kind} + {at}))[{i}]", "x")
                    for base, s in zip(bases, sums, strict=True):
                        out(f"along({s}, ((const V*)({base} + {column}))[{i}], {x});")
                    return
                x = out.let("F", f"({kind} + {at})[{i}]", "x")
                for base, s in zip(bases, sums, strict=True):
                    one = f"({base} + {column * w.along})[{i} * {w.along}u]"
                    out(f"{f'{s}.x' if w.wide else s} += {one} * {x};")

    def _linear_forward(self, node: nodes.Linear) -> None:
        out, flow = self.out, self.flow
        many, width = self.count(node.out), self.count(node.x)
        self.reads("v", node.x)
        w = self._factors(node.weight, many, width)
        bias = self._factors(node.bias, many, 1).at("{o}") if node.bias >= 0 else ""
        then = flow.after.get(node.out)

        def done(o: str, s: str) -> None:
            if node.gain != 1:
                more = f" + {bias.format(o=o)}" if bias else ""
                s = out.let("F", f"{real(node.gain)} * {s}{more}", "s")
            if node.out not in flow.unread:
                out(f"{self.value(node.out, o)} = {s};")
            if then:
                out(f"{self.value(then.out, o)} = {functions.forward(then.fn, [s])};")

        self._dot(many, node.x, "v", w, done, bias if node.gain == 1 else "")
        self.writes("v", node.out, w.lanes == 1)
        if then:
            self.writes("v", then.out, w.lanes == 1)

    def _linear_backward(self, node: nodes.Linear) -> None:
        out = self.out
        many, width = self.count(node.out), self.count(node.x)
        self.reads("a", node.out)
        self.reads("v", node.x)
        kept = self.sums.get(id(node))
        if kept is not None:
            self._add_sums(node, kept)
        elif len(self.around) > 1:
            self._outer_sum(node, many, width)
        else:
            left, here = self.gradient(many)
            with self.rows(many) as r, out.block(f"if ({self.only})"):
                out(f"{here}[{r}] = {self.adjoint(node.out, r)};")
            right, here = self.gradient(width)
            with self.rows(width) as r, out.block(f"if ({self.only})"):
                out(f"{here}[{r}] = {self.value(node.x, r)};")
            self.reductions.append(Reduction(node.weight, "outer", left, right, node.gain))
            if node.bias >= 0:
                self.reductions.append(Reduction(node.bias, "sum", left))
        w = self._factors(node.weight, many, width, True)
        own = w.lanes == 1
        gain = "" if node.gain == 1 else f"{real(node.gain)} * "
        before = self.flow.before.get(node.x)
        to = before.args[0] if before else node.x
        if before:
            for slot in (node.x, to):
                self.reads("v", slot, own)
        self.adds(to, own)
        how = self.how(to)

        def done(o: str, s: str) -> None:
            if gain:
                s = out.let("F", f"{gain}{s}", "s")
            if before:
                x, y = self.value(to, o), self.value(node.x, o)
                s = str(functions.adjoint(before.fn, [x], y, s)[0])
            out(f"{self.adjoint(to, o)} {how} {s};")

        self._dot(width, node.out, "a", w, done)

    def _outer_sum(self, node: nodes.Linear, many: int, width: int) -> None:
        """Inside a loop within a loop: every sequence keeps its own sum of products."""
        out = self.out
        g = len(self.gradients)
        shape = (Dim(0, "batch"), Dim(many * width))
        self.gradients.append(Argument("gradient", f"g{g}", g, "real", shape, True))
        with self.rows(many * width) as r, out.block(f"if ({self.only})"):
            d, x = self.adjoint(node.out, f"{r} / {width}u"), self.value(node.x, f"{r} % {width}u")
            out(f"g{g}[b * {many * width} + {r}] += {d} * {x};")
        self.reductions.append(Reduction(node.weight, "blocks", g, factor=node.gain))
        if node.bias >= 0:
            g, here = self._sink(many)
            with self.rows(many) as r, out.block(f"if ({self.only})"):
                out(f"{here}[{r}] += {self.adjoint(node.out, r)};")
            self.reductions.append(Reduction(node.bias, "sum", g))

    def _embed_backward(self, node: nodes.Embed) -> None:
        out = self.out
        self.reads("a", node.out, True)
        self.reads("v", node.x)
        if len(self.around) > 1:
            g = len(self.gradients)
            rows = self.plan.weights[node.weight].shape[0]
            shape = (Dim(0, "batch"), Dim(rows * node.width))
            self.gradients.append(Argument("gradient", f"g{g}", g, "real", shape, True))
            with self.rows(node.width) as r, out.block(f"if ({self.only})"):
                at = f"(b * {rows} + (L){self.value(node.x)}) * {node.width} + {r}"
                out(f"g{g}[{at}] += {self.adjoint(node.out, r)};")
            self.reductions.append(Reduction(node.weight, "blocks", g))
            return
        left, here = self.gradient(node.width)
        right, there = self.gradient(1, "int32")
        with self.rows(node.width) as r, out.block(f"if ({self.only})"):
            out(f"{here}[{r}] = {self.adjoint(node.out, r)};")
        out(f"if (ln == 0 && {self.only}) *{there} = (int){self.value(node.x)};")
        self.reductions.append(Reduction(node.weight, "rows", left, right))

    def _matmul_forward(self, node: nodes.Matmul) -> None:
        out, n = self.out, node.n
        self.reads("v", node.a)
        self.reads("v", node.b)
        with self.rows(node.m * n) as r:
            out("F s = F(0);")
            with out.block(f"for (U k = 0; k < {node.k}u; ++k)"):
                a = self.value(node.a, f"{r} / {n}u * {node.k}u + k")
                out(f"s += {a} * {self.value(node.b, f'k * {n}u + {r} % {n}u')};")
            out(f"{self.value(node.out, r)} = s;")
        self.writes("v", node.out, True)

    def _matmul_backward(self, node: nodes.Matmul) -> None:
        out, n, k = self.out, node.n, node.k
        self.reads("v", node.a)
        self.reads("v", node.b)
        self.reads("a", node.out)
        self.adds(node.a, True)
        how = self.how(node.a)
        with self.rows(node.m * k) as r:
            out("F s = F(0);")
            with out.block(f"for (U j = 0; j < {n}u; ++j)"):
                d = self.adjoint(node.out, f"{r} / {k}u * {n}u + j")
                out(f"s += {d} * {self.value(node.b, f'{r} % {k}u * {n}u + j')};")
            out(f"{self.adjoint(node.a, r)} {how} s;")
        self.adds(node.b, True)
        how = self.how(node.b)
        with self.rows(k * n) as r:
            out("F s = F(0);")
            with out.block(f"for (U i = 0; i < {node.m}u; ++i)"):
                d = self.adjoint(node.out, f"i * {n}u + {r} % {n}u")
                out(f"s += {d} * {self.value(node.a, f'i * {k}u + {r} / {n}u')};")
            out(f"{self.adjoint(node.b, r)} {how} s;")
