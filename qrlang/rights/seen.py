"""What a run has read of data with manifests: its `rights.json`, and what of that may be read now.

By source: the columns; for each split the digest of every record, in order; and `closed`, what was
shut since, and when. `nth` tells records of one name apart. A split never loses an entry, so that
`qrlc forget` finds a run by all that it ever saw, and a trace's numbers of records stay true.
"""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from qrlang.errors import TrainingError
from qrlang.rights.gate import Rights, digest
from qrlang.system.files import read_json, write_json

FILE = "rights.json"
Page = Mapping[str, Any]
Row = tuple[tuple[str, ...], int]  # digests of a record's names, and which of those alike it is


def page_of(run: Path) -> dict[str, Any]:
    return dict(read_json(run / FILE)) if (run / FILE).is_file() else {}


def own(page: Page) -> list[str]:
    """The sources that the run itself has read; others have come with its first weights."""
    return [s for s, one in page.items() if one["splits"].keys() != {"inherited"}]


def rows(names: Mapping[str, Sequence[str]]) -> list[Row]:
    """Every record of a file. `names`: by source, each as long as the file."""
    tables = [[digest(source, name) for name in names[source]] for source in sorted(names)]
    count: Counter[tuple[str, ...]] = Counter()
    found = []
    for one in zip(*tables, strict=True):
        found.append((one, count[one]))
        count[one] += 1
    return found


def kept(page: Page, split: str, names: Mapping[str, Sequence[str]]) -> Any:
    """Of a file's records, where those are that a run has in this split, in its order: what was
    drawn by lot when it began stays as it was drawn. None: the run does not say."""
    sources = [s for s in sorted(names) if split in page.get(s, {}).get("splits", {})]
    if not sources:
        return None
    parts = [page[s]["splits"][split] for s in sources]
    nth = page[sources[0]].get("nth", {}).get(split) or [0] * len(parts[0])
    place = {row: k for k, row in enumerate(rows({s: names[s] for s in sources}))}
    wanted = zip(zip(*parts, strict=True), nth, strict=True)
    return np.array([place[row] for row in wanted if row in place], np.int64)


@dataclass
class Change:
    """What has been shut since the run was last trained."""

    rows: dict[str, set[int]] = field(default_factory=dict)  # by split, as the run counts them
    page: dict[str, Any] = field(default_factory=dict)  # its new rights.json


def since(run: Path, now: Page, opened: Iterable[Rights], today: datetime.date) -> Change | None:
    """What a run that goes on has to give up; None: nothing has changed. It does not go on where
    that is something it was trained on. `now`: what of its data may be read today, as its
    `rights.json` would say."""
    before = page_of(run)
    if not before and not now:
        return None
    change = Change(page={**before})
    for rights in opened:
        source = rights.source
        if source not in own(before):
            if rights.records:
                raise _no(
                    f"{rights.path} had no manifest when this run began, and its manifest now "
                    "names records that may not be read: which of them it was trained on is not "
                    "known",
                    rights.path, run,
                )  # fmt: skip
            inherited = before.get(source, {}).get("splits", {})
            change.page[source] = {**now[source], "splits": {**now[source]["splits"], **inherited}}
            continue
        old, new = before[source], now[source]
        gone = sorted(set(old.get("columns", ())) - set(new.get("columns", ())))
        if gone:
            raise _no(f"this run was trained on `{gone[0]}` of {rights.path}, which may not be "
                      "read any more", rights.path, run)  # fmt: skip
        closed: dict[str, list[str]] = {}
        shut = {d for line in old.get("closed", ()) for part in line["splits"].values()
                for d in part}  # fmt: skip
        for split, names in old["splits"].items():
            left = set(new["splits"].get(split, ())) if split != "inherited" else set(names)
            hit = {k for k, name in enumerate(names) if name not in left}
            if hit and split == "train":
                raise _no(
                    f"{len(hit)} of the {len(names)} records that this run was trained on may not "
                    f"be read any more, or are not in {rights.path}", rights.path, run,
                )  # fmt: skip
            fresh = [names[k] for k in sorted(hit) if names[k] not in shut]
            if fresh:
                closed[split] = fresh
                change.rows.setdefault(split, set()).update(hit)
        if closed:
            line = {"date": today.isoformat(), "splits": closed}
            change.page[source] = {**old, "closed": [*old.get("closed", ()), line]}
    return None if change.page == before else change


def record(run: Path, change: Change) -> None:
    write_json(run / FILE, change.page)


def still_there(page: Page, sources: Iterable[str], run: Path) -> None:
    """A run that began under a manifest is not continued, nor looked at, on data without it."""
    gone = sorted(set(own(page)) - set(sources))
    if gone:
        file = page[gone[0]]["file"]
        raise TrainingError(
            f"'{run}' has read `{gone[0]}` ({file}) under a manifest, and where that data is "
            "looked for now there is none that calls it so",
            f"put the manifest back beside {file}, its `source` as it was; if it has been lifted, "
            "begin a new run",
        )


def _no(what: str, data: Path, run: Path) -> TrainingError:
    return TrainingError(
        f"the run does not go on: {what}",
        "what it has learned from them can't be undone. Train anew on what may be read: qrlc train "
        f"FILE; take out what is stored of them: qrlc forget {data} {run}",
    )
