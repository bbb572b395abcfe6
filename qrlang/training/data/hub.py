"""Data sets of the Hugging Face hub, through its package `datasets` where that is there."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from qrlang.diagnostics.words import did_you_mean
from qrlang.errors import DataError
from qrlang.training.data.columns import Column, Dense
from qrlang.training.data.ports import Port
from qrlang.training.data.request import Loaded, Request, held_out
from qrlang.training.data.sources import Records, Source
from qrlang.training.data.table import Columns

_OURS = {"train": ("train",), "validation": ("validation", "valid", "dev"), "test": ("test",)}


def load(request: Request) -> Loaded:
    try:
        datasets = import_module("datasets")
    except ImportError:
        raise DataError(
            "missing-package",
            "`hf(…)` needs the package `datasets` of Hugging Face, which is not installed",
            "pip install datasets",
        ) from None
    name, config = request.text("name"), request.text("config")
    rights = request.hub(name)
    try:
        found: Any = datasets.load_dataset(name, *([config] if config else []))
    except Exception as e:  # the package raises errors of many kinds, for one reason: not to be had
        raise DataError("no-network", f"`{name}` can't be had from the hub: {e}") from e
    columns = Columns(request, request.text("tokens"))
    there = {o: next((p for p in parts if p in found), None) for o, parts in _OURS.items()}
    first = there["train"]
    if first is None:
        raise DataError("empty-split", f"`{name}` has no split `train`; it has {', '.join(found)}")
    names = _names(request, found[first].column_names)
    for column in names if rights is not None else ():
        if rights is not None and rights.closed(column):
            raise rights.refuse(column)

    def build(split: str) -> Records:
        rows = found[split]
        made = [_column(columns, rows, n, p) for n, p in zip(names, request.ports, strict=True)]
        return Records(made)

    def later(split: str | None) -> Callable[[], Source]:
        def open_() -> Source:
            if split is None:
                raise DataError(
                    "empty-split", f"`{name}` has no test split; it has {', '.join(found)}"
                )
            return build(split)

        return open_

    train = build(first)
    held = later(there["validation"])
    if there["validation"] is None:
        train, validation = held_out(request, train)

        def held() -> Source:
            return validation

    return Loaded(
        {"train": lambda: train, "validation": held, "test": later(there["test"])},
        vocabularies=columns.vocabularies,
        labels=columns.labels,
    )


def _names(request: Request, there: list[str]) -> list[str]:
    """The hub's columns for the model's lines: as given, by name, or by what they are."""
    ports = request.ports
    given = [n.strip() for n in request.text("columns").split(",") if n.strip()]
    if given and len(given) != len(ports):
        raise DataError(
            "bad-argument",
            f"`columns` names {len(given)} columns, the model has {len(ports)} lines",
        )
    usual = (("text", "sentence", "image"), ("label", "labels"))
    out = []
    for k, port in enumerate(ports):
        wanted = [given[k]] if given else [port.name, *usual[port.target]]
        name = next((n for n in wanted if n in there), None)
        if name is None:
            raise DataError(
                "wrong-column",
                f"`{request.text('name')}` has no column for {port}; it has {', '.join(there)}",
                did_you_mean(wanted[0], there)
                or 'name them in the order of the model\'s lines: `columns: "text, label"`',
            )
        out.append(name)
    return out


def _column(columns: Columns, rows: Any, name: str, port: Port) -> Column:
    values = rows[name]
    if port.type.kind == "token" and port.type.seq and isinstance(values[0], str):
        return columns.texts(list(values), port, None)
    if port.type.kind == "class" and isinstance(values[0], str):
        return Dense(columns.classes(list(values), port), port, f"`{name}`")
    return Dense(np.asarray(values), port, f"`{name}`")
