"""What a loader is asked for, and what it hands back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from qrlang.data_schemas import Number
from qrlang.training.data import fetch
from qrlang.training.data.batches import frozen
from qrlang.training.data.errors import DataError
from qrlang.training.data.files import Archive, places
from qrlang.training.data.ports import Port
from qrlang.training.data.sources import Records, Source
from qrlang.training.data.vocabulary import Vocabulary

HELD_OUT = 0.1
"""The part of the training split that is held out where a data set has no validation split."""


def admit(name: str, path: Path | None) -> None:
    """Every opening of data goes through here, before anything is read: a file (`path`), or a
    set of the hub (None). Rules about who may read what have their place in this function."""


@dataclass(frozen=True)
class Request:
    name: str
    arguments: Mapping[str, Number]
    ports: tuple[Port, ...]
    data_dir: Path | None = None
    base: Path | None = None  # paths of one's own files start here
    validation: float | None = None
    max_length: int = 0
    vocabularies: Mapping[str, Vocabulary] = field(default_factory=dict)
    progress: fetch.Progress | None = None
    may_fetch: bool = True

    def whole(self, name: str) -> int:
        return int(self.arguments[name])

    def text(self, name: str) -> str:
        return str(self.arguments[name])

    @property
    def longest(self) -> int:
        """The longest sequence that is wanted; 0: any."""
        wanted = [n for n in (int(self.arguments.get("longest", 0)), self.max_length) if n]
        return min(wanted, default=0)

    def size(self, *ports: Port) -> int:
        """How many symbols a vocabulary may have: what the model has room for, or less."""
        sizes = [p.type.size for p in ports]
        if "vocabulary" in self.arguments:
            sizes.append(self.whole("vocabulary"))
        return min(sizes)

    def archive(self, file: str) -> Archive:
        return Archive(self.path(file))

    def path(self, file: str) -> Path:
        """One of the named files: where it lies, or fetched."""
        looked = []
        for why, folder in places(self.data_dir):
            path = folder / file
            if path.is_file():
                admit(self.name, path)
                return path
            looked.append(f"{folder} ({why})")
        return self._fetched(file, looked)

    def _fetched(self, file: str, looked: list[str]) -> Path:
        where = "looked in " + ", ".join(looked)
        path = fetch.fetched(self.name, file, where, self.progress, self.may_fetch)
        admit(self.name, path)
        return path

    def own(self, given: str) -> Path:
        """A file of one's own: beside the program, in the data folders, or by its full path."""
        folders = [self.base or Path(), *(p for _, p in places(self.data_dir)[:-1])]
        for folder in folders:
            path = folder / Path(given).expanduser()
            if path.is_file():
                admit(self.name, path)
                return path
        raise DataError(
            "missing-file",
            f"there is no file {given!r}; looked in {', '.join(str(f) for f in folders)}",
            "a path is taken from the program's folder, then from the data folder",
        )


@dataclass
class Loaded:
    """What a loader found. Splits are read when they are first asked for."""

    splits: Mapping[str, Callable[[], Source]]
    vocabularies: dict[str, Vocabulary] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)
    scale: dict[str, tuple[list[float], list[float]]] = field(default_factory=dict)
    """By port: what was subtracted, and what it was then divided by."""
    references: Callable[[str], list[str]] | None = None
    """Of a split: the texts that a translation is measured against, in the order of the records."""
    file: Path | None = None
    counts: dict[str, int] = field(default_factory=dict)
    """Records of splits that are costly to read, where that is known without."""


def held_out(
    request: Request, train: Records, default: float = HELD_OUT
) -> tuple[Records, Records]:
    """Train and validation where there is no validation split: always the same records."""
    part = default if request.validation is None else request.validation
    if not 0 <= part < 1:
        raise DataError(
            "bad-argument", f"`validation` is a part of the training split, found {part}"
        )
    n = len(train)
    held = round(n * part) if n > 1 else 0
    order = frozen(n, 20).permutation(n)
    return train.subset(np.sort(order[held:])), train.subset(np.sort(order[:held]))


def with_validation(
    request: Request,
    train: Callable[[], Records],
    test: Callable[[], Source],
    default: float = HELD_OUT,
) -> dict[str, Callable[[], Source]]:
    """Three splits of two; the training records are read once for the first two."""
    pair: list[tuple[Records, Records]] = []

    def both() -> tuple[Records, Records]:
        if not pair:
            pair.append(held_out(request, train(), default))
        return pair[0]

    return {"train": lambda: both()[0], "validation": lambda: both()[1], "test": test}
