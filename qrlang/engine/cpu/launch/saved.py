"""What a forward call of a kernel keeps for its backward one, and the states in it as plain arrays.

A state is [batch, 2^n] complex, its first qubit the most significant, with norm one. In memory it
lies as the steps leave it, with a map and a diagonal still to be done (see `nodes.Kept`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from qrlang.engine.cpu.launch.memory import Memory, Pool
from qrlang.engine.cpu.launch.sized import Sized
from qrlang.engine.nodes import Kept

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]


class Saved:
    __slots__ = ("alive", "ctx", "memory", "pool", "sized")

    def __init__(self, sized: Sized, ctx: Any, memory: Memory, pool: Pool) -> None:
        self.sized, self.ctx, self.memory, self.pool = sized, ctx, memory, pool
        self.alive: Any = None  # whatever holds the memory whose addresses the call was given

    def __del__(self) -> None:
        self.pool.give(self.memory)

    # --- states, of a plan that goes on from some or leaves some

    def give(self, states: Sequence[Array]) -> None:
        """Before a call: what its states are."""
        sized = self.sized
        for kept, state in zip(sized.made.plan.kept, states, strict=True):
            whole, re, im = self._planes(kept)
            whole[...] = 0
            flat = np.zeros((sized.blocks * sized.words["width"], state.shape[1]), state.dtype)
            flat[: sized.batch] = state[:, _place(kept)]
            psi = flat.reshape(sized.blocks, -1, state.shape[1])
            re[...], im[...] = psi.real, psi.imag

    def take(self) -> list[Array]:
        """After a call: what it has left."""
        found = []
        for kept in self.sized.made.plan.kept:
            _, re, im = self._planes(kept)
            psi = (re + 1j * im).reshape(-1, re.shape[-1])[: self.sized.batch]
            if kept.masks:
                angle = self._angles(kept) @ _signs(kept)
                psi = psi * np.exp(-0.5j * angle)
            psi /= np.linalg.norm(psi, axis=1, keepdims=True)  # rounding makes it drift
            out = np.empty_like(psi)
            out[:, _place(kept)] = psi
            found.append(out.astype(np.complex64 if self._size == 4 else np.complex128))
        return found

    def _planes(self, kept: Kept) -> tuple[Array, Array, Array]:
        """Of every block: all its numbers, and as [blocks, sequences, amplitudes] the planes."""
        made = self.sized.made  # whose layout the states have
        words, size, count = self.sized.words, self._size, 1 << kept.map.n
        plane = made.sweeps.plane(made.layout.qubits(kept.space)) // size
        start = words[f"off_state{kept.space}"] // size
        memory, width = self._numbers(), words["width"]
        if made.together:  # an amplitude of all sequences, then the next
            lanes = made.fmt.lanes
            whole = memory[:, start : start + 2 * plane]
            both = [whole[:, k : k + count * lanes] for k in (0, plane)]
            re, im = (x.reshape(-1, count, lanes).transpose(0, 2, 1)[:, :width] for x in both)
            return whole, re, im
        whole = memory[:, start : start + 2 * plane * width]
        each = whole.reshape(len(memory), width, 2 * plane)
        return whole, each[..., :count], each[..., plane : plane + count]

    def _angles(self, kept: Kept) -> Array:
        """[batch, masks]"""
        sized, made = self.sized, self.sized.made
        lanes, row = made.fmt.lanes, made.layout.row_of[kept.angles]
        rows = self._numbers()[:, row * lanes : (row + len(kept.masks)) * lanes]
        rows = rows.reshape(sized.blocks, -1, lanes)[..., : sized.words["width"]]
        return rows.transpose(0, 2, 1).reshape(-1, len(kept.masks))[: sized.batch]

    @property
    def _size(self) -> int:
        return self.sized.made.fmt.size

    def _numbers(self) -> Array:
        """All of the memory, block by block."""
        dtype = np.dtype(np.float32 if self._size == 4 else np.float64)
        blocks, stride = self.sized.blocks, self.sized.words["saved_stride"] // self._size
        return self.memory.array(dtype, stride * blocks).reshape(blocks, stride)


@lru_cache(maxsize=64)
def _place(kept: Kept) -> Array:
    """Where each amplitude in memory belongs."""
    moved = _moved(kept)
    out = np.zeros_like(moved)
    for bit in range(kept.map.n):
        out |= (moved >> bit & 1) << kept.map.n - 1 - bit
    return out


def _moved(kept: Kept) -> Array:
    index = np.arange(1 << kept.map.n)
    out = np.full_like(index, kept.map.shift)
    for bit, column in enumerate(kept.map.cols):
        out ^= (index >> bit & 1) * column
    return out


@lru_cache(maxsize=64)
def _signs(kept: Kept) -> Array:
    """[masks, amplitudes]: the parities of each mask as ±1."""
    found = _moved(kept) & np.array(kept.masks)[:, None]
    for shift in (16, 8, 4, 2, 1):
        found ^= found >> shift
    signs: Array = 1.0 - 2.0 * (found & 1)
    return signs
