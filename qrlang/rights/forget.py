"""Forgetting: what is stored of records that have faded is taken out of runs.

A record's own numbers lie in traces (`qrlang.trace`), in strips that are drawn from them, in the
readouts that a device has answered, and in museums that have copied a strip. They are taken out
there. What has only been moved by a record, weights above all, can't be undone: it is listed.
"""

from __future__ import annotations

import datetime
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qrlang.rights.gate import digest
from qrlang.rights.manifest import FORGOTTEN, Manifest, manifests
from qrlang.training.data.errors import DataError
from qrlang.training.files import append, read_json, write_atomically

SEEN, LOG = "rights.json", "forgotten.jsonl"
# What is drawn from records, a trace or readouts, and can be drawn again from what is left.
DRAWN = ("scar.*", "step-*.svg", "step-*.png", "film.html", "report.*", "probe")


@dataclass
class Found:
    """What one run, or one museum, has of the records."""

    folder: Path
    splits: dict[str, int] = field(default_factory=dict)  # how many of each split it saw
    removed: list[str] = field(default_factory=list)
    weights: list[str] = field(default_factory=list)  # that were moved by them, or chosen

    def to_data(self) -> dict[str, Any]:
        return {"run": str(self.folder), "saw": self.splits, "removed": self.removed,
                "still there": self.weights}  # fmt: skip


def request(data: Path, records: Sequence[str]) -> None:
    """Somebody asks: from now on these records are not read any more either."""
    if not manifests(data):
        raise DataError(
            "wrong-manifest",
            f"{data} has no manifest, so nothing says what its records are called",
            f"write {data.name}.rights.toml beside it, with `key` or without: docs/rights.md",
        )
    path = data.with_name(data.name + FORGOTTEN)
    known = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    new = [r for r in records if r not in known]
    if new:
        write_atomically(path, "".join(f"{r}\n" for r in [*known, *new]))


def faded(data: Path, today: datetime.date) -> dict[str, frozenset[str] | None]:
    """By source: digests of the records that have faded; None: all of them."""
    found: dict[str, frozenset[str] | None] = {}
    for manifest in manifests(data):
        gone = _digests(manifest, today)
        before = found.get(manifest.source, frozenset())
        found[manifest.source] = None if gone is None or before is None else before | gone
    return found


def _digests(manifest: Manifest, today: datetime.date) -> frozenset[str] | None:
    if manifest.over(today):
        return None
    return frozenset(digest(manifest.source, r) for r in manifest.faded(today))


def folders(given: Iterable[str]) -> list[Path]:
    """Runs and museums: themselves, or all that lie in a folder, at any depth."""
    found: dict[Path, None] = {}
    for text in given:
        path = Path(text)
        if not path.is_dir():
            raise DataError("missing-file", f"there is no folder '{path}'")
        inside = [path, *(p for p in sorted(path.rglob("*")) if p.is_dir())]
        found |= dict.fromkeys(p for p in inside if (p / SEEN).is_file())
    return list(found)


def forget(
    data: Path, places: Iterable[str], today: datetime.date, dry: bool = False,
    also: Iterable[str] = (),
) -> list[Found]:  # fmt: skip
    """Takes what has faded out of all runs and museums; says where it was, and what stays.
    `also`: records that are looked for as if somebody had asked."""
    gone = faded(data, today)
    for source, digests in gone.items():
        if digests is not None:
            gone[source] = digests | {digest(source, r) for r in also}
    found = []
    for folder in folders(places):
        one = _in(folder, gone, dry)
        if one is not None:
            found.append(one)
    return found


def _in(folder: Path, gone: Mapping[str, frozenset[str] | None], dry: bool) -> Found | None:
    page = read_json(folder / SEEN)
    rows: dict[str, set[int]] = {}
    for source, digests in gone.items():
        for split, names in page.get(source, {}).get("splits", {}).items():
            hit = {k for k, name in enumerate(names) if digests is None or name in digests}
            if hit:
                rows.setdefault(split, set()).update(hit)
    if not rows:
        return None
    found = Found(folder, {split: len(hit) for split, hit in rows.items()})
    if (folder.parent.parent / "museum.js").is_file():
        _drawn(folder, found, dry, museum=True)
        return found
    _trace(folder, rows, found, dry)
    _answers(folder, rows, found, dry)
    _drawn(folder, found, dry)
    checkpoints = sorted((folder / "checkpoints").glob("*.safetensors"))
    if rows.keys() & {"train", "validation", "inherited"}:
        found.weights = [str(p.relative_to(folder)) for p in checkpoints]
        if (folder / "data.json").is_file() and read_json(folder / "data.json").get("vocabularies"):
            found.weights.append("data.json: its vocabulary")
    if not dry:
        line = {"date": datetime.date.today().isoformat(), **found.to_data()}
        del line["run"]
        append(folder / LOG, json.dumps(line) + "\n")
    return found


def _drawn(folder: Path, found: Found, dry: bool, museum: bool = False) -> None:
    for path in (p for pattern in DRAWN for p in sorted(folder.glob(pattern))):
        found.removed.append(path.name + "/" * path.is_dir())
        if not dry and path.is_dir():
            shutil.rmtree(path)
        elif not dry:
            path.unlink()
    if museum and found.removed and not dry:
        from qrlang.museum.site import without_strip

        without_strip(folder.parent.parent, folder.name)


def _trace(folder: Path, rows: Mapping[str, set[int]], found: Found, dry: bool) -> None:
    """A watched sample's numbers become none; the record of all others stays as it was."""
    if not (folder / "trace").is_dir():
        return
    from qrlang.trace.erase import erase

    count = erase(folder, rows, dry)
    if count:
        found.removed.append(f"trace: {count} watched sample{'s' * (count != 1)}")


def _answers(folder: Path, rows: Mapping[str, set[int]], found: Found, dry: bool) -> None:
    """Readouts of a device are kept by job, not by record: a folder that has some of it goes."""
    for path in sorted(folder.glob("device*")):
        if path.is_dir() and rows:
            found.removed.append(f"{path.name}/")
            if not dry:
                shutil.rmtree(path)
