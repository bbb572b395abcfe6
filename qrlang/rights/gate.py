"""Between a file and whoever reads it: what the manifests of the file leave of it."""

from __future__ import annotations

import datetime
import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from qrlang.errors import DataError
from qrlang.rights.manifest import Manifest, called, manifests

SEQUENCE = "sequence"  # the column that makes rows parts of one record
_SPLIT_OF = re.compile(r"^(train|valid|validation|val|test)_|_(train|valid|validation|val|test)$")


def today() -> datetime.date:
    return datetime.date.today()


@dataclass(frozen=True)
class Rights:
    """What holds of one file: the sum of all its manifests."""

    path: Path
    source: str
    key: str
    columns: frozenset[str]
    records: frozenset[str]
    manifests: tuple[Manifest, ...]

    # --- columns ---

    def closed(self, name: str) -> bool:
        """Of an array of a file with splits, `x_train`, the column is `x`."""
        return bool(self.columns & {name, _SPLIT_OF.sub("", name)})

    def refuse(self, name: str) -> DataError:
        return DataError(
            "not-permitted",
            f"{self.path}: `{name}` may not be read",
            f"its manifest says so: {self.manifests[0].path}",
        )

    # --- records ---

    def whole(self) -> None:
        """For data whose records can't be left out one by one."""
        if self.records:
            raise DataError(
                "not-permitted",
                f"{self.path}: its manifest names records that may not be read, and those of this "
                "kind of data can't be left out one by one",
                "so nothing of it is read; bring it as a CSV file, a record a row",
            )

    def numbered(self, splits: Iterable[str] = ()) -> None:
        """Records are called by numbers; `splits`: behind one of these, if the file has several. A
        name that can be nobody's was meant for somebody."""
        behind = "|".join(splits)
        form = re.compile(rf"({behind}):[0-9]+" if behind else "[0-9]+")
        wrong = sorted(r for m in self.manifests for r in m.named() if not form.fullmatch(r))
        if wrong:
            example = f"`{behind.partition('|')[0]}:4`" if behind else "`4`"
            raise DataError(
                "wrong-manifest",
                f"{self.path} has no record `{wrong[0]}`, of which its manifest speaks",
                f"its records are called by numbers, such as {example}; nothing was read; see "
                f"{self.manifests[0].path}",
            )

    def columns_of(self, names: Iterable[str]) -> None:
        """Of a file of arrays, that it has every column of which a manifest speaks."""
        there = {word for name in names for word in (name, _SPLIT_OF.sub("", name))}
        unknown = sorted(self.columns - there)
        if unknown:
            raise DataError(
                "wrong-manifest",
                f"{self.path} has no array `{unknown[0]}`, of which its manifest speaks",
                f"nothing was read; see {self.manifests[0].path}",
            )

    def open(self, split: str, count: int) -> dict[int, str]:
        """Of records that have numbers: those that may be read, and the name of each: its number,
        behind the split it is stored in, `train:3`, if the file has several."""
        if self.key:
            raise DataError(
                "wrong-manifest",
                f"{self.path}: records of a NumPy file have numbers, and no `key`",
                f"nothing was read; see {self.manifests[0].path}",
            )
        names = {k: f"{split}:{k}" if split else str(k) for k in range(count)}
        return {k: n for k, n in names.items() if n not in self.records}

    # --- joining ---

    def joined(self, other: str, purpose: str) -> None:
        for manifest in self.manifests:
            if not purpose:
                raise DataError(
                    "not-permitted",
                    f"{self.path} has a manifest: it is joined for a purpose, or not at all",
                    'say which: csv(…, purpose: "…")',
                )
            if not manifest.allows(other, purpose):
                raise DataError(
                    "not-permitted",
                    f"{self.path} may not be joined with `{other}` for `{purpose}`",
                    f"{manifest.path} does not allow it, and silence is no",
                )


def digest(source: str, record: str) -> str:
    return hashlib.sha256(f"{source}\0{called(record)}".encode()).hexdigest()


