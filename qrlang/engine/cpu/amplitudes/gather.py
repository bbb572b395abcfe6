"""Loading vectors through an index map: `value[M h ^ g]`, with g a number known at run time.

The lanes of one vector come from one source vector, or from two that a constant tells apart;
where the map mixes more, or the processor cannot permute lanes by a vector of indices, lanes are
loaded one by one.
"""

from __future__ import annotations

from qrlang.engine.cpu.llvm.asm import Fn, V
from qrlang.engine.gf2 import Affine, rank


class Gather:
    def __init__(
        self, linear: Affine, lane_bits: int, unit: int, flips: bool, permute: str
    ) -> None:
        """`flips`: can g be anything but zero. `unit`: bytes from one index to the next."""
        self.map, self.w, self.unit, self.flips = linear, lane_bits, unit, flips
        low = (1 << lane_bits) - 1
        tops = [c >> lane_bits for c in linear.cols[:lane_bits]]
        self.rank = rank(tops)
        self.second = next((t for t in tops if t), 0) << lane_bits
        self.plain = linear.trivial and not flips
        lanes = [linear.linear(lane) for lane in range(1 << lane_bits)]
        self.lanes = lanes
        self.index = [(x & low) | ((1 << lane_bits) if x >> lane_bits else 0) for x in lanes]
        self.still = (
            self.rank == 0
            and not flips
            and self.index == list(range(1 << lane_bits))
            and not any(c & low for c in linear.cols[lane_bits:])
        )
        self.by_lane = self.rank > 1 or (permute == "none" and not self.still)

    @property
    def key(self) -> tuple[object, ...]:
        return self.map, self.flips

    def columns(self, n: int) -> list[int]:
        return [self.map.linear(1 << j) for j in range(self.w, n)]

    def begin(self, fn: Fn, table: V, h: V | None, g: V) -> V:
        """The index that the first lane of vector h comes from (i64)."""
        if h is None:
            return g
        x = fn.load(table, fn.bit("shl", h, 2), "i32")
        return fn.bit("xor", fn.cast("zext", x, "i64"), g)

    def load(self, fn: Fn, planes: list[V], x: V, moves: list[int]) -> list[list[V]]:
        """For each move the vectors, one per plane, whose first lane has index x ^ move. What
        several draw from is loaded once."""
        if self.by_lane:
            return [self._one_by_one(fn, planes, fn.bit("xor", x, m)) for m in moves]
        low = (1 << self.w) - 1
        top, inside = fn.bit("and", x, ~low), fn.bit("and", x, low)
        held: dict[int, list[V]] = {}
        order: dict[int, V] = {}

        def vectors(move: int) -> list[V]:
            if move not in held:
                at = fn.imul(fn.bit("xor", top, move), self.unit)
                held[move] = [fn.load(p, at) for p in planes]
            return held[move]

        out = []
        for move in moves:
            first = vectors(move & ~low)
            if self.still:
                out.append(first)
                continue
            turn = move & low
            if turn not in order:
                lane = fn.cast("trunc", fn.bit("xor", inside, turn), fn.i)
                order[turn] = fn.bit("xor", fn.splat(lane), fn.ints(self.index))
            index = order[turn]
            if self.rank == 0:
                out.append([self._permute(fn, v, index) for v in first])
            else:
                second = vectors(move & ~low ^ self.second)
                out.append([
                    self._permute2(fn, a, b, index) for a, b in zip(first, second, strict=True)
                ])  # fmt: skip
        return out

    def _one_by_one(self, fn: Fn, planes: list[V], x: V) -> list[V]:
        out = [V("poison", fn.vf)] * len(planes)
        for lane, moved in enumerate(self.lanes):
            offset = fn.imul(fn.bit("xor", x, moved), self.unit)
            for k, p in enumerate(planes):
                v = fn.load(p, offset, fn.f)
                out[k] = fn.new(
                    fn.vf, f"insertelement {fn.vf} {out[k].name}, {fn.f} {v.name}, i32 {lane}"
                )
        return out

    def _permute(self, fn: Fn, a: V, index: V) -> V:
        kind = fn.fmt.machine.permute
        if kind == "avx512":
            name = "llvm.x86.avx512.permvar." + ("sf.512" if fn.fmt.size == 4 else "df.512")
            return fn.call(name, fn.vf, a, index)
        if fn.fmt.size == 4:
            return fn.call("llvm.x86.avx2.permps", fn.vf, a, index)
        # Four doubles as eight halves.
        twice = fn.bit("shl", index, fn.iconst(1))
        pair = fn.bit("or", twice, fn.bit("shl", fn.bit("add", twice, fn.iconst(1)), fn.iconst(32)))
        narrow = fn.cast("bitcast", pair, "<8 x i32>")
        halves = fn.cast("bitcast", a, "<8 x float>")
        out = fn.call("llvm.x86.avx2.permps", "<8 x float>", halves, narrow)
        return fn.cast("bitcast", out, fn.vf)

    def _permute2(self, fn: Fn, a: V, b: V, index: V) -> V:
        if fn.fmt.machine.permute == "avx512":
            name = "llvm.x86.avx512.vpermi2var." + ("ps.512" if fn.fmt.size == 4 else "pd.512")
            return fn.call(name, fn.vf, a, index, b)
        pa, pb = self._permute(fn, a, index), self._permute(fn, b, index)
        from_b = fn.ints([x >> self.w & 1 for x in self.index], "i1")
        return fn.select(from_b, pb, pa)
