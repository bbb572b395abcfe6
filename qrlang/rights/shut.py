"""What may not be read any more, by what manifests say and somebody has asked."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qrlang.errors import DataError
from qrlang.rights.gate import digest
from qrlang.rights.manifest import FORGOTTEN, called, manifests
from qrlang.system.files import write_atomically


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
