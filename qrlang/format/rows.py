"""Lines that stand below each other, and the columns that they share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

WIDTH = 100
_COMMENT_GAP = 3
_FORMS = ("typed", "binding")


@dataclass(slots=True)
class Row:
    """One line in cells. `family` says which neighbours it shares columns with; of a declaration,
    the first cell is its keyword, and `form` says which share the other cells."""

    cells: list[str]
    family: str = ""
    form: str = ""
    comment: str = ""

    @property
    def text(self) -> str:
        return " ".join(self.cells)


@dataclass(slots=True)
class Lines:
    """What takes several lines, or is no statement: never aligned."""

    lines: list[str]
    comment: str = ""
    apart: bool = False  # wants an empty line before it and after it


@dataclass(slots=True)
class Remark:
    """A comment on lines of its own. Columns go on over it."""

    lines: list[str]


class Blank:
    """An empty line: columns end here."""


Entry = Row | Lines | Remark | Blank


def to_lines(entries: Sequence[Entry], indent: int) -> list[str]:
    """The lines of a body, indented."""
    margin = " " * indent
    texts = _aligned(entries, WIDTH - indent)
    comments = _comment_columns(entries, texts)
    out: list[str] = []
    for i, entry in enumerate(entries):
        if isinstance(entry, Blank):
            out.append("")
        elif isinstance(entry, Row):
            text = texts[i]
            if entry.comment:
                text = f"{text.ljust(comments[i])}{entry.comment}"
            out.append(margin + text)
        else:
            lines = list(entry.lines)
            if isinstance(entry, Lines):
                if entry.comment:
                    lines[-1] += " " * _COMMENT_GAP + entry.comment
                out += [margin + lines[0], *lines[1:]]
            else:
                out += [margin + lines[0], *lines[1:]]
    return [line.rstrip() for line in out]


def spread(entries: Sequence[Entry]) -> list[Entry]:
    """With the empty lines that some entries want around themselves and the comments on them."""
    out: list[Entry] = []
    after = False
    for entry in entries:
        if after and not isinstance(entry, Blank):
            out.append(Blank())
        after = isinstance(entry, Lines) and entry.apart
        if after:
            start = len(out)
            while start and isinstance(out[start - 1], Remark):
                start -= 1
            if start and not isinstance(out[start - 1], Blank):
                out.insert(start, Blank())
        out.append(entry)
    return out


def _aligned(entries: Sequence[Entry], width: int) -> dict[int, str]:
    """The text of each row, its cells padded to those of its neighbours."""
    texts = {i: entry.text for i, entry in enumerate(entries) if isinstance(entry, Row)}
    for family in _families(entries):
        rows = {i: list(_row(entries, i).cells) for i in family}
        if _row(entries, family[0]).family == "declaration":
            _pad(rows, family, 0)
            forms = {form: [i for i in family if _row(entries, i).form == form] for form in _FORMS}
            inner = [rows_ for rows_ in forms.values() if rows_]
        else:
            inner = [family]
        for form in inner:
            start = 1 if _row(entries, form[0]).family == "declaration" else 0
            for column in range(start, max(len(rows[i]) for i in form)):
                for run in _with_cell(rows, form, column):
                    _pad(rows, run, column)
        padded = {i: " ".join(cells).rstrip() for i, cells in rows.items()}
        if all(len(text) <= width for text in padded.values()):
            texts.update(padded)
    return texts


def _row(entries: Sequence[Entry], i: int) -> Row:
    entry = entries[i]
    assert isinstance(entry, Row)
    return entry


def _families(entries: Sequence[Entry]) -> list[list[int]]:
    """Rows of a family that follow each other, comments aside."""
    runs: list[list[int]] = []
    last = ""
    for i, entry in enumerate(entries):
        if isinstance(entry, Remark):
            continue
        this = entry.family if isinstance(entry, Row) else ""
        if this and this == last:
            runs[-1].append(i)
        elif this:
            runs.append([i])
        last = this
    return runs


def _with_cell(rows: dict[int, list[str]], run: Sequence[int], column: int) -> Iterator[list[int]]:
    """Stretches of rows that have a further cell behind this column."""
    stretch: list[int] = []
    for i in run:
        if len(rows[i]) > column + 1:
            stretch.append(i)
        elif stretch:
            yield stretch
            stretch = []
    if stretch:
        yield stretch


def _pad(rows: dict[int, list[str]], run: Sequence[int], column: int) -> None:
    width = max(len(rows[i][column]) for i in run)
    for i in run:
        rows[i][column] = rows[i][column].ljust(width)


def _comment_columns(entries: Sequence[Entry], texts: dict[int, str]) -> dict[int, int]:
    """Where the comments behind rows start: below each other, in each paragraph."""
    columns: dict[int, int] = {}
    paragraph: list[int] = []
    for i, entry in enumerate([*entries, Blank()]):
        if isinstance(entry, Row):
            if entry.comment:
                paragraph.append(i)
        elif not isinstance(entry, Remark):
            widest = max((len(texts[j]) for j in paragraph), default=0) + _COMMENT_GAP
            columns.update(dict.fromkeys(paragraph, widest))
            paragraph = []
    return columns
