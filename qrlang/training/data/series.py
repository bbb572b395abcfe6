"""Series: a value foretold from those before it, at every moment or at the end of a window.

The first 70 % of the time are for training, the next 10 % for validation, the rest is the test.
Where the target is a sequence, a split is one stream: the state is carried through it, and the
splits for measuring begin with moments of the split before, which warm the state up and don't
count. Where it is a single value, a record is a window, and no window reaches into another split.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from qrlang.errors import DataError
from qrlang.training.data import dynamics
from qrlang.training.data.columns import Dense
from qrlang.training.data.files import opened
from qrlang.training.data.ports import Array, Port, checked, dtype_of
from qrlang.training.data.request import Loaded, Request
from qrlang.training.data.scaling import known
from qrlang.training.data.sources import Records, Source, Stream

_LEAD = 100  # moments at least that warm the state up before a validation or test stream counts
WINDOW = 20
_MOST = 1_000_000  # points of a series that is made here

Splits = Mapping[str, tuple[int, int]]


def cut(count: int, validation: float | None) -> Splits:
    """Where each split begins and ends."""
    past = int(0.8 * count)
    held = int(0.1 * count) if validation is None else int(past * validation)
    return {
        "train": (0, past - held),
        "validation": (past - held, past),
        "test": (past, count),
    }


def forecast(
    request: Request,
    x: Array,
    y: Array,
    *,
    splits: Splits | None = None,
    window: int = WINDOW,
    scaled: bool = False,
) -> Loaded:
    """`y[t]` is what the model is to say once it has seen `x[… t]`. `scaled`: by the mean and the
    deviation of the training part."""
    given, wanted = request.ports
    parts = splits or cut(len(x), request.validation)
    checked(x, given, "the series")
    checked(y, wanted, "the target series")
    scale: dict[str, tuple[list[float], list[float]]] = {}
    if scaled:
        begin, end = parts["train"]

        def by_spread(data: Array, port: Port) -> Array:
            past = data[begin:end].astype(np.float64)
            mean, spread = known(request, port) or (past.mean(0), past.std(0))
            spread = np.where(spread > 0, spread, 1.0)
            scale[port.name] = (mean.tolist(), spread.tolist())
            found: Array = (data - mean) / spread
            return found

        x = by_spread(x, given)
        y = by_spread(y, wanted) if wanted.type.kind == "real" else y
    loaded = Loaded({}, scale=scale)
    if wanted.type.seq:
        columns = (x.astype(dtype_of(given.type)), y.astype(dtype_of(wanted.type)))
        loaded.splits = {s: _streamed(columns, request, *parts[s]) for s in parts}
    else:
        length = int(request.arguments.get("window", 0)) or window
        loaded.splits = {s: _windowed(request, x, y, length, s, *parts[s]) for s in parts}
    return loaded


def _streamed(
    columns: tuple[Array, ...], request: Request, begin: int, end: int
) -> Callable[[], Source]:
    lead = min(max(_LEAD, request.warm), begin) if end > begin else 0
    dtypes = [dtype_of(p.type) for p in request.ports]
    return lambda: Stream([c[begin - lead : end] for c in columns], dtypes, lead)


def _windowed(
    request: Request, x: Array, y: Array, length: int, split: str, begin: int, end: int
) -> Callable[[], Source]:
    given, wanted = request.ports

    def build() -> Source:
        if end - begin < length and end > begin:
            raise DataError(
                "empty-split",
                f"the {split} split of `{request.name}` has {end - begin} moments, too few for "
                f"windows of {length}",
                "make the series longer, or the window shorter",
            )
        part = windows(x[begin:end].astype(np.float32), length)
        return Records(
            (
                Dense(part, given, "the windows"),
                Dense(y[begin + length - 1 : end], wanted, "the target series"),
            ),
            owners=np.zeros(len(part), np.int64),
        )

    return build


def windows(x: Array, length: int) -> Array:
    """[time, …] -> [window, length, …]. They overlap in memory; only those of a batch are ever
    copied."""
    if len(x) < length:
        return x[:0].reshape(0, length, *x.shape[1:])
    found: Array = np.lib.stride_tricks.sliding_window_view(x, length, axis=0)
    return np.moveaxis(found, -1, 1)


def _ahead(request: Request, values: Array, window: int = WINDOW, scaled: bool = True) -> Loaded:
    """A series [time, channels] against itself, `ahead` moments later."""
    ahead = request.whole("ahead")
    if len(values) <= ahead + 2:
        raise DataError("bad-argument", f"`ahead: {ahead}` is longer than the series")
    return forecast(request, values[:-ahead], values[ahead:], window=window, scaled=scaled)


def _length(request: Request) -> int:
    length = request.whole("length")
    if length > _MOST:
        raise DataError("bad-argument", f"`length` is at most {_MOST:,}, found {length:,}")
    return length


def _mackey_glass(request: Request) -> Loaded:
    count = _length(request) + request.whole("ahead")
    values = dynamics.mackey_glass(request.whole("tau"), count)
    return _ahead(request, values[:, None], scaled=False)


def _lorenz(request: Request) -> Loaded:
    return _ahead(request, dynamics.lorenz(_length(request) + request.whole("ahead")))


def _narma(request: Request) -> Loaded:
    order = request.whole("order")
    u, y = dynamics.narma(order, _length(request))
    return forecast(request, u[:, None], y[:, None], window=2 * order)


def _damped_sine(request: Request) -> Loaded:
    values = dynamics.damped_sine(_length(request) + 1)
    return forecast(request, values[:-1, None], values[1:, None])


def _temporal_parity(request: Request) -> Loaded:
    bits, parity = dynamics.temporal_parity(request.whole("order"), _length(request))
    return forecast(request, bits[:, None].astype(np.float32), parity)


def _weather(request: Request) -> Loaded:
    archive = request.archive("timeseries_small.npz")
    months = archive.array("elnino_monthly", "f", 2)[:, 1:].reshape(-1, 1)
    return _ahead(request, months, 12).of(archive)


def _sunspots(request: Request) -> Loaded:
    archive = request.archive("timeseries_small.npz")
    return _ahead(request, archive.array("sunspots_yearly", "f", 2)[:, 1:], 11).of(archive)


_ETT = ("HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT")
_MONTH = 30 * 24  # hours; the customary split is 12, 4 and 4 months


def _etth1(request: Request) -> Loaded:
    try:
        path = request.path("ETTh1.csv.gz")
    except DataError as e:
        if e.code != "missing-file":
            raise
        path = request.path("ETTh1.csv")
    table = _hours(path)
    given = request.ports[0]
    width = given.type.count
    if width not in (1, 7):
        raise DataError(
            "wrong-column",
            f"`etth1` gives 7 columns ({', '.join(_ETT)}), or the oil temperature alone; "
            f"{given} takes {width}",
        )
    ahead = request.whole("ahead")
    x = table[:, -width:]
    splits = {
        "train": (0, 12 * _MONTH),
        "validation": (12 * _MONTH, 16 * _MONTH),
        "test": (16 * _MONTH, 20 * _MONTH),
    }
    if ahead >= len(table) - 20 * _MONTH:
        raise DataError("bad-argument", f"`ahead: {ahead}` is longer than the series")
    y = table[ahead:, -1:]
    loaded = forecast(request, x[: len(y)], y, splits=splits, window=96, scaled=True)
    loaded.file = path
    return loaded


def _hours(path: Path) -> Array:
    try:
        with opened(path) as f:
            rows = list(csv.reader(f))
        if tuple(rows[0][1:]) != _ETT:
            raise ValueError(f"its columns are {rows[0]}")
        return np.array([[float(c) for c in r[1:]] for r in rows[1:]])
    except (ValueError, IndexError, OSError, EOFError) as e:
        raise DataError("malformed-file", f"{path} is not ETTh1: {e}") from e


LOADERS: dict[str, Callable[[Request], Loaded]] = {
    "mackey_glass": _mackey_glass,
    "lorenz": _lorenz,
    "narma": _narma,
    "damped_sine": _damped_sine,
    "temporal_parity": _temporal_parity,
    "weather": _weather,
    "sunspots": _sunspots,
    "etth1": _etth1,
}
