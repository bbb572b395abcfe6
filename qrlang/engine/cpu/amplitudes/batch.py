"""The batch layout: a vector has one amplitude of as many sequences as it has lanes.

Index maps are addresses and every angle is a vector, so a small state costs what its arithmetic
costs. What differs from the state layout: tangents may be large (whole half turns are flips only
where the cosines of a layer would multiply to next to nothing), and the diagonal is made by
multiplying factors up, not by summing angles, as nothing is shared within a vector.
"""

from __future__ import annotations

from collections.abc import Sequence

from qrlang.engine.cpu.amplitudes.geometry import Pass, parted
from qrlang.engine.cpu.amplitudes.shape import Shape
from qrlang.engine.cpu.amplitudes.sweeps import Sweeps
from qrlang.engine.cpu.amplitudes.walsh import Numbers, Split, unfold
from qrlang.engine.cpu.llvm import functions
from qrlang.engine.cpu.llvm.asm import Fn, V
from qrlang.engine.gf2 import Affine, parity

MOST_QUBITS = 8
TINY = 1e-12  # a product of cosines under which half turns become flips
WHOLE = 4  # bits of the largest table that has every index

Factor = tuple[V, V | None]  # real, imaginary part


class Halves(Split):
    """Masks as: a table over the low bits, one for each choice of a few parities of the high bits,
    times a table over the high bits; or one table over all of them (`full`)."""

    def __init__(self, masks: Sequence[int], n: int) -> None:
        self.n, self.masks = n, list(masks)
        self.full, self.w, self.mixed = True, n, []
        self.high_bits = 0
        if n <= WHOLE:
            return
        best = 8 << n
        for w in range(2, n - 1):
            low = (1 << w) - 1
            mixed = list(dict.fromkeys(m >> w for m in masks if m & low and m >> w))
            work = 6 * ((1 << w + len(mixed)) + (1 << n - w)) + (4 << n)
            if len(mixed) <= self.MOST and work < best:
                best, self.full, self.w, self.mixed = work, False, w, mixed
                self.high_bits = n - w

    @property
    def vectors(self) -> int:
        return 1 << (self.w + len(self.mixed))

    @property
    def high_vectors(self) -> int:
        return 0 if self.full else 1 << self.high_bits


