"""Weights on rows: products, tables, and what their gradients are added up from.

Few weights of many short sequences: a warp adds up their gradients in its registers, for all its
sequences and moments. Else every moment's factors are written out, to be multiplied afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qrlang.engine import nodes
from qrlang.engine.cuda.kernel import functions
from qrlang.engine.cuda.kernel.products import RESIDENT, Product, Products, Weight
from qrlang.engine.cuda.source import BLOCKS, Argument, Dim, Reduction
from qrlang.engine.cuda.text import real

ACCUMULATORS = 64  # registers for sums of gradients
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


class Dense(Products):
    sums: dict[int, Kept]

    # --- gradients that warps add up

    def begin_sums(self, body: Sequence[nodes.Node]) -> list[tuple[nodes.Linear, Kept]]:
        """Declares the sums of a loop's products, if they all find room."""
        m = self.mapping
        if self.around:  # those of the loop around it go on
            return []
        self.sums = {}
        found: list[tuple[nodes.Linear, Kept]] = []
        if m.registers > FEW or m.group > 32 or m.cluster or not self.memory.rows_shared:
            return found
        used = first = 0
        piece = self.memory.piece
        for node in body:
            if not isinstance(node, nodes.Linear):
                continue
            many, width = self.count(node.out), self.count(node.x)
            by_rows, by_columns = -(-many // 32) * width, -(-width // 32) * many
            rows = by_rows <= by_columns
            kept = Kept(f"w{len(found)}", rows, -(-(many if rows else width) // 32), first)
            used += min(by_rows, by_columns)
            first += many * width
            first += -first % piece
            if node.bias >= 0:
                kept.bias = first
                first += many + -many % piece
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
        last, kept = found[-1]
        total = kept.first + self.count(last.out) * self.count(last.x)
        total = total if kept.bias < 0 else kept.bias + self.count(last.out)
        piece, warps = self.memory.piece, self.mapping.block // 32
        total += -total % piece
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
                        beside = self._beside(node, kept)
                        if kept.rows and not beside % piece:
                            # A lane's row, 16 bytes at once: they lie far apart.
                            for i in range(0, beside, piece):
                                where = f"goal + {kept.first + i} + (lane + {32 * k}u) * {width}"
                                four = ", ".join(kept.sum(k, i + j) for j in range(piece))
                                out(f"*(V*)({where}) = {{{four}}};")
                            continue
                        for i in range(beside):
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

    def begin_weights(self, body: Sequence[nodes.Node]) -> None:
        """Weights of a loop's products, if all find room in registers beside few amplitudes."""
        if self.backward or self.around or self.mapping.registers > FEW:
            return
        self.resident.clear()
        found: dict[int, Product] = {}
        for node in body:
            if isinstance(node, nodes.Linear):
                w, start, _ = self._weighted(node)
                p = self._planned(w, self.count(node.out), node.x, "v", start)
                p.resident = True
                found[id(node)] = p
        needed = [self.reside(p) for p in found.values()]
        if all(needed) and sum(needed) <= RESIDENT:
            for p in found.values():
                self._rows_of(p, self._lane)
            self.resident.update(found)

    def _weighted(self, node: nodes.Linear) -> tuple[Weight, str, str]:
        """The weight, and the bias of a row `{o}`: what its sum begins with, what is added to it
        when it has been multiplied."""
        many = self.count(node.out)
        bias = self._weight(node.bias, many, 1).at("{o}") if node.bias >= 0 else ""
        w = self._weight(node.weight, many, self.count(node.x))
        return (w, bias, "") if node.gain == 1 else (w, "", bias)

    def _linear_forward(self, node: nodes.Linear) -> None:
        out, flow = self.out, self.flow
        w, start, bias = self._weighted(node)
        then = flow.after.get(node.out)

        def done(o: str, s: str) -> None:
            if node.gain != 1:
                more = f" + {bias.format(o=o)}" if bias else ""
                s = out.let("F", f"{real(node.gain)} * {s}{more}", "s")
            if node.out not in flow.unread:
                out(f"{self.value(node.out, o)} = {s};")
            if then:
                out(f"{self.value(then.out, o)} = {functions.forward(then.fn, [s])};")

        with out.block(""):
            kept = None if self.backward else self.resident.get(id(node))
            if kept:
                p = self._begun(kept)
            else:
                p = self._product(w, self.count(node.out), node.x, "v", start)
            self.reads("v", node.x)
            self._multiply(p, done)
        self.writes("v", node.out, self.own(w))
        if then:
            self.writes("v", then.out, self.own(w))

    def _linear_backward(self, node: nodes.Linear) -> None:
        out = self.out
        many, width = self.count(node.out), self.count(node.x)
        w = self._weight(node.weight, many, width, True)
        own = self.own(w)
        gain = "" if node.gain == 1 else f"{real(node.gain)} * "
        before = self.flow.before.get(node.x)
        to = before.args[0] if before else node.x

        def done(o: str, s: str) -> None:
            if gain:
                s = out.let("F", f"{gain}{s}", "s")
            if before:
                x, y = self.value(to, o), self.value(node.x, o)
                s = str(functions.adjoint(before.fn, [x], y, s)[0])
            out(f"{self.adjoint(to, o)} {how} {s};")

        with out.block(""):
            p = self._product(w, width, node.out, "a")
            self.reads("a", node.out)
            self.reads("v", node.x)
            self._weight_back(node, many, width)
            if before:
                self.reads("v", to, own)
            self.adds(to, own)
            how = self.how(to)
            self._multiply(p, done)

    def _weight_back(self, node: nodes.Linear, many: int, width: int) -> None:
        """What the gradient of a weight is added up from."""
        out = self.out
        kept = self.sums.get(id(node))
        if kept is not None:
            self._add_sums(node, kept)
            return
        if len(self.around) > 1:
            self._outer_sum(node, many, width)
            return
        left, here = self.gradient(many)
        with self.rows(many) as r, out.block(f"if ({self.only})"):
            out(f"{here}[{r}] = {self.adjoint(node.out, r)};")
        right, here = self.gradient(width)
        with self.rows(width) as r, out.block(f"if ({self.only})"):
            out(f"{here}[{r}] = {self.value(node.x, r)};")
        self.reductions.append(Reduction(node.weight, "outer", left, right, node.gain))
        if node.bias >= 0:
            self.reductions.append(Reduction(node.bias, "sum", left))

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
