"""`open_data`: a data set by its name, as a `train` block gives it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from qrlang.check.training.data_sets import DATA_SETS, Number, kind_of_file
from qrlang.diagnostics.words import did_you_mean
from qrlang.errors import DataError
from qrlang.training.data import (
    arrays,
    generated,
    hub,
    images,
    language,
    own,
    quantum,
    series,
    synthetic,
    translation,
    ucr,
)
from qrlang.training.data.dataset import DataSet
from qrlang.training.data.fetch import Progress
from qrlang.training.data.ports import Port, match
from qrlang.training.data.request import Loaded, Request
from qrlang.training.data.vocabulary import Vocabulary

LOADERS: dict[str, Callable[[Request], Loaded]] = {
    **images.LOADERS,
    **generated.LOADERS,
    **synthetic.LOADERS,
    **quantum.LOADERS,
    **series.LOADERS,
    **language.LOADERS,
    **translation.LOADERS,
    "ucr": ucr.load,
    "csv": own.load,
    "npz": arrays.load,
    "hf": hub.load,
}


def open_data(
    name: str,
    arguments: Mapping[str, Number] | None = None,
    columns: Sequence[Port] = (),
    *,
    data_dir: str | Path | None = None,
    base: str | Path | None = None,
    validation: float | None = None,
    max_length: int | None = None,
    limit: int = 0,
    warm: int = 0,
    saved: Mapping[str, Any] | None = None,
    kept: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    fetch: bool = True,
) -> DataSet:
    """The data set `name` (or a path of one's own: `x.csv`, `x.npz`) for a model with `columns`.

    Files are looked for in `data_dir`, in QRLANG_DATA, in the user's cache, then fetched into it.
    `base`: where paths start. `validation`: the part of the training split to hold out, where the
    data set has no validation split of its own (None: a tenth). `max_length`: cut longer texts.
    `limit`: at most so many records of each split.
    `warm`: a series is measured after at least so many moments that only warm the state up.
    `saved`: what `DataSet.about()` said in an earlier run, so that its vocabularies, names and
    units are used.
    `kept`: what its `rights.json` says, so that its splits hold the same records.
    """
    given = dict(arguments or {})
    if name not in DATA_SETS:
        name, given = _path_as_data(name, given)
    known = DATA_SETS[name]
    defaults = {a.name: a.default for a in known.arguments if a.default is not None}
    filled: dict[str, Number] = {**defaults, **given}
    for a in known.arguments:
        if a.name not in filled:
            raise DataError("bad-argument", f"`{name}` needs `{a.name}`")
        value = filled[a.name]
        if a.least is not None and not isinstance(value, str) and value < a.least:
            raise DataError("bad-argument", f"`{a.name}` of `{name}` is at least {a.least:g}")
    if not columns:
        raise DataError("wrong-column", f"the model has no `input` line for `{name}`")
    fixed = known.columns(filled)
    if fixed is not None:
        match(name, fixed, columns)
    vocabularies = (saved or {}).get("vocabularies", {})
    request = Request(
        name,
        filled,
        tuple(columns),
        None if data_dir is None else Path(data_dir).expanduser(),
        None if base is None else Path(base),
        validation,
        max_length or 0,
        {k: Vocabulary.of(v) for k, v in vocabularies.items()},
        tuple((saved or {}).get("labels", ())),
        progress,
        fetch,
        scale=(saved or {}).get("scale", {}),
        warm=warm,
    )
    return DataSet(request, LOADERS[name](request), limit, kept)


def _path_as_data(name: str, given: dict[str, Number]) -> tuple[str, dict[str, Number]]:
    if kind := kind_of_file(name):
        return kind, {"path": name, **given}
    raise DataError(
        "unknown-data",
        f"there is no data set `{name}`",
        did_you_mean(name, DATA_SETS)
        or 'data of your own is a path: `data = "mine.csv"`, "mine.npz"',
    )
