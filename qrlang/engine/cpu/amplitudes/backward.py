"""A layer undone on state and costate, with the gradients of its angles."""

from __future__ import annotations

from qrlang.engine.cpu.amplitudes.forward import Forward
from qrlang.engine.cpu.amplitudes.gather import Gather
from qrlang.engine.cpu.amplitudes.shape import Shape
from qrlang.engine.cpu.amplitudes.walsh import (
    signed_float,
)
from qrlang.engine.cpu.llvm import functions
from qrlang.engine.cpu.llvm.asm import Fn, V

FEW = 4  # sequences whose sums are worth code of their own


class Backward(Forward):
    def backward(
        self,
        shape: Shape,
        pending: Gather | None,
        seeds: tuple[int, ...],
        norm: bool,
        stay: bool,
    ) -> str:
        """Undoes a layer on state and costate: (psi, lam, scratch psi, scratch lam, parameters,
        g of the pending gather, tables, w, gradient vectors, tables of the seeds).

        `pending`: the map of what came after the layer, still to be undone. `seeds`: parities that
        were read after it, whose weights go into the costate first. The layer's own map is left
        to whoever comes next."""
        key = (shape, pending.key if pending else None, seeds, norm, stay)
        name, known = self._name("backward", key)
        if known:
            return name
        fn = Fn(
            self.mod, name,
            [("psi", "ptr"), ("lam", "ptr"), ("spsi", "ptr"), ("slam", "ptr"), ("prm", "ptr"),
             ("g", "i64"), ("tab", "ptr"), ("w", "ptr"), ("out", "ptr"), ("seeds", "ptr"),
             ("own", "ptr")],
        )  # fmt: skip
        n = shape.n
        plane = self.plane(n)
        a = fn.args
        prm, tab, out = a["prm"], a["tab"], a["out"]
        fn.call(self.phases(shape), "void", prm, tab)
        split = self.split(shape.masks, n)
        parts = self.back_passes(n)
        stride = self.stride
        terms = len(shape.terms)

        def both(p: V, q: V) -> list[list[V]]:
            return [[p, q], [fn.at(p, plane), fn.at(q, plane)]]

        homes = both(a["psi"], a["lam"])
        scratches = both(a["spsi"], a["slam"])
        ends = scratches if stay else homes
        zero = fn.const(0.0)

        def enter(source: list[V], h: V | None, k: int, lo: int) -> tuple[list[V], list[V]]:
            loaded = self._load(fn, pending, source, h, k, lo, a["g"], n)
            x, y = [v[0] for v in loaded], [v[1] for v in loaded]
            if seeds:
                y = self._seeded(fn, seeds, n, a["seeds"], h, lo, x, y)
            return x, y

        def undo(
            x: list[V],
            y: list[V],
            pairs: list[tuple[int, V, int]],
            lanes: list[tuple[int, V, int]],
            sums: dict[int, V],
        ) -> None:
            # Sums of a group are by themselves first: a long chain of additions takes its time.
            for bit, t, i in pairs:
                minus = fn.neg(t)
                part: V | None = None
                for j in range(len(x)):
                    if j >> bit & 1:
                        continue
                    k = j | 1 << bit
                    p0, p1, l0, l1 = x[j], x[k], y[j], y[k]
                    s = fn.fma(l1, p0, part) if part else fn.mul(l1, p0)
                    part = fn.fma(fn.neg(l0), p1, s)
                    x[j], x[k] = fn.fma(t, p1, p0), fn.fma(minus, p0, p1)
                    y[j], y[k] = fn.fma(t, l1, l0), fn.fma(minus, l0, l1)
                assert part is not None
                sums[i] = fn.add(sums[i], part)
            for bit, t, i in lanes:
                minus = fn.neg(t)
                part = None
                for j in range(len(x)):
                    other = self._lane_swap(fn, x[j], bit)
                    part = fn.fma(y[j], other, part) if part else fn.mul(y[j], other)
                    x[j] = fn.fma(minus, other, x[j])
                    y[j] = fn.fma(minus, self._lane_swap(fn, y[j], bit), y[j])
                assert part is not None
                sums[i] = fn.add(sums[i], part)

        def keep(sums: dict[int, V], lanes: list[int]) -> None:
            for i, s in sums.items():
                if i in lanes:
                    s = fn.neg(signed_float(fn, s, 1 << shape.bits[i]))
                fn.store(s, out, (terms + i) * stride)

        lanes = self._lane_tangents(fn, shape, prm)
        last = len(parts) - 1

        def rotations(index: int, chunk: tuple[V, int] | None, start: list[V]) -> list[V]:
            """A pass: first what waits, if it is the first of them, then its rotations undone."""
            lo, k = parts[index]
            pairs, inner = self._tangents(fn, shape, prm, lo, k), [] if index else lanes
            numbers = [i for _, _, i in pairs + inner]
            with self._summing(fn, n, lo, k, start, chunk) as (h, values, result):
                sums = dict(zip(numbers, values, strict=True))
                for source, dest in zip(
                    homes if index == last else scratches, scratches, strict=True
                ):
                    if index == last:
                        x, y = enter(source, h, k, lo)
                    else:
                        loaded = self._load(fn, None, source, h, k, lo, a["g"], n)
                        x, y = [v[0] for v in loaded], [v[1] for v in loaded]
                    undo(x, y, pairs, inner, sums)
                    for values_, where in zip((x, y), dest, strict=True):
                        for j, v in enumerate(values_):
                            fn.store(v, where, self._offset(fn, h, j, lo))
                result.extend(sums[i] for i in numbers)
            return result

        def diagonal(chunk: tuple[V, int] | None) -> list[V]:
            """Divides by the diagonal; a pass of its own, as it has both planes of both."""
            k = min(2, chunk[1] if chunk else n - self.w)
            with self._summing(fn, n, 0, k, [zero] * norm, chunk) as (h, values, result):
                size, choice = zero, self._choice(fn, split, h)
                for j in range(1 << k):
                    at = self._offset(fn, h, j, 0)
                    (xr, yr), (xi, yi) = ([fn.load(p, at) for p in s] for s in scratches)
                    if terms:
                        fn.store(fn.fma(yr, xi, fn.neg(fn.mul(yi, xr))), a["w"], at)
                    c, s = self._diagonal(fn, split, tab, h, choice, j)
                    for re, im, where in ((xr, xi, 0), (yr, yi, 1)):
                        # times the conjugate
                        r = fn.fma(re, c, fn.mul(im, s))
                        i = fn.fma(im, c, fn.neg(fn.mul(re, s)))
                        fn.store(r, ends[0][where], at)
                        fn.store(i, ends[1][where], at)
                        if norm and where == 0:
                            size = fn.fma(r, r, fn.fma(i, i, size))
                if norm:
                    result.append(fn.add(values[0], size))
            return result

        def first(chunk: tuple[V, int] | None, start: list[V]) -> list[V]:
            found = rotations(0, chunk, start)
            if chunk is None:
                self.team.barrier(fn)
            return found + diagonal(chunk)

        w = self.w

        def rotated(index: int) -> list[int]:
            lo, k = parts[index]
            return [i for i, b in enumerate(shape.bits) if lo <= b - w < lo + k]

        in_lanes = [i for _, _, i in lanes]
        in_first = rotated(0) + in_lanes
        levels = self.levels(parts, 4)

        def numbers(level: int) -> list[int]:
            """Of the rotations, in the order in which `descend` gives their sums."""
            own = [i for index in reversed(levels[level]) if index for i in rotated(index)]
            return own + (numbers(level - 1) if level else in_first)

        def descend(level: int, chunk: tuple[V, int] | None) -> list[V]:
            """The passes of a level and of those below it, on a piece of the state."""
            sums = []
            for index in reversed(levels[level]):
                if index:
                    sums += rotations(index, chunk, [zero] * len(rotated(index)))
                    if chunk is None:
                        self.team.barrier(fn)
            if not level:
                return sums + first(chunk, [zero] * len(in_first))
            bits = sum(parts[levels[level - 1][-1]])
            start = [zero] * (len(numbers(level - 1)) + norm)
            if not start:
                with self._pieces(fn, n, bits, chunk) as piece:
                    descend(level - 1, piece)
                return sums
            with self._pieces(fn, n, bits, chunk, start) as (piece, loop):
                # Sums of each piece begin at zero: long sums of small numbers lose digits.
                part = descend(level - 1, piece)
                loop.next = [fn.add(v, x) for v, x in zip(loop.values, part, strict=True)]
            return sums + list(loop.values)

        result = descend(len(levels) - 1, None)
        keep(dict(zip(numbers(len(levels) - 1), result, strict=False)), in_lanes)
        if norm:
            fn.store(result[-1], out, (terms + len(shape.bits)) * stride)
        if terms:
            # Slices need not be the pieces that this thread has written.
            self.team.barrier(fn)
            wanted = [(m, i * stride) for i, m in enumerate(shape.terms)]
            self._fold(fn, wanted, n, lambda o: fn.load(a["w"], o), a["w"], out)
        self.flip(fn, shape, prm, [ends[0][0], ends[0][1]], None)
        self.team.barrier(fn)
        fn.done()
        return name

    def settle(self, n: int, pending: Gather | None, seeds: tuple[int, ...]) -> str:
        """(psi, lam, scratch psi, scratch lam, g, tables of the seeds): a pending map and seeds by
        themselves, where no layer takes them along."""
        name, known = self._name("settle", (n, pending.key if pending else None, seeds))
        if known:
            return name
        fn = Fn(
            self.mod, name,
            [("psi", "ptr"), ("lam", "ptr"), ("spsi", "ptr"), ("slam", "ptr"), ("g", "i64"),
             ("seeds", "ptr"), ("own", "ptr")],
        )  # fmt: skip
        a = fn.args
        plane = self.plane(n)
        k = min(2, n - self.w)
        moves = pending is not None and not pending.plain
        out = (a["spsi"], a["slam"]) if moves else (a["psi"], a["lam"])
        with self._groups(fn, n, 0, k, None) as h:
            for p in (0, plane):
                source = [fn.at(a["psi"], p), fn.at(a["lam"], p)]
                loaded = self._load(fn, pending, source, h, k, 0, a["g"], n)
                x, y = [v[0] for v in loaded], [v[1] for v in loaded]
                if seeds:
                    y = self._seeded(fn, seeds, n, a["seeds"], h, 0, x, y)
                for values, where in zip((x, y), out, strict=True):
                    for j, v in enumerate(values):
                        fn.store(v, fn.at(where, p), self._offset(fn, h, j, 0))
        self.team.barrier(fn)
        if moves:
            first, last = self.team.share(fn, 2 * plane // self.fmt.row)
            for to, source_ in ((a["psi"], a["spsi"]), (a["lam"], a["slam"])):
                with fn.loop(first, last) as loop:
                    at = fn.imul(loop.i, self.fmt.row)
                    fn.store(fn.load(source_, at), to, at)
            self.team.barrier(fn)
        fn.done()
        return name

    def summed(self, fn: Fn, vectors: V, few: bool = False) -> V:
        """Sums over states, one in each lane. `few`: of at most four sequences."""
        if self.together:
            return fn.load(vectors)
        return fn.call(self._lane_sums(FEW if few else self.fmt.lanes), fn.vf, vectors)

    def _lane_sums(self, count: int) -> str:
        """(vectors, one for each of `count` sequences) -> the sum of each, as one vector; the
        lanes beyond repeat them."""
        name, known = self._name("lane_sums", count)
        if known:
            return name
        fn = Fn(self.mod, name, [("x", "ptr")])
        n = self.fmt.lanes
        half = n // 2
        even = [2 * i for i in range(half)] + [n + 2 * i for i in range(half)]
        odd = [x + 1 for x in even]
        rows = [fn.load(fn.args["x"], i * self.fmt.row) for i in range(count)]
        # Each round adds neighbours within a vector and puts two vectors' sums into one.
        for _ in range(self.fmt.lane_bits):
            pairs = zip(rows[0::2], rows[1::2], strict=True) if len(rows) > 1 else [rows * 2]
            rows = [fn.add(fn.shuffle(a, b, even), fn.shuffle(a, b, odd)) for a, b in pairs]
        fn.done(rows[0])
        return name

    def finish(self, shape: Shape) -> str:
        """(vectors, parameters, angle adjoints, active, sequences): adds the layer's gradients."""
        name, known = self._name("finish", shape)
        if known:
            return name
        args = [("x", "ptr"), ("prm", "ptr"), ("out", "ptr"), ("active", "ptr"), ("used", "i64")]
        fn = Fn(self.mod, name, args)
        row, stride = self.fmt.row, self.stride
        prm, out = fn.args["prm"], fn.args["out"]
        active = fn.compare("ne", fn.load(fn.args["active"], 0, fn.vi), fn.iconst(0))
        top = -(1 << (self.fmt.size * 8 - 1))
        zero = fn.const(0.0)
        terms, count = len(shape.terms), len(shape.bits)

        def put(i: V, position: int, value: V) -> None:
            where = fn.iadd(fn.imul(i, row), position * row)
            kept = fn.select(active, value, zero)
            fn.store(fn.add(fn.load(out, where), kept), out, where)

        def add(few: bool) -> None:
            if terms:
                every = fn.load(prm, shape.row_all * row)
                with fn.loop(0, terms) as loop:
                    v = self.summed(fn, fn.at(fn.args["x"], fn.imul(loop.i, stride)), few)
                    sign = fn.load(prm, fn.iadd(fn.imul(loop.i, row), shape.row_sign * row), fn.vi)
                    v = functions.flip_sign(
                        fn, fn.mul(v, every), fn.bit("and", sign, fn.iconst(top))
                    )
                    put(loop.i, 0, v)
            if count:
                with fn.loop(0, count) as loop:
                    x = fn.at(fn.args["x"], fn.iadd(fn.imul(loop.i, stride), terms * stride))
                    v = self.summed(fn, x, few)
                    where = fn.iadd(fn.imul(loop.i, row), shape.row_before * row)
                    put(loop.i, terms, fn.mul(v, fn.load(prm, where)))

        if self.together or self.fmt.lanes <= FEW:
            add(False)
        else:
            for few, how in ((True, "sle"), (False, "sgt")):
                with fn.when(fn.compare(how, fn.args["used"], fn.i64(FEW))):
                    add(few)
        fn.done()
        return name
