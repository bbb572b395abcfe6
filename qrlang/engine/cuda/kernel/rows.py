"""Classical nodes, a row to a thread. Backward, every adjoint row is gathered by one thread, so
that nobody adds to what another adds to."""

from __future__ import annotations

from collections.abc import Sequence

from qrlang.engine import nodes
from qrlang.engine.cuda.kernel import functions
from qrlang.engine.cuda.kernel.dense import Dense
from qrlang.engine.cuda.source import Reduction
from qrlang.engine.cuda.text import real


class Rows(Dense):
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
                if not self.flow.made(node):
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
                if not self.flow.unmade(node):
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
                how = self.how(node.x)
                with self.rows(self.count(node.x)) as r:
                    d = f"{self.adjoint(node.out, r)} * {self._lot(node, r)}"
                    out(f"{self.adjoint(node.x, r)} {how} {d};")

    @staticmethod
    def _past(first: int, r: str) -> int | str:
        return f"{first} + {r}" if first else r

    def _lot(self, node: nodes.Dropout, r: str) -> str:
        limit = min(int(node.p * (1 << 24)), 1 << 24)
        scale = real(1 / (1 - node.p) if node.p < 1 else 0.0)
        drawn = f"lot(seed, {node.number}u, {self.time}, b, {r})"
        return f"({drawn} >= {limit}u ? {scale} : F(0))"

    # --- sparse sums

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
                at = f"{source}[{self.numbers([i for _, i in mine], r)}]"
                factor = self._coefficients([c for c, _ in mine], r)
                parts.append(at if all(c == 1 for c, _ in mine) else f"{factor} * {at}")
            return " + ".join(parts)
        starts = [0]
        for t in terms:
            starts.append(starts[-1] + len(t))
        flat = [x for t in terms for x in t]
        s, i = out.fresh("s"), out.fresh("at")
        out(f"F {s} = {base or 'F(0)'};")
        first, last = self.numbers(starts[:-1], r), self.numbers(starts[1:], r)
        with out.block(f"for (int {i} = {first}; {i} < {last}; ++{i})"):
            at = f"{source}[{self.numbers([x for _, x in flat], i)}]"
            out(f"{s} += {self._coefficients([c for c, _ in flat], i)} * {at};")
        return s

    def _sums_forward(self, node: nodes.Rows) -> None:
        if not node.rows:
            return
        for slot in {s for row in node.rows for _, s, _ in row.terms}:
            self.reads("v", slot)
        terms = [[(c, self.addresses(s)[k]) for c, s, k in row.terms] for row in node.rows]
        with self.rows(len(node.rows)) as r:
            total = self._gathered(r, "v", [row.constant for row in node.rows], terms)
            self.out(f"{self.value(node.out, r)} = {total};")
        self.writes("v", node.out, True)

    def _sums_backward(self, node: nodes.Rows) -> None:
        found: dict[int, list[tuple[float, int]]] = {}  # by where it is added
        first = self.memory.row_of[node.out]
        for i, row in enumerate(node.rows):
            for c, s, k in row.terms:
                found.setdefault(self.addresses(s)[k], []).append((c, first + i))
        if not found:
            return
        self.reads("a", node.out)
        slots = sorted({s for row in node.rows for _, s, _ in row.terms})
        for s in slots:
            self.reads("a", s)
        order = sorted(found)
        with self.rows(len(order)) as r:
            total = self._gathered(r, "a", [0.0] * len(order), [found[key] for key in order])
            at = self.numbers(order, r)
            self.out(f"a[{at}] += {total};")
        for s in slots:
            self.writes("a", s)

    # --- pointwise

    def _args(self, node: nodes.Map, r: str) -> list[str]:
        wide = self.count(node.out) > 1
        return [self.value(a, 0 if wide and self.count(a) == 1 else r) for a in node.args]

    def _guarded(self, node: nodes.Map, value: str, other: str) -> str:
        return f"(on ? {value} : {other})" if node.fn in self.guarded else value

    def _map_forward(self, node: nodes.Map) -> None:
        many = self.count(node.out)
        for a in node.args:
            self.reads("v", a, self.count(a) == many)
        with self.rows(many) as r:
            made = functions.forward(node.fn, self._args(node, r))
            self.out(f"{self.value(node.out, r)} = {self._guarded(node, made, 'F(1)')};")
        self.writes("v", node.out, True)

    def _map_backward(self, node: nodes.Map) -> None:
        out, many = self.out, self.count(node.out)
        self.reads("a", node.out, True)
        for a in node.args:
            self.reads("v", a, self.count(a) == many)
        self.reads("v", node.out, True)
        single = [many > 1 and self.count(a) == 1 for a in node.args]

        def parts(r: str) -> list[str | None]:
            found = functions.adjoint(
                node.fn, self._args(node, r), self.value(node.out, r), self.adjoint(node.out, r)
            )
            return [x and self._guarded(node, x, "F(0)") for x in found]

        wide = [i for i, one in enumerate(single) if not one]
        if any(parts("0")[i] for i in wide):
            for i in wide:
                self.adds(node.args[i], True)
            hows = {i: self.how(node.args[i]) for i in wide if parts("0")[i] is not None}
            with self.rows(many) as r:
                for i, how in hows.items():
                    out(f"{self.adjoint(node.args[i], r)} {how} {parts(r)[i]};")
        lanes = self.mapping.width
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
                with out.rolled(f"for (U {r} = ln; {r} < {many}u; {r} += {lanes}u)"):
                    out(f"{s} += {parts(r)[i]};")
                self._lane_sum(s, lanes)
                out(f"if (ln == 0) {self.adjoint(node.args[i])} += {s};")
