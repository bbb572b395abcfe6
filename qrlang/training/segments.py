"""Truncated back-propagation: a long time in segments, the state going on between them.

A stream comes in segments already, one a batch, and its state goes on from batch to batch. Any
other batch is cut here, so that one update goes through all of its segments.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from qrlang.training.feed import Array, Batch
from qrlang.training.world import World

State = Any  # of `qrlang.backends.torch.calls.segment`; None: fresh


def cut(batch: Batch, moments: int, streaming: bool) -> Iterator[tuple[Batch, Array | slice]]:
    """Its segments, each with the rows of the one before that are still going."""
    if streaming:
        yield batch, slice(0, batch.size)  # lanes end from the last one on
        return
    time = max(x.shape[1] for x in batch.values.values() if x.ndim > 1)
    going = np.arange(batch.size)
    for start in range(0, time, moments):
        left = [n - start for n in batch.lengths.values()]
        rows = np.flatnonzero(np.min(left, axis=0) > 0) if left else np.arange(batch.size)
        if not rows.size:
            return
        here = slice(start, start + moments)
        piece = Batch(
            {k: x[rows, here] if x.ndim > 1 else x[rows] for k, x in batch.values.items()},
            {k: np.minimum(np.asarray(n)[rows] - start, min(moments, time - start))
             for k, n in batch.lengths.items()},
            None if batch.counted is None else batch.counted[rows, here],
            carried=start > 0,
        )  # fmt: skip
        yield piece, np.searchsorted(going, rows)
        going = rows


def begin(state: State, piece: Batch, rows: Array | slice) -> State:
    """What a segment begins with."""
    if state is None or not piece.carried:
        return None
    return state[rows]


def finite(left: State, begun: State) -> State:
    """What a segment leaves; what it began with where that is not finite, decided on the device."""
    if begun is None:
        return left
    import torch

    pairs = [*zip(left.qubits, begun.qubits, strict=True),
             *zip(left.carried, begun.carried, strict=True)]  # fmt: skip
    fine = torch.stack([x.isfinite().all() for x, _ in pairs]).all()
    kept = [torch.where(fine, x, y.to(x)) for x, y in pairs]
    return type(left)(tuple(kept[: len(left.qubits)]), tuple(kept[len(left.qubits) :]))


def page(state: State, world: World) -> Any:
    """For a checkpoint: that of all processes together, complex numbers as pairs."""
    import torch

    plain = (
        None
        if state is None
        else [[torch.view_as_real(x) for x in state.qubits], list(state.carried)]
    )
    parts = [p for p in world.gather(plain) if p is not None]  # some may have no rows
    if not parts:
        return None
    return [[_woven(xs) for xs in zip(*kind, strict=True)] for kind in zip(*parts, strict=True)]


def _woven(parts: tuple[Any, ...]) -> Any:
    """Row k of the whole is row k // n of part k % n."""
    whole = parts[0].new_zeros(sum(map(len, parts)), *parts[0].shape[1:])
    for rank, part in enumerate(parts):
        whole[rank :: len(parts)] = part.to(whole.device)
    return whole


def of_page(found: Any, world: World, device: Any) -> State:
    """This process's share of what a checkpoint has."""
    if found is None:
        return None
    import torch

    from qrlang.backends.torch.calls.segment import State as Kept

    mine = [[x[world.rank :: world.size].contiguous().to(device) for x in kind] for kind in found]
    return Kept(tuple(torch.view_as_complex(x) for x in mine[0]), tuple(mine[1]))
