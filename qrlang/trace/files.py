"""The files of a trace, in `RUN/trace`.

asked.json     what is to be recorded
header.json    what a record is made of, and which samples were watched; written once
samples.bin    what the model was given for them
index.jsonl    a line for each record: its step, and where in blocks.bin it lies
blocks.bin     the records

A block is written before its line, so whatever moment a process dies at, every whole line has its
block; what is beyond the last whole line counts nothing, and a run that goes on cuts it off.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

from qrlang.system.files import append, cut, json_lines


class Folder:
    def __init__(self, run: Path) -> None:
        self.path = run / "trace"
        self.asked = self.path / "asked.json"
        self.header = self.path / "header.json"
        self.samples = self.path / "samples.bin"
        self.index = self.path / "index.jsonl"
        self.blocks = self.path / "blocks.bin"

    def add(self, line: dict[str, Any], block: bytes) -> int:
        """A record; returns how many bytes there are now."""
        end = append(self.blocks, block)
        line = {**line, "offset": end - len(block), "bytes": len(block), "crc": zlib.crc32(block)}
        return end + append(self.index, json.dumps(line) + "\n")

    def lengths(self) -> dict[str, int]:
        return {p.name: p.stat().st_size if p.exists() else 0 for p in (self.index, self.blocks)}

    def rewind(self, step: int) -> None:
        """As it was after the record of a step: what a checkpoint knows. (Not by lengths: records
        may have been erased since.)"""
        kept = [x for x in json_lines(self.index) if x.get("step", step + 1) <= step]
        raw = self.index.read_bytes() if self.index.exists() else b""
        ends = raw.split(b"\n", len(kept))[: len(kept)]
        cut(self.index, sum(len(line) + 1 for line in ends))
        cut(self.blocks, max((int(x["offset"]) + int(x["bytes"]) for x in kept), default=0))
