"""The cells of a table of one's own, row by row: which of them are whose."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain

import numpy as np

from qrlang.diagnostics.words import did_you_mean, plural
from qrlang.errors import DataError
from qrlang.training.data.ports import Port, moment_shape
from qrlang.training.data.request import Request
from qrlang.training.data.rows import Table
from qrlang.training.data.table import Cells

SEQUENCE, SPLIT = "sequence", "split"
_NUMBERED = re.compile(r"(.+?)(?:\[(\d+)\]|[._](\d+))")


def is_text(port: Port) -> bool:
    return port.type.kind == "token" and port.type.seq


def is_label(port: Port) -> bool:
    return port.target and port.type.kind == "class" and not port.type.seq


def cells_of(port: Port) -> int:
    """Cells that one moment takes."""
    return 1 if is_text(port) else int(np.prod(moment_shape(port.type)))


class Sheet:
    """A table read row by row; `where` names its lines."""

    def __init__(
        self, request: Request, table: Table, ports: Sequence[Port] = (), moments: bool = False,
        chosen: Sequence[str] = (),
    ) -> None:  # fmt: skip
        """`ports`: what is wanted, if that is not all of the model's lines. `moments`: a row is a
        moment, whatever the target is. `chosen`: the columns that are read, in the order of
        `ports`; none: all."""
        self.every = request.ports
        self.ports = ports or request.ports
        self.table, self.path = table, table.path
        self.moments, self.chosen = moments, chosen
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
        self.also: Sequence[str] = ()  # columns that were read beside those
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
        if self.chosen:
            picked = self._picked()
            self.names = [self.names[k] for k in picked]
            first = (first[0], [first[1][k] for k in picked])
            rows = ((line, [row[k] for k in picked]) for line, row in rows)
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
                        f"rows of one sequence stand together: sort them by `{SEQUENCE}`",
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
        return {
            source: [word for column in let if self._was_read(column[0]) for word in column]
            for source, let in self.table.let.items()
        }

    def _was_read(self, name: str) -> bool:
        if name in self.also:
            return True
        if self.by_name is not None:
            return name in self.names and (self._base(name) in self.named or name == SEQUENCE)
        return name != SPLIT and (not self.chosen or name in self.names)

    def _picked(self) -> list[int]:
        """Where the chosen columns are, and those that say what belongs together."""
        found = []
        for name in self.chosen:
            if name in self.table.hidden:
                raise self.table.hidden[name].refuse(name)
            if name not in self.names:
                raise DataError(
                    "wrong-column",
                    f"{self.path} has no column `{name}`",
                    did_you_mean(name, self.names)
                    or "there are " + ", ".join(f"`{n}`" for n in self.names),
                )
            found.append(self.names.index(name))
        more = (k for k, name in enumerate(self.names) if name in (SEQUENCE, SPLIT))
        return [*found, *(k for k in more if k not in found)]

    def _is_head(self, row: list[str]) -> bool:
        if self.chosen:
            return True
        names = {w.lower() for w in self._words()}
        if names & {w.lower() for c in row for w in (c, self._base(c))}:
            return True
        return not any(map(_number, row)) and not any(map(is_text, self.ports))

    def _assign(self, count: int) -> None:
        """Which cells belong to which port; `None`: by counting, row by row."""
        self._spelt()
        self.at_sequence = self.names.index(SEQUENCE) if SEQUENCE in self.names else None
        self.at_split = self.names.index(SPLIT) if SPLIT in self.names else None
        bases = ["" if self.chosen else self._base(n) for n in self.names]
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
            p.type.seq and not is_text(p) for p in (self.ports if self.moments else self.every)
        )

    def _words(self) -> list[str]:
        """Names that mean something here."""
        return [*(p.name for p in self.every), SEQUENCE, SPLIT]

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
        if self.chosen:
            return
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
        fixed = [p for p in self.ports if moments or not p.type.seq or is_text(p)]
        wide = [p for p in self.ports if p not in fixed]
        rest = len(free) - sum(map(cells_of, fixed))
        if len(wide) > 1:
            raise DataError(
                "wrong-column",
                f"{self.path}: a row can't hold {len(wide)} sequences of numbers",
                f"name the columns, or write a moment a row, with a column `{SEQUENCE}`",
            )
        if (wide and (rest <= 0 or rest % cells_of(wide[0]))) or (not wide and rest):
            help = ""
            if len(row) == 1 and (sign := next((c for c in ";\t" if c in row[0]), "")):
                what = "semicolons" if sign == ";" else "tabs"
                help = f"cells are between commas here, and these seem to be between {what}: " + (
                    "give each row as many, or save it with commas"
                    if sign == ";"
                    else "call it .tsv"
                )
            if self.chosen:
                raise DataError(
                    "bad-argument",
                    f"`columns` names {plural(len(free), 'column')} of {self.path}; "
                    f"{self._wanted(wide)}",
                    "name as many, in the order of the model's lines",
                )
            if self.moments:
                help = 'say which columns are to be read: csv(path: …, ahead: …, columns: "…")'
            if not help and self.ports != self.every:
                other = next(p.name for p in self.every if p not in self.ports)
                help = f"leave the column of `{other}` out, or give the others their names"
            if not help and self.names:
                help = 'say which columns are to be read: csv(path: …, columns: "…")'
            raise self._bad(line, f"it has {plural(len(free), 'cell')}; {self._wanted(wide)}", help)
        found: list[tuple[Port, Sequence[int]]] = []
        at = 0
        for p in self.ports:
            width = rest if p in wide else cells_of(p)
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
            width = cells_of(p)
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
        if is_text(port):
            if begins:
                cells.words.append(found[0])
            return
        if port.type.seq and whole and not self.series:
            while found and not found[-1]:  # a shorter sequence
                found.pop()
        width = cells_of(port)
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
            wrong = [w for w in found if not w.isdecimal()]
            if port.type.kind == "token" and wrong:
                raise self._bad(line, f"{wrong[0]!r} is no token number, for {port}")
        else:
            numbers = []
            for k, text in zip(at, found, strict=False):
                value = _float(text)
                if value is None or not np.isfinite(value):
                    what = f"{text!r} is not a number" if value is None else f"{text} is not finite"
                    name = f" ({self.names[k]})" if self.names else ""
                    help = "" if text else "leave rows with empty cells out, or fill them"
                    raise self._bad(line, f"cell {k + 1}{name}: {what}, for {port}", help)
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
