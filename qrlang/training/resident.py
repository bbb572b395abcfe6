"""Batches where a GPU can take them without waiting: data that lies there whole, or that is
brought while the batch before is computed."""

from __future__ import annotations

import math
import queue
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from qrlang.training import room
from qrlang.training.data.sources import Records
from qrlang.training.feed import Batch, DataFeed, Feed

CHUNK = 4096  # records that go over at once
SHARE = 0.25  # of a device's memory, that data may take


def near(feed: Feed, device: Any) -> Feed:
    """The same batches in the same order, as tensors on a device. On a CPU: the feed itself."""
    return feed if torch.device(device).type == "cpu" else Near(feed, torch.device(device))


class Near:
    """A feed in front of another."""

    def __init__(self, inner: Feed, device: Any) -> None:
        self.inner, self.device = inner, device
        self.held: dict[str, dict[str, Any] | None] = {}

    @property
    def sizes(self) -> Mapping[str, int]:
        return self.inner.sizes

    @property
    def streaming(self) -> bool:
        return self.inner.streaming

    @property
    def recall(self) -> bool:
        return self.inner.recall

    def count(self, split: str, batch: int) -> int:
        return self.inner.count(split, batch)

    def save(self, folder: Path) -> None:
        self.inner.save(folder)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)  # what else a feed of a data set has

    def batches(
        self, split: str, batch: int, *, seed: int, epoch: int, shuffle: bool, start: int = 0
    ) -> Iterator[Batch]:
        if split not in self.held:
            self.held[split] = self._fetched(split)
        columns = self.held[split]
        if columns is None:
            yield from ahead(
                self.inner.batches(
                    split, batch, seed=seed, epoch=epoch, shuffle=shuffle, start=start
                ),
                self.device,
            )
            return
        assert isinstance(self.inner, DataFeed)
        source = self.inner.data.source(split)
        order = source.order(batch, seed, epoch, shuffle)[start:]
        if not order:
            return
        sizes = [len(rows) for rows in order]
        everything = torch.cat([torch.as_tensor(rows) for rows in order]).to(self.device)
        for rows, index in zip(order, everything.split(sizes), strict=True):
            values = {name: x.index_select(0, index) for name, x in columns.items()}
            counted = None
            if source.last is not None:
                counted = torch.zeros(
                    values[self.inner.names[-1]].shape[:2], dtype=torch.bool, device=self.device
                )
                counted[:, -source.last :] = True
            yield Batch(values, {}, counted, rows)

    def _fetched(self, split: str) -> dict[str, Any] | None:
        """A whole split on the device, column by column; None where that is not the thing to do:
        made as it is read, of many lengths, or too large."""
        if not isinstance(self.inner, DataFeed) or self.inner.streaming:
            return None
        source = self.inner.data.source(split)
        if type(source) is not Records or source.lengths is not None or not len(source):
            return None
        first = source.take(_numbers(0, 1))
        each = sum(a.nbytes for a in first.arrays)
        if each * len(source) > SHARE * (room.memory(self.device) or math.inf):
            return None
        found = [
            torch.empty(
                (len(source), *a.shape[1:]), dtype=torch.as_tensor(a).dtype, device=self.device
            )
            for a in first.arrays
        ]
        for begin in range(0, len(source), CHUNK):
            end = min(begin + CHUNK, len(source))
            for to, a in zip(found, source.take(_numbers(begin, end)).arrays, strict=True):
                to[begin:end].copy_(torch.as_tensor(a))
        return dict(zip(self.inner.names, found, strict=True))


def _numbers(begin: int, end: int) -> Any:
    import numpy as np

    return np.arange(begin, end)


def ahead(batches: Iterator[Batch], device: Any, depth: int = 2) -> Iterator[Batch]:
    """Batches on a device, made and brought by a thread of their own while others are used."""
    ready: queue.Queue[Any] = queue.Queue(depth)
    stop = threading.Event()
    cuda = device.type == "cuda"
    stream = torch.cuda.Stream(device) if cuda else None

    def put(item: Any) -> bool:
        while not stop.is_set():
            try:
                ready.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for one in batches:
                if not put(_brought(one, device, stream)):
                    return
            put(None)
        except BaseException as error:
            put(error)

    thread = threading.Thread(target=work, name="qrlang-batches", daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            batch, event, held = item
            if event is not None:
                here = torch.cuda.current_stream(device)
                here.wait_event(event)
                for x in held:
                    x.record_stream(here)
            yield batch
    finally:
        stop.set()
        thread.join()


def _brought(batch: Batch, device: Any, stream: Any) -> tuple[Batch, Any, list[Any]]:
    held: list[Any] = []

    def over(x: Any) -> Any:
        if x is None:
            return None
        x = torch.as_tensor(x)
        if stream is not None:
            x = x.pin_memory().to(device, non_blocking=True)
        held.append(x)
        return x

    def everything() -> Batch:
        return Batch(
            {k: over(v) for k, v in batch.values.items()},
            {k: over(v) for k, v in batch.lengths.items()},
            over(batch.counted), batch.rows, batch.carried,
        )  # fmt: skip

    if stream is None:
        return everything(), None, held
    with torch.cuda.stream(stream):
        made = everything()
        event = torch.cuda.Event()
        event.record(stream)
    return made, event, held
