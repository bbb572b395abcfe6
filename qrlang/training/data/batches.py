"""Some records of a data set, in its own order of columns. (`training.feed.Batch` has names.)"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qrlang.training.data.ports import Array


@dataclass(frozen=True, slots=True)
class RecordBatch:
    """Arrays in the order of the model's inputs, then targets: [row, time, …] or [row, …].

    `lengths` has for each of them the true length of every row (the rest is padding, zeros), or
    None where all rows are full. `rows` says which record (or which lane of a stream) a row is.
    `counted` [row, time]: the moments that a metric counts; None: all.
    `carried`: the state after the batch before goes on, row by row. (A stream's last batch may
    have fewer rows than the one before: its first ones.)
    """

    arrays: tuple[Array, ...]
    lengths: tuple[Array | None, ...]
    rows: Array
    number: int = 0
    counted: Array | None = None
    carried: bool = False

    def __len__(self) -> int:
        return len(self.rows)


def frozen(*key: int) -> np.random.RandomState:
    """Random numbers that depend on `key` alone, and on no version of NumPy."""
    return np.random.RandomState(np.random.MT19937(np.random.SeedSequence(key)))
