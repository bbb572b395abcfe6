"""Classical nodes on rows, a vector holding one number of every sequence of the block."""

from __future__ import annotations

from collections.abc import Callable

from qrlang.engine import nodes
from qrlang.engine.cpu.kernel import few
from qrlang.engine.cpu.kernel.layout import Layout
from qrlang.engine.cpu.llvm import functions
from qrlang.engine.cpu.llvm.asm import Fn, V


class RowPrinter:
    def __init__(self, layout: Layout) -> None:
        self.layout, self.fmt, self.plan = layout, layout.fmt, layout.plan
        self.rows: V
        self.adjoint: V
        self.weights: list[V]
        self.work: V
        self.gradient: V
        self.lanes_used: V
        self.active: Callable[[], V]  # lanes on their way: others' numbers may be none at all

    def row(self, slot: int, row: int = 0) -> int:
        return (self.layout.row_of[slot] + row) * self.fmt.row

    def count(self, slot: int) -> int:
        return self.plan.slots[slot]

    def place(self, fn: Fn, name: str) -> V:
        return fn.at(self.work, self.layout.work[name])

    def accumulate(self, fn: Fn, base: V, offset: V | int, value: V) -> None:
        fn.store(fn.add(fn.load(base, offset), value), base, offset)

    def each(self, fn: Fn, count: int, body: Callable[[V | int], None]) -> None:
        """body(byte offset) for each row."""
        if count <= 2:
            for i in range(count):
                body(i * self.fmt.row)
            return
        with fn.loop(0, count * self.fmt.row, self.fmt.row) as loop:
            body(loop.i)

    def zero(self, fn: Fn, base: V, slot: int) -> None:
        self.copy(fn, fn.at(base, self.row(slot)), None, self.count(slot))

    def copy(self, fn: Fn, to: V, source: V | None, count: int, mask: V | None = None) -> None:
        """Rows of `source` (zeros without one); zeros in lanes outside the mask."""
        zero = fn.const(0.0)

        def one(o: V | int) -> None:
            x = fn.load(source, o) if source is not None else zero
            fn.store(x if mask is None else fn.select(mask, x, zero), to, o)

        self.each(fn, count, one)

    def add(self, fn: Fn, to: V, source: V, count: int, mask: V | None = None) -> None:
        """Adds rows to others, in the lanes of the mask."""
        zero = fn.const(0.0)

        def one(o: V | int) -> None:
            x = fn.load(source, o)
            self.accumulate(fn, to, o, x if mask is None else fn.select(mask, x, zero))

        self.each(fn, count, one)

    # --- forward

    def forward(self, fn: Fn, node: nodes.Node) -> None:
        rows = self.rows
        match node:
            case nodes.Rows():
                for i, r in enumerate(node.rows):
                    value: V | None = None
                    for c, slot, k in r.terms:
                        x = fn.load(rows, self.row(slot, k))
                        if value is None and r.constant == 0:
                            value = x if c == 1 else fn.mul(x, fn.const(c))
                        else:
                            value = fn.fma(x, fn.const(c), value or fn.const(r.constant))
                    fn.store(value or fn.const(r.constant), rows, self.row(node.out, i))
            case nodes.Copy():
                for to, source, first, count in node.parts:
                    a, b = fn.at(rows, self.row(source, first)), fn.at(rows, self.row(node.out, to))
                    self.copy(fn, b, a, count)
            case nodes.Map():
                self._map(fn, node)
            case nodes.Linear():
                self._linear(fn, node)
            case nodes.Matmul():
                self._matmul(fn, node)
            case nodes.WeightRows():
                w, out = self.weights[node.weight], fn.at(rows, self.row(node.out))
                with fn.loop(0, self.count(node.out)) as loop:
                    x = fn.broadcast(w, fn.imul(loop.i, self.fmt.size))
                    fn.store(x, out, fn.imul(loop.i, self.fmt.row))
            case nodes.Embed():
                self._embed(fn, node)

    def _args(self, fn: Fn, node: nodes.Map) -> list[tuple[V, bool]]:
        single = self.count(node.out) > 1
        out = []
        for a in node.args:
            if single and self.count(a) == 1:
                out.append((fn.load(self.rows, self.row(a)), True))
            else:
                out.append((fn.at(self.rows, self.row(a)), False))
        return out

    def _map(self, fn: Fn, node: nodes.Map) -> None:
        args, out = self._args(fn, node), fn.at(self.rows, self.row(node.out))

        def one(o: V | int) -> None:
            x = [v if fixed else fn.load(v, o) for v, fixed in args]
            fn.store(functions.forward(fn, node.fn, x), out, o)

        self.each(fn, self.count(node.out), one)

    def _either(self, fn: Fn, for_few: Callable[[], None], for_many: Callable[[], None]) -> None:
        """By the number of sequences of the block."""
        most = 0 if self.layout.sweeps.together else few.most(self.fmt)
        if not most:
            for_many()
            return
        with fn.when(fn.compare("sle", self.lanes_used, fn.i64(most))):
            for_few()
        with fn.when(fn.compare("sgt", self.lanes_used, fn.i64(most))):
            for_many()

    def _linear(self, fn: Fn, node: nodes.Linear) -> None:
        size, row = self.fmt.size, self.fmt.row
        w = self.weights[node.weight]
        width, many = self.count(node.x), self.count(node.out)
        x, out = fn.at(self.rows, self.row(node.x)), fn.at(self.rows, self.row(node.out))

        def finish(first: V, j: int, total: V) -> None:
            if node.gain != 1:
                total = fn.mul(total, fn.const(node.gain))
            if node.bias >= 0:
                at = fn.iadd(fn.imul(first, size), j * size)
                total = fn.add(total, fn.broadcast(self.weights[node.bias], at))
            fn.store(total, out, fn.iadd(fn.imul(first, row), j * row))

        def block(first: V, k: int) -> None:
            base = fn.at(w, fn.imul(first, width * size))
            with fn.loop(0, width, 1, [fn.const(0.0)] * k) as loop:
                v = fn.load(x, fn.imul(loop.i, row))
                p = fn.at(base, fn.imul(loop.i, size))
                loop.next = [
                    fn.fma(fn.broadcast(p, j * width * size), v, loop.values[j]) for j in range(k)
                ]
            for j, total in enumerate(loop.values):
                finish(first, j, total)

        self._either(
            fn,
            lambda: few.times(fn, w, many, width, x, self.place(fn, "turned"), finish),
            lambda: few.blocks(fn, many, block),
        )

    def _matmul(self, fn: Fn, node: nodes.Matmul) -> None:
        row = self.fmt.row
        a, b = fn.at(self.rows, self.row(node.a)), fn.at(self.rows, self.row(node.b))
        out = fn.at(self.rows, self.row(node.out))
        with fn.loop(0, node.m) as i, fn.loop(0, node.n) as j:
            with fn.loop(0, node.k, 1, [fn.const(0.0)]) as k:
                p = fn.load(a, fn.imul(fn.iadd(fn.imul(i.i, node.k), k.i), row))
                q = fn.load(b, fn.imul(fn.iadd(fn.imul(k.i, node.n), j.i), row))
                k.next = [fn.fma(p, q, k.values[0])]
            fn.store(k.values[0], out, fn.imul(fn.iadd(fn.imul(i.i, node.n), j.i), row))

    def _embed(self, fn: Fn, node: nodes.Embed) -> None:
        size, row = self.fmt.size, self.fmt.row
        out, w = fn.at(self.rows, self.row(node.out)), self.weights[node.weight]
        with fn.loop(0, self.fmt.lanes) as lane:
            here = fn.imul(lane.i, size)
            token = fn.cast(
                "fptosi", fn.load(self.rows, fn.iadd(here, self.row(node.x)), fn.f), "i64"
            )
            source, dest = fn.at(w, fn.imul(token, node.width * size)), fn.at(out, here)
            with fn.loop(0, node.width) as j:
                fn.store(fn.load(source, fn.imul(j.i, size), fn.f), dest, fn.imul(j.i, row))

    # --- backward

    def backward(self, fn: Fn, node: nodes.Node) -> None:
        adj = self.adjoint
        match node:
            case nodes.Rows():
                for i, r in enumerate(node.rows):
                    if not r.terms:
                        continue
                    d = fn.load(adj, self.row(node.out, i))
                    for c, slot, k in r.terms:
                        value = d if c == 1 else fn.mul(d, fn.const(c))
                        self.accumulate(fn, adj, self.row(slot, k), value)
            case nodes.Copy():
                for to, source, first, count in node.parts:
                    a, b = fn.at(adj, self.row(source, first)), fn.at(adj, self.row(node.out, to))
                    self.add(fn, a, b, count)
            case nodes.Map():
                self._map_back(fn, node)
            case nodes.Linear():
                self._linear_back(fn, node)
            case nodes.Matmul():
                self._matmul_back(fn, node)
            case nodes.WeightRows():
                at = fn.at(self.gradient, self.layout.gradient("rows", node.weight))
                d = fn.at(adj, self.row(node.out))
                self.add(fn, at, d, self.count(node.out), self.active())
            case nodes.Embed():
                self._embed_back(fn, node)

    def _map_back(self, fn: Fn, node: nodes.Map) -> None:
        args, out = self._args(fn, node), fn.at(self.rows, self.row(node.out))
        given = fn.at(self.adjoint, self.row(node.out))
        single = self.count(node.out) > 1
        many = [not (single and self.count(a) == 1) for a in node.args]
        places = [fn.at(self.adjoint, self.row(a)) for a in node.args]

        def one(o: V | int) -> None:
            x = [v if fixed else fn.load(v, o) for v, fixed in args]
            parts = functions.adjoint(fn, node.fn, x, fn.load(out, o), fn.load(given, o))
            for part, place, wide in zip(parts, places, many, strict=True):
                if part is not None:
                    self.accumulate(fn, place, o if wide else 0, part)

        self.each(fn, self.count(node.out), one)

    def _linear_back(self, fn: Fn, node: nodes.Linear) -> None:
        size, row = self.fmt.size, self.fmt.row
        w = self.weights[node.weight]
        width, many = self.count(node.x), self.count(node.out)
        x = fn.at(self.rows, self.row(node.x))
        given = fn.at(self.adjoint, self.row(node.out))
        if node.bias >= 0:
            bias = fn.at(self.gradient, self.layout.gradient("rows", node.bias))
            self.add(fn, bias, given, many, self.active())
        if node.gain != 1:
            scaled, gain = self.place(fn, "scaled"), fn.const(node.gain)
            with fn.loop(0, many * row, row) as loop:
                fn.store(fn.mul(fn.load(given, loop.i), gain), scaled, loop.i)
            given = scaled
        dx = fn.at(self.adjoint, self.row(node.x))

        def finish(first: V, j: int, total: V) -> None:
            self.accumulate(fn, dx, fn.iadd(fn.imul(first, row), j * row), total)

        def block(first: V, k: int) -> None:
            base = fn.at(w, fn.imul(first, size))
            with fn.loop(0, many, 1, [fn.const(0.0)] * k) as loop:
                d = fn.load(given, fn.imul(loop.i, row))
                p = fn.at(base, fn.imul(loop.i, width * size))
                loop.next = [fn.fma(fn.broadcast(p, j * size), d, loop.values[j]) for j in range(k)]
            for j, total in enumerate(loop.values):
                finish(first, j, total)

        def for_few() -> None:
            few.transposed_times(fn, w, many, width, given, finish)
            if width % few.COLUMNS:
                block(fn.i64(width - width % few.COLUMNS), width % few.COLUMNS)

        self._either(fn, for_few, lambda: few.blocks(fn, width, block))
        self._weight_gradient(fn, node, x, given)

    def _weight_gradient(self, fn: Fn, node: nodes.Linear, x: V, given: V) -> None:
        """dW[o, i…] += Σ over sequences dout[o] x[i…], on x turned so that i runs over lanes."""
        size, row, lanes = self.fmt.size, self.fmt.row, self.fmt.lanes
        width, many = self.count(node.x), self.count(node.out)
        vectors = -(-width // lanes)
        turned = self.place(fn, "turned")
        padded = vectors * row
        active, zero = self.active(), fn.const(0.0)
        with fn.loop(0, vectors) as loop:
            source = fn.at(x, fn.imul(loop.i, lanes * row))
            tile = [fn.select(active, fn.load(source, j * row), zero) for j in range(lanes)]
            tile = transpose(fn, tile)
            for j, v in enumerate(tile):
                fn.store(v, turned, fn.iadd(fn.imul(loop.i, row), j * padded))
        gradient = fn.at(self.gradient, self.layout.gradient("dense", node.weight))

        def block(first: V, k: int) -> None:
            d = fn.at(given, fn.imul(first, row))
            rows = fn.at(gradient, fn.imul(first, padded))
            with fn.loop(0, padded, row) as i:
                start = [fn.load(rows, fn.iadd(i.i, j * padded)) for j in range(k)]
                with fn.loop(0, self.lanes_used, 1, start) as loop:
                    v = fn.load(turned, fn.iadd(fn.imul(loop.i, padded), i.i))
                    p = fn.at(d, fn.imul(loop.i, size))
                    loop.next = [
                        fn.fma(fn.broadcast(p, j * row), v, loop.values[j]) for j in range(k)
                    ]
                for j, v in enumerate(loop.values):
                    fn.store(v, rows, fn.iadd(i.i, j * padded))

        few.blocks(fn, many, block)

    def _matmul_back(self, fn: Fn, node: nodes.Matmul) -> None:
        row = self.fmt.row
        a, b = fn.at(self.rows, self.row(node.a)), fn.at(self.rows, self.row(node.b))
        da, db = fn.at(self.adjoint, self.row(node.a)), fn.at(self.adjoint, self.row(node.b))
        out = fn.at(self.adjoint, self.row(node.out))
        with fn.loop(0, node.m) as i, fn.loop(0, node.n) as j:
            d = fn.load(out, fn.imul(fn.iadd(fn.imul(i.i, node.n), j.i), row))
            with fn.loop(0, node.k) as k:
                p = fn.imul(fn.iadd(fn.imul(i.i, node.k), k.i), row)
                q = fn.imul(fn.iadd(fn.imul(k.i, node.n), j.i), row)
                self.accumulate(fn, da, p, fn.mul(d, fn.load(b, q)))
                self.accumulate(fn, db, q, fn.mul(d, fn.load(a, p)))

    def _embed_back(self, fn: Fn, node: nodes.Embed) -> None:
        size, row = self.fmt.size, self.fmt.row
        table = fn.at(self.gradient, self.layout.gradient("table", node.weight))
        given = fn.at(self.adjoint, self.row(node.out))
        with fn.loop(0, self.lanes_used) as lane:
            here = fn.imul(lane.i, size)
            token = fn.cast(
                "fptosi", fn.load(self.rows, fn.iadd(here, self.row(node.x)), fn.f), "i64"
            )
            dest, source = fn.at(table, fn.imul(token, node.width * size)), fn.at(given, here)
            with fn.loop(0, node.width) as j:
                at = fn.imul(j.i, size)
                value = fn.add(fn.load(dest, at, fn.f), fn.load(source, fn.imul(j.i, row), fn.f))
                fn.store(value, dest, at)


def transpose(fn: Fn, rows: list[V]) -> list[V]:
    """A square tile, in log2 rounds of exchanges between pairs of vectors."""
    n = len(rows)
    step = 1
    while step < n:
        out = list(rows)
        for i in range(n):
            if i & step:
                continue
            a, b = rows[i], rows[i | step]
            low = [lane if not lane & step else n + (lane ^ step) for lane in range(n)]
            high = [lane | step if not lane & step else n + lane for lane in range(n)]
            out[i], out[i | step] = fn.shuffle(a, b, low), fn.shuffle(a, b, high)
        rows = out
        step *= 2
    return rows
