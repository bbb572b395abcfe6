"""What training asks of a data set, and a batch of it by the names of the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from qrlang.errors import TrainingError
from qrlang.ir.program import Program
from qrlang.rights import seen
from qrlang.system.files import read_json, write_json
from qrlang.training.settings import Settings

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Batch:
    """Some sequences, padded, by the names of the model's inputs and targets."""

    values: Mapping[str, Array]  # [batch, (time), …]
    lengths: Mapping[str, Array] = field(default_factory=dict)  # of those that are ragged
    counted: Array | None = None  # [batch, time]: which moments a metric counts; None: all
    rows: Array | None = None  # which records of the split these are, where that is known
    carried: bool = False  # the state after the batch before goes on, row by row

    @property
    def size(self) -> int:
        return len(next(iter(self.values.values())))

    def row(self, k: int) -> dict[str, Array]:
        """One of them, without padding."""
        found = {}
        for name, values in self.values.items():
            length = self.lengths.get(name)
            found[name] = values[k] if length is None else values[k][: int(length[k])]
        return found

    def part(self, rank: int, world: int) -> Batch:
        """The share of one process out of several."""
        if world == 1:
            return self
        pick = slice(rank, None, world)
        return Batch(
            {k: v[pick] for k, v in self.values.items()},
            {k: v[pick] for k, v in self.lengths.items()},
            None if self.counted is None else self.counted[pick],
            None if self.rows is None else self.rows[pick],
            self.carried,
        )


class Feed(Protocol):
    """An opened data set, its columns under the names of the model."""

    @property
    def sizes(self) -> Mapping[str, int]:
        """Sequences in each split; of a stream, moments."""
        ...

    @property
    def streaming(self) -> bool:
        """One long time, cut into segments."""
        ...

    @property
    def recall(self) -> bool:
        """Only the last moments of a sequence count: symbols that were to be remembered."""
        ...

    def count(self, split: str, batch: int) -> int:
        """Batches in an epoch."""

    def batches(
        self, split: str, batch: int, *, seed: int, epoch: int, shuffle: bool, start: int = 0
    ) -> Iterator[Batch]: ...

    def save(self, folder: Path) -> None:
        """Vocabularies, and whatever else a run has to keep."""


SEGMENT = 64  # moments of a stream that one sees at once, unless `length` says otherwise


class DataFeed:
    """A data set of `qrlang.training.data` under the names of the model.

    A stream is cut into segments: a batch has fewer lanes rather than shorter ones. Series of
    numbers are tested in one go, without cuts.
    """

    def __init__(self, data: Any, program: Program, length: int, whole: bool = False) -> None:
        from qrlang.training.data.dataset import SPLITS

        self.data = data
        self.names = [p.name for p in data.ports]
        self.sizes = {split: int(data.count(split)) for split in SPLITS}
        self.streaming = bool(data.streaming)
        self.segment = (length or SEGMENT) if self.streaming else None
        self.recall = getattr(data.source("train"), "last", None) is not None
        self.whole = whole  # the training split too
        self.numbers = bool(program.targets) and program.targets[-1].type.kind == "real"

    def _cut(self, split: str, batch: int) -> tuple[int, int | None]:
        if self.segment is None:
            return batch, None
        if self.whole or (self.numbers and split != "train"):
            return 1, None
        return max(1, min(batch, self.sizes[split] // self.segment)), self.segment

    def count(self, split: str, batch: int) -> int:
        lanes, segment = self._cut(split, batch)
        return int(self.data.batch_count(split, lanes, segment))

    def batches(
        self, split: str, batch: int, *, seed: int, epoch: int, shuffle: bool, start: int = 0
    ) -> Iterator[Batch]:
        lanes, segment = self._cut(split, batch)
        for one in self.data.batches(
            split, lanes, seed=seed, epoch=epoch, shuffle=shuffle, start=start, segment=segment
        ):
            lengths = zip(self.names, one.lengths, strict=True)
            yield Batch(
                dict(zip(self.names, one.arrays, strict=True)),
                {k: n for k, n in lengths if n is not None},
                one.counted,
                one.rows,
                one.carried,
            )

    def save(self, folder: Path) -> None:
        write_json(folder / "data.json", self.data.about())
        if self.data.rights:
            write_json(folder / seen.FILE, self.data.seen())


def open_feed(
    settings: Settings, program: Program, data_dir: str | None, base: Path, run: Path | None = None
) -> DataFeed:
    """The data of a run; with `run`, by the vocabularies that it has kept, and under the manifests
    that are in force now, its records in the splits that they are in."""
    from qrlang.training.data.opening import open_data
    from qrlang.training.data.ports import ports_of

    kept = run / "data.json" if run is not None else None
    rights = seen.page_of(run) if run is not None else {}
    name, arguments = settings.data
    data = open_data(
        name, arguments, ports_of(program), data_dir=data_dir, base=base,
        validation=settings.validation, max_length=settings.length or None,
        limit=settings.limit,
        warm=settings.washout,
        saved=read_json(kept) if kept is not None and kept.exists() else None, kept=rights,
    )  # fmt: skip
    if run is not None:
        seen.still_there(rights, [r.source for r in data.rights], run)
    segment = settings.truncate or settings.length
    return DataFeed(data, program, segment, settings.optimizer[0] == "ridge")


HELD_OUT = ("test", "validation", "train")


def labels_of(feed: Feed) -> Sequence[str]:
    """What the data calls its classes; nothing, where they are numbers."""
    return tuple(getattr(getattr(feed, "data", None), "labels", ()))


def notes_of(feed: Feed) -> Sequence[str]:
    """What should be known of the data: that it is a sample, or what was left out."""
    return tuple(getattr(getattr(feed, "data", None), "notes", ()))


def split_of(feed: Feed, asked: str | None) -> str:
    """The one that was asked for; else the first that is there, the test split before all."""
    there = [s for s in HELD_OUT if feed.sizes.get(s)]
    if asked is None:
        return there[0]
    if asked not in there:
        raise TrainingError(f"the data has no {asked} split", f"it has {', '.join(there)}")
    return asked
