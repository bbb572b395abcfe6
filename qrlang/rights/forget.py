"""Forgetting: what is stored of records that may not be read any more is taken out of runs.

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

from qrlang.errors import DataError
from qrlang.files import append, read_json, write_atomically
from qrlang.rights.gate import digest
from qrlang.rights.manifest import FORGOTTEN, called, manifests
from qrlang.rights.seen import FILE, page_of

LOG = "forgotten.jsonl"
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
    real = data.resolve()  # whatever leads to it
    path = real.with_name(real.name + FORGOTTEN)
    known = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    told = {called(r) for r in known}
    new = [r for r in records if called(r) not in told]
    if new:
        write_atomically(path, "".join(f"{r}\n" for r in [*known, *new]))


@dataclass(frozen=True)
class Shut:
    """What may not be read any more of one source."""

    everything: bool = False
    records: frozenset[str] = frozenset()  # digests
    columns: frozenset[str] = frozenset()

    def __or__(self, other: Shut) -> Shut:
        return Shut(self.everything or other.everything, self.records | other.records,
                    self.columns | other.columns)  # fmt: skip

    def of(self, seen: Mapping[str, Any]) -> dict[str, set[int]] | None:
        """Which records of what a run has seen, by split; None: all there are, known or not. A
        column belongs to every record."""
        if self.everything or self.columns & {*seen.get("columns", ())}:
            return None
        splits = seen["splits"].items()
        return {s: {k for k, name in enumerate(names) if name in self.records}
                for s, names in splits}  # fmt: skip


def shut(data: Path, today: datetime.date, also: Iterable[str] = ()) -> dict[str, Shut]:
    """By source: what has faded, was asked for, or is opaque now. `also`: records, as if somebody
    had asked."""
    found: dict[str, Shut] = {}
    for m in manifests(data):
        names = {*m.hidden(today), *map(called, also)}
        one = Shut(m.over(today), frozenset(digest(m.source, r) for r in names), m.columns)
        found[m.source] = found.get(m.source, Shut()) | one
    return found


def folders(given: Iterable[str]) -> list[Path]:
    """Runs and museums: themselves, or all that lie in a folder, at any depth."""
    found: dict[Path, None] = {}
    for text in given:
        path = Path(text)
        if not path.is_dir():
            raise DataError("missing-file", f"there is no folder '{path}'")
        inside = [path, *(p for p in sorted(path.rglob("*")) if p.is_dir())]
        found |= dict.fromkeys(p for p in inside if (p / FILE).is_file())
    return list(found)


def forget(
    data: Path, places: Iterable[str], today: datetime.date, dry: bool = False,
    also: Iterable[str] = (),
) -> list[Found]:  # fmt: skip
    """Takes what may not be read out of all runs and museums; says where it was, and what stays.
    `also`: records that are looked for as if somebody had asked."""
    closed = shut(data, today, also)
    found = []
    for folder in folders(places):
        page = page_of(folder)
        hits = [(page[s], one.of(page[s])) for s, one in closed.items() if s in page]
        rows: dict[str, set[int]] = {}
        whole = False
        for seen, hit in hits:
            whole = whole or hit is None
            every = {s: set(range(len(names))) for s, names in seen["splits"].items()}
            for split, numbers in (every if hit is None else hit).items():
                if numbers:
                    rows.setdefault(split, set()).update(numbers)
        if rows or whole:
            found.append(remove(folder, None if whole else rows, rows, dry))
    return found


def remove(
    folder: Path, rows: Mapping[str, set[int]] | None, saw: Mapping[str, set[int]],
    dry: bool = False,
) -> Found:  # fmt: skip
    """Takes records out of one run, or one museum's copy. `rows`: which of each split; None: all.
    `saw`: those of which it is known that it saw them."""
    found = Found(folder, {split: len(hit) for split, hit in saw.items()})
    if (folder.parent.parent / "museum.js").is_file():
        _drawn(folder, found, dry, museum=True)
        return found
    _trace(folder, rows, found, dry)
    _answers(folder, found, dry)
    _drawn(folder, found, dry)
    checkpoints = sorted((folder / "checkpoints").glob("*.safetensors"))
    if rows is None or rows.keys() & {"train", "validation", "inherited"}:
        found.weights = [str(p.relative_to(folder)) for p in checkpoints]
        if (folder / "data.json").is_file() and read_json(folder / "data.json").get("vocabularies"):
            found.weights.append("data.json: its vocabulary")
    if not dry and (found.removed or not _told(folder, found)):
        line = {"date": datetime.date.today().isoformat(), **found.to_data()}
        del line["run"]
        append(folder / LOG, json.dumps(line) + "\n")
    return found


def _told(folder: Path, found: Found) -> bool:
    """Whether the last line of its log says the same already."""
    path = folder / LOG
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    try:
        last = json.loads(lines[-1]) if lines else {}
    except ValueError:
        return False
    return bool(last.get("saw") == found.splits and last.get("still there") == found.weights)


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


def _trace(folder: Path, rows: Mapping[str, set[int]] | None, found: Found, dry: bool) -> None:
    """A watched sample's numbers become none; the record of all others stays as it was."""
    if not (folder / "trace").is_dir():
        return
    from qrlang.trace.erase import erase

    count = erase(folder, rows, dry)
    if count:
        found.removed.append(f"trace: {count} watched sample{'s' * (count != 1)}")


def _answers(folder: Path, found: Found, dry: bool) -> None:
    """Readouts of a device are kept by job, not by record: a folder that has some of it goes."""
    for path in sorted(folder.glob("device*")):
        if path.is_dir():
            found.removed.append(f"{path.name}/")
            if not dry:
                shutil.rmtree(path)
