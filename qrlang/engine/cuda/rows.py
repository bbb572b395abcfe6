"""Classical nodes, a row to a thread. Backward, every adjoint row is gathered by one thread, so
that nobody adds to what another adds to."""

from __future__ import annotations

from collections.abc import Sequence

from qrlang.engine import nodes
from qrlang.engine.cuda import functions
from qrlang.engine.cuda.frame import Frame
from qrlang.engine.cuda.source import Argument, Dim, Reduction
from qrlang.engine.cuda.text import real


class Rows(Frame):
    def node_forward(self, node: nodes.Node) -> None:
        out = self.out
        match node:
            case nodes.Rows():
                self._sums_forward(node)
            case nodes.Copy():
                for to, source, first, count in node.parts:
                    own = to == 0 and first == 0
                    self.reads("v", source, own)
                    self.reads("v", node.out, own)
                    with self.rows(count) as r:
                        a, b = self._past(first, r), self._past(to, r)
                        out(f"{self.value(node.out, b)} = {self.value(source, a)};")
                    self.writes("v", node.out, own)
            case nodes.Map():
                self._map_forward(node)
            case nodes.Linear():
                self._linear_forward(node)
            case nodes.Matmul():
                self._matmul_forward(node)
            case nodes.WeightRows():
                with self.rows(self.count(node.out)) as r:
                    out(f"{self.value(node.out, r)} = w{node.weight}[{r}];")
                self.writes("v", node.out, True)
            case nodes.Embed():
                self.reads("v", node.x)
                with self.rows(node.width) as r:
                    token = f"(L){self.value(node.x)} * {node.width}"
                    out(f"{self.value(node.out, r)} = w{node.weight}[{token} + {r}];")
                self.writes("v", node.out, True)
            case nodes.Dropout():
                self.reads("v", node.x, True)
                with self.rows(self.count(node.x)) as r:
                    x = f"{self.value(node.x, r)} * {self._lot(node, r)}"
                    out(f"{self.value(node.out, r)} = {x};")
                self.writes("v", node.out, True)

    def node_backward(self, node: nodes.Node) -> None:
        out = self.out
        match node:
            case nodes.Rows():
                self._sums_backward(node)
            case nodes.Copy():
                for to, source, first, count in node.parts:
                    own = to == 0 and first == 0
                    self.reads("a", node.out, own)
                    self.adds(source, own)
                    with self.rows(count) as r:
                        a, b = self._past(first, r), self._past(to, r)
                        out(f"{self.adjoint(source, a)} += {self.adjoint(node.out, b)};")
            case nodes.Map():
                self._map_backward(node)
            case nodes.Linear():
                self._linear_backward(node)
            case nodes.Matmul():
                self._matmul_backward(node)
            case nodes.WeightRows():
                self.reads("a", node.out, True)
                g, here = self._sink(self.count(node.out))
                with self.rows(self.count(node.out)) as r, out.block(f"if ({self.only})"):
                    out(f"{here}[{r}] {self._into} {self.adjoint(node.out, r)};")
                self.reductions.append(Reduction(node.weight, "sum", g))
            case nodes.Embed():
                self._embed_backward(node)
            case nodes.Dropout():
                self.reads("a", node.out, True)
                self.adds(node.x, True)
                with self.rows(self.count(node.x)) as r:
                    d = f"{self.adjoint(node.out, r)} * {self._lot(node, r)}"
                    out(f"{self.adjoint(node.x, r)} += {d};")

    @staticmethod
    def _past(first: int, r: str) -> int | str:
        return f"{first} + {r}" if first else r

    def _lot(self, node: nodes.Dropout, r: str) -> str:
        limit = min(int(node.p * (1 << 24)), 1 << 24)
        scale = real(1 / (1 - node.p) if node.p < 1 else 0.0)
        drawn = f"lot(seed, {node.number}u, {self.time}, b, {r})"
        return f"({drawn} >= {limit}u ? {scale} : F(0))"

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

    # --- sparse sums

    def _numbers(self, values: Sequence[int], r: str) -> str:
        """values[r]: a formula where there is one."""
        first = values[0]
        step = values[1] - first if len(values) > 1 else 0
        if all(v == first + step * i for i, v in enumerate(values)):
            if not step:
                return str(first)
            head = f"{first} + " if first else ""
            return f"({head}{r} * {step})" if step != 1 else f"({head}{r})"
        kind = "short" if max(values) < 1 << 15 else "int"
        return f"{self.layers.table(kind, values)}[{r}]"

    def _coefficients(self, values: Sequence[float], r: str) -> str:
        if all(v == values[0] for v in values):
            return real(values[0])
        return f"{self.layers.table('F', [float(v) for v in values])}[{r}]"

    def _gathered(
        self,
        r: str,
        source: str,
        constants: Sequence[float],
        terms: Sequence[Sequence[tuple[float, int]]],
    ) -> str:
        """constants[r] + Σ coefficient * source[index], as an expression or a named sum."""
        out = self.out
        most = max(len(t) for t in terms)
        base = "" if not any(constants) else self._coefficients(constants, r)
        if not most:
            return base or "F(0)"
        if most <= 4:
            parts = [base] if base else []
            for k in range(most):
                # Shorter sums repeat a number, times zero.
                spare = next(t[0][1] for t in terms if t)
                mine = [t[k] if k < len(t) else (0.0, t[0][1] if t else spare) for t in terms]
                at = f"{source}[{self._numbers([i for _, i in mine], r)}]"
                factor = self._coefficients([c for c, _ in mine], r)
                parts.append(at if all(c == 1 for c, _ in mine) else f"{factor} * {at}")
            return " + ".join(parts)
        starts = [0]
        for t in terms:
            starts.append(starts[-1] + len(t))
        flat = [x for t in terms for x in t]
        s, i = out.fresh("s"), out.fresh("k")
        out(f"F {s} = {base or 'F(0)'};")
        first, last = self._numbers(starts[:-1], r), self._numbers(starts[1:], r)
        with out.block(f"for (int {i} = {first}; {i} < {last}; ++{i})"):
            at = f"{source}[{self._numbers([x for _, x in flat], i)}]"
            out(f"{s} += {self._coefficients([c for c, _ in flat], i)} * {at};")
        return s

    def _sums_forward(self, node: nodes.Rows) -> None:
        if not node.rows:
            return
        for slot in {s for row in node.rows for _, s, _ in row.terms}:
            self.reads("v", slot)
        row_of = self.memory.row_of
        terms = [[(c, row_of[s] + k) for c, s, k in row.terms] for row in node.rows]
        with self.rows(len(node.rows)) as r:
            total = self._gathered(r, "v", [row.constant for row in node.rows], terms)
            self.out(f"{self.value(node.out, r)} = {total};")
        self.writes("v", node.out, True)

    def _sums_backward(self, node: nodes.Rows) -> None:
        row_of = self.memory.row_of
        found: dict[tuple[int, int], list[tuple[float, int]]] = {}
        for i, row in enumerate(node.rows):
            for c, s, k in row.terms:
                found.setdefault((s, k), []).append((c, row_of[node.out] + i))
        if not found:
            return
        self.reads("a", node.out)
        slots = sorted({s for s, _ in found})
        for s in slots:
            self.reads("a", s)
        order = sorted(found)
        with self.rows(len(order)) as r:
            total = self._gathered(r, "a", [0.0] * len(order), [found[key] for key in order])
            at = self._numbers([row_of[s] + k for s, k in order], r)
            self.out(f"a[{at}] += {total};")
        for s in slots:
            self.writes("a", s)

    # --- pointwise

    def _args(self, node: nodes.Map, r: str) -> list[str]:
        wide = self.count(node.out) > 1
        return [self.value(a, 0 if wide and self.count(a) == 1 else r) for a in node.args]

    def _map_forward(self, node: nodes.Map) -> None:
        many = self.count(node.out)
        for a in node.args:
            self.reads("v", a, self.count(a) == many)
        with self.rows(many) as r:
            self.out(
                f"{self.value(node.out, r)} = {functions.forward(node.fn, self._args(node, r))};"
            )
        self.writes("v", node.out, True)

    def _map_backward(self, node: nodes.Map) -> None:
        out, many = self.out, self.count(node.out)
        self.reads("a", node.out, True)
        for a in node.args:
            self.reads("v", a, self.count(a) == many)
        self.reads("v", node.out, True)
        single = [many > 1 and self.count(a) == 1 for a in node.args]

        def parts(r: str) -> list[str | None]:
            return functions.adjoint(
                node.fn, self._args(node, r), self.value(node.out, r), self.adjoint(node.out, r)
            )

        wide = [i for i, one in enumerate(single) if not one]
        if any(parts("0")[i] for i in wide):
            for i in wide:
                self.adds(node.args[i], True)
            with self.rows(many) as r:
                for i in wide:
                    if (d := parts(r)[i]) is not None:
                        out(f"{self.adjoint(node.args[i], r)} += {d};")
        lanes = min(32, self.mapping.group)
        for i, one in enumerate(single):
            if not one or parts("0")[i] is None:
                continue
            self.reads("a", node.out)
            self.reads("v", node.out)
            for a in node.args:
                self.reads("v", a)
            self.adds(node.args[i])
            with out.block(f"if (ln < {lanes}u)"):
                s, r = out.fresh("s"), out.fresh("r")
                out(f"F {s} = F(0);")
                with out.block(f"for (U {r} = ln; {r} < {many}u; {r} += {lanes}u)"):
                    out(f"{s} += {parts(r)[i]};")
                self._lane_sum(s, lanes)
                out(f"if (ln == 0) {self.adjoint(node.args[i])} += {s};")

    def _lane_sum(self, name: str, lanes: int) -> None:
        by = 1
        while by < lanes:
            self.out(f"{name} += over({name}, {by});")
            by *= 2

    # --- dense

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
