"""What passes are made of: groups of vectors, gathers, the diagonal, rotations in registers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from qrlang.engine.cpu.amplitudes.diagonal import Diagonals
from qrlang.engine.cpu.amplitudes.gather import Gather
from qrlang.engine.cpu.amplitudes.shape import Shape
from qrlang.engine.cpu.amplitudes.walsh import (
    Split,
    signed_float,
)
from qrlang.engine.cpu.llvm.asm import Fn, V


class Passes(Diagonals):
    @contextmanager
    def groups(
        self, fn: Fn, n: int, lo: int, k: int, chunk: tuple[V, int] | None
    ) -> Iterator[V | None]:
        """The first high index of each group that differs in bits lo … lo+k-1; None for 0."""
        with self.summing(fn, n, lo, k, [], chunk) as (h, _, _):
            yield h

    @contextmanager
    def pieces(
        self, fn: Fn, n: int, bits: int, chunk: tuple[V, int] | None, start: Sequence[V] = ()
    ) -> Iterator[Any]:
        """The pieces of 2^bits vectors of a larger piece, or of the team's share of the state;
        with values to carry, the loop comes too."""
        count = (chunk[1] if chunk else n - self.w) - bits
        first, last = (0, 1 << count) if chunk else self.team.share(fn, 1 << count)
        with fn.loop(first, last, 1, start) as loop:
            at = fn.bit("or", fn.bit("shl", chunk[0], count), loop.i) if chunk else loop.i
            yield ((at, bits), loop) if start else (at, bits)

    @contextmanager
    def summing(
        self, fn: Fn, n: int, lo: int, k: int, start: list[V], chunk: tuple[V, int] | None
    ) -> Iterator[tuple[V | None, list[V], list[V]]]:
        """Groups with values carried from one to the next; `result` is filled with the last."""
        result: list[V] = []
        bits = chunk[1] if chunk else n - self.w
        if bits == k and chunk is None:
            yield None, start, result
            return
        first, last = (0, 1 << (bits - k)) if chunk else self.team.share(fn, 1 << (bits - k))
        with fn.loop(first, last, 1, start) as loop:
            h = fn.bit("shl", fn.bit("lshr", loop.i, lo), lo + k)
            if lo:
                h = fn.bit("or", h, fn.bit("and", loop.i, (1 << lo) - 1))
            if chunk:
                h = fn.bit("or", h, fn.bit("shl", chunk[0], bits))
            yield h, list(loop.values), result
            loop.next = list(result)
        result[:] = loop.values

    def offset(self, fn: Fn, h: V | None, j: int, lo: int) -> V | int:
        row = self.fmt.row
        if h is None:
            return (j << lo) * row
        return fn.iadd(fn.imul(h, row), (j << lo) * row)

    def choice(self, fn: Fn, split: Split, h: V | None) -> V | None:
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

    def diagonal(
        self, fn: Fn, split: Split, tab: V, h: V | None, choice: V | None, j: int
    ) -> tuple[V, V]:
        """The factor of vector h + j."""
        row, size = self.fmt.row, self.unit
        lanes = split.vectors * row
        if split.full:
            at = self.offset(fn, h, j, 0)
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

    def seeded(
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
        split = self.split(masks, n)
        choice = self.choice(fn, split, h)
        high = fn.at(tab, 2 * split.vectors * row)
        out = []
        for j, (p, q) in enumerate(zip(x, y, strict=True)):
            if split.full:
                weight = fn.load(tab, self.offset(fn, h, j, lo))
            else:
                mine = split.choice(j << lo) * row
                offset: V | int = mine if choice is None else fn.bit("xor", choice, mine)
                at = (j << lo) * size if h is None else fn.iadd(fn.imul(h, size), (j << lo) * size)
                weight = fn.add(fn.load(tab, offset), fn.broadcast(high, at))
            out.append(fn.fma(weight, p, q))
        return out

    def load(
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
            return [[fn.load(p, self.offset(fn, h, j, lo)) for p in planes] for j in range(1 << k)]
        x = gather.begin(fn, self.tables.pointer(fn, gather, n), h, g)
        moves = [gather.map.linear(j << (lo + self.w)) for j in range(1 << k)]
        return gather.load(fn, planes, x, moves)

    def lane_swap(self, fn: Fn, x: V, bit: int) -> V:
        return fn.shuffle(x, None, [lane ^ (1 << bit) for lane in range(self.fmt.lanes)])

    def rotate(
        self, fn: Fn, x: list[V], pairs: Sequence[tuple[int, V]], lanes: Sequence[tuple[int, V]]
    ) -> None:
        """x <- T(t) x for lane qubits (bit, ∓t by lane), then for bits of the position (bit, t)."""
        for bit, t in lanes:
            for j, v in enumerate(x):
                x[j] = fn.fma(t, self.lane_swap(fn, v, bit), v)
        for bit, t in pairs:
            minus = fn.neg(t)
            for j in range(len(x)):
                if not j >> bit & 1:
                    a, b = x[j], x[j | 1 << bit]
                    x[j], x[j | 1 << bit] = fn.fma(minus, b, a), fn.fma(t, a, b)

    def tangents(self, fn: Fn, shape: Shape, prm: V, lo: int, k: int) -> list[tuple[int, V, int]]:
        """(bit of the position, tan, number of the rotation) of a pass."""
        w = self.w
        return [
            (b - w - lo, self.number(fn, prm, shape.row_tan + i), i)
            for i, b in enumerate(shape.bits)
            if lo <= b - w < lo + k
        ]

    def lane_tangents(self, fn: Fn, shape: Shape, prm: V) -> list[tuple[int, V, int]]:
        out = []
        for i, b in enumerate(shape.bits):
            if b < self.w:
                t = self.number(fn, prm, shape.row_tan + i)
                # -t where the bit is 0.
                out.append((b, fn.neg(signed_float(fn, t, 1 << b)), i))
        return out
