"""Data sets for models that are written down as types."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from qrlang.ir.types import Type, real, seq
from qrlang.training.data import DataSet, Port, open_data

ROWS = seq(real(28))
SERIES = seq(real(1))
VALUE = real(1)


def token(size: int) -> Type:
    return Type("token", (), size, True)


def label(size: int) -> Type:
    return Type("class", (), size)


def ports(*types: Type, names: str = "xy") -> tuple[Port, ...]:
    """Inputs, then one target."""
    return tuple(
        Port(n, t, k == len(types) - 1) for k, (n, t) in enumerate(zip(names, types, strict=True))
    )


# Every data set by name with a file, or made on the spot: what a model of it looks like.
MODELS: dict[str, tuple[dict[str, Any], tuple[Type, ...]]] = {
    "mnist": ({}, (real(784), label(10))),
    "mnist_rows": ({}, (ROWS, label(10))),
    "mnist_pixels": ({}, (SERIES, label(10))),
    "mnist_permuted": ({}, (SERIES, label(10))),
    "fashion": ({}, (real(784), label(10))),
    "fashion_rows": ({}, (ROWS, label(10))),
    "digits8x8": ({}, (seq(real(8)), label(10))),
    "drawn_digits": ({"size": 300}, (seq(real(8)), label(10))),
    "copying": ({"delay": 20, "size": 200}, (token(10), token(10))),
    "adding": ({"length": 30, "size": 200}, (seq(real(2)), VALUE)),
    "parity": ({"size": 200}, (SERIES, label(2))),
    "temporal_parity": ({}, (SERIES, Type("class", (), 2, True))),
    "blobs": ({"size": 200}, (real(8), label(3))),
    "travelling_wave": ({"size": 200}, (seq(real(4)), label(2))),
    "spirals": ({"size": 200}, (seq(real(2)), label(2))),
    "warped": ({"size": 200}, (SERIES, label(2))),
    "elman_xor": ({"size": 200}, (seq(real(2)), Type("class", (), 4, True))),
    "phases": ({"size": 200}, (Type("state", (), 4), label(2))),
    "evolutions": ({"size": 200}, (Type("unitary", (), 2), label(2))),
    "phase_evolutions": ({"size": 200}, (Type("unitary", (), 3), label(2))),
    "ground_states": ({"size": 200}, (real(1), Type("state", (), 4))),
    "syndromes": ({"size": 200}, (seq(real(2)), label(2))),
    "imdb": ({}, (token(10_000), label(2))),
    "sst2": ({}, (token(10_000), label(2))),
    "mr": ({}, (token(10_000), label(2))),
    "rotten_tomatoes": ({}, (token(10_000), label(2))),
    "ptb": ({}, (token(10_000), token(10_000))),
    "ptb_words": ({}, (token(10_000), token(10_000))),
    "ptb_characters": ({}, (token(50), token(50))),
    "wikitext2": ({}, (token(33_278), token(33_278))),
    "shakespeare": ({}, (token(65), token(65))),
    "multi30k": ({}, (token(8000), token(6000))),
    "multi30k_de_en": ({}, (token(8000), token(6000))),
    "multi30k_en_de": ({}, (token(6000), token(8000))),
    "ucr": ({"name": "JapaneseVowels"}, (seq(real(12)), label(9))),
    "damped_sine": ({}, (SERIES, VALUE)),
    "weather": ({}, (SERIES, VALUE)),
    "sunspots": ({}, (SERIES, VALUE)),
    "mackey_glass": ({}, (SERIES, SERIES)),
    "narma": ({"order": 2}, (SERIES, SERIES)),
    "lorenz": ({}, (seq(real(3)), seq(real(3)))),
}


def opened(name: str, folder: Path | None, **more: Any) -> DataSet:
    arguments, types = MODELS[name]
    return open_data(name, arguments | more, ports(*types), data_dir=folder)


def own(path: Path, *types: Type, names: str = "xy", **more: Any) -> DataSet:
    return open_data(str(path), {}, ports(*types, names=names), **more)


def whole(data: DataSet, split: str) -> list[np.ndarray[Any, Any]]:
    """The columns of a split of records, in order (equal lengths only)."""
    batches = list(data.batches(split, 100, shuffle=False))
    return [np.concatenate([b.arrays[k] for b in batches]) for k in range(len(data.ports))]
