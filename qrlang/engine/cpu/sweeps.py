"""Layers as sweeps over one sequence's amplitudes.

A state is two planes (real, imaginary) of 2^n numbers. A layer is done in a few passes: the first
gathers through the index map, multiplies by the diagonal and rotates the lane qubits and the
lowest other ones in registers; each further pass rotates three or four more. Rotations are
cos·[[1,-t],[t,1]] with |t| <= 1: whole half turns have become bit flips in the gather's address
and signs in the diagonal, the cosines one factor of the diagonal.

Backwards the passes are undone in reverse order on state and costate together, the gradient of
each rotation taken from the registers that undo it, and those of all phases from one vector
Im(λ* ψ).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from qrlang.engine.cpu import functions
from qrlang.engine.cpu.asm import Fn, Module, V
from qrlang.engine.cpu.gather import Gather
from qrlang.engine.cpu.team import SLICE_BITS, Team
from qrlang.engine.cpu.walsh import (
    Numbers,
    Source,
    Split,
    Wanted,
    fold,
    signed_float,
    unfold,
)
from qrlang.engine.gf2 import Affine
from qrlang.engine.nodes import Layer

CHUNK_BITS = 7


@dataclass(frozen=True, slots=True)
class Shape:
    """A layer as far as the code depends on it."""

    n: int  # padded: at least one vector
    map: Affine
    terms: tuple[int, ...]  # masks that have an angle
    bits: tuple[int, ...]  # rotated

    @staticmethod
    def of(layer: Layer, n: int) -> Shape:
        return Shape(
            n, layer.map.padded(n), tuple(m for m, _ in layer.terms),
            tuple(b for b, _ in layer.rotations),
        )  # fmt: skip

    @property
    def masks(self) -> tuple[int, ...]:
        """Those of the terms, and one for every rotated qubit: its sign when it is flipped."""
        return tuple(dict.fromkeys((*self.terms, *(1 << b for b in self.bits))))

    # Rows of a layer's parameters.
    @property
    def row_tan(self) -> int:
        return 0

    @property
    def row_before(self) -> int:  # cos² of what has been undone before each rotation
        return len(self.bits)

    @property
    def row_phase(self) -> int:
        return 2 * len(self.bits)

    @property
    def row_sign(self) -> int:
        return self.row_phase + len(self.masks)

    @property
    def row_scale(self) -> int:
        return self.row_sign + len(self.masks)

    @property
    def row_all(self) -> int:  # cos² of all
        return self.row_scale + 1

    @property
    def row_to(self) -> int:
        return self.row_scale + 2

    @property
    def row_back(self) -> int:
        return self.row_scale + 3

    @property
    def rows(self) -> int:
        return self.row_scale + 4


class Sweeps:
    """Writes the functions of layers, each shape once."""

    def __init__(self, mod: Module, tables: Tables, team: Team) -> None:
        self.mod, self.fmt, self.tables, self.team = mod, mod.fmt, tables, team
        self.names: dict[object, str] = {}

    def _name(self, kind: str, key: object) -> tuple[str, bool]:
        found = self.names.get((kind, key))
        if found:
            return found, True
        name = self.names[kind, key] = f"{kind}{len(self.names)}"
        return name, False

    # --- geometry

    def plane(self, n: int) -> int:
        """Bytes of a plane; not a power of two, so that planes do not share cache sets."""
        return (self.fmt.size << n) + 3 * 64

    def passes(self, n: int) -> list[tuple[int, int]]:
        """(lowest bit, how many) of the high index bits of each pass."""
        high = n - self.fmt.lane_bits
        first, more = (3, 4) if self.fmt.machine.registers >= 32 else (2, 3)
        if high <= first:
            return [(0, high)]
        rest = high - first
        count = -(-rest // more)
        parts, at = [(0, first)], first
        for k in range(count):
            size = rest // count + (k < rest % count)
            parts.append((at, size))
            at += size
        return parts

    def back_passes(self, n: int) -> list[tuple[int, int]]:
        high = n - self.fmt.lane_bits
        first, more = (2, 3) if self.fmt.machine.registers >= 32 else (1, 2)
        if high <= first:
            return [(0, high)]
        rest = high - first
        count = -(-rest // more)
        parts, at = [(0, first)], first
        for k in range(count):
            size = rest // count + (k < rest % count)
            parts.append((at, size))
            at += size
        return parts

    def back_order(self, shape: Shape) -> list[int]:
        """Positions of the rotations in the order in which they are undone."""
        w = self.fmt.lane_bits
        out: list[int] = []
        for lo, k in reversed(self.back_passes(shape.n)):
            out += [i for i, b in enumerate(shape.bits) if lo <= b - w < lo + k]
        return out + [i for i, b in enumerate(shape.bits) if b < w]

    def gather_to(self, shape: Shape) -> Gather:
        inverse = shape.map.inverse()
        flips = bool(shape.bits) or shape.map.shift != 0
        return self._gather(Affine(inverse.cols), flips)

    def gather_back(self, shape: Shape) -> Gather:
        flips = bool(shape.bits) or shape.map.shift != 0
        return self._gather(Affine(shape.map.cols), flips)

    def linear(self, linear: Affine) -> Gather:
        """A map by itself, nothing flipped."""
        return self._gather(linear, False)

    def _gather(self, linear: Affine, flips: bool) -> Gather:
        return Gather(linear, self.fmt.lane_bits, flips, self.fmt.machine.permute)

    # --- parameters of a layer, for all sequences of a block at once

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
                fn.store(fn.div(s, c), prm, loop.i)
                fn.store(c, before, loop.i)
                flip = fn.bit("sub", fn.iconst(0), fn.bit("and", k, fn.iconst(1)))
                fn.store(flip, flips, loop.i)
                loop.next = [fn.fma(a, zero, loop.values[0])]
            check = loop.values[0]
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

    # --- the diagonal's tables, for one sequence

    def table_bytes(self, masks: Sequence[int], n: int) -> int:
        split = Split(masks, n, self.fmt.lane_bits)
        return 2 * self.fmt.row * (split.vectors + split.high_vectors)

    def phases(self, shape: Shape) -> str:
        """(parameters at the sequence's lane, tables): exp(-i phase), times the layer's scale."""
        name, known = self._name("phases", (shape.n, shape.masks, shape.row_phase))
        if known:
            return name
        fn = Fn(self.mod, name, [("prm", "ptr"), ("tab", "ptr")])
        row = self.fmt.row
        split = Split(shape.masks, shape.n, self.fmt.lane_bits)

        def value(i: int) -> V:
            return fn.broadcast(fn.args["prm"], (shape.row_phase + i) * row, fn.i)

        scale = fn.broadcast(fn.args["prm"], shape.row_scale * row)
        num = Numbers(fn, True)
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

    def _spread(self, fn: Fn, num: Numbers, split: Split, values: list[V], tab: V) -> None:
        """Writes the sums of `values` for each mask: one vector for each choice of parities, and
        one number for each high index (behind two planes of the former)."""
        row, w = self.fmt.row, self.fmt.lane_bits
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

    # --- walking over groups of vectors

    @contextmanager
    def _groups(
        self, fn: Fn, n: int, lo: int, k: int, chunk: tuple[V, int] | None
    ) -> Iterator[V | None]:
        """The first high index of each group that differs in bits lo … lo+k-1; None for 0."""
        bits = chunk[1] if chunk else n - self.fmt.lane_bits
        if bits == k and chunk is None:
            yield None
            return
        first, last = (0, 1 << (bits - k)) if chunk else self.team.share(fn, 1 << (bits - k))
        with fn.loop(first, last) as loop:
            h = (
                fn.bit("shl", fn.bit("lshr", loop.i, lo), lo + k)
                if lo
                else fn.bit("shl", loop.i, k)
            )
            if lo:
                h = fn.bit("or", h, fn.bit("and", loop.i, (1 << lo) - 1))
            yield fn.bit("or", h, fn.bit("shl", chunk[0], bits)) if chunk else h

    def _offset(self, fn: Fn, h: V | None, j: int, lo: int) -> V | int:
        row = self.fmt.row
        if h is None:
            return (j << lo) * row
        return fn.iadd(fn.imul(h, row), (j << lo) * row)

    def _choice(self, fn: Fn, split: Split, h: V | None) -> V | None:
        """Byte offset of the vector chosen by the parities of h."""
        if h is None or not split.mixed:
            return None
        total: V | None = None
        for j, mask in enumerate(split.mixed):
            ones = fn.call("llvm.ctpop.i64", "i64", fn.bit("and", h, mask))
            bit = fn.bit("shl", fn.bit("and", ones, 1), j)
            total = bit if total is None else fn.bit("or", total, bit)
        assert total is not None
        return fn.imul(total, self.fmt.row)

    def _diagonal(
        self, fn: Fn, split: Split, tab: V, h: V | None, choice: V | None, j: int
    ) -> tuple[V, V]:
        """The factor of vector h + j."""
        row, size = self.fmt.row, self.fmt.size
        lanes = split.vectors * row
        if split.full:
            at = self._offset(fn, h, j, 0)
            return fn.load(tab, at), fn.load(fn.at(tab, lanes), at)
        mine = split.choice(j) * row
        offset: V | int = mine if choice is None else fn.bit("xor", choice, mine)
        re, im = fn.load(tab, offset), fn.load(fn.at(tab, lanes), offset)
        high = fn.at(tab, 2 * lanes)
        at2: V | int = j * size if h is None else fn.iadd(fn.imul(h, size), j * size)
        a = fn.broadcast(high, at2)
        b = fn.broadcast(fn.at(high, split.high_vectors * row), at2)
        return (
            fn.fma(re, a, fn.neg(fn.mul(im, b))),
            fn.fma(re, b, fn.mul(im, a)),
        )

    # --- rotations in registers

    def _lane_swap(self, fn: Fn, x: V, bit: int) -> V:
        return fn.shuffle(x, None, [lane ^ (1 << bit) for lane in range(self.fmt.lanes)])

    def _rotate(
        self, fn: Fn, x: list[V], pairs: Sequence[tuple[int, V]], lanes: Sequence[tuple[int, V]]
    ) -> None:
        """x <- T(t) x for lane qubits (bit, ∓t by lane), then for bits of the position (bit, t)."""
        for bit, t in lanes:
            for j, v in enumerate(x):
                x[j] = fn.fma(t, self._lane_swap(fn, v, bit), v)
        for bit, t in pairs:
            minus = fn.neg(t)
            for j in range(len(x)):
                if not j >> bit & 1:
                    a, b = x[j], x[j | 1 << bit]
                    x[j], x[j | 1 << bit] = fn.fma(minus, b, a), fn.fma(t, a, b)

    def _tangents(self, fn: Fn, shape: Shape, prm: V, lo: int, k: int) -> list[tuple[int, V, int]]:
        """(bit of the position, tan, number of the rotation) of a pass."""
        w = self.fmt.lane_bits
        return [
            (b - w - lo, fn.broadcast(prm, (shape.row_tan + i) * self.fmt.row), i)
            for i, b in enumerate(shape.bits)
            if lo <= b - w < lo + k
        ]

    def _lane_tangents(self, fn: Fn, shape: Shape, prm: V) -> list[tuple[int, V, int]]:
        out = []
        for i, b in enumerate(shape.bits):
            if b < self.fmt.lane_bits:
                t = fn.broadcast(prm, (shape.row_tan + i) * self.fmt.row)
                # -t where the bit is 0.
                out.append((b, fn.neg(signed_float(fn, t, 1 << b)), i))
        return out

    # --- forward

    def ways(self, n: int, layers: int) -> list[bool]:
        """For each of so many layers in a row: does its result stay in the other buffer. With an
        even number of those the state ends where it began; states of one pass never leave."""
        moves = n - self.fmt.lane_bits > max(self.passes(n)[0][1], self.back_passes(n)[0][1])
        return [moves and (layers % 2 == 0 or i > 0) for i in range(layers)]

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
        masks = shape.masks
        fn.call(self.phases(shape), "void", prm, fn.args["tab"])
        split = Split(masks, n, self.fmt.lane_bits)
        parts = self.passes(n)
        gather = self.gather_to(shape)
        target = home if len(parts) == 1 else scratch
        g = fn.cast("zext",
                    fn.load(prm, shape.row_to * self.fmt.row, self.fmt.i), "i64")  # fmt: skip

        def planes(base: V) -> list[V]:
            return [base, fn.at(base, plane)]

        lanes = [(b, t) for b, t, _ in self._lane_tangents(fn, shape, prm)]

        def first(chunk: tuple[V, int] | None) -> None:
            _, k = parts[0]
            pairs = [(b, t) for b, t, _ in self._tangents(fn, shape, prm, 0, k)]
            with self._groups(fn, n, 0, k, chunk) as h:
                loaded = self._load(fn, gather, planes(home), h, k, 0, g, n)
                choice = self._choice(fn, split, h)
                re, im = [], []
                for j, (a, b) in enumerate(loaded):
                    c, s = self._diagonal(fn, split, fn.args["tab"], h, choice, j)
                    re.append(fn.fma(a, c, fn.neg(fn.mul(b, s))))
                    im.append(fn.fma(a, s, fn.mul(b, c)))
                for x, out in zip((re, im), planes(target), strict=True):
                    self._rotate(fn, x, pairs, lanes)
                    for j, v in enumerate(x):
                        fn.store(v, out, self._offset(fn, h, j, 0))

        def further(index: int, chunk: tuple[V, int] | None) -> None:
            lo, k = parts[index]
            pairs = [(b, t) for b, t, _ in self._tangents(fn, shape, prm, lo, k)]
            out = home if index == len(parts) - 1 and not stay else scratch
            with self._groups(fn, n, lo, k, chunk) as h:
                for src, dst in zip(planes(scratch), planes(out), strict=True):
                    x = [fn.load(src, self._offset(fn, h, j, lo)) for j in range(1 << k)]
                    self._rotate(fn, x, pairs, [])
                    for j, v in enumerate(x):
                        fn.store(v, dst, self._offset(fn, h, j, lo))

        inner = [p for p in parts if p[0] + p[1] <= CHUNK_BITS]
        if len(inner) < len(parts) and len(inner) > 1:
            bits = inner[-1][0] + inner[-1][1]
            with fn.loop(*self.team.share(fn, 1 << (n - self.fmt.lane_bits - bits))) as loop:
                first((loop.i, bits))
                for index in range(1, len(inner)):
                    further(index, (loop.i, bits))
            rest = range(len(inner), len(parts))
        else:
            first(None)
            rest = range(1, len(parts))
        for index in rest:
            self.team.barrier(fn)
            further(index, None)
        self.team.barrier(fn)
        fn.done()
        return name

    def _load(
        self,
        fn: Fn,
        gather: Gather | None,
        planes: list[V],
        h: V | None,
        k: int,
        lo: int,
        g: V,
        n: int,
    ) -> list[list[V]]:
        """The 2^k vectors of a group, each with its planes."""
        if gather is None or gather.plain:
            return [[fn.load(p, self._offset(fn, h, j, lo)) for p in planes] for j in range(1 << k)]
        x = gather.begin(fn, self.tables.pointer(fn, gather, n), h, g)
        out = []
        for j in range(1 << k):
            moved = gather.map.linear(j << (lo + self.fmt.lane_bits))
            out.append(gather.load(fn, planes, fn.bit("xor", x, moved)))
        return out

    # --- backward

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
        n, row = shape.n, self.fmt.row
        plane = self.plane(n)
        a = fn.args
        prm, tab, out = a["prm"], a["tab"], a["out"]
        fn.call(self.phases(shape), "void", prm, tab)
        split = Split(shape.masks, n, self.fmt.lane_bits)
        parts = self.back_passes(n)
        stride = row * self.fmt.lanes
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
            for bit, t, i in pairs:
                minus = fn.neg(t)
                for j in range(len(x)):
                    if j >> bit & 1:
                        continue
                    k = j | 1 << bit
                    p0, p1, l0, l1 = x[j], x[k], y[j], y[k]
                    s = fn.fma(l1, p0, sums[i])
                    sums[i] = fn.fma(fn.neg(l0), p1, s)
                    x[j], x[k] = fn.fma(t, p1, p0), fn.fma(minus, p0, p1)
                    y[j], y[k] = fn.fma(t, l1, l0), fn.fma(minus, l0, l1)
            for bit, t, i in lanes:
                minus = fn.neg(t)
                for j in range(len(x)):
                    other = self._lane_swap(fn, x[j], bit)
                    sums[i] = fn.fma(y[j], other, sums[i])
                    x[j] = fn.fma(minus, other, x[j])
                    y[j] = fn.fma(minus, self._lane_swap(fn, y[j], bit), y[j])

        def keep(sums: dict[int, V], lanes: list[int]) -> None:
            for i, s in sums.items():
                if i in lanes:
                    s = fn.neg(signed_float(fn, s, 1 << shape.bits[i]))
                fn.store(s, out, (terms + i) * stride)

        def further(index: int, chunk: tuple[V, int] | None, start: list[V]) -> list[V]:
            lo, k = parts[index]
            pairs = self._tangents(fn, shape, prm, lo, k)
            entry = index == len(parts) - 1
            numbers = [i for _, _, i in pairs]
            with self._summing(fn, n, lo, k, start, chunk) as (h, values, result):
                sums = dict(zip(numbers, values, strict=True))
                for source, dest in zip(homes if entry else scratches, scratches, strict=True):
                    if entry:
                        x, y = enter(source, h, k, lo)
                    else:
                        loaded = self._load(fn, None, source, h, k, lo, a["g"], n)
                        x, y = [v[0] for v in loaded], [v[1] for v in loaded]
                    undo(x, y, pairs, [], sums)
                    for values_, where in zip((x, y), dest, strict=True):
                        for j, v in enumerate(values_):
                            fn.store(v, where, self._offset(fn, h, j, lo))
                result.extend(sums[i] for i in numbers)
            return result

        lanes = self._lane_tangents(fn, shape, prm)

        def first(chunk: tuple[V, int] | None, start: list[V]) -> list[V]:
            _, k = parts[0]
            pairs = self._tangents(fn, shape, prm, 0, k)
            numbers = [i for _, _, i in pairs + lanes]
            with self._summing(fn, n, 0, k, start, chunk) as (h, values, result):
                sums = dict(zip(numbers, values, strict=False))
                done = []
                for source in homes if len(parts) == 1 else scratches:
                    if len(parts) == 1:
                        x, y = enter(source, h, k, 0)
                    else:
                        loaded = self._load(fn, None, source, h, k, 0, a["g"], n)
                        x, y = [v[0] for v in loaded], [v[1] for v in loaded]
                    undo(x, y, pairs, lanes, sums)
                    done.append((x, y))
                (xr, yr), (xi, yi) = done
                choice = self._choice(fn, split, h)
                size = values[-1] if norm else zero
                for j in range(1 << k):
                    at = self._offset(fn, h, j, 0)
                    if terms:
                        w = fn.fma(yr[j], xi[j], fn.neg(fn.mul(yi[j], xr[j])))
                        fn.store(w, a["w"], at)
                    c, s = self._diagonal(fn, split, tab, h, choice, j)
                    for re, im, where in ((xr, xi, 0), (yr, yi, 1)):
                        # times the conjugate
                        r = fn.fma(re[j], c, fn.mul(im[j], s))
                        i = fn.fma(im[j], c, fn.neg(fn.mul(re[j], s)))
                        fn.store(r, ends[0][where], at)
                        fn.store(i, ends[1][where], at)
                        if norm and where == 0:
                            size = fn.fma(r, r, fn.fma(i, i, size))
                result.extend(sums[i] for i in numbers)
                if norm:
                    result.append(size)
            return result

        def rotated(index: int) -> list[int]:
            lo, k = parts[index]
            return [i for _, _, i in self._tangents(fn, shape, prm, lo, k)]

        in_first = [i for _, _, i in self._tangents(fn, shape, prm, 0, parts[0][1]) + lanes]
        many = len(in_first) + norm
        inner = [p for p in parts if p[0] + p[1] <= CHUNK_BITS]
        outer = range(len(parts) - 1, max(len(inner), 1) - 1, -1)
        for index in outer:
            numbers = rotated(index)
            result = further(index, None, [zero] * len(numbers))
            keep(dict(zip(numbers, result, strict=True)), [])
            self.team.barrier(fn)
        if len(inner) > 1 and outer:
            # The lower passes together on a piece that stays in the nearest cache.
            bits = inner[-1][0] + inner[-1][1]
            numbers = [i for index in range(len(inner) - 1, 0, -1) for i in rotated(index)]
            start = [zero] * (len(numbers) + many)
            shared = self.team.share(fn, 1 << (n - self.fmt.lane_bits - bits))
            with fn.loop(*shared, 1, start) as loop:
                # Sums of each piece begin at zero: long sums of small numbers lose digits.
                piece = []
                for index in range(len(inner) - 1, 0, -1):
                    piece += further(index, (loop.i, bits), [zero] * len(rotated(index)))
                piece += first((loop.i, bits), [zero] * many)
                loop.next = [fn.add(v, x) for v, x in zip(loop.values, piece, strict=True)]
            keep(dict(zip(numbers, loop.values, strict=False)), [])
            result = loop.values[len(numbers) :]
        else:
            for index in range(len(inner) - 1, 0, -1) if not outer else ():
                numbers = rotated(index)
                result = further(index, None, [zero] * len(numbers))
                keep(dict(zip(numbers, result, strict=True)), [])
            result = first(None, [zero] * many)
        keep(dict(zip(in_first, result, strict=False)), [i for _, _, i in lanes])
        if norm:
            fn.store(result[-1], out, (terms + len(shape.bits)) * stride)
        if terms:
            # Slices need not be the pieces that this thread has written.
            self.team.barrier(fn)
            wanted = [(m, i * stride) for i, m in enumerate(shape.terms)]
            self._fold(fn, wanted, n, lambda o: fn.load(a["w"], o), a["w"], out)
        self.team.barrier(fn)
        fn.done()
        return name

    def _seeded(
        self,
        fn: Fn,
        masks: tuple[int, ...],
        n: int,
        tab: V,
        h: V | None,
        lo: int,
        x: list[V],
        y: list[V],
    ) -> list[V]:
        """λ + Σ weight_m Z_m ψ for the vectors of a group."""
        row, size = self.fmt.row, self.fmt.size
        split = Split(masks, n, self.fmt.lane_bits)
        choice = self._choice(fn, split, h)
        high = fn.at(tab, 2 * split.vectors * row)
        out = []
        for j, (p, q) in enumerate(zip(x, y, strict=True)):
            if split.full:
                weight = fn.load(tab, self._offset(fn, h, j, lo))
            else:
                mine = split.choice(j << lo) * row
                offset: V | int = mine if choice is None else fn.bit("xor", choice, mine)
                at = (j << lo) * size if h is None else fn.iadd(fn.imul(h, size), (j << lo) * size)
                weight = fn.add(fn.load(tab, offset), fn.broadcast(high, at))
            out.append(fn.fma(weight, p, q))
        return out

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
        k = min(2, n - self.fmt.lane_bits)
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

    @contextmanager
    def _summing(
        self, fn: Fn, n: int, lo: int, k: int, start: list[V], chunk: tuple[V, int] | None
    ) -> Iterator[tuple[V | None, list[V], list[V]]]:
        """Groups with values carried from one to the next; `result` is filled with the last."""
        result: list[V] = []
        bits = chunk[1] if chunk else n - self.fmt.lane_bits
        if bits == k and chunk is None:
            yield None, start, result
            return
        first, last = (0, 1 << (bits - k)) if chunk else self.team.share(fn, 1 << (bits - k))
        with fn.loop(first, last, 1, start) as loop:
            h = (
                fn.bit("shl", fn.bit("lshr", loop.i, lo), lo + k)
                if lo
                else fn.bit("shl", loop.i, k)
            )
            if lo:
                h = fn.bit("or", h, fn.bit("and", loop.i, (1 << lo) - 1))
            if chunk:
                h = fn.bit("or", h, fn.bit("shl", chunk[0], bits))
            yield h, list(loop.values), result
            loop.next = list(result)
        result[:] = loop.values

    # --- readouts

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

        stride = self.fmt.row * self.fmt.lanes
        wanted = [(m, i * stride) for i, m in enumerate(masks)]
        self._fold(fn, wanted, n, probability, fn.args["w"], fn.args["out"])
        fn.done()
        return name

    def _fold(self, fn: Fn, wanted: Wanted, n: int, source: Source, memory: V, out: V) -> None:
        """`fold`; by a team, each folds its share of slices of the state and adds them up."""
        if not self.team.on:
            fold(fn, wanted, n, source, memory, out)
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

            fold(fn, inner, bits, here, fn.at(memory, base), place)
            for i, (mask, offset) in enumerate(wanted):
                ones = fn.call("llvm.ctpop.i64", "i64", fn.bit("and", loop.i, mask >> bits))
                odd = fn.bit("shl", fn.bit("and", ones, 1), self.fmt.size * 8 - 1)
                sign = fn.splat(fn.cast("trunc", odd, fn.i))
                part = functions.flip_sign(fn, fn.load(place, i * row), sign)
                fn.store(fn.add(fn.load(out, offset), part), out, offset)

    def seed(self, n: int, masks: tuple[int, ...]) -> str:
        """(weights at the lane, tables): Σ weight_m Z_m as tables."""
        name, known = self._name("seed", (n, masks))
        if known:
            return name
        fn = Fn(self.mod, name, [("weights", "ptr"), ("tab", "ptr")])
        split = Split(masks, n, self.fmt.lane_bits)
        values = [fn.broadcast(fn.args["weights"], i * self.fmt.row) for i in range(len(masks))]
        self._spread(fn, Numbers(fn, False), split, values, fn.args["tab"])
        fn.done()
        return name

    # --- sums over lanes, for all sequences of a block

    def lane_sums(self) -> str:
        """(vectors, one for each sequence) -> the sum of each, as one vector."""
        name, known = self._name("lane_sums", ())
        if known:
            return name
        fn = Fn(self.mod, name, [("x", "ptr")])
        n = self.fmt.lanes
        rows = [fn.load(fn.args["x"], i * self.fmt.row) for i in range(n)]
        # Each round adds neighbours within a vector and puts two vectors' sums into one.
        while len(rows) > 1:
            half = n // 2
            pairs = []
            for a, b in zip(rows[0::2], rows[1::2], strict=True):
                even = [2 * i for i in range(half)] + [n + 2 * i for i in range(half)]
                odd = [x + 1 for x in even]
                pairs.append(fn.add(fn.shuffle(a, b, even), fn.shuffle(a, b, odd)))
            rows = pairs
        fn.done(rows[0])
        return name

    def finish(self, shape: Shape) -> str:
        """(vectors, parameters, angle adjoints, active): adds the layer's gradients."""
        name, known = self._name("finish", shape)
        if known:
            return name
        args = [("x", "ptr"), ("prm", "ptr"), ("out", "ptr"), ("active", "ptr")]
        fn = Fn(self.mod, name, args)
        row = self.fmt.row
        stride = row * self.fmt.lanes
        prm, out = fn.args["prm"], fn.args["out"]
        active = fn.compare("ne", fn.load(fn.args["active"], 0, fn.vi), fn.iconst(0))
        top = -(1 << (self.fmt.size * 8 - 1))
        zero = fn.const(0.0)
        terms, count = len(shape.terms), len(shape.bits)

        def put(i: V, position: int, value: V) -> None:
            where = fn.iadd(fn.imul(i, row), position * row)
            kept = fn.select(active, value, zero)
            fn.store(fn.add(fn.load(out, where), kept), out, where)

        if terms:
            every = fn.load(prm, shape.row_all * row)
            with fn.loop(0, terms) as loop:
                v = fn.call(self.lane_sums(), fn.vf, fn.at(fn.args["x"], fn.imul(loop.i, stride)))
                sign = fn.load(prm, fn.iadd(fn.imul(loop.i, row), shape.row_sign * row), fn.vi)
                v = functions.flip_sign(fn, fn.mul(v, every), fn.bit("and", sign, fn.iconst(top)))
                put(loop.i, 0, v)
        if count:
            with fn.loop(0, count) as loop:
                x = fn.at(fn.args["x"], fn.iadd(fn.imul(loop.i, stride), terms * stride))
                v = fn.call(self.lane_sums(), fn.vf, x)
                where = fn.iadd(fn.imul(loop.i, row), shape.row_before * row)
                put(loop.i, terms, fn.mul(v, fn.load(prm, where)))
        fn.done()
        return name


class Tables:
    """Constant index tables, one for each map: laid out one after the other in one block."""

    def __init__(self) -> None:
        self.maps: dict[tuple[int, ...], int] = {}
        self.offsets: list[int] = []
        self.size = 0

    def place(self, gather: Gather, n: int) -> int:
        key = (n, *gather.map.cols)
        if key not in self.maps:
            self.maps[key] = self.size
            self.size += (4 << (n - gather.w)) + 63 & ~63
        return self.maps[key]

    def pointer(self, fn: Fn, gather: Gather, n: int) -> V:
        place = self.place(gather, n)
        base = fn.load(V("@constants", "ptr"), 0, "ptr")
        return fn.at(base, place)

    def fill(self, lane_bits: int) -> bytes:
        import numpy as np

        out = np.zeros(max(self.size, 64), dtype=np.uint8)
        for (n, *cols), place in self.maps.items():
            table = np.zeros(1, dtype=np.uint32)
            for j in range(lane_bits, n):
                table = np.concatenate([table, table ^ np.uint32(cols[j])])
            raw = table.view(np.uint8)
            out[place : place + raw.size] = raw
        return out.tobytes()
