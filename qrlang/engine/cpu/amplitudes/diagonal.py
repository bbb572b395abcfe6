"""A layer's parameters from its angles, and its diagonal as tables."""

from __future__ import annotations

from collections.abc import Sequence

from qrlang.engine.cpu.amplitudes.geometry import Geometry
from qrlang.engine.cpu.amplitudes.shape import Shape
from qrlang.engine.cpu.amplitudes.walsh import (
    Numbers,
    Split,
    unfold,
)
from qrlang.engine.cpu.llvm import functions
from qrlang.engine.cpu.llvm.asm import Fn, V
from qrlang.engine.gf2 import Affine


class Diagonals(Geometry):
    def split(self, masks: Sequence[int], n: int) -> Split:
        return Split(masks, n, self.w)

    def prepare(self, shape: Shape) -> str:
        """(angles: terms then rotations, parameters, scale row) -> a vector, NaN where an angle is
        not finite."""
        name, known = self._name("prepare", shape)
        if known:
            return name
        fmt, row = self.fmt, self.fmt.row
        fn = Fn(self.mod, name, [("angles", "ptr"), ("prm", "ptr"), ("scale", "ptr")])
        angles, prm = fn.args["angles"], fn.args["prm"]
        terms, count = len(shape.terms), len(shape.bits)
        zero = fn.const(0.0)
        check = zero
        if terms:
            phases = fn.at(prm, shape.row_phase * row)
            with fn.loop(0, terms * row, row, [check]) as loop:
                a = fn.load(angles, loop.i)
                fn.store(functions.turns(fn, a), phases, loop.i)
                loop.next = [fn.fma(a, zero, loop.values[0])]
            check = loop.values[0]
        # cos goes where "before" will be, the flip where "sign" will be.
        before = fn.at(prm, shape.row_before * row)
        flips = fn.at(prm, shape.row_sign * row)
        if count:
            turns = fn.at(angles, terms * row)
            with fn.loop(0, count * row, row, [check]) as loop:
                a = fn.load(turns, loop.i)
                r, k = functions.reduce_half_pi(fn, fn.mul(a, fn.const(0.5)))
                s, c = functions.kernel_sincos(fn, r)
                fn.store(s if self.together else fn.div(s, c), prm, loop.i)
                fn.store(c, before, loop.i)
                flip = fn.bit("sub", fn.iconst(0), fn.bit("and", k, fn.iconst(1)))
                fn.store(flip, flips, loop.i)
                loop.next = [fn.fma(a, zero, loop.values[0])]
            check = loop.values[0]
        self.whole_turns(fn, shape, prm)
        flip_of = {b: fn.load(flips, i * row, fn.vi) for i, b in enumerate(shape.bits)}
        cosines = [fn.load(before, i * row) for i in range(count)]
        total = fn.const(1.0)
        squares = fn.const(1.0)
        for i in self.back_order(shape):
            fn.store(squares, before, i * row)
            squares = fn.mul(squares, fn.mul(cosines[i], cosines[i]))
            total = fn.mul(total, cosines[i])
        quarter = 1 << (fmt.size * 8 - 2)
        for i, mask in enumerate(shape.masks):
            where = (shape.row_phase + i) * row
            phase = fn.load(prm, where, fn.vi) if i < terms else fn.iconst(0)
            odd: V | None = None
            for b in shape.bits:
                if mask >> b & 1:
                    odd = flip_of[b] if odd is None else fn.bit("xor", odd, flip_of[b])
            if odd is not None:
                if mask & (mask - 1) == 0:
                    phase = fn.bit("add", phase, fn.bit("and", odd, fn.iconst(quarter)))
                phase = fn.bit("sub", fn.bit("xor", phase, odd), odd)
            fn.store(phase, prm, where)
            fn.store(odd or fn.iconst(0), prm, (shape.row_sign + i) * row)
        inverse = shape.map.inverse()
        to, back = fn.iconst(inverse.shift), fn.iconst(shape.map.shift)
        for b, flip in flip_of.items():
            to = fn.bit("xor", to, fn.bit("and", flip, fn.iconst(inverse.linear(1 << b))))
            back = fn.bit("xor", back, fn.bit("and", flip, fn.iconst(1 << b)))
        fn.store(fn.mul(total, fn.load(fn.args["scale"])), prm, shape.row_scale * row)
        fn.store(squares, prm, shape.row_all * row)
        fn.store(to, prm, shape.row_to * row)
        fn.store(back, prm, shape.row_back * row)
        fn.done(check)
        return name

    def whole_turns(self, fn: Fn, shape: Shape, prm: V) -> None:
        """What the batch layout does to angles that were brought into a quarter turn."""

    def flip(self, fn: Fn, shape: Shape, prm: V, states: list[V], back: Affine | None) -> None:
        """What the batch layout does where flips are no part of an address."""

    def table_bytes(self, masks: Sequence[int], n: int) -> int:
        split = self.split(masks, n)
        return 2 * self.fmt.row * (split.vectors + split.high_vectors)

    def phases(self, shape: Shape) -> str:
        """(parameters at the sequence's lane, tables): exp(-i phase), times the layer's scale."""
        name, known = self._name("phases", (shape.n, shape.masks, shape.row_phase))
        if known:
            return name
        fn = Fn(self.mod, name, [("prm", "ptr"), ("tab", "ptr")])
        row = self.fmt.row
        split = self.split(shape.masks, shape.n)

        def value(i: int) -> V:
            return self.number(fn, fn.args["prm"], shape.row_phase + i, fn.i)

        scale = self.number(fn, fn.args["prm"], shape.row_scale)
        num = Numbers(fn, True, self.w)
        tab = fn.args["tab"]

        def rotate(where: V, imaginary: V, offset: V | int, factor: V | None) -> None:
            s, c = functions.sincos_turns(fn, fn.load(where, offset, fn.vi))
            if factor is not None:
                s, c = fn.mul(s, factor), fn.mul(c, factor)
            fn.store(c, where, offset)
            fn.store(fn.neg(s), imaginary, offset)

        self._spread(fn, num, split, [value(i) for i in range(len(shape.masks))], tab)
        lanes = split.vectors * row
        with fn.loop(0, lanes, row) as loop:
            rotate(tab, fn.at(tab, lanes), loop.i, scale if split.full else None)
        if not split.full:
            high = fn.at(tab, 2 * lanes)
            size = split.high_vectors * row
            with fn.loop(0, size, row) as loop:
                rotate(high, fn.at(high, size), loop.i, scale)
        fn.done()
        return name

    def seed(self, n: int, masks: tuple[int, ...]) -> str:
        """(weights at the lane, tables): Σ weight_m Z_m as tables."""
        name, known = self._name("seed", (n, masks))
        if known:
            return name
        fn = Fn(self.mod, name, [("weights", "ptr"), ("tab", "ptr")])
        split = self.split(masks, n)
        values = [fn.broadcast(fn.args["weights"], i * self.fmt.row) for i in range(len(masks))]
        self._spread(fn, Numbers(fn, False, self.w), split, values, fn.args["tab"])
        fn.done()
        return name

    def _spread(self, fn: Fn, num: Numbers, split: Split, values: list[V], tab: V) -> None:
        """Writes the sums of `values` for each mask: one vector for each choice of parities, and
        one number for each high index (behind two planes of the former)."""
        row, w = self.fmt.row, self.w
        pairs = list(zip(split.masks, values, strict=True))
        if split.full:
            unfold(num, pairs, split.n, tab)
            return
        low = (1 << w) - 1
        base = num.leaf([(m, v) for m, v in pairs if not m >> w])
        parts = [
            num.leaf([(m & low, v) for m, v in pairs if m >> w == u and m & low])
            for u in split.mixed
        ]
        vectors = [base]
        for part in parts:
            vectors = [num.add(v, part) for v in vectors] + [num.sub(v, part) for v in vectors]
        for i, v in enumerate(vectors):
            fn.store(v, tab, i * row)
        high = [(m >> w, v) for m, v in pairs if m >> w and not m & low]
        unfold(num, high, split.high_bits, fn.at(tab, 2 * split.vectors * row))
