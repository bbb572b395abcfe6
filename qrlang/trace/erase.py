"""Takes watched samples out of a trace: their numbers become none, all else stays as it was."""

from __future__ import annotations

import json
import shutil
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from qrlang.system.files import json_lines, read_json, write_atomically, write_json
from qrlang.trace.files import Folder
from qrlang.trace.layout import Field, unpacked

COMMON = ("parameters", "gradients", "range")  # groups that no single sample owns


def erase(run: Path, rows: Mapping[str, set[int]] | None, dry: bool = False) -> int:
    """`rows`: numbers of records by split; None: all. Returns how many watched samples were among
    them."""
    folder = Folder(run)
    if not folder.header.exists():
        return 0
    page = read_json(folder.header)
    samples = page["samples"]
    every = samples["rows"]
    gone = set(every) if rows is None else rows.get(samples["split"], set())
    hit = [k for k, row in enumerate(every) if row in gone]
    hit = [k for k in hit if k not in page.get("erased", [])]
    if not hit or dry:
        return len(hit)
    if any("rows" in taken for taken in page["taken"].values()):
        # Which rows of a table were recorded says which words the samples had.
        shutil.rmtree(folder.path)
        return len(hit)
    fields = [Field.of(f) for f in page["fields"] if f["group"] not in COMMON]
    lines, blocks = [], bytearray()
    raw = folder.blocks.read_bytes() if folder.blocks.exists() else b""
    for line in json_lines(folder.index):
        block = raw[line["offset"] : line["offset"] + line["bytes"]]
        if len(block) < line["bytes"]:
            break  # it never came to the disk
        block = _without(block, fields, hit)
        lines.append({**line, "offset": len(blocks), "crc": zlib.crc32(block)})
        blocks += block
    given = [Field.of(f) for f in samples["fields"]]
    write_atomically(folder.samples, _without(folder.samples.read_bytes(), given, hit))
    write_atomically(folder.blocks, bytes(blocks))
    write_atomically(folder.index, "".join(json.dumps(x) + "\n" for x in lines))
    write_json(folder.header, {**page, "erased": sorted([*page.get("erased", []), *hit])})
    return len(hit)


def _without(block: bytes, fields: list[Field], hit: list[int]) -> bytes:
    found = bytearray(block)
    for field in fields:
        if not field.shape:
            continue
        array: np.ndarray[Any, Any] = unpacked(field, block).copy()
        array[hit] = 0 if field.type == "<u2" else np.nan
        found[field.offset : field.offset + field.bytes] = array.tobytes()
    return bytes(found)
