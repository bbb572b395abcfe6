"""Weights on rows: products, tables, and what their gradients are added up from.

Few weights of many short sequences: a warp adds up their gradients in its registers, for all its
sequences and moments. Else every moment's factors are written out, to be multiplied afterwards.
"""

from __future__ import annotations

from qrlang.engine import nodes
from qrlang.engine.cuda.frame import Frame
from qrlang.engine.cuda.source import Argument, Dim, Reduction
from qrlang.engine.cuda.text import real


class Dense(Frame):
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

    def _weight(self, w: int, row: str, column: str, width: int) -> str:
        if w in self.memory.weights:
            at, stride = self.memory.weights[w]
            return f"((const F*)(smem + {at}))[{row} * {stride} + {column}]"
        return f"w{w}[(L)({row}) * {width} + {column}]"

    def _share(self, many: int, inner: int) -> int:
        """How many lanes share the sum of one row."""
        lanes = 1
        group = min(self.mapping.group, 1 << 10)
        while lanes < 32 and many * lanes * 2 <= group and lanes * 4 <= inner and lanes < group:
            lanes *= 2
        return lanes

    def _dot(self, many: int, inner: int, term: str, done: str) -> None:
        """For each of `many` rows `o`: s = Σ_i term, then `done` by one thread."""
        out, group = self.out, self.mapping.group
        lanes = self._share(many, inner)
        if lanes == 1:
            with self.rows(many) as o:
                out(f"F s = F(0); const U o = {o};")
                out("#pragma unroll 4")
                with out.block(f"for (U i = 0; i < {inner}u; ++i)"):
                    out(f"s += {term};")
                out(done)
            return
        with out.block(""):
            out(f"const U o = ln / {lanes}u;")
            out("F s = F(0);")
            with out.block(f"if (o < {many}u)" if many * lanes < group else ""):
                out("#pragma unroll 4")
                with out.block(f"for (U i = ln % {lanes}u; i < {inner}u; i += {lanes}u)"):
                    out(f"s += {term};")
            self._lane_sum("s", lanes)
            with out.block(f"if (o < {many}u && ln % {lanes}u == 0)"):
                out(done)

    def _linear_forward(self, node: nodes.Linear) -> None:
        many, width = self.count(node.out), self.count(node.x)
        self.reads("v", node.x)
        weight = self._weight(node.weight, "o", "i", width)
        gain = "" if node.gain == 1 else f"{real(node.gain)} * "
        bias = f" + w{node.bias}[o]" if node.bias >= 0 else ""
        self._dot(
            many, width, f"{weight} * {self.value(node.x, 'i')}",
            f"{self.value(node.out, 'o')} = {gain}s{bias};",
        )  # fmt: skip
        self.writes("v", node.out, self._share(many, width) == 1)

    def _linear_backward(self, node: nodes.Linear) -> None:
        out = self.out
        many, width = self.count(node.out), self.count(node.x)
        self.reads("a", node.out)
        self.reads("v", node.x)
        if len(self.around) > 1:
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
        own = self._share(width, many) == 1
        self.adds(node.x, own)
        gain = "" if node.gain == 1 else f"{real(node.gain)} * "
        weight = self._weight(node.weight, "i", "o", width)
        self._dot(
            width, many, f"{weight} * {self.adjoint(node.out, 'i')}",
            f"{self.adjoint(node.x, 'o')} += {gain}s;",
        )  # fmt: skip

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
        with self.rows(node.m * k) as r:
            out("F s = F(0);")
            with out.block(f"for (U j = 0; j < {n}u; ++j)"):
                d = self.adjoint(node.out, f"{r} / {k}u * {n}u + j")
                out(f"s += {d} * {self.value(node.b, f'{r} % {k}u * {n}u + j')};")
            out(f"{self.adjoint(node.a, r)} += s;")
        self.adds(node.b, True)
        with self.rows(k * n) as r:
            out("F s = F(0);")
            with out.block(f"for (U i = 0; i < {node.m}u; ++i)"):
                d = self.adjoint(node.out, f"i * {n}u + {r} % {n}u")
                out(f"s += {d} * {self.value(node.a, f'i * {k}u + {r} / {n}u')};")
            out(f"{self.adjoint(node.b, r)} += s;")
