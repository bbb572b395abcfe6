"""Maps `x -> A x + b` over bits: what CNOT, X and SWAP do to the index of an amplitude.

A map is kept by its columns: `cols[j]` is where the basis vector of bit j goes.
"""

from __future__ import annotations

from dataclasses import dataclass


def parity(x: int) -> int:
    return x.bit_count() & 1


@dataclass(frozen=True, slots=True)
class Affine:
    cols: tuple[int, ...]
    shift: int = 0

    @staticmethod
    def identity(n: int) -> Affine:
        return Affine(tuple(1 << j for j in range(n)))

    @property
    def n(self) -> int:
        return len(self.cols)

    @property
    def trivial(self) -> bool:
        return self.shift == 0 and self.linear_trivial

    @property
    def linear_trivial(self) -> bool:
        return all(c == 1 << j for j, c in enumerate(self.cols))

    def linear(self, x: int) -> int:
        out = 0
        for j, c in enumerate(self.cols):
            if x >> j & 1:
                out ^= c
        return out

    def __call__(self, x: int) -> int:
        return self.linear(x) ^ self.shift

    def after(self, first: Affine) -> Affine:
        """This map after `first`."""
        return Affine(tuple(self.linear(c) for c in first.cols), self(first.shift))

    def inverse(self) -> Affine:
        n = self.n
        rows = [[c, 1 << j] for j, c in enumerate(self.cols)]  # image, preimage
        for bit in range(n):
            pivot = next(i for i in range(bit, n) if rows[i][0] >> bit & 1)
            rows[bit], rows[pivot] = rows[pivot], rows[bit]
            for i in range(n):
                if i != bit and rows[i][0] >> bit & 1:
                    rows[i] = [rows[i][0] ^ rows[bit][0], rows[i][1] ^ rows[bit][1]]
        linear = Affine(tuple(r[1] for r in rows))
        return Affine(linear.cols, linear.linear(self.shift))

    def pull(self, mask: int) -> tuple[int, int]:
        """The parity of `mask` after the map, as a parity before it: mask and sign."""
        out = 0
        for j, c in enumerate(self.cols):
            out |= parity(mask & c) << j
        return out, -1 if parity(mask & self.shift) else 1

    def padded(self, n: int) -> Affine:
        return Affine(self.cols + tuple(1 << j for j in range(self.n, n)), self.shift)


def cnot(n: int, control: int, target: int) -> Affine:
    cols = [1 << j for j in range(n)]
    cols[control] |= 1 << target
    return Affine(tuple(cols))


def flip(n: int, bit: int) -> Affine:
    return Affine(Affine.identity(n).cols, 1 << bit)


def swap(n: int, a: int, b: int) -> Affine:
    cols = [1 << j for j in range(n)]
    cols[a], cols[b] = cols[b], cols[a]
    return Affine(tuple(cols))


def rank(vectors: list[int]) -> int:
    basis: list[int] = []
    for v in vectors:
        for b in basis:
            v = min(v, v ^ b)
        if v:
            basis.append(v)
    return len(basis)
