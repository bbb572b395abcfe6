"""Data of one's own: CSV and NumPy files.

CSV, with commas or, as spreadsheets also write it, with semicolons (and then `2,5` is a number).
Columns are found by the names of the model's lines (`x`, or `x[0]`, `x[1]` … for several
numbers), else they come in the order of those lines, with or without a row of names. A row is

- a record, where the model's inputs are no sequences;
- a whole sequence of numbers, moment after moment, then its target (empty cells at the end of the
  moments: a shorter one); or a text in a single cell;
- a moment, where there is a column `sequence`: rows with the same entry stand together and are one
  sequence, whose target stands in each of them (the last one counts);
- a moment of one long series, where all columns of the model are sequences of numbers.

Two files are joined by a column that both have: `csv(path: "visits.csv", join: "lab.csv", on:
"patient")` gives each row of the first the columns of the row of the second with the same entry;
rows without one are left out.

A column `split` says train, validation or test; else a tenth is held out for validation and a fifth
for the test, always the same.

NumPy files. An array for each line of the model, under its name, or `x` and `y`: as `x`, with
splits drawn here or by an array `split`; or as `x_train`, `x_test` and perhaps `x_valid`.
`length` (or `length_train` …) holds the true lengths of padded sequences.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path

import numpy as np

from qrlang.diagnostics.words import plural
from qrlang.errors import DataError
from qrlang.training.data.columns import Column, Dense
from qrlang.training.data.files import Archive
from qrlang.training.data.ports import Array, Port, moment_shape
from qrlang.training.data.request import Loaded, Request, with_validation
from qrlang.training.data.rows import Table, open_table
from qrlang.training.data.scaling import scaled
from qrlang.training.data.series import forecast
from qrlang.training.data.sources import Records
from qrlang.training.data.table import Cells, Columns, loaded, split_rows, unsplit
from qrlang.training.data.vocabulary import rule

_SEQUENCE, _SPLIT = "sequence", "split"
_NUMBERED = re.compile(r"(.+?)(?:\[(\d+)\]|[._](\d+))")


def _is_text(port: Port) -> bool:
    return port.type.kind == "token" and port.type.seq


def _is_label(port: Port) -> bool:
    return port.target and port.type.kind == "class" and not port.type.seq


def _width(port: Port) -> int:
    """Cells that one moment takes."""
    return 1 if _is_text(port) else int(np.prod(moment_shape(port.type)))


class _Sheet:
    """A table read row by row; `where` names its lines."""

    def __init__(self, request: Request, table: Table, ports: Sequence[Port] = ()) -> None:
        """`ports`: what is wanted, if that is not all of the model's lines."""
        self.every = request.ports
        self.ports = ports or request.ports
        self.table, self.path = table, table.path
        for port in self.ports:
            if port.type.kind in ("state", "unitary"):
                raise DataError(
                    "wrong-column", f"a CSV file can't hold {port}", "use a NumPy file: x.npz"
                )
        self.names: list[str] = []
        self.lines: list[int] = []  # the line of each record's first row
        self.records: dict[str, list[str]] = {}  # by source with a manifest: the name of each
        self.cells = [Cells(p) for p in self.ports]
        self.splits: list[str] = []
        self._read()

    def where(self, record: int) -> str:
        return f"{self.path}, line {self.lines[record]}"

    def _read(self) -> None:
        rows = self.table.rows(self._is_head)
        first = next(rows, None)
        if first is None:
            raise DataError("empty-split", f"{self.path} is empty")
        if self.table.headed:
            self.names = first[1]
        else:
            rows = chain([first], rows)
        self._assign(len(first[1]))
        whole = self.at_sequence is None
        last: str | None = None
        ended: set[str] = set()
        of: dict[str, str] = {}  # whose the present sequence is
        for line, row in rows:
            begins = whole or row[self.at_sequence or 0] != last
            if not whole and begins:
                if last is not None:
                    ended.add(last)
                last = row[self.at_sequence or 0]
                if last in ended:
                    raise DataError(
                        "bad-row",
                        f"{self.path}, line {line}: the sequence {last!r} had ended before",
                        f"rows of one sequence stand together: sort them by `{_SEQUENCE}`",
                    )
            if begins:
                of = dict(self.table.present)
            elif of != self.table.present:
                raise DataError(
                    "not-permitted",
                    f"{self.path}, line {line}: the sequence {last!r} has rows of several records, "
                    "and its data has a manifest",
                    "a sequence is read or forgotten whole: give each record a sequence of its own",
                )
            if begins:
                self.lines.append(line)
                for source, name in self.table.present.items():
                    self.records.setdefault(source, []).append(name)
                if self.at_split is not None:
                    self.splits.append(row[self.at_split])
            for cells, (port, at) in zip(self.cells, self._places(line, row), strict=True):
                self._take(cells, port, at, row, line, begins, whole)
        if not self.lines:
            raise DataError("empty-split", f"{self.path} has a row of names and nothing else")

    def columns(self) -> dict[str, list[str]]:
        """By source with a manifest: the columns that records were made of, by name and number."""
        by_name = {n for n in self.names if self._base(n) in self.named or n == _SEQUENCE}
        return {
            source: [
                word
                for column in let
                if (column[0] in by_name if self.by_name is not None else column[0] != _SPLIT)
                for word in column
            ]
            for source, let in self.table.let.items()
        }

    def _is_head(self, row: list[str]) -> bool:
        names = {w.lower() for w in self._words()}
        if names & {w.lower() for c in row for w in (c, self._base(c))}:
            return True
        return not any(map(_number, row)) and not any(map(_is_text, self.ports))

    def _assign(self, count: int) -> None:
        """Which cells belong to which port; `None`: by counting, row by row."""
        self._spelt()
        self.at_sequence = self.names.index(_SEQUENCE) if _SEQUENCE in self.names else None
        self.at_split = self.names.index(_SPLIT) if _SPLIT in self.names else None
        bases = [self._base(n) for n in self.names]
        for name, rights in self.table.hidden.items():
            # Its place must not be taken by another column, in order.
            if self._base(name) in {p.name for p in self.ports} - {*bases}:
                raise rights.refuse(name)
        named = [self._in_order([k for k, b in enumerate(bases) if b == p.name])
                 for p in self.ports]  # fmt: skip
        self.by_name = named if all(named) else None
        self.named = {p.name: set(k) for p, k in zip(self.ports, named, strict=True) if k}
        other = {p.name for p in self.every} - {p.name for p in self.ports}
        others = [k for k, b in enumerate(bases) if b in other]
        self.free = [k for k in range(count) if k not in (self.at_sequence, self.at_split, *others)]
        # All columns sequences of numbers, one long time: a row is a moment.
        self.series = self.at_sequence is None and all(
            p.type.seq and not _is_text(p) for p in self.every
        )

    def _words(self) -> list[str]:
        """Names that mean something here."""
        return [*(p.name for p in self.every), _SEQUENCE, _SPLIT]

    def _base(self, name: str) -> str:
        """`x[3]` is a part of `x`."""
        found = None if name in self._words() else _NUMBERED.fullmatch(name)
        return found[1] if found else name

    def _in_order(self, places: list[int]) -> list[int]:
        """`x[1], x[0]` are the second number and the first."""
        if len({self.names[k] for k in places}) < len(places):
            twice = next(n for n in map(self.names.__getitem__, places) if self.names.count(n) > 1)
            raise DataError("wrong-column", f"{self.path} has the column `{twice}` twice")

        def number(k: int) -> int:
            found = _NUMBERED.fullmatch(self.names[k])
            return int(found[2] or found[3]) if found else -1

        return sorted(places, key=number)

    def _spelt(self) -> None:
        """A name in other letters would go by the order of the columns, whatever that is."""
        bases = {self._base(n) for n in self.names}
        for word in self._words():
            other = next((b for b in bases if b != word and b.lower() == word.lower()), None)
            if word not in bases and other is not None:
                raise DataError(
                    "wrong-column",
                    f"{self.path} has a column `{other}`, and `{word}` is meant",
                    f"call it `{word}`: small and capital letters differ",
                )

    def _places(self, line: int, row: list[str]) -> list[tuple[Port, Sequence[int]]]:
        if self.by_name is not None:
            return list(zip(self.ports, self.by_name, strict=True))
        free = self.free if self.names else range(len(row))
        moments = self.at_sequence is not None or self.series
        fixed = [p for p in self.ports if moments or not p.type.seq or _is_text(p)]
        wide = [p for p in self.ports if p not in fixed]
        rest = len(free) - sum(map(_width, fixed))
        if len(wide) > 1:
            raise DataError(
                "wrong-column",
                f"{self.path}: a row can't hold {len(wide)} sequences of numbers",
                f"name the columns, or write a moment a row, with a column `{_SEQUENCE}`",
            )
        if (wide and (rest <= 0 or rest % _width(wide[0]))) or (not wide and rest):
            help = ""
            if len(row) == 1 and (sign := next((c for c in ";\t" if c in row[0]), "")):
                what = "semicolons" if sign == ";" else "tabs"
                help = f"cells are between commas here, and these seem to be between {what}: " + (
                    "give each row as many, or save it with commas"
                    if sign == ";"
                    else "call it .tsv"
                )
            if not help and self.ports != self.every:
                other = next(p.name for p in self.every if p not in self.ports)
                help = f"leave the column of `{other}` out, or give the others their names"
            raise self._bad(line, f"it has {plural(len(free), 'cell')}; {self._wanted(wide)}", help)
        found: list[tuple[Port, Sequence[int]]] = []
        at = 0
        for p in self.ports:
            width = rest if p in wide else _width(p)
            found.append((p, free[at : at + width]))
            at += width
        for p, cells in found:  # some have a name: it must not be another's place
            if self.named.get(p.name, set(cells)) != set(cells):
                missing = [q for q in self.ports if q.name not in self.named]
                raise DataError(
                    "wrong-column",
                    f"{self.path}: the column of `{p.name}` is not where it would be by the order "
                    f"of the model's lines, and none has the name `{missing[0].name}`",
                    f"name the columns of {missing[0]} too, or none",
                )
        return found

    def _wanted(self, wide: list[Port]) -> str:
        parts = []
        for p in self.ports:
            width = _width(p)
            parts.append(f"{p} takes {plural(width, 'cell')}" + (" a moment" if p in wide else ""))
        return ", ".join(parts)

    def _take(
        self,
        cells: Cells,
        port: Port,
        at: Sequence[int],
        row: list[str],
        line: int,
        begins: bool,
        whole: bool,
    ) -> None:
        found = [row[k] for k in at]
        if _is_text(port):
            if begins:
                cells.words.append(found[0])
            return
        if port.type.seq and whole and not self.series:
            while found and not found[-1]:  # a shorter sequence
                found.pop()
        width = _width(port)
        if not found or len(found) % width or (not port.type.seq and len(at) != width):
            for name, rights in self.table.hidden.items():
                if self._base(name) == port.name:
                    raise rights.refuse(name)
            raise self._bad(line, f"it has {plural(len(found), 'cell')} for {port}")
        if port.type.kind in ("class", "token"):
            if "" in found:
                name = f" ({self.names[at[found.index('')]]})" if self.names else ""
                raise self._bad(line, f"cell {at[found.index('')] + 1}{name} is empty, for {port}")
            if not port.type.seq and not begins:
                cells.words[-1] = found[0]
                return
            cells.words.extend(found)
            wrong = [w for w in found if not w.isdigit()]
            if port.type.kind == "token" and wrong:
                raise self._bad(line, f"{wrong[0]!r} is no token number, for {port}")
        else:
            numbers = []
            for k, text in zip(at, found, strict=False):
                value = _float(text)
                if value is None or not np.isfinite(value):
                    what = f"{text!r} is not a number" if value is None else f"{text} is not finite"
                    name = f" ({self.names[k]})" if self.names else ""
                    raise self._bad(line, f"cell {k + 1}{name}: {what}, for {port}")
                numbers.append(value)
            if not port.type.seq and not begins:
                cells.numbers[-len(numbers) :] = numbers
                return
            cells.numbers.extend(numbers)
        moments = len(found) // width
        if begins:
            cells.lengths.append(moments)
        else:
            cells.lengths[-1] += moments

    def _bad(self, line: int, what: str, help: str = "") -> DataError:
        return DataError("bad-row", f"{self.path}, line {line}: {what}", help)


