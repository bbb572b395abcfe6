"""An opened data set, as a trainer sees it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from functools import cached_property
from typing import Any

from qrlang.errors import DataError
from qrlang.rights.seen import kept, rows
from qrlang.training.data.batches import RecordBatch
from qrlang.training.data.foretold import Foretold, foretold
from qrlang.training.data.ports import Port
from qrlang.training.data.request import Loaded, Request
from qrlang.training.data.sources import Records, Source
from qrlang.training.data.vocabulary import Vocabulary

SPLITS = ("train", "validation", "test")


class DataSet:
    """Columns as the model wants them, in three splits.

    A split is read when it is first used. `streaming`: it is one long time, cut into segments
    between which the state is carried.
    """

    def __init__(
        self,
        request: Request,
        loaded: Loaded,
        limit: int = 0,
        kept: Mapping[str, Any] | None = None,
    ) -> None:
        """`kept`: the records that a run has in its splits, as its `rights.json` says."""
        self.name = request.name
        self.arguments = dict(request.arguments)
        self.ports: tuple[Port, ...] = request.ports
        self.vocabularies: Mapping[str, Vocabulary] = loaded.vocabularies
        self.labels = loaded.labels
        self.notes = loaded.notes
        self.scale = loaded.scale
        self.rights = tuple(request.opened)
        self._loaded = loaded
        self._limit = limit  # records of each split; 0: all
        self._kept = kept or {}
        self._open: dict[str, Source] = {}
        self.streaming = self.source("train").streaming

    def source(self, split: str) -> Source:
        if split not in SPLITS:
            raise ValueError(f"there is no split {split!r}; there are {', '.join(SPLITS)}")
        if split not in self._open:
            source = self._as_kept(split, self._loaded.splits[split]())
            self._open[split] = source.limited(self._limit) if self._limit else source
        return self._open[split]

    def count(self, split: str) -> int:
        """Records, or moments of a stream."""
        known = self._loaded.counts.get(split) if split not in self._open else None
        if known is None:
            return len(self.source(split))
        return min(known, self._limit) if self._limit else known

    def batch_count(self, split: str, batch: int, segment: int | None = None) -> int:
        return self._full(split).batch_count(batch, segment)

    def batches(
        self,
        split: str,
        batch: int,
        *,
        seed: int = 0,
        epoch: int = 0,
        shuffle: bool | None = None,
        start: int = 0,
        segment: int | None = None,
    ) -> Iterator[RecordBatch]:
        """The batches of an epoch from number `start` on; the same for the same numbers.

        Training records come in a new order each epoch unless `shuffle` says otherwise. `segment`
        cuts a stream into stretches of so many moments (None: as long as it is).
        """
        if batch < 1 or (segment is not None and segment < 1):
            raise ValueError("a batch and a segment hold at least one")
        mixed = split == "train" if shuffle is None else shuffle
        return self._full(split).batches(batch, seed, epoch, mixed, start, segment)

    def records(self, split: str, rows: Iterable[int]) -> RecordBatch:
        """Any records, by their numbers in the split."""
        import numpy as np

        return self._full(split).take(np.array(list(rows), np.int64))

    def _full(self, split: str) -> Source:
        source = self.source(split)
        if not len(source):
            raise DataError(
                "empty-split",
                f"the {split} split of `{self.name}` is empty",
                "`validation = 0.1` holds a tenth of the training records out"
                if split == "validation"
                else "the data has too few records for it",
            )
        return source

    def decode(self, port: str, numbers: Iterable[int]) -> str:
        """Tokens as text, or a class as its name."""
        if port in self.vocabularies:
            return self.vocabularies[port].decode(numbers)
        numbers = [int(n) for n in numbers]
        return " ".join(self.labels[n] if n < len(self.labels) else str(n) for n in numbers)

    def references(self, split: str) -> list[str]:
        """What translations of the split's records are measured against, tokens apart."""
        if self._loaded.references is None:
            raise DataError("bad-argument", f"`{self.name}` is no translation")
        found = self._loaded.references(split)
        index = getattr(self.source(split), "index", None)
        return found if index is None else [found[int(k)] for k in index]

    def about(self) -> dict[str, Any]:
        """What a run writes down of its data, and what `saved` of `open_data` takes back."""
        return {
            "name": self.name,
            "arguments": self.arguments,
            "file": self._loaded.file.name if self._loaded.file else None,
            "columns": {p.name: str(p.type) for p in self.ports},
            "labels": list(self.labels),
            "scale": {k: {"shift": a, "divisor": b} for k, (a, b) in self.scale.items()},
            "vocabularies": {k: v.data() for k, v in self.vocabularies.items()},
            "notes": self.notes,
            "foretells": None if self.foretells is None else asdict(self.foretells),
        }

    @cached_property
    def foretells(self) -> Foretold | None:
        """If its target is its input some moments later."""
        train = self.source("train")
        if self._limit:  # windows that are drawn by lot do not show it
            train = self._as_kept("train", self._loaded.splits["train"]())
        return foretold(train, self.ports, self.scale)

    def _names(self, split: str) -> dict[str, list[str]]:
        """By source with a manifest: the name of each record that the split is a part of."""
        return {source: names(split) for source, names in self._loaded.names.items()}

    def _as_kept(self, split: str, source: Source) -> Source:
        """A split as a run has it: what is hidden now leaves all others where they were."""
        if not (self._kept and self._loaded.names and isinstance(source, Records)):
            return source
        index = kept(self._kept, split, self._names(split))
        return source if index is None else source.reindexed(index)

    def seen(self) -> dict[str, Any]:
        """What a run keeps of data with manifests: which records it saw, by names that only those
        can tell who know them."""
        found: dict[str, Any] = {}
        for rights in self.rights:
            found[rights.source] = {"file": rights.path.name, "splits": {}}
            columns = self._loaded.columns.get(rights.source)
            if columns is not None:
                found[rights.source]["columns"] = columns
        for split in SPLITS if self._loaded.names else ():
            source = self._try(split)
            if not isinstance(source, Records):
                continue
            names = self._names(split)
            every = rows(names)
            there = [every[k] for k in source.index.tolist()]
            for at, name in enumerate(sorted(names)):
                found[name]["splits"][split] = [digests[at] for digests, _ in there]
                if any(nth for _, nth in there):
                    found[name].setdefault("nth", {})[split] = [nth for _, nth in there]
        return found

    def _try(self, split: str) -> Source | None:
        """A split that the data may not have."""
        try:
            return self.source(split)
        except DataError:
            return None
