"""Which records are watched: a few of the data held out, the same throughout a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qrlang.trace.errors import TraceError
from qrlang.trace.layout import Array, Field, laid_out, packed, unpacked
from qrlang.training.feed import Batch, Feed

MOST = 64  # samples
SPLITS = ("validation", "test", "train")


@dataclass(frozen=True)
class Samples:
    split: str
    rows: tuple[int, ...]  # their numbers in the split
    batch: Batch  # of no more than them

    @property
    def count(self) -> int:
        return self.batch.size

    def of_those(self, kept: Sequence[int]) -> Samples:
        """Some of them: those that were not erased."""
        pick = list(kept)
        b = self.batch
        batch = Batch({k: v[pick] for k, v in b.values.items()},
                      {k: v[pick] for k, v in b.lengths.items()},
                      None if b.counted is None else b.counted[pick])  # fmt: skip
        return Samples(self.split, tuple(self.rows[k] for k in pick), batch)

    def data(self) -> tuple[dict[str, Any], bytes]:
        """A page for the header, and the numbers themselves."""
        arrays = {f"values/{k}": _real(v) for k, v in self.batch.values.items()}
        arrays |= {f"lengths/{k}": _real(v) for k, v in self.batch.lengths.items()}
        if self.batch.counted is not None:
            arrays["counted/"] = _real(self.batch.counted)
        fields = laid_out(arrays)
        page = {"split": self.split, "rows": list(self.rows), "fields": [f.data() for f in fields]}
        return page, packed(fields, arrays)

    @classmethod
    def of(cls, page: Mapping[str, Any], raw: bytes) -> Samples:
        parts: dict[str, dict[str, Array]] = {"values": {}, "lengths": {}, "counted": {}}
        for data in page["fields"]:
            field = Field.of(data)
            parts[field.group][field.name] = unpacked(field, raw)
        lengths = {k: np.nan_to_num(v).astype(np.int64) for k, v in parts["lengths"].items()}
        counted = parts["counted"].get("")
        batch = Batch(parts["values"], lengths, None if counted is None else counted > 0.5)
        return cls(str(page["split"]), tuple(int(r) for r in page["rows"]), batch)


def _real(array: Array) -> Array:
    kind = np.asarray(array).dtype.kind
    return np.asarray(array, np.complex64 if kind == "c" else np.float32)


def chosen(feed: Feed, asked: str) -> Samples:
    """`4`: the first so many of the validation split (of the test split, if there is none);
    `3,17`: those records of it."""
    feed = getattr(feed, "inner", feed)  # as the data lies, not as a GPU has it
    split = next((s for s in SPLITS if feed.sizes.get(s)), "train")
    rows = wanted(asked, feed.sizes[split] if not feed.streaming else MOST)
    found: dict[int, Batch] = {}
    at = 0
    for batch in feed.batches(split, max(len(rows), 1), seed=0, epoch=0, shuffle=False):
        for k in range(batch.size):
            if at + k in rows:
                found[at + k] = _one(batch, k)
        at += batch.size
        if len(found) == len(rows) or feed.streaming:
            break
    if not found:
        raise TraceError(f"the {split} split has none of the samples to trace: {asked}")
    rows = [r for r in rows if r in found]
    return Samples(split, tuple(rows), _together([found[r] for r in rows]))


def wanted(asked: str, there: int) -> list[int]:
    """Numbers of records, as `--trace-samples` says them."""
    numbers = named(asked)
    if "," not in asked:
        numbers = list(range(min(numbers[0], there)))
    if max(numbers) >= there:
        raise TraceError(
            f"`--trace-samples {asked}`: there is no record {max(numbers)}",
            f"records have the numbers 0 to {there - 1}",
        )
    return numbers


def named(asked: str) -> list[int]:
    """How many, or which: whatever data there is."""
    parts = [p.strip() for p in asked.split(",")]
    if not all(p.isascii() and p.isdigit() for p in parts):
        raise TraceError(f"`--trace-samples {asked}`: write how many, or which: 4, or 0,17,23")
    numbers = list(dict.fromkeys(int(p) for p in parts))
    if not 1 <= (len(numbers) if "," in asked else numbers[0]) <= MOST:
        raise TraceError(f"`--trace-samples {asked}`: from 1 to {MOST} samples can be watched")
    return numbers


def _one(batch: Batch, k: int) -> Batch:
    pick = slice(k, k + 1)
    return Batch(
        {n: v[pick] for n, v in batch.values.items()},
        {n: v[pick] for n, v in batch.lengths.items()},
        None if batch.counted is None else batch.counted[pick],
    )


def _together(parts: Sequence[Batch]) -> Batch:
    """Padded to the longest."""
    counted = [p.counted for p in parts if p.counted is not None]
    first = parts[0]
    return Batch(
        {n: _stacked([p.values[n] for p in parts]) for n in first.values},
        {n: np.concatenate([p.lengths[n] for p in parts]) for n in first.lengths},
        _stacked(counted) if counted else None,
    )


def _stacked(arrays: Sequence[Array]) -> Array:
    longest = max(a.shape[1] for a in arrays) if arrays[0].ndim > 1 else 0
    padded = [
        np.pad(a, ((0, 0), (0, longest - a.shape[1]), *((0, 0),) * (a.ndim - 2)))
        if a.ndim > 1
        else a
        for a in arrays
    ]
    return np.concatenate(padded)
