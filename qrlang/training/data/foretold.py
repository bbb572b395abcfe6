"""Data whose target is its input some moments later, as its records show."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from qrlang.training.data.batches import RecordBatch
from qrlang.training.data.ports import Array, Port, moment_shape
from qrlang.training.data.sources import Records, Source, Stream

_FAR = 1000  # moments ahead, at most
_LOOK = 4096  # moments that show how far it is
_RECORDS = 50  # records that do
_SURE = 16  # bits: with fewer that agree it may be chance
_ROUNDING = 8 * float(np.finfo(np.float32).eps)


def alike(ports: Sequence[Port]) -> bool:
    """One input, and a target of the type of its moments."""
    if len(ports) != 2 or ports[0].target or not ports[1].target:
        return False
    given, wanted = (p.type for p in ports)
    sized = given.kind in ("class", "token")
    return (
        given.seq
        and given.kind == wanted.kind
        and given.kind not in ("state", "unitary")
        and moment_shape(given) == moment_shape(wanted)
        and (not sized or given.size == wanted.size)
    )


@dataclass(frozen=True, slots=True)
class Foretold:
    ahead: int  # moments from an input to what it foretells
    window: int  # moments of a record, of which each foretells one; 0: each moment does
    stream: bool  # one long time


Scale = Mapping[str, tuple[Sequence[float], Sequence[float]]]  # by port: shift, divisor


def as_input(ports: Sequence[Port], scale: Scale) -> Callable[[Array], Array]:
    """From targets to what the model would be given of them: each may have units of its own."""
    (shift, divisor), (a, by) = (map(np.array, scale.get(p.name, (0.0, 1.0))) for p in ports)
    return lambda y: (y * by + a - shift) / divisor


def foretold(train: Source, ports: Sequence[Port], scale: Scale) -> Foretold | None:
    if not alike(ports) or not len(train):
        return None
    numbers = ports[0].type.kind == "real"
    converted = as_input(ports, scale) if numbers else np.asarray
    pairs = [(x, converted(y)) for x, y in _pairs(train, ports[1].type.seq)]
    if not pairs or any(len(x) != len(y) for x, y in pairs):
        return None
    every = np.concatenate([x for x, _ in pairs]).astype(np.float64)
    off = _off(every, scale.get(ports[0].name)) if numbers else 0.0
    kinds = len(np.unique(every.reshape(len(every), -1), axis=0))
    enough = _SURE / math.log2(max(kinds, 2))
    for k in range(1, _FAR):
        later = [(x[k:], y[:-k]) for x, y in pairs if len(x) > k]
        if sum(len(x) for x, _ in later) < enough:
            return None
        if all((np.abs(x - y) <= off).all() for x, y in later):
            return Foretold(k, _window(train, ports), isinstance(train, Stream))
    return None


def _off(x: Array, scale: tuple[Sequence[float], Sequence[float]] | None) -> Array:
    """How far numbers may differ that are the same: a little of their spread, and what rounding
    makes of them, also of those that they were before they were scaled."""
    largest = np.abs(x).max(0)
    if scale is not None:
        largest = largest + np.abs(np.array(scale[0]) / scale[1])
    found: Array = 1e-5 * x.std(0) + _ROUNDING * largest
    return found


def _pairs(train: Source, seq: bool) -> list[tuple[Array, Array]]:
    """Inputs and targets of some of the data, moment by moment."""
    if isinstance(train, Stream):
        return [(train.columns[0][:_LOOK], train.columns[1][:_LOOK])]
    if seq:
        some = [train.take(np.array([k])) for k in range(min(len(train), _RECORDS))]
        return [(inside(one, 0), inside(one, 1)) for one in some]
    few = train.take(np.arange(min(len(train), _LOOK)))
    windows, values = few.arrays
    if few.lengths[0] is not None:
        return []
    return [(windows[part, -1], values[part]) for part in _stretches(train, windows)[:_RECORDS]]


def one_time(split: Source, ports: Sequence[Port]) -> bool:
    """Whether its records are windows of one series, in order."""
    if not ports[0].type.seq or not len(split):
        return False
    few = split.take(np.arange(min(len(split), _RECORDS)))
    return few.lengths[0] is None and len(_stretches(split, few.arrays[0])) == 1


def _stretches(split: Source, windows: Array) -> list[slice]:
    """Records that are windows of one series, each a moment on: of the first of a split."""
    if isinstance(split, Records) and split.owners is not None:
        at = split.index[: len(windows)]
        new = (np.diff(at) != 1) | (np.diff(split.owners[at]) != 0)
    else:
        flat = windows.reshape(*windows.shape[:2], -1)
        new = (flat[1:, :-1] != flat[:-1, 1:]).any((1, 2))
    breaks = np.flatnonzero(new) + 1
    return [slice(*ends) for ends in pairwise([0, *breaks.tolist(), len(windows)])]


def inside(one: RecordBatch, column: int) -> Array:
    """Of a single record, without its padding."""
    lengths = one.lengths[column]
    found: Array = one.arrays[column][0]
    return found if lengths is None else found[: int(lengths[0])]


def _window(train: Source, ports: Sequence[Port]) -> int:
    if ports[1].type.seq:
        return 0
    return int(train.take(np.array([0])).arrays[0].shape[1])


def series(split: Source, ports: Sequence[Port], scale: Scale, ahead: int) -> list[Array]:
    """The inputs of a split, each from its beginning to the last moment that it foretells, in the
    units of the model."""
    converted = as_input(ports, scale) if ports[0].type.kind == "real" else np.asarray

    def whole(x: Array, y: Array) -> Array:
        last = converted(y[-ahead:]) if len(y) >= ahead else x[:0]
        return np.concatenate([x, last.astype(x.dtype)])

    if isinstance(split, Stream):
        x: Array = split.columns[0].astype(split.dtypes[0])
        return [whole(x, split.columns[1].astype(split.dtypes[1]))]
    if ports[1].type.seq:
        each = (split.take(np.array([k])) for k in range(len(split)))
        return [whole(inside(one, 0), inside(one, 1)) for one in each]
    windows, values = split.take(np.arange(len(split))).arrays
    return [whole(np.concatenate([windows[part][0], windows[part][1:, -1]]), values[part])
            for part in _stretches(split, windows)]  # fmt: skip