class BatchSweeps(Sweeps):
    together = True

    def passes(self, n: int) -> list[Pass]:
        return _shared(n, *((4, 3) if self.fmt.machine.registers >= 32 else (3, 2)))

    def back_passes(self, n: int) -> list[Pass]:
        return parted(n, 2, 3 if self.fmt.machine.registers >= 32 else 2, n)

    # --- angles

    def whole_turns(self, fn: Fn, shape: Shape, prm: V) -> None:
        """Makes tangents of sines and cosines within a quarter turn, and takes the half turns in
        where the layer can bear it."""
        row, count = self.fmt.row, len(shape.bits)
        if not count:
            return
        sines = [fn.load(prm, (shape.row_tan + i) * row) for i in range(count)]
        cosines = [fn.load(prm, (shape.row_before + i) * row) for i in range(count)]
        flips = [fn.load(prm, (shape.row_sign + i) * row, fn.vi) for i in range(count)]
        zero = fn.iconst(0)
        odd = [fn.compare("ne", f, zero) for f in flips]
        whole = [fn.select(o, fn.neg(s), c) for o, s, c in zip(odd, sines, cosines, strict=True)]
        total = whole[0]
        for c in whole[1:]:
            total = fn.mul(total, c)
        bears = fn.compare("oge", functions.absolute(fn, total), fn.const(TINY))
        for i, (o, s, c) in enumerate(zip(odd, sines, cosines, strict=True)):
            on = fn.select(bears, whole[i], c)
            turned = fn.op("and", bears, o)
            fn.store(on, prm, (shape.row_before + i) * row)
            fn.store(fn.div(fn.select(turned, c, s), on), prm, (shape.row_tan + i) * row)
            left = fn.select(bears, zero, flips[i])
            fn.store(left, prm, (shape.row_sign + i) * row)
            fn.store(left, prm, (shape.row_flip + i) * row)

    def flip(self, fn: Fn, shape: Shape, prm: V, states: list[V], back: Affine | None) -> None:
        """Flips rotated qubits of the sequences that ask for it; before the map if `back` is its
        inverse."""
        row, count = self.fmt.row, len(shape.bits)
        if not count:
            return
        every = fn.load(prm, shape.row_flip * row, fn.vi)
        for i in range(1, count):
            every = fn.bit("or", every, fn.load(prm, (shape.row_flip + i) * row, fn.vi))
        with fn.when(self.some(fn, fn.compare("ne", every, fn.iconst(0)))):
            for i, bit in enumerate(shape.bits):
                move = back.linear(1 << bit) if back else 1 << bit
                for state in states:
                    on = fn.at(prm, (shape.row_flip + i) * row)
                    fn.call(self._swap(shape.n, move), "void", state, on)

    def some(self, fn: Fn, mask: V) -> V:
        """Is any lane of the mask set."""
        n = self.fmt.lanes
        return fn.new("i1", f"icmp ne i{n} {fn.cast('bitcast', mask, f'i{n}').name}, 0")

    def _swap(self, n: int, move: int) -> str:
        """(state, flips): amplitudes `move` apart change places, in the sequences that flip."""
        name, known = self._name("swap", (n, move))
        if known:
            return name
        fn = Fn(self.mod, name, [("state", "ptr"), ("on", "ptr")])
        on = fn.compare("ne", fn.load(fn.args["on"], 0, fn.vi), fn.iconst(0))
        top = move.bit_length() - 1
        for p in (0, self.plane(n)):
            plane = fn.at(fn.args["state"], p)
            with fn.loop(0, 1 << (n - 1)) as loop:
                x = fn.bit("shl", fn.bit("lshr", loop.i, top), top + 1)
                x = fn.bit("or", x, fn.bit("and", loop.i, (1 << top) - 1))
                here, there = fn.imul(x, self.unit), fn.imul(fn.bit("xor", x, move), self.unit)
                a, b = fn.load(plane, here), fn.load(plane, there)
                fn.store(fn.select(on, b, a), plane, here)
                fn.store(fn.select(on, a, b), plane, there)
        fn.done()
        return name

    def keep(self, n: int) -> str:
        """(state, what it was, active): the sequences that rest get their state back."""
        name, known = self._name("keep", n)
        if known:
            return name
        fn = Fn(self.mod, name, [("state", "ptr"), ("was", "ptr"), ("active", "ptr")])
        on = fn.compare("ne", fn.load(fn.args["active"], 0, fn.vi), fn.iconst(0))
        with fn.loop(0, 2 * self.plane(n), self.fmt.row) as loop:
            new, old = fn.load(fn.args["state"], loop.i), fn.load(fn.args["was"], loop.i)
            fn.store(fn.select(on, new, old), fn.args["state"], loop.i)
        fn.done()
        return name

    # --- the diagonal

    def split(self, masks: Sequence[int], n: int) -> Split:
        return Halves(masks, n)

    def table_bytes(self, masks: Sequence[int], n: int) -> int:
        split = self.split(masks, n)
        made = 2 * (split.vectors + split.high_vectors + len(masks))
        return self.fmt.row * max(made, 1 << n)

    def phases(self, shape: Shape) -> str:
        name, known = self._name("phases", (shape.n, shape.masks, shape.row_phase))
        if known:
            return name
        fn = Fn(self.mod, name, [("prm", "ptr"), ("tab", "ptr")])
        row = self.fmt.row
        split = self.split(shape.masks, shape.n)
        prm, tab = fn.args["prm"], fn.args["tab"]
        vectors, high = split.vectors * row, split.high_vectors * row
        # A factor for each mask, behind the tables.
        place = fn.at(tab, 2 * (vectors + high))
        phases = fn.at(prm, shape.row_phase * row)
        with fn.loop(0, len(shape.masks) * row, row) as loop:
            s, c = functions.sincos_turns(fn, fn.load(phases, loop.i, fn.vi))
            at = fn.bit("shl", loop.i, 1)
            fn.store(c, place, at)
            fn.store(fn.neg(s), place, fn.iadd(at, row))
        terms: list[tuple[int, Factor]] = [
            (m, (fn.load(place, 2 * i * row), fn.load(place, (2 * i + 1) * row)))
            for i, m in enumerate(shape.masks)
        ]
        product = _Product(fn)
        scale: Factor = (fn.load(prm, shape.row_scale * row), None)

        def put(values: Sequence[Factor | None], base: V, size: int, first: int = 0) -> None:
            for i, value in enumerate(values):
                re, im = value or (fn.const(1.0), None)
                fn.store(re, base, (first + i) * row)
                fn.store(im or fn.const(0.0), base, size + (first + i) * row)

        if split.full:
            put(product.spread(terms, split.n, scale), tab, vectors)
        else:
            w = split.w
            low = (1 << w) - 1
            tables = [product.spread([(m, v) for m, v in terms if not m >> w], w, None)]
            for u in split.mixed:
                part = product.spread(
                    [(m & low, v) for m, v in terms if m >> w == u and m & low], w, None
                )
                pairs = [[product.both(a, b) for a, b in zip(t, part, strict=True)] for t in tables]
                tables = [[p[0] for p in t] for t in pairs] + [[p[1] for p in t] for t in pairs]
            for k, table in enumerate(tables):
                put(table, tab, vectors, k << w)
            above = [(m >> w, v) for m, v in terms if m >> w and not m & low]
            put(product.spread(above, split.high_bits, scale), fn.at(tab, 2 * vectors), high)
        fn.done()
        return name

    def choice(self, fn: Fn, split: Split, h: V | None) -> V | None:
        """Byte offset in the low table of vector h."""
        if h is None or split.full:
            return None
        total = fn.bit("and", h, (1 << split.w) - 1)
        for j, mask in enumerate(split.mixed):
            ones = fn.call("llvm.ctpop.i64", "i64", fn.bit("and", h, mask << split.w))
            total = fn.bit("or", total, fn.bit("shl", fn.bit("and", ones, 1), split.w + j))
        return fn.imul(total, self.fmt.row)

    def _places(
        self, fn: Fn, split: Split, h: V | None, choice: V | None, j: int
    ) -> tuple[V | int, V | int]:
        """Byte offsets of vector h ^ j in the low and in the high table."""
        row, w = self.fmt.row, split.w
        near = j & (1 << w) - 1
        for i, mask in enumerate(split.mixed):
            near |= parity(j >> w & mask) << (w + i)
        far = (j >> w) * row
        if h is None or choice is None:
            return near * row, far
        high = fn.imul(fn.bit("lshr", h, w), row)
        return fn.bit("xor", choice, near * row), fn.iadd(high, far)

    def diagonal(
        self, fn: Fn, split: Split, tab: V, h: V | None, choice: V | None, j: int
    ) -> tuple[V, V]:
        row = self.fmt.row
        vectors = split.vectors * row
        if split.full:
            at = self.offset(fn, h, j, 0)
            return fn.load(tab, at), fn.load(fn.at(tab, vectors), at)
        near, far = self._places(fn, split, h, choice, j)
        re, im = fn.load(tab, near), fn.load(fn.at(tab, vectors), near)
        high = fn.at(tab, 2 * vectors)
        a, b = fn.load(high, far), fn.load(fn.at(high, split.high_vectors * row), far)
        return fn.fma(re, a, fn.neg(fn.mul(im, b))), fn.fma(re, b, fn.mul(im, a))

    # --- weights of readouts

    def seed(self, n: int, masks: tuple[int, ...]) -> str:
        name, known = self._name("seed", (n, masks))
        if known:
            return name
        fn = Fn(self.mod, name, [("weights", "ptr"), ("tab", "ptr")])
        row = self.fmt.row
        pairs = [(m, fn.load(fn.args["weights"], i * row)) for i, m in enumerate(masks)]
        unfold(Numbers(fn, False, 0), pairs, n, fn.args["tab"])
        fn.done()
        return name

    def seeded(
        self, fn: Fn, masks: tuple[int, ...], n: int, tab: V, h: V | None, lo: int,
        x: list[V], y: list[V],
    ) -> list[V]:  # fmt: skip
        return [
            fn.fma(fn.load(tab, self.offset(fn, h, j, lo)), p, q)
            for j, (p, q) in enumerate(zip(x, y, strict=True))
        ]


