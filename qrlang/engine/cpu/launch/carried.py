"""States that a call of a kernel leaves, and is given: between its memory and plain arrays.

A state is [batch, 2^n] complex, its first qubit the most significant, with norm one. In memory it
lies as the steps leave it, with a map and a diagonal still to be done (see `nodes.Kept`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from qrlang.engine.nodes import Kept

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from qrlang.engine.cpu.launch.kernel import Kernel, Saved

    Array = NDArray[Any]


def give(kernel: Kernel, saved: Saved, states: Sequence[Array]) -> None:
    """Before a call: what its states are."""
    for kept, state in zip(kernel.plan.kept, states, strict=True):
        whole, re, im = _planes(kernel, saved, kept)
        whole[...] = 0
        flat = np.zeros((saved.blocks * saved.words["width"], state.shape[1]), state.dtype)
        flat[: saved.batch] = state[:, _place(kept)]
        psi = flat.reshape(saved.blocks, -1, state.shape[1])
        re[...], im[...] = psi.real, psi.imag


def take(kernel: Kernel, saved: Saved) -> list[Array]:
    """After a call: what it has left."""
    found = []
    for kept in kernel.plan.kept:
        _, re, im = _planes(kernel, saved, kept)
        psi = (re + 1j * im).reshape(-1, re.shape[-1])[: saved.batch]
        if kept.masks:
            angle = _angles(kernel, saved, kept) @ _signs(kept)
            psi = psi * np.exp(-0.5j * angle)
        psi /= np.linalg.norm(psi, axis=1, keepdims=True)  # rounding makes it drift
        out = np.empty_like(psi)
        out[:, _place(kept)] = psi
        found.append(out.astype(np.complex64 if kernel.dtype.itemsize == 4 else np.complex128))
    return found


def _planes(kernel: Kernel, saved: Saved, kept: Kept) -> tuple[Array, Array, Array]:
    """Of every block: all its numbers, and as [blocks, sequences, amplitudes] the two planes."""
    made = saved.made  # whose layout the states have
    words, size, count = saved.words, kernel.dtype.itemsize, 1 << kept.map.n
    plane = made.sweeps.plane(made.layout.qubits(kept.space)) // size
    start = words[f"off_state{kept.space}"] // size
    memory, width = _memory(kernel, saved), words["width"]
    if made.together:  # an amplitude of all sequences, then the next
        lanes = kernel.fmt.lanes
        whole = memory[:, start : start + 2 * plane]
        both = [whole[:, k : k + count * lanes] for k in (0, plane)]
        re, im = (x.reshape(-1, count, lanes).transpose(0, 2, 1)[:, :width] for x in both)
        return whole, re, im
    whole = memory[:, start : start + 2 * plane * width]
    each = whole.reshape(saved.blocks, width, 2 * plane)
    return whole, each[..., :count], each[..., plane : plane + count]


def _memory(kernel: Kernel, saved: Saved) -> Array:
    stride = saved.words["saved_stride"] // kernel.dtype.itemsize
    return saved.memory.array(kernel.dtype, stride * saved.blocks).reshape(saved.blocks, stride)


def _angles(kernel: Kernel, saved: Saved, kept: Kept) -> Array:
    """[batch, masks]"""
    lanes, row = kernel.fmt.lanes, saved.made.layout.row_of[kept.angles]
    rows = _memory(kernel, saved)[:, row * lanes : (row + len(kept.masks)) * lanes]
    rows = rows.reshape(saved.blocks, -1, lanes)[..., : saved.words["width"]]
    return rows.transpose(0, 2, 1).reshape(-1, len(kept.masks))[: saved.batch]


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
