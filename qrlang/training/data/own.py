"""Tables of one's own: CSV files, as `sheet` reads them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from qrlang.errors import DataError
from qrlang.training.data import arrays
from qrlang.training.data.columns import Column, Dense, Ragged
from qrlang.training.data.ports import Array, Port
from qrlang.training.data.request import Loaded, Request
from qrlang.training.data.rows import open_table
from qrlang.training.data.scaling import hint, scaled
from qrlang.training.data.series import WINDOW, forecast, windows
from qrlang.training.data.sheet import Sheet, cells_of, is_label
from qrlang.training.data.sources import Records
from qrlang.training.data.table import Columns, loaded, split_rows, stretches, unsplit
from qrlang.training.data.vocabulary import rule


def load(request: Request) -> Loaded:
    by = request.text("tokens")
    rule(by)
    columns = Columns(request, by)
    if request.arguments["ahead"]:
        return _foretold(request, columns)
    for name in ("window", "foretell"):
        if request.arguments[name]:
            raise DataError("bad-argument", f"`{name}` is of a series that foretells itself",
                            f"say how far ahead: csv(path: …, ahead: 1, {name}: …)")  # fmt: skip
    sheet = Sheet(request, open_table(request), chosen=_named(request, "columns"))
    if sheet.series:
        return _one_series(request, sheet, columns, [columns.moments(c) for c in sheet.cells])
    classes = next((c.words for c in sheet.cells if is_label(c.port)), None)
    rows = split_rows(request, len(sheet.lines), sheet.splits, sheet.where, classes)
    found: list[Column] = [columns.column(c, rows["train"]) for c in sheet.cells]
    return _records(request, sheet, loaded(columns, Records(found), rows))


def inputs(request: Request, moments: bool = False) -> Records:
    """All records of a file, in its order: only what a model is given, whatever else it holds. A
    series is one record. `moments`: numbers come as series, though the model sees windows."""
    if request.name == "npz":
        return arrays.inputs(request)
    wanted = [p for p in request.ports if not p.target]
    ahead = bool(request.arguments["ahead"])
    chosen = _named(request, "columns")
    if chosen and not ahead:  # those of the targets come last
        chosen = chosen[: -sum(cells_of(p) for p in request.ports if p.target) or None]
    sheet = Sheet(request, open_table(request), wanted, moments or ahead, chosen)
    if sheet.series:
        for cells in sheet.cells:
            cells.lengths = [sum(cells.lengths)]
    columns = Columns(request, request.text("tokens"))
    found: list[Column] = [columns.column(c, None) for c in sheet.cells]
    if ahead and not moments and not any(p.type.seq for p in request.ports if p.target):
        [column] = found
        parts = [column.take(np.array([k]))[0][0] for k in range(len(column))]
        width = request.whole("window") or WINDOW
        found = [Dense(np.concatenate([windows(x, width) for x in parts]), wanted[0], "windows")]
    return Records(found)


def _named(request: Request, name: str) -> list[str]:
    return [n.strip() for n in request.text(name).split(",") if n.strip()]


def _records(
    request: Request, sheet: Sheet, out: Loaded, owners: Sequence[int] | None = None
) -> Loaded:
    """`owners`: of which sequence each record is a part; None: they are records of the sheet."""
    out.file = sheet.path
    for source, names in sheet.records.items():
        out.names[source] = _same(names if owners is None else [names[k] for k in owners])
    out.columns = sheet.columns()
    return scaled(out, request)


def _same(names: list[str]) -> Callable[[str], list[str]]:
    """All splits are drawn from one file."""
    return lambda _: names


def _one_series(request: Request, sheet: Sheet, columns: Columns, found: Sequence[Array]) -> Loaded:
    """One long time: split by time, never shuffled."""
    unsplit(request, True, "one long series is split by time")
    _unhidden(sheet)
    if len(found) != 2:
        raise DataError(
            "wrong-column", f"a series has an input and a target, the model has {len(found)} lines"
        )
    x, y = found
    splits = stretches(request, sheet.splits[: len(x)], sheet.where) if sheet.splits else None
    scale = bool(request.arguments["scale"])
    out = forecast(request, x, y, splits=splits, scaled=scale)
    for port, numbers in zip(request.ports, found, strict=True):
        out.notes += [] if scale else hint(port, numbers)
    out.labels, out.vocabularies = columns.labels, columns.vocabularies
    out.file, out.columns = sheet.path, sheet.columns()
    return out


def _unhidden(sheet: Sheet) -> None:
    for found in sheet.table.rights:
        found.whole()  # moments of one series have no names


# --- a series against itself, some moments later ---


def _foretold(request: Request, columns: Columns) -> Loaded:
    """`ahead` moments after an input comes what is to be said once it has been seen: the same
    numbers, or the columns that `foretell` names."""
    given, wanted = _pair(request)
    sheet = Sheet(request, open_table(request), [given], True, _named(request, "columns"))
    [x], y = sheet.cells, sheet.cells[0]
    if names := _named(request, "foretell"):
        moment = replace(wanted, type=replace(wanted.type, seq=True))
        [y] = Sheet(request, open_table(request), [moment], True, names).cells
        sheet.also = names
    elif cells_of(wanted) != cells_of(given) or wanted.type.kind != given.type.kind:
        raise DataError(
            "wrong-column",
            f"{wanted} is not what {given} is, some moments later",
            'say which column it is: csv(path: …, ahead: 1, foretell: "…")',
        )
    before, after = columns.moments(x), columns.moments(replace(y, port=wanted))
    ahead = request.whole("ahead")
    if sheet.series:
        _long_enough(len(before), ahead, f"{sheet.path}")
        return _one_series(request, sheet, columns, (before[:-ahead], after[ahead:]))
    ends = np.cumsum(x.lengths)
    pairs = []
    for k, (end, length) in enumerate(zip(ends, x.lengths, strict=True)):
        _long_enough(length, ahead, sheet.where(k))
        part = slice(end - length, end)
        pairs.append((before[part][:-ahead], after[part][ahead:]))
    rows = split_rows(request, len(pairs), sheet.splits, sheet.where, None)
    found, owners = _of_windows(request, pairs) if not wanted.type.seq else _of_moments(
        request, pairs
    )  # fmt: skip
    of = {split: np.flatnonzero(np.isin(owners, mine)) for split, mine in rows.items()}
    records = Records(found, owners=owners)
    return _records(request, sheet, loaded(columns, records, of), owners.tolist())


def _pair(request: Request) -> tuple[Port, Port]:
    ports = request.ports
    if len(ports) != 2 or not ports[0].type.seq or ports[0].target or not ports[1].target:
        raise DataError(
            "wrong-column",
            "`ahead` is for a series: one `input` that is a sequence, and one `target`; the model "
            "has " + ", ".join(map(str, ports)),
        )
    return ports[0], ports[1]


def _long_enough(length: int, ahead: int, where: str) -> None:
    if length <= ahead:
        raise DataError("bad-argument", f"{where}: `ahead: {ahead}` is longer than the series")


Pairs = Sequence[tuple[Array, Array]]


def _of_moments(request: Request, pairs: Pairs) -> tuple[list[Column], Array]:
    """Every moment foretells; a record is a sequence. With whose each record is."""
    offsets = np.cumsum([0, *(len(x) for x, _ in pairs)])
    columns: list[Column] = [
        Ragged(np.concatenate(parts), offsets, port, f"`{port.name}`")
        for port, parts in zip(request.ports, zip(*pairs, strict=True), strict=True)
    ]
    return columns, np.arange(len(pairs))


def _of_windows(request: Request, pairs: Pairs) -> tuple[list[Column], Array]:
    """One value is foretold from the last moments; a record is a window."""
    given, wanted = request.ports
    width = request.whole("window") or WINDOW
    parts = [windows(x, width) for x, _ in pairs]
    if not any(map(len, parts)):
        raise DataError(
            "empty-split",
            f"no series has the {width + request.whole('ahead')} moments that a window of {width} "
            f"and what it foretells take",
            "make the window shorter",
        )
    y = np.concatenate([y[width - 1 :] for _, y in pairs])
    columns: list[Column] = [Dense(np.concatenate(parts), given, "the windows"),
                             Dense(y, wanted, "the target series")]  # fmt: skip
    return columns, np.repeat(np.arange(len(pairs)), [len(p) for p in parts])
