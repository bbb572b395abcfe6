"""The rows of a CSV file, or of two that are joined; with what their manifests leave of them."""

from __future__ import annotations

import csv
import re
import zlib
from collections.abc import Callable, Iterator
from itertools import chain, islice
from pathlib import Path

from qrlang.diagnostics.words import plural
from qrlang.errors import DataError
from qrlang.rights.gate import Rights, Rows
from qrlang.rights.manifest import source_of
from qrlang.training.data.files import opened
from qrlang.training.data.request import Request

Row = tuple[int, list[str]]  # its line, its cells
LOOK = 20  # lines that show how a table is written
_COMMA = re.compile(r"[-+]?\d*,\d+([eE][-+]?\d+)?")
Head = Callable[[list[str]], bool]  # whether a first row is one of names


class Table:
    def __init__(self, path: Path, rights: Rights | None) -> None:
        self.path = path
        self.own = rights
        self.headed = False
        self.hidden: dict[str, Rights] = {}  # columns that may not be read, by name
        self.present: dict[str, str] = {}  # by source with a manifest: the present row's record
        # By source with a manifest: what each column that may be read is called there.
        self.let: dict[str, list[tuple[str, ...]]] = {}

    @property
    def rights(self) -> tuple[Rights, ...]:
        return () if self.own is None else (self.own,)

    def rows(self, is_head: Head) -> Iterator[Row]:
        """All rows that may be read, the row of names first if there is one."""
        found = self._read()
        first = next(found, None)
        if first is None:
            return
        self.headed = is_head(first[1])
        if self.headed:
            found = self._even(found, len(first[1]))
        if self.own is None:
            yield from chain([first], found)
            return
        passed = Rows(self.own, found)
        for row in passed.read(self.headed, first):
            self.hidden = dict.fromkeys(passed.hidden, self.own)
            self.let = {self.own.source: passed.let}
            if passed.names:
                self.present[self.own.source] = passed.names[-1]
            yield row

    def _even(self, rows: Iterator[Row], names: int) -> Iterator[Row]:
        for line, row in rows:
            if len(row) != names:
                raise DataError(
                    "bad-row",
                    f"{self.path}, line {line}: it has {plural(len(row), 'cell')}, the row of "
                    f"names has {names}",
                    "a comma too many or too few? a text with commas stands in quotes",
                )
            yield line, row

    def _read(self) -> Iterator[Row]:
        try:
            sign = separator(self.path)
            with opened(self.path) as f:
                reader = csv.reader(f, delimiter=sign)
                for row in reader:
                    # A line without anything is none; `""` is a text without words.
                    if any(c.strip() for c in row) or row == [""]:
                        cells = [c.strip() for c in row]
                        yield reader.line_num, cells if sign == "," else [*map(_pointed, cells)]
        except UnicodeDecodeError as e:
            raise DataError("malformed-file", f"{self.path} is not UTF-8 text",
                            "save it with the encoding UTF-8") from e  # fmt: skip
        except (csv.Error, OSError, EOFError, zlib.error) as e:
            raise DataError("malformed-file", f"{self.path} can't be read: {e}") from e


def separator(path: Path) -> str:
    """What stands between cells: a comma, or a tab in x.tsv; or a semicolon, as spreadsheets write
    it where a comma stands before decimals: as the first lines have it."""
    if path.name.removesuffix(".gz").endswith(".tsv"):
        return "\t"
    found = []
    for sign in ",;":
        with opened(path) as f:
            rows = islice(csv.reader(f, delimiter=sign), LOOK)
            found.append([row for row in rows if any(c.strip() for c in row)])
    commas, semicolons = found
    if not _even_rows(semicolons):
        return ","
    decimals = all(_COMMA.fullmatch(c.strip()) for row in semicolons for c in row if "," in c)
    return ";" if decimals or not _even_rows(commas) else ","


def _even_rows(rows: list[list[str]]) -> bool:
    """As many cells in each, and several."""
    counts = {len(row) for row in rows}
    return len(counts) == 1 and counts != {1}


def _pointed(cell: str) -> str:
    """`2,5` is a number there."""
    return cell.replace(",", ".") if _COMMA.fullmatch(cell) else cell


class Joined(Table):
    """Rows of one table with the columns of another, where both have the same entry in `on`."""

    def __init__(self, one: Table, other: Table, on: str) -> None:
        super().__init__(one.path, one.own)
        self.one, self.other, self.on = one, other, on

    @property
    def rights(self) -> tuple[Rights, ...]:
        return self.one.rights + self.other.rights

    def rows(self, is_head: Head) -> Iterator[Row]:
        head, found = self._by_entry()
        rows = self.one.rows(lambda _: True)
        first = next(rows, None)
        if first is None:
            return
        self.headed = True
        at = self._column(self.one, first[1])
        both = sorted(set(first[1]) & set(head))
        if both:
            raise DataError(
                "wrong-column",
                f"{self.one.path} and {self.other.path} both have {', '.join(both)}",
                "each column but the one they are joined by has a name of its own",
            )
        self.hidden = self.one.hidden | self.other.hidden
        self.let = self.one.let | self.other.let
        yield first[0], first[1] + head
        for line, row in rows:
            more = found.get(row[at])
            if more is not None:
                self.present = {**self.one.present, **more[1]}
                yield line, row + more[0]

    def _by_entry(self) -> tuple[list[str], dict[str, tuple[list[str], dict[str, str]]]]:
        """The names of the other table, and its rows by their entry."""
        rows = self.other.rows(lambda _: True)
        first = next(rows, None)
        if first is None:
            raise DataError("empty-split", f"{self.other.path} has no row that may be read")
        at = self._column(self.other, first[1])
        found: dict[str, tuple[list[str], dict[str, str]]] = {}
        for line, row in rows:
            if row[at] in found:
                raise DataError(
                    "bad-row", f"{self.other.path}, line {line}: a second row of {row[at]!r}"
                )
            found[row[at]] = ([*row[:at], *row[at + 1 :]], dict(self.other.present))
        return [*first[1][:at], *first[1][at + 1 :]], found

    def _column(self, table: Table, names: list[str]) -> int:
        if self.on in names:
            return names.index(self.on)
        if table.own is not None and table.own.closed(self.on):
            raise table.own.refuse(self.on)
        raise DataError(
            "wrong-column", f"{table.path} has no column `{self.on}`; it has {', '.join(names)}"
        )


def open_table(request: Request) -> Table:
    one = Table(*request.own(request.text("path")))
    join, on, purpose = (request.text(n) for n in ("join", "on", "purpose"))
    if not join:
        if on:
            raise DataError("bad-argument", '`on` is of two tables that are joined: `join: "…"`')
        return one
    if not on:
        raise DataError("bad-argument", '`join` needs the column that both tables have: `on: "…"`')
    other = Table(*request.own(join))
    for a, b in ((one, other), (other, one)):
        if a.own is not None:
            a.own.joined(_source(b), purpose)
    return Joined(one, other, on)


def _source(table: Table) -> str:
    if table.own is not None:
        return table.own.source
    return source_of(table.path)
