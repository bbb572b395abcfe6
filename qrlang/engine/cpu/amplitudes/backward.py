"""A layer undone on state and costate, with the gradients of its angles."""

from __future__ import annotations

from qrlang.engine.cpu.amplitudes.forward import Forward
from qrlang.engine.cpu.amplitudes.gather import Gather
from qrlang.engine.cpu.amplitudes.shape import Shape
from qrlang.engine.cpu.amplitudes.undo import Undo
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
        fn.call(self.phases(shape), "void", fn.args["prm"], fn.args["tab"])
        undo = Undo(self, fn, shape, pending, seeds, norm, stay)
        undo.passes()
        if shape.terms:
            # Slices need not be the pieces that this thread has written.
            self.team.barrier(fn)
            w, out = fn.args["w"], fn.args["out"]
            wanted = [(m, i * self.stride) for i, m in enumerate(shape.terms)]
            self._fold(fn, wanted, shape.n, lambda o: fn.load(w, o), w, out)
        self.flip(fn, shape, fn.args["prm"], undo.ends[0], None)
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
        with self.groups(fn, n, 0, k, None) as h:
            for p in (0, plane):
                source = [fn.at(a["psi"], p), fn.at(a["lam"], p)]
                loaded = self.load(fn, pending, source, h, k, 0, a["g"], n)
                x, y = [v[0] for v in loaded], [v[1] for v in loaded]
                if seeds:
                    y = self.seeded(fn, seeds, n, a["seeds"], h, 0, x, y)
                for values, where in zip((x, y), out, strict=True):
                    for j, v in enumerate(values):
                        fn.store(v, fn.at(where, p), self.offset(fn, h, j, 0))
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
