"""One long series of one's own, a moment a row: split by time and never shuffled."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qrlang.errors import DataError
from qrlang.training.data.ports import Array
from qrlang.training.data.request import Loaded, Request
from qrlang.training.data.scaling import hint
from qrlang.training.data.series import Splits, forecast
from qrlang.training.data.table import SPLIT_WORDS, unsplit


def windowed(request: Request) -> int:
    """Moments in a record, where a model that answers once is shown the last ones of a series;
    0: it is not."""
    return int(request.arguments.get("window", 0))


def own_series(
    request: Request, arrays: Sequence[Array], words: Sequence[str], path: object
) -> Loaded:
    """`arrays`: the input, and the target if it has a column. `words`: which split each moment is
    in, where a column says so."""
    unsplit(request, True, "one long series is split by time")
    seq, ahead = request.ports[-1].type.seq, int(request.arguments.get("ahead", 0))
    if seq and windowed(request):
        raise DataError(
            "bad-argument",
            f"`window` is for models that answer once, and {request.ports[-1]} is for every moment",
            "leave it out",
        )
    x, y = arrays[0], arrays[-1]
    if ahead:
        if len(x) <= ahead:
            raise DataError("bad-argument", f"`ahead: {ahead}` is longer than the series")
        x, y, words = x[:-ahead], y[ahead:], words[:-ahead]
    splits = _said(words, request.validation, path) if words else None
    scaled = bool(request.arguments["scale"])
    found = forecast(request, x, y, splits=splits, scaled=scaled)
    for port, numbers in zip(request.ports, (x, y) if not scaled else (), strict=False):
        found.notes += hint(port, numbers)
    return found


def _said(words: Sequence[str], validation: float | None, path: object) -> Splits:
    """Where each split begins and ends. What is held out of training comes after it."""
    kinds = [SPLIT_WORDS.get(w.strip().lower(), "") for w in words]
    if "" in kinds:
        raise DataError(
            "bad-row",
            f"{path}: the split is {words[kinds.index('')]!r}",
            "a split is train, validation or test",
        )
    found = {}
    for split in ("train", "validation", "test"):
        at = np.flatnonzero(np.array(kinds) == split)
        begin, end = (int(at[0]), int(at[-1]) + 1) if len(at) else (0, 0)
        if end - begin != len(at):
            raise DataError(
                "bad-row",
                f"{path}: the moments of the {split} split are not one stretch of time",
                "a column `sequence` makes several sequences of a table",
            )
        found[split] = begin, end
    begin, end = found["train"]
    if "validation" not in kinds:
        held = round((end - begin) * (0.1 if validation is None else validation))
        found |= {"train": (begin, end - held), "validation": (end - held, end)}
    return found
