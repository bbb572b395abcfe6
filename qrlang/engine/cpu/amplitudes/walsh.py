"""Sums over parities, both ways: values for all indices from one number per parity mask
(`unfold`), and one sum per mask from values for all indices (`fold`).

Both walk the same tree: at the highest bit, masks with it and masks without it part, and an
array of 2^k falls into (or grows from) its halves' sum and difference. The lowest `inside` index
bits may live inside a vector, where a sign per lane does the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from qrlang.engine.cpu.llvm.asm import Fn, V
from qrlang.engine.gf2 import parity

IN_REGISTERS = 3  # levels done without memory in between


def signs(fn: Fn, mask: int) -> list[int]:
    """Per lane: is the parity odd."""
    return [parity(lane & mask) for lane in range(fn.fmt.lanes)]


def signed_float(fn: Fn, x: V, mask: int) -> V:
    if not mask & (fn.fmt.lanes - 1):
        return x
    top = -(1 << (fn.fmt.size * 8 - 1))
    bits = fn.cast("bitcast", x, fn.vi)
    flipped = fn.bit("xor", bits, fn.ints([top * s for s in signs(fn, mask)]))
    return fn.cast("bitcast", flipped, fn.vf)


class Numbers:
    """How `unfold` adds: floats, or integers that wrap."""

    def __init__(self, fn: Fn, integer: bool, inside: int) -> None:
        self.fn, self.integer, self.inside = fn, integer, inside
        self.type = fn.vi if integer else fn.vf

    def add(self, a: V, b: V) -> V:
        return self.fn.op("add", a, b) if self.integer else self.fn.add(a, b)

    def sub(self, a: V, b: V) -> V:
        return self.fn.op("sub", a, b) if self.integer else self.fn.sub(a, b)

    def zero(self) -> V:
        return V("zeroinitializer", self.type)

    def leaf(self, terms: Sequence[tuple[int, V]]) -> V:
        """Σ ± splat, the sign by lane."""
        fn = self.fn
        total: V | None = None
        correction = [0] * fn.fmt.lanes
        for mask, value in terms:
            if self.integer:
                minus = signs(fn, mask)
                if any(minus):
                    # -x is (x xor -1) + 1; the ones are added once, at the end.
                    value = fn.bit("xor", value, fn.ints([-m for m in minus]))
                    correction = [c + m for c, m in zip(correction, minus, strict=True)]
            else:
                value = signed_float(fn, value, mask)
            total = value if total is None else self.add(total, value)
        if total is None:
            return self.zero()
        return self.add(total, fn.ints(correction)) if any(correction) else total


Terms = list[tuple[int, V]]


def _parted(terms: Sequence[tuple[int, V]], bit: int) -> tuple[Terms, Terms]:
    one = 1 << bit
    return [t for t in terms if not t[0] & one], [(m ^ one, v) for m, v in terms if m & one]


def unfold(num: Numbers, terms: Terms, bits: int, where: V) -> None:
    """where[h] = Σ_m ± value_m for all h of `bits` bits (at least those inside), as vectors."""
    fn = num.fn
    levels = bits - num.inside
    row = fn.fmt.row
    if levels <= IN_REGISTERS:
        for i, value in enumerate(unfold_registers(num, terms, bits)):
            fn.store(value, where, i * row)
        return
    half = row << (levels - 1)
    without, having = _parted(terms, bits - 1)
    upper = fn.at(where, half)
    if without or not having:
        unfold(num, without, bits - 1, where)
    if having:
        unfold(num, having, bits - 1, upper)
    with fn.loop(0, half, row) as loop:
        if having and without:
            a, b = fn.load(where, loop.i, num.type), fn.load(upper, loop.i, num.type)
            fn.store(num.add(a, b), where, loop.i)
            fn.store(num.sub(a, b), upper, loop.i)
        elif having:
            b = fn.load(upper, loop.i, num.type)
            fn.store(b, where, loop.i)
            fn.store(num.sub(num.zero(), b), upper, loop.i)
        else:
            fn.store(fn.load(where, loop.i, num.type), upper, loop.i)


def unfold_registers(num: Numbers, terms: Terms, bits: int) -> list[V]:
    if bits == num.inside:
        return [num.leaf(terms)]
    without, having = _parted(terms, bits - 1)
    low = unfold_registers(num, without, bits - 1)
    if not having:
        return low + low
    high = unfold_registers(num, having, bits - 1)
    return [num.add(a, b) for a, b in zip(low, high, strict=True)] + [
        num.sub(a, b) for a, b in zip(low, high, strict=True)
    ]


Wanted = list[tuple[int, int]]  # (mask, byte offset of its vector in the result)
Source = Callable[[V | int], V]  # the vector at a byte offset


def fold(fn: Fn, wanted: Wanted, bits: int, inside: int, source: Source, memory: V, out: V) -> None:
    """out[offset] = Σ_h ± source(h), a vector still to be summed over the lanes inside."""
    if not wanted:
        return
    levels = bits - inside
    row = fn.fmt.row
    if levels <= IN_REGISTERS:
        _fold_registers(fn, wanted, bits, [source(i * row) for i in range(1 << levels)], out)
        return
    half = row << (levels - 1)
    one = 1 << (bits - 1)
    without = [w for w in wanted if not w[0] & one]
    having = [(m ^ one, r) for m, r in wanted if m & one]
    upper = fn.at(memory, half)
    with fn.loop(0, half, row) as loop:
        a, b = source(loop.i), source(fn.iadd(loop.i, half))
        if without:
            fn.store(fn.add(a, b), memory, loop.i)
        if having:
            fn.store(fn.sub(a, b), upper, loop.i)
    fold(fn, without, bits - 1, inside, lambda o: fn.load(memory, o), memory, out)
    fold(fn, having, bits - 1, inside, lambda o: fn.load(upper, o), upper, out)


def _fold_registers(fn: Fn, wanted: Wanted, bits: int, values: list[V], out: V) -> None:
    if not wanted:
        return
    if len(values) == 1:
        for mask, offset in wanted:
            fn.store(signed_float(fn, values[0], mask), out, offset)
        return
    half = len(values) // 2
    one = 1 << (bits - 1)
    without = [w for w in wanted if not w[0] & one]
    having = [(m ^ one, r) for m, r in wanted if m & one]
    if without:
        sums = [fn.add(a, b) for a, b in zip(values[:half], values[half:], strict=True)]
        _fold_registers(fn, without, bits - 1, sums, out)
    if having:
        differences = [fn.sub(a, b) for a, b in zip(values[:half], values[half:], strict=True)]
        _fold_registers(fn, having, bits - 1, differences, out)


class Split:
    """Masks over all index bits as: a vector chosen by a few parities of the high bits, combined
    with one number per high index. If too many parities would be needed, one vector for every
    high index instead (`full`)."""

    MOST = 3

    def __init__(self, masks: Sequence[int], n: int, lane_bits: int) -> None:
        low = (1 << lane_bits) - 1
        self.n, self.w = n, lane_bits
        self.masks = list(masks)
        self.mixed = list(
            dict.fromkeys(m >> lane_bits for m in masks if m & low and m >> lane_bits)
        )
        self.full = len(self.mixed) > min(self.MOST, n - lane_bits)
        self.high_bits = max(n - lane_bits, lane_bits)

    @property
    def vectors(self) -> int:
        """Vectors that the part chosen by parities takes (for one plane)."""
        return 1 << ((self.n - self.w) if self.full else len(self.mixed))

    @property
    def high_vectors(self) -> int:
        return 1 << (self.high_bits - self.w)

    def choice(self, h: int) -> int:
        """Which vector goes with a high index."""
        if self.full:
            return h
        return sum(parity(h & m) << j for j, m in enumerate(self.mixed))