def rights(path: Path) -> Rights | None:
    """What the manifests of a file say; None: it has none. A file that has faded is not opened."""
    found = manifests(path)
    if not found:
        return None
    now = today()
    for manifest in found:
        if manifest.over(now):
            raise DataError(
                "not-permitted",
                f"{path} has faded: its manifest let it be read until {manifest.after}",
                f"{manifest.path}; `qrlc forget {path}` takes its traces out of runs",
            )
    keys = {m.key for m in found if m.key}
    if len(keys) > 1:
        raise DataError(
            "wrong-manifest",
            f"{path}: its manifests name different keys: {', '.join(sorted(keys))}",
        )
    return Rights(
        path,
        found[0].source,
        next(iter(keys), ""),
        frozenset().union(*(m.columns for m in found)),
        frozenset().union(*(m.hidden(now) for m in found)),
        tuple(found),
    )


def free(path: Path) -> None:
    """For what nobody keeps an account of, such as sequences that only go through a device: a file
    with a manifest would leave numbers that could not be forgotten."""
    for found in manifests(path):
        raise DataError(
            "not-permitted",
            f"{path} has a manifest, {found.path}, and what is read from it here could not be "
            "forgotten",
            "name it as `data` of a `train` block, which keeps account of what it reads",
        )


class Rows:
    """The rows of a table that may be read, without the columns that may not; and the name of each.

    Whoever is behind this never sees the others. `heading`: whether a first row has names.
    """

    def __init__(self, rights: Rights, rows: Iterable[tuple[int, list[str]]]) -> None:
        self.rights = rights
        self._rows = iter(rows)
        self.names: list[str] = []  # of the records that were let through, row by row
        self.hidden: list[str] = []  # names of columns that were not
        self.let: list[tuple[str, ...]] = []  # what each column that was is called: name, number

    def read(
        self, is_heading: bool, first: tuple[int, list[str]]
    ) -> Iterator[tuple[int, list[str]]]:
        rights = self.rights
        heading = first[1] if is_heading else [str(k) for k in range(len(first[1]))]
        positions = {str(k) for k in range(len(heading))}
        unknown = rights.columns - set(heading) - positions
        if unknown:
            raise self._nameless(f"the columns {', '.join(sorted(unknown))}")
        keep = [
            k
            for k, n in enumerate(heading)
            if n not in rights.columns and str(k) not in rights.columns
        ]
        key = heading.index(rights.key) if rights.key in heading else None
        if rights.key and key is None:
            if not (rights.key.isdigit() and int(rights.key) < len(heading)):
                raise self._nameless(f"the key `{rights.key}`")
            key = int(rights.key)
        if key is None:
            rights.numbered()
        # Without a key records have numbers, and rows of one sequence are one record.
        one = heading.index(SEQUENCE) if key is None and SEQUENCE in heading else None
        if one not in keep:
            one = None
        self.let = [tuple(dict.fromkeys((heading[k], str(k)))) for k in keep]
        if is_heading:
            self.hidden = [n for k, n in enumerate(heading) if k not in keep]
            yield first[0], [first[1][k] for k in keep]
            rows: Iterator[tuple[int, list[str]]] = self._rows
        else:
            rows = _with(first, self._rows)
        number, last = -1, ""
        for line, row in rows:
            if one is None or number < 0 or row[one] != last:
                number += 1
            last = "" if one is None else row[one]
            if key is not None and key >= len(row):
                raise DataError("bad-row", f"{rights.path}, line {line}: it has no `{rights.key}`")
            name = str(number) if key is None else row[key]
            if called(name) not in rights.records:
                self.names.append(name)
                yield line, [row[k] for k in keep if k < len(row)]

    def _nameless(self, what: str) -> DataError:
        return DataError(
            "wrong-manifest",
            f"{self.rights.path} has no {what.removeprefix('the ')}, of which its manifest speaks",
            f"nothing was read; see {self.rights.manifests[0].path}",
        )


def _with(
    first: tuple[int, list[str]], rest: Iterator[tuple[int, list[str]]]
) -> Iterator[tuple[int, list[str]]]:
    yield first
    yield from rest
