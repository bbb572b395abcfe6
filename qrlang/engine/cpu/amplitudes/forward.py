"""A layer forward, and readouts."""

from __future__ import annotations

from qrlang.engine.cpu.amplitudes.passes import Passes
from qrlang.engine.cpu.amplitudes.shape import Shape
from qrlang.engine.cpu.amplitudes.team import SLICE_BITS
from qrlang.engine.cpu.amplitudes.walsh import (
    Source,
    Wanted,
    fold,
)
from qrlang.engine.cpu.llvm import functions
from qrlang.engine.cpu.llvm.asm import Fn, V


class Forward(Passes):
    def forward(self, shape: Shape, stay: bool) -> str:
        """(home, scratch, parameters at the lane, tables). `stay`: the result is in scratch."""
        name, known = self._name("forward", (shape, stay))
        if known:
            return name
        fn = Fn(
            self.mod, name,
            [("home", "ptr"), ("scratch", "ptr"), ("prm", "ptr"), ("tab", "ptr"), ("own", "ptr")],
        )  # fmt: skip
        n = shape.n
        plane = self.plane(n)
        home, scratch, prm = fn.args["home"], fn.args["scratch"], fn.args["prm"]
        self.flip(fn, shape, prm, [home], shape.map.inverse())
        fn.call(self.phases(shape), "void", prm, fn.args["tab"])
        split = self.split(shape.masks, n)
        parts = self.passes(n)
        gather = self.gather_to(shape)
        target = home if len(parts) == 1 else scratch
        g = self.turn(fn, gather, prm, shape.row_to)

        def planes(base: V) -> list[V]:
            return [base, fn.at(base, plane)]

        lanes = [(b, t) for b, t, _ in self.lane_tangents(fn, shape, prm)]

        def first(chunk: tuple[V, int] | None) -> None:
            _, k = parts[0]
            pairs = [(b, t) for b, t, _ in self.tangents(fn, shape, prm, 0, k)]
            with self.groups(fn, n, 0, k, chunk) as h:
                loaded = self.load(fn, gather, planes(home), h, k, 0, g, n)
                choice = self.choice(fn, split, h)
                re, im = [], []
                for j, (a, b) in enumerate(loaded):
                    c, s = self.diagonal(fn, split, fn.args["tab"], h, choice, j)
                    re.append(fn.fma(a, c, fn.neg(fn.mul(b, s))))
                    im.append(fn.fma(a, s, fn.mul(b, c)))
                for x, out in zip((re, im), planes(target), strict=True):
                    self.rotate(fn, x, pairs, lanes)
                    for j, v in enumerate(x):
                        fn.store(v, out, self.offset(fn, h, j, 0))

        def further(index: int, chunk: tuple[V, int] | None) -> None:
            lo, k = parts[index]
            pairs = [(b, t) for b, t, _ in self.tangents(fn, shape, prm, lo, k)]
            out = home if index == len(parts) - 1 and not stay else scratch
            with self.groups(fn, n, lo, k, chunk) as h:
                for src, dst in zip(planes(scratch), planes(out), strict=True):
                    x = [fn.load(src, self.offset(fn, h, j, lo)) for j in range(1 << k)]
                    self.rotate(fn, x, pairs, [])
                    for j, v in enumerate(x):
                        fn.store(v, dst, self.offset(fn, h, j, lo))

        levels = self.levels(parts, 2)

        def descend(level: int, chunk: tuple[V, int] | None) -> None:
            """The passes of a level and of those below it, on a piece of the state."""
            mine = levels[level]
            if level:
                with self.pieces(fn, n, sum(parts[levels[level - 1][-1]]), chunk) as piece:
                    descend(level - 1, piece)
            else:
                first(chunk)
                mine = mine[1:]
            for index in mine:
                if chunk is None:
                    self.team.barrier(fn)
                further(index, chunk)

        descend(len(levels) - 1, None)
        self.team.barrier(fn)
        fn.done()
        return name

    def read(self, n: int, masks: tuple[int, ...]) -> str:
        """(state, memory, vectors out): Σ ± |ψ|² for each mask."""
        name, known = self._name("read", (n, masks))
        if known:
            return name
        fn = Fn(self.mod, name, [("psi", "ptr"), ("w", "ptr"), ("out", "ptr"), ("own", "ptr")])
        plane = fn.at(fn.args["psi"], self.plane(n))

        def probability(offset: V | int) -> V:
            re, im = fn.load(fn.args["psi"], offset), fn.load(plane, offset)
            return fn.fma(re, re, fn.mul(im, im))

        stride = self.stride
        wanted = [(m, i * stride) for i, m in enumerate(masks)]
        self._fold(fn, wanted, n, probability, fn.args["w"], fn.args["out"])
        fn.done()
        return name

    def _fold(self, fn: Fn, wanted: Wanted, n: int, source: Source, memory: V, out: V) -> None:
        """`fold`; by a team, each folds its share of slices of the state and adds them up."""
        if not self.team.on:
            fold(fn, wanted, n, self.w, source, memory, out)
            return
        bits = n - SLICE_BITS
        size = self.fmt.size << bits
        row = self.fmt.row
        for _, offset in wanted:
            fn.store(fn.const(0.0), out, offset)
        low = (1 << bits) - 1
        place = self.team.spare(fn)
        inner = [(m & low, i * row) for i, (m, _) in enumerate(wanted)]
        with fn.loop(*self.team.share(fn, 1 << SLICE_BITS)) as loop:
            base = fn.imul(loop.i, size)

            def here(o: V | int) -> V:
                return source(fn.iadd(base, o))

            fold(fn, inner, bits, self.w, here, fn.at(memory, base), place)
            for i, (mask, offset) in enumerate(wanted):
                ones = fn.call("llvm.ctpop.i64", "i64", fn.bit("and", loop.i, mask >> bits))
                odd = fn.bit("shl", fn.bit("and", ones, 1), self.fmt.size * 8 - 1)
                sign = fn.splat(fn.cast("trunc", odd, fn.i))
                part = functions.flip_sign(fn, fn.load(place, i * row), sign)
                fn.store(fn.add(fn.load(out, offset), part), out, offset)
