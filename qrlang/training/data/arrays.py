"""NumPy files of one's own.

An array for each line of the model, under its name, or `x` and `y`: as `x`, with splits drawn here
or by an array `split`; or as `x_train`, `x_test` and perhaps `x_valid`. `length` (or `length_train`
…) holds the true lengths of padded sequences.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qrlang.errors import DataError
from qrlang.training.data.columns import Column, Dense
from qrlang.training.data.files import Archive
from qrlang.training.data.ports import Array, Port
from qrlang.training.data.request import Loaded, Request, with_validation
from qrlang.training.data.scaling import scaled
from qrlang.training.data.sheet import SPLIT, is_label, is_text
from qrlang.training.data.sources import Records
from qrlang.training.data.table import Columns, loaded, split_rows, unsplit

_PARTS = {"train": ("train",), "validation": ("valid", "validation", "val"), "test": ("test",)}
_COMMON = ({"x", "images", "inputs", "text"}, {"y", "label", "labels", "targets"})


def load(request: Request) -> Loaded:
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
        if SPLIT in archive:
            words = [str(w) for w in archive.array(SPLIT, "uiU", 1).tolist()]
            if rights is not None:
                words = [words[k] for k in rights.open("", len(words))]
        rows = split_rows(
            request, len(whole), words, lambda k: f"{archive.path}, `split`, record {k}",
            next((c.array for c, p in pairs if isinstance(c, Dense) and is_label(p)), None),
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


def inputs(request: Request) -> Records:
    """All records, in their order: only what a model is given."""
    wanted = [p for p in request.ports if not p.target]
    columns = Columns(request, request.text("tokens"))
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


def _count(archive: Archive, name: str, port: Port) -> int:
    array = archive.array(name)
    packed = is_text(port) and array.dtype == np.uint8 and array.ndim == 1
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
    if is_text(port) and (array.dtype.kind == "U" or stored):
        texts = list(archive.lines(name)) if stored else array.tolist()
        return columns.texts(texts if pick is None else [texts[k] for k in pick], port, None)
    if pick is not None:
        array, lengths = array[pick], None if lengths is None else lengths[pick]
    if port.type.kind == "class" and array.dtype.kind == "U" and array.ndim == 1:
        return Dense(columns.classes(array.tolist(), port), port, where)
    return Dense(array, port, where, lengths=lengths if port.type.seq else None)
