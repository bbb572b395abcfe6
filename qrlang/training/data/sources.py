"""A split, in one of three forms: records, a stream cut into segments, or made as it is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np

from qrlang.errors import DataError
from qrlang.training.data.batches import RecordBatch, frozen
from qrlang.training.data.columns import Column
from qrlang.training.data.ports import Array

_POOL = 50  # batches whose sequences are sorted by length together
_BLOCK = 64  # sequences made by one call of a generator


class Source(Protocol):
    streaming: bool

    def __len__(self) -> int:
        """Records, or moments of a stream, of those that count."""
        ...

    def batch_count(self, batch: int, segment: int | None) -> int: ...

    def batches(
        self, batch: int, seed: int, epoch: int, shuffle: bool, start: int, segment: int | None
    ) -> Iterator[RecordBatch]: ...

    def take(self, rows: Array) -> RecordBatch:
        """Any records, in any order. (Of a stream: moments start … stop, as one row.)"""
        ...

    def limited(self, count: int) -> Source:
        """At most so many records (moments) of it, always the same ones."""
        ...


def _counted(target: Array, last: int) -> Array:
    found = np.zeros(target.shape[:2], bool)
    found[:, -last:] = True
    return found


class Records:
    """`index`: which records of the columns these are; None: all of them.

    `last`: only so many last moments count in a metric. `owners`: of windows, each a moment on
    from the one before, which series each was cut from; None: nobody knows.
    """

    streaming = False

    def __init__(
        self,
        columns: Sequence[Column],
        index: Array | None = None,
        last: int | None = None,
        owners: Array | None = None,
    ) -> None:
        counts = {len(c) for c in columns}
        if len(counts) != 1:
            raise DataError(
                "malformed-file",
                "the columns have different numbers of records: "
                + ", ".join(str(len(c)) for c in columns),
            )
        self.columns = tuple(columns)
        self.index = np.arange(counts.pop(), dtype=np.int64) if index is None else index
        self.last = last
        self.owners = owners
        self.lengths = self._longest()

    def _longest(self) -> Array | None:
        """What records are sorted by: the length of their longest column."""
        longest: Array | None = None
        for c in self.columns:
            if c.lengths is not None:
                longest = c.lengths if longest is None else np.maximum(longest, c.lengths)
        return None if longest is None else longest[self.index]

    def __len__(self) -> int:
        return len(self.index)

    def subset(self, index: Array) -> Records:
        return self.reindexed(self.index[index])

    def reindexed(self, index: Array) -> Records:
        return Records(self.columns, index, self.last, self.owners)

    def limited(self, count: int) -> Records:
        """By lot: records may be sorted by their class."""
        if count >= len(self):
            return self
        return self.subset(np.sort(frozen(len(self), 21).permutation(len(self))[:count]))

    def batch_count(self, batch: int, segment: int | None = None) -> int:
        return -(-len(self) // batch)

    def order(self, batch: int, seed: int, epoch: int, shuffle: bool) -> list[Array]:
        """The records of every batch of an epoch, as positions in this split."""
        n = len(self)
        random = frozen(seed, epoch, 1)
        rows = random.permutation(n) if shuffle else np.arange(n)
        if self.lengths is not None:
            # Similar lengths share a batch: within pools while shuffling, else over the split.
            pool = batch * _POOL if shuffle else n
            for k in range(0, n, pool):
                part = rows[k : k + pool]
                rows[k : k + pool] = part[np.argsort(self.lengths[part], kind="stable")]
        parts = [rows[k : k + batch] for k in range(0, n, batch)]
        if self.lengths is not None and shuffle:
            parts = [parts[k] for k in random.permutation(len(parts))]
        return parts

    def batches(
        self,
        batch: int,
        seed: int = 0,
        epoch: int = 0,
        shuffle: bool = False,
        start: int = 0,
        segment: int | None = None,
    ) -> Iterator[RecordBatch]:
        order = self.order(batch, seed, epoch, shuffle)
        for number in range(start, len(order)):
            yield self._batch(order[number], number)

    def take(self, rows: Array) -> RecordBatch:
        return self._batch(np.asarray(rows), 0)

    def _batch(self, rows: Array, number: int) -> RecordBatch:
        found = [c.take(self.index[rows]) for c in self.columns]
        arrays = tuple(a for a, _ in found)
        counted = None if self.last is None else _counted(arrays[-1], self.last)
        return RecordBatch(arrays, tuple(n for _, n in found), rows, number, counted)


class Stream:
    """Columns over one long time. Read as `batch` lanes, each a stretch of it, in segments.

    Every moment comes exactly once. The first `lead` moments are there to warm the state up:
    they are not counted.
    """

    streaming = True

    def __init__(self, columns: Sequence[Array], dtypes: Sequence[type], lead: int = 0) -> None:
        self.columns = tuple(columns)
        self.dtypes = tuple(dtypes)
        self.lead = lead
        self.count = min(map(len, columns))

    def __len__(self) -> int:
        return self.count - self.lead

    def limited(self, count: int) -> Stream:
        """The first ones that count."""
        end = self.lead + count
        return Stream([c[:end] for c in self.columns], self.dtypes, self.lead)

    def _lanes(self, batch: int) -> Array:
        """Where each lane begins, and the end. Longer lanes come first."""
        lanes = min(batch, self.count)
        sizes = np.full(lanes, self.count // lanes)
        sizes[: self.count % lanes] += 1
        return np.concatenate([[0], np.cumsum(sizes)])

    def batch_count(self, batch: int, segment: int | None = None) -> int:
        if not self.count:
            return 0
        longest = -(-self.count // min(batch, self.count))
        return -(-longest // (segment or longest))

    def batches(
        self, batch: int, seed: int, epoch: int, shuffle: bool, start: int, segment: int | None
    ) -> Iterator[RecordBatch]:
        edges = self._lanes(batch)
        segment = segment or int(edges[1])
        for number in range(start, self.batch_count(batch, segment)):
            begin = edges[:-1] + number * segment
            lengths = np.minimum(edges[1:] - begin, segment)
            rows = np.flatnonzero(lengths > 0)
            yield self._batch(begin[rows], lengths[rows], rows, number)

    def take(self, rows: Array) -> RecordBatch:
        start, stop = int(rows[0]), int(rows[-1]) + 1
        if not np.array_equal(rows, np.arange(start, stop)):
            raise ValueError("a stream gives moments that follow one another")
        return self._batch(np.array([start]), np.array([stop - start]), np.array([0]), 0)

    def _batch(self, begin: Array, lengths: Array, rows: Array, number: int) -> RecordBatch:
        at = begin[:, None] + np.arange(int(lengths.max()))
        full = bool((lengths == lengths[0]).all())
        inside = None if full else np.arange(at.shape[1]) < lengths[:, None]
        arrays = []
        for column, dtype in zip(self.columns, self.dtypes, strict=True):
            x: Array = column[np.minimum(at, self.count - 1)].astype(dtype)
            if inside is not None:
                x[~inside] = 0
            arrays.append(x)
        known = None if full else lengths.astype(np.int64)
        counted = at >= self.lead if self.lead else None
        return RecordBatch(tuple(arrays), (known,) * len(arrays), rows, number, counted, number > 0)


Make = Callable[[np.random.RandomState, int], tuple[Array, ...]]


class Generated:
    """Sequences that a rule makes: new ones in every epoch, the same for the same seed.

    They are made in blocks of their own, so that a sequence does not depend on the batch size.
    """

    streaming = False

    def __init__(
        self, make: Make, dtypes: Sequence[type], size: int, key: int, last: int | None = None
    ) -> None:
        self.make = make
        self.dtypes = tuple(dtypes)
        self.size = size
        self.key = key
        self.last = last

    def __len__(self) -> int:
        return self.size

    def limited(self, count: int) -> Generated:
        return Generated(self.make, self.dtypes, min(self.size, count), self.key, self.last)

    def batch_count(self, batch: int, segment: int | None = None) -> int:
        return -(-self.size // batch)

    def _block(self, seed: int, epoch: int, number: int) -> tuple[Array, ...]:
        return self.make(frozen(self.key, seed, epoch, number), _BLOCK)

    def _rows(self, start: int, stop: int, seed: int, epoch: int) -> tuple[Array, ...]:
        first, last = start // _BLOCK, -(-stop // _BLOCK)
        blocks = [self._block(seed, epoch, k) for k in range(first, last)]
        whole = [np.concatenate(parts) for parts in zip(*blocks, strict=True)]
        begin = start - first * _BLOCK
        return tuple(w[begin : begin + stop - start] for w in whole)

    def batches(
        self, batch: int, seed: int, epoch: int, shuffle: bool, start: int, segment: int | None
    ) -> Iterator[RecordBatch]:
        for number in range(start, self.batch_count(batch)):
            begin = number * batch
            stop = min(begin + batch, self.size)
            rows = np.arange(begin, stop)
            yield self._batch(self._rows(begin, stop, seed, epoch), rows, number)

    def take(self, rows: Array) -> RecordBatch:
        """Of epoch 0 at seed 0."""
        found = [self._rows(int(r), int(r) + 1, 0, 0) for r in rows]
        columns = tuple(np.concatenate(parts) for parts in zip(*found, strict=True))
        return self._batch(columns, np.asarray(rows), 0)

    def _batch(self, columns: tuple[Array, ...], rows: Array, number: int) -> RecordBatch:
        pairs = zip(columns, self.dtypes, strict=True)
        arrays: tuple[Array, ...] = tuple(a.astype(d, copy=False) for a, d in pairs)
        counted = None if self.last is None else _counted(arrays[-1], self.last)
        return RecordBatch(arrays, (None,) * len(arrays), rows, number, counted)
