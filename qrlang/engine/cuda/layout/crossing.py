"""Two blocks that share a state, and exchange half of it once in a layer.

Between layers an amplitude belongs to the block that a parity of its index says. A layer's map
makes one bit of that parity, the qubit p: so the amplitudes that the map brings to a block are
there already. All qubits but p are rotated. Then each block gives the other the half that it is to
have after the layer, and gets as many with the other value of p: p is rotated, and the parity tells
the blocks apart again. What comes takes the places of what goes.

It takes a map that makes a qubit of others alone, without itself: the parity is the sum of these
others. A ring of CNOTs does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qrlang.engine.gf2 import Affine
from qrlang.engine.nodes import Layer


@dataclass(frozen=True, slots=True)
class Crossing:
    qubit: int  # the bit of the index that is the block's rank within a layer
    parity: int  # the mask of what it is between layers

    @property
    def pivot(self) -> int:
        """The bit of the parity whose place that of the qubit takes between layers."""
        return self.parity.bit_length() - 1

    @staticmethod
    def of(layers: Sequence[Layer], bits: int) -> Crossing | None:
        out = []
        for p in range(bits):
            # What the map makes of others is a parity of the index before.
            found = {layer.map.padded(bits).pull(1 << p)[0] for layer in layers}
            if len(found) == 1 and not (mask := found.pop()) >> p & 1:
                out.append(Crossing(p, mask))
        return max(out, key=lambda c: c.pivot, default=None)

    def layouts(self, bits: int) -> tuple[Affine, Affine]:
        """From an index to its position, the rank above all others: within a layer, and between
        layers."""
        top = 1 << (bits - 1)
        inner = [1 << b for b in range(bits - 1)]
        inner.insert(self.qubit, top)
        between = [x ^ (self.parity >> b & 1) * top for b, x in enumerate(inner)]
        between[self.qubit], between[self.pivot] = inner[self.pivot], top
        return Affine(tuple(inner)), Affine(tuple(between))
