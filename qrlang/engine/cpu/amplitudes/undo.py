"""The passes that undo one layer on state and costate together.

They come in the reverse order of those forward. Each takes the gradients of its rotations from the
registers in which it undoes them; the last one divides by the diagonal.
"""

from __future__ import annotations

from qrlang.engine.cpu.amplitudes.gather import Gather
from qrlang.engine.cpu.amplitudes.passes import Passes
from qrlang.engine.cpu.amplitudes.shape import Shape
from qrlang.engine.cpu.amplitudes.walsh import signed_float
from qrlang.engine.cpu.llvm.asm import Fn, V

Chunk = tuple[V, int] | None  # a piece of the state, 2^int vectors; None: all of it
Tangents = list[tuple[int, V, int]]  # bit of the position or the lane, tan, number of the rotation


class Undo:
    """While they are written into `fn`, whose arguments are those of `Backward.backward`."""

    def __init__(
        self, sweeps: Passes, fn: Fn, shape: Shape, pending: Gather | None,
        seeds: tuple[int, ...], norm: bool, stay: bool,
    ) -> None:  # fmt: skip
        self.sweeps, self.fn, self.shape = sweeps, fn, shape
        self.pending, self.seeds, self.norm = pending, seeds, norm
        n = shape.n
        self.split = sweeps.split(shape.masks, n)
        self.parts = sweeps.back_passes(n)
        self.levels = sweeps.levels(self.parts, 4)
        # Each as [real, imaginary] of [state, costate].
        self.homes = self._planes("psi", "lam")
        self.scratches = self._planes("spsi", "slam")
        self.ends = self.scratches if stay else self.homes  # where the result is
        self.zero = fn.const(0.0)
        self.lanes: Tangents = sweeps.lane_tangents(fn, shape, fn.args["prm"])
        self.in_lanes = [i for _, _, i in self.lanes]

    def _planes(self, *names: str) -> list[list[V]]:
        fn, plane = self.fn, self.sweeps.plane(self.shape.n)
        both = [fn.args[name] for name in names]
        return [both, [fn.at(p, plane) for p in both]]

    def passes(self) -> None:
        """All of them; the sums of the rotations, and the norm, go to `out`."""
        top = len(self.levels) - 1
        result = self._descend(top, None)
        fn, stride, terms = self.fn, self.sweeps.stride, len(self.shape.terms)
        out, bits = fn.args["out"], self.shape.bits
        for i, s in zip(self._numbers(top), result, strict=False):
            if i in self.in_lanes:
                s = fn.neg(signed_float(fn, s, 1 << bits[i]))
            fn.store(s, out, (terms + i) * stride)
        if self.norm:
            fn.store(result[-1], out, (terms + len(bits)) * stride)

    # --- which passes, on which pieces

    def _descend(self, level: int, chunk: Chunk) -> list[V]:
        """The passes of a level and of those below it, on a piece of the state: their sums."""
        fn, sweeps = self.fn, self.sweeps
        sums = []
        for index in reversed(self.levels[level]):
            if index:
                sums += self._rotations(index, chunk)
                if chunk is None:
                    sweeps.team.barrier(fn)
        if not level:
            return sums + self._last(chunk)
        bits = sum(self.parts[self.levels[level - 1][-1]])
        start = [self.zero] * (len(self._numbers(level - 1)) + self.norm)
        if not start:
            with sweeps.pieces(fn, self.shape.n, bits, chunk) as piece:
                self._descend(level - 1, piece)
            return sums
        with sweeps.pieces(fn, self.shape.n, bits, chunk, start) as (piece, loop):
            # Sums of each piece begin at zero: long sums of small numbers lose digits.
            part = self._descend(level - 1, piece)
            loop.next = [fn.add(v, x) for v, x in zip(loop.values, part, strict=True)]
        return sums + list(loop.values)

    def _numbers(self, level: int) -> list[int]:
        """Of the rotations, in the order in which `_descend` gives their sums."""
        own = [i for index in reversed(self.levels[level]) if index for i in self._rotated(index)]
        below = self._numbers(level - 1) if level else self._rotated(0) + self.in_lanes
        return own + below

    def _rotated(self, index: int) -> list[int]:
        lo, k = self.parts[index]
        w = self.sweeps.w
        return [i for i, b in enumerate(self.shape.bits) if lo <= b - w < lo + k]

    def _last(self, chunk: Chunk) -> list[V]:
        """What forward was the first pass."""
        found = self._rotations(0, chunk)
        if chunk is None:
            self.sweeps.team.barrier(self.fn)
        return found + self._diagonal(chunk)

    # --- the passes

    def _rotations(self, index: int, chunk: Chunk) -> list[V]:
        """A pass: first what waits, if it is the first of them, then its rotations undone."""
        fn, sweeps, n = self.fn, self.sweeps, self.shape.n
        lo, k = self.parts[index]
        pairs = sweeps.tangents(fn, self.shape, fn.args["prm"], lo, k)
        lanes = [] if index else self.lanes
        numbers = [i for _, _, i in pairs + lanes]
        first = index == len(self.parts) - 1
        sources = self.homes if first else self.scratches
        with sweeps.summing(fn, n, lo, k, [self.zero] * len(numbers), chunk) as (h, values, result):
            sums = dict(zip(numbers, values, strict=True))
            for source, dest in zip(sources, self.scratches, strict=True):
                gather = self.pending if first else None
                loaded = sweeps.load(fn, gather, source, h, k, lo, fn.args["g"], n)
                x, y = [v[0] for v in loaded], [v[1] for v in loaded]
                if first and self.seeds:
                    y = sweeps.seeded(fn, self.seeds, n, fn.args["seeds"], h, lo, x, y)
                self._undo(x, y, pairs, lanes, sums)
                for vectors, where in zip((x, y), dest, strict=True):
                    for j, v in enumerate(vectors):
                        fn.store(v, where, sweeps.offset(fn, h, j, lo))
            result.extend(sums[i] for i in numbers)
        return result

    def _undo(
        self, x: list[V], y: list[V], pairs: Tangents, lanes: Tangents, sums: dict[int, V]
    ) -> None:
        """Rotations undone on a group of the state, x, and of the costate, y."""
        fn, swap = self.fn, self.sweeps.lane_swap
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
                other = swap(fn, x[j], bit)
                part = fn.fma(y[j], other, part) if part else fn.mul(y[j], other)
                x[j] = fn.fma(minus, other, x[j])
                y[j] = fn.fma(minus, swap(fn, y[j], bit), y[j])
            assert part is not None
            sums[i] = fn.add(sums[i], part)

    def _diagonal(self, chunk: Chunk) -> list[V]:
        """Divides by the diagonal; a pass of its own, as it has both planes of both."""
        fn, sweeps, n, split = self.fn, self.sweeps, self.shape.n, self.split
        tab, w, norm = fn.args["tab"], fn.args["w"], self.norm
        k = min(2, chunk[1] if chunk else n - sweeps.w)
        with sweeps.summing(fn, n, 0, k, [self.zero] * norm, chunk) as (h, values, result):
            size, choice = self.zero, sweeps.choice(fn, split, h)
            for j in range(1 << k):
                at = sweeps.offset(fn, h, j, 0)
                (xr, yr), (xi, yi) = ([fn.load(p, at) for p in s] for s in self.scratches)
                if self.shape.terms:
                    fn.store(fn.fma(yr, xi, fn.neg(fn.mul(yi, xr))), w, at)
                c, s = sweeps.diagonal(fn, split, tab, h, choice, j)
                for re, im, where in ((xr, xi, 0), (yr, yi, 1)):
                    # times the conjugate
                    r = fn.fma(re, c, fn.mul(im, s))
                    i = fn.fma(im, c, fn.neg(fn.mul(re, s)))
                    fn.store(r, self.ends[0][where], at)
                    fn.store(i, self.ends[1][where], at)
                    if norm and where == 0:
                        size = fn.fma(r, r, fn.fma(i, i, size))
            if norm:
                result.append(fn.add(values[0], size))
        return result