def _float(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _number(text: str) -> bool:
    return _float(text) is not None


def load_csv(request: Request) -> Loaded:
    by = request.text("tokens")
    rule(by)
    table = open_table(request)
    path = table.path
    sheet = _Sheet(request, table)
    columns = Columns(request, by)
    if sheet.series:
        return _one_series(request, sheet, columns, path)
    classes = next((c.words for c in sheet.cells if _is_label(c.port)), None)
    rows = split_rows(request, len(sheet.lines), sheet.splits, sheet.where, classes)
    found: list[Column] = [columns.column(c, rows["train"]) for c in sheet.cells]
    out = loaded(columns, Records(found), rows)
    out.file = path
    out.names = {source: _same(names) for source, names in sheet.records.items()}
    out.columns = sheet.columns()
    return scaled(out, request)


def inputs(request: Request) -> Records:
    """All records of a file, in its order: only what a model is given, whatever else it holds. A
    series is one record."""
    wanted = [p for p in request.ports if not p.target]
    columns = Columns(request, request.text("tokens"))
    if request.name == "csv":
        sheet = _Sheet(request, open_table(request), wanted)
        for cells in sheet.cells if sheet.series else ():
            cells.lengths = [sum(cells.lengths)]
        return Records([columns.column(c, None) for c in sheet.cells])
    archive = Archive(*request.own(request.text("path")))
    found: list[Column] = []
    stems = [_stem(archive, port, request.ports) for port in wanted]
    for port, stem in zip(wanted, stems, strict=True):
        if stem not in archive:
            raise DataError(
                "malformed-file",
                f"{archive.path} has splits, and no array `{stem}` of all records",
                f"save what is to be answered as `{stem}`",
            )
        lengths = _lengths(archive, stem, stem, stems)
        found.append(_npz_column(archive, columns, stem, lengths, port, None))
    return Records(found)


def _same(names: list[str]) -> Callable[[str], list[str]]:
    """All splits are drawn from one file."""
    return lambda _: names


def _one_series(request: Request, sheet: _Sheet, columns: Columns, path: Path) -> Loaded:
    """One long time: split by time, never shuffled."""
    unsplit(request, True, "one long series is split by time")
    arrays = []
    for cells in sheet.cells:
        if cells.port.type.kind in ("class", "token"):
            flat = columns.classes(cells.words, cells.port)
        else:
            flat = np.array(cells.numbers, np.float32)
        arrays.append(flat.reshape(-1, *moment_shape(cells.port.type)))
    for found in sheet.table.rights:
        found.whole()  # moments of one series have no names
    if len(arrays) != 2:
        raise DataError(
            "wrong-column", f"a series has an input and a target, the model has {len(arrays)} lines"
        )
    if sheet.splits:
        raise DataError(
            "bad-row",
            f"{path}: one long series is split by time; the column `{_SPLIT}` has no meaning",
            f"a column `{_SEQUENCE}` makes several sequences of it",
        )
    out = forecast(request, *arrays, scaled=bool(request.arguments["scale"]))
    out.labels, out.file, out.columns = columns.labels, path, sheet.columns()
    return out


# --- NumPy files ---

_PARTS = {"train": ("train",), "validation": ("valid", "validation", "val"), "test": ("test",)}
_COMMON = ({"x", "images", "inputs", "text"}, {"y", "label", "labels", "targets"})


def load_npz(request: Request) -> Loaded:
    path, rights = request.own(request.text("path"))
    archive = Archive(path, rights)
    for port in request.ports:
        if rights is not None and rights.closed(port.name):
            raise rights.refuse(port.name)
    names: dict[str, list[str]] = {}  # by the stored split: of the records that may be read
    columns = Columns(request, request.text("tokens"))
    stems = [_stem(archive, p, request.ports) for p in request.ports]

    def stored(stem: str, split: str) -> str | None:
        """The array of one split of a port."""
        names = (n for p in _PARTS[split] for n in (f"{stem}_{p}", f"{p}_{stem}"))
        return next((n for n in names if n in archive), None)

    if rights is not None:
        rights.numbered(s for s in _PARTS if stored(stems[0], s) is not None)

    def build(split: str | None) -> Records:
        arrays = [s if split is None else stored(s, split) for s in stems]
        missing = [s for s, n in zip(stems, arrays, strict=True) if n is None or n not in archive]
        if missing:
            raise DataError(
                "malformed-file",
                f"{archive.path} has no {split or ''} array of {', '.join(missing)}",
                f"save it too, as {missing[0]}_{split}; without the endings, splits are drawn here"
                if split
                else "",
            )
        found: list[Column] = []
        for array, stem, port in zip(arrays, stems, request.ports, strict=True):
            assert array is not None
            pick = None
            if rights is not None:
                opened = rights.open(split or "", _count(archive, array, port))
                names[split or ""], pick = list(opened.values()), list(opened)
            lengths = _lengths(archive, array, stem, arrays)
            found.append(_npz_column(archive, columns, array, lengths, port, pick))
        if len({len(c) for c in found}) > 1:
            pairs = zip(arrays, found, strict=True)
            raise DataError(
                "malformed-file",
                f"{archive.path}: arrays have different numbers of records: "
                + ", ".join(f"{name} {len(c)}" for name, c in pairs),
            )
        return Records(found)

    if stored(stems[0], "train") is None:
        whole = build(None)
        words = None
        pairs = zip(whole.columns, request.ports, strict=True)
        if _SPLIT in archive:
            words = [str(w) for w in archive.array(_SPLIT, "uiU", 1).tolist()]
            if rights is not None:
                words = [words[k] for k in rights.open("", len(words))]
        rows = split_rows(
            request, len(whole), words, lambda k: f"{archive.path}, `split`, record {k}",
            next((c.array for c, p in pairs if isinstance(c, Dense) and _is_label(p)), None),
        )  # fmt: skip
        out = loaded(columns, whole, rows)
    else:
        unsplit(request, True, f"{archive.path} has its own")
        train = build("train")
        splits = with_validation(request, lambda: train, lambda: build("test"))
        if stored(stems[0], "validation") is not None:
            splits |= {"train": lambda: train, "validation": lambda: build("validation")}
        out = Loaded(splits, vocabularies=columns.vocabularies)
        if "label_names" in archive and not columns.labels:
            out.labels = tuple(archive.text("label_names").split("\n"))
    out.file = archive.path
    if rights is not None:
        out.columns[rights.source] = stems
        out.names[rights.source] = lambda split: next(
            names[s] for s in ("", split, "train") if s in names
        )
    return scaled(out, request)


def _count(archive: Archive, name: str, port: Port) -> int:
    array = archive.array(name)
    packed = _is_text(port) and array.dtype == np.uint8 and array.ndim == 1
    return len(list(archive.lines(name))) if packed else len(array)


def _stem(archive: Archive, port: Port, ports: Sequence[Port]) -> str:
    """The name under which a file holds a port's arrays."""
    endings = [p for parts in _PARTS.values() for p in parts]

    def there(stem: str) -> bool:
        return stem in archive or any(
            n in archive for p in endings for n in (f"{stem}_{p}", f"{p}_{stem}")
        )

    if there(port.name):
        return port.name
    if sum(p.target == port.target for p in ports) == 1:
        for stem in sorted(_COMMON[port.target]):
            if there(stem):
                return stem
    raise DataError(
        "wrong-column",
        f"{archive.path} has no array for {port}; it has "
        + ", ".join(f"`{n}`" for n in archive.members),
        f"save it as `{port.name}` (or `{port.name}_train`, `{port.name}_test`)",
    )


def _lengths(archive: Archive, name: str, stem: str, columns: Sequence[str | None]) -> Array | None:
    """`columns`: what is one itself, whatever it is called."""
    for candidate in (f"{name}_length", name.replace(stem, "length"), "length"):
        if candidate not in columns and candidate in archive:
            return archive.array(candidate, "ui", 1)
    return None


def _npz_column(
    archive: Archive, columns: Columns, name: str, lengths: Array | None, port: Port,
    pick: list[int] | None,
) -> Column:  # fmt: skip
    """`pick`: the records that may be read; None: all."""
    array, where = archive.array(name), f"{archive.path}: `{name}`"
    stored = array.dtype == np.uint8 and array.ndim == 1
    if _is_text(port) and (array.dtype.kind == "U" or stored):
        texts = list(archive.lines(name)) if stored else array.tolist()
        return columns.texts(texts if pick is None else [texts[k] for k in pick], port, None)
    if pick is not None:
        array, lengths = array[pick], None if lengths is None else lengths[pick]
    if port.type.kind == "class" and array.dtype.kind == "U" and array.ndim == 1:
        return Dense(columns.classes(array.tolist(), port), port, where)
    return Dense(array, port, where, lengths=lengths if port.type.seq else None)
