"""What the code of a layer depends on, and the index tables it reads."""

from __future__ import annotations

from dataclasses import dataclass

from qrlang.engine.cpu.amplitudes.gather import Gather
from qrlang.engine.cpu.llvm.asm import Fn, V
from qrlang.engine.gf2 import Affine
from qrlang.engine.nodes import Layer


@dataclass(frozen=True, slots=True)
class Shape:
    """A layer as far as the code depends on it."""

    n: int  # padded where amplitudes share a vector: at least one vector
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
    def row_flip(self) -> int:  # which sequences flip each rotated qubit, in the batch layout
        return self.row_scale + 4

    @property
    def rows(self) -> int:
        return self.row_flip + len(self.bits)


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

    def fill(self, inside: int) -> bytes:
        import numpy as np

        out = np.zeros(max(self.size, 64), dtype=np.uint8)
        for (n, *cols), place in self.maps.items():
            table = np.zeros(1, dtype=np.uint32)
            for j in range(inside, n):
                table = np.concatenate([table, table ^ np.uint32(cols[j])])
            raw = table.view(np.uint8)
            out[place : place + raw.size] = raw
        return out.tobytes()
