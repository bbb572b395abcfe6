"""Reading a trace back: also one whose run was killed, or still goes on."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from qrlang.system.files import json_lines, read_json
from qrlang.trace.errors import TraceError
from qrlang.trace.files import Folder
from qrlang.trace.layout import FORMAT, FULL, VERSION, Array, Field, size, unpacked
from qrlang.trace.samples import Samples
from qrlang.training.run import Run


@dataclass(frozen=True)
class Record:
    """One step: what was seen of the watched samples at the weights after it."""

    step: int
    epoch: int
    loss: float | None  # of the update
    rate: float
    norm: float | None  # of its gradient, before it was clipped
    graded: bool  # whether there was a gradient
    fields: dict[str, Field]
    block: bytes

    def get(self, group: str, name: str) -> Array:
        key = f"{group}/{name}"
        if key not in self.fields:
            has = ", ".join(k for k in self.names(group)) or "nothing"
            raise TraceError(f"the trace has no {key}", f"of {group} it has {has}")
        return unpacked(self.fields[key], self.block)

    def names(self, group: str) -> list[str]:
        return [f.name for f in self.fields.values() if f.group == group]

    def group(self, group: str) -> dict[str, Array]:
        return {name: self.get(group, name) for name in self.names(group)}

    @property
    def readouts(self) -> dict[str, Array]:
        """[samples, moments, numbers]"""
        return self.group("readouts")

    @property
    def activations(self) -> dict[str, Array]:
        """As they are: [samples, moments, units]"""
        return self.group("activations")

    @property
    def normalised(self) -> dict[str, Array]:
        """The same from 0 to 1; `ranges` has what 0 and 1 are."""
        return {k: v.astype(np.float32) / FULL for k, v in self.group("normalised").items()}

    @property
    def ranges(self) -> dict[str, Array]:
        return self.group("range")

    @property
    def parameters(self) -> dict[str, Array]:
        return self.group("parameters")

    @property
    def gradients(self) -> dict[str, Array]:
        """Of the update, as it was used; none at the beginning, or without gradients."""
        return self.group("gradients") if self.graded else {}

    @property
    def entropy(self) -> dict[str, Array]:
        return self.group("entropy")


class Trace:
    def __init__(self, folder: Folder, header: dict[str, Any]) -> None:
        self.folder, self.header = folder, header
        try:
            self.fields = {f.key: f for f in map(Field.of, header["fields"])}
            self.taken = dict(header["taken"])
            self.layers = dict(header["layers"])
            self.mixed = list(header["mixed"])
            self.bytes = int(header["record_bytes"])
        except (KeyError, TypeError, ValueError) as error:
            raise TraceError(f"'{folder.header}' is damaged: {error}") from None
        if self.bytes < size(list(self.fields.values())):
            raise TraceError(f"'{folder.header}' is damaged: fields beyond a record's end")
        there = folder.blocks.stat().st_size if folder.blocks.exists() else 0
        self.lines: list[dict[str, Any]] = []
        for line in json_lines(folder.index):
            if not _whole(line) or line["offset"] + line["bytes"] > there:
                break  # its block never came to the disk
            self.lines.append(line)

    @cached_property
    def samples(self) -> Samples:
        try:
            return Samples.of(self.header["samples"], self.folder.samples.read_bytes())
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise TraceError(f"'{self.folder.samples}' cannot be read: {error}") from None

    @property
    def kept(self) -> list[int]:
        """Numbers of the samples that were not erased since."""
        gone = set(self.header.get("erased", ()))
        return [k for k in range(self.samples.count) if k not in gone]

    @property
    def steps(self) -> list[int]:
        return [int(line["step"]) for line in self.lines]

    def __len__(self) -> int:
        return len(self.lines)

    def __iter__(self) -> Iterator[Record]:
        return (self[k] for k in range(len(self)))

    def __getitem__(self, k: int) -> Record:
        """The k-th record."""
        line = self.lines[k]
        with open(self.folder.blocks, "rb") as stream:
            stream.seek(int(line["offset"]))
            block = stream.read(int(line["bytes"]))
        if len(block) != self.bytes or zlib.crc32(block) != line["crc"]:
            raise TraceError(
                f"the record of step {line['step']} in '{self.folder.blocks}' is damaged",
                "the others can be read",
            )
        return Record(int(line["step"]), int(line["epoch"]), line["loss"], float(line["rate"]),
                      line["norm"], bool(line["gradients"]), self.fields, block)  # fmt: skip

    def at(self, step: int) -> Record:
        """The record of a step; of the last one before it, if it has none. -1: the last."""
        steps = self.steps
        if not steps:
            raise TraceError(f"'{self.folder.path}' has no records yet")
        if step == -1:
            return self[len(steps) - 1]
        if not steps[0] <= step <= steps[-1]:
            raise TraceError(
                f"there is no step {step} in the trace", f"it goes from {steps[0]} to {steps[-1]}"
            )
        return self[max(k for k, s in enumerate(steps) if s <= step)]

    def series(self, group: str, name: str) -> Array:
        """One field over all records, first axis: records."""
        found = [record.get(group, name) for record in self]
        field = self.fields.get(f"{group}/{name}")
        return np.stack(found) if found or field is None else np.zeros((0, *field.shape))


def _whole(line: dict[str, Any]) -> bool:
    return all(isinstance(line.get(k), int) for k in ("step", "epoch", "offset", "bytes", "crc"))


def has_trace(run: str | Path) -> bool:
    return Folder(Path(run)).header.is_file()


def open_trace(run: str | Path) -> Trace:
    folder = Folder(Run.open(run).folder)
    if not folder.header.is_file():
        raise TraceError(f"'{run}' has no trace", "train with one: qrlc train FILE --trace")
    header = read_json(folder.header)
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise TraceError(f"'{folder.header}' is not the header of a trace")
    if header.get("version") != VERSION:
        raise TraceError(
            f"'{run}' has a trace of version {header.get('version')}, and this reads {VERSION}",
            "read it with the qrlang that is named in its versions.json",
        )
    return Trace(folder, header)