def _shared(n: int, first: int, more: int) -> list[Pass]:
    """Bits in passes as equal as can be, the largest first."""
    if n <= first:
        return [(0, n)]
    count = -(-n // more)
    sizes = [n // count + (k < n % count) for k in range(count)]
    return [(sum(sizes[:k]), size) for k, size in enumerate(sizes)]


class _Product:
    """Products of factors, each to the power of a parity's sign. None is one."""

    def __init__(self, fn: Fn) -> None:
        self.fn = fn
        self.made: dict[tuple[Factor | None, Factor | None], tuple[Factor, Factor]] = {}

    def both(self, a: Factor | None, b: Factor | None) -> tuple[Factor | None, Factor | None]:
        """a b and a conj(b)."""
        if b is None:
            return a, a
        if (a, b) not in self.made:
            self.made[a, b] = self._multiplied(a, b)
        return self.made[a, b]

    def _multiplied(self, a: Factor | None, b: Factor) -> tuple[Factor, Factor]:
        fn = self.fn
        br, bi = b
        assert bi is not None
        if a is None:
            return b, (br, fn.neg(bi))
        ar, ai = a
        re = fn.mul(ar, br)
        if ai is None:
            im = fn.mul(ar, bi)
            return (re, im), (re, fn.neg(im))
        im, minus = fn.mul(ai, br), fn.neg(ai)
        return (
            (fn.fma(minus, bi, re), fn.fma(ar, bi, im)),
            (fn.fma(ai, bi, re), fn.fma(fn.neg(ar), bi, im)),
        )

    def spread(
        self, terms: Sequence[tuple[int, Factor]], bits: int, start: Factor | None
    ) -> list[Factor | None]:
        """For each index of so many bits: `start`, times the factor of each mask or its inverse."""
        if bits == 0:
            for _, factor in terms:
                start, _ = self.both(start, factor)
            return [start]
        one = 1 << (bits - 1)
        low = self.spread([t for t in terms if not t[0] & one], bits - 1, start)
        having = [(m ^ one, v) for m, v in terms if m & one]
        if not having:
            return low + low
        high = self.spread(having, bits - 1, None)
        pairs = [self.both(a, b) for a, b in zip(low, high, strict=True)]
        return [p[0] for p in pairs] + [p[1] for p in pairs]
