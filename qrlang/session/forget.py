"""Forgetting: what is stored of records that may not be read any more is taken out of runs.

A record's own numbers lie in traces (`qrlang.trace`), in strips that are drawn from them, in the
readouts that a device has answered, and in museums that have copied a strip. They are taken out
there. What has only been moved by a record, weights above all, can't be undone: it is listed.
"""

from __future__ import annotations

import datetime
import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qrlang.errors import DataError
from qrlang.museum.site import without_strip
from qrlang.rights.gate import digest, today
from qrlang.rights.manifest import called, manifests
from qrlang.rights.seen import FILE, page_of, record, since
from qrlang.rights.shut import shut
from qrlang.system.files import append, read_json
from qrlang.trace.erase import erase
from qrlang.training.feed import DataFeed
from qrlang.training.progress import Watcher
from qrlang.training.run import Run
from qrlang.training.world import World

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


def unknown(data: Path, places: Iterable[str], records: Iterable[str]) -> list[str]:
    """Those of the records that no run has seen by that name: perhaps a slip of the pen."""
    pages = [page_of(folder) for folder in folders(places)]
    sources = [m.source for m in manifests(data)]
    seen = {
        name for page in pages for s in sources if s in page
        for names in page[s]["splits"].values() for name in names
    }  # fmt: skip
    return [r for r in records if not any(digest(s, called(r)) in seen for s in sources)]


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
        said = read_json(folder / "data.json") if (folder / "data.json").is_file() else {}
        for name, what in (("vocabularies", "vocabulary"), ("scale", "scale")):
            if said.get(name):
                found.weights.append(f"data.json: its {what}")
    if not dry and (found.removed or not _told(folder, found)):
        line = {"date": datetime.date.today().isoformat(), **found.to_data()}
        del line["run"]
        append(folder / LOG, json.dumps(line) + "\n")
    return found


def give_up(run: Run, feed: DataFeed, world: World, watcher: Watcher) -> None:
    """Before a run goes on: by the manifests of its data that are in force now, not those of the
    day it began."""
    change = since(run.folder, feed.data.seen(), feed.data.rights, today())
    if change is None or not world.first:
        return
    if change.rows:
        found = remove(run.folder, change.rows, change.rows)
        out = ", ".join(f"{n} of {split}" for split, n in found.splits.items())
        removed = f"; removed: {', '.join(found.removed)}" if found.removed else ""
        watcher.note(f"records that may not be read any more are left out: {out}{removed}")
    record(run.folder, change)


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
        without_strip(folder.parent.parent, folder.name)


def _trace(folder: Path, rows: Mapping[str, set[int]] | None, found: Found, dry: bool) -> None:
    """A watched sample's numbers become none; the record of all others stays as it was."""
    if not (folder / "trace").is_dir():
        return
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
