"""What a loader is asked for, and what it hands back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from qrlang.check.training.data_sets import Number
from qrlang.errors import DataError
from qrlang.rights.gate import Rights, rights
from qrlang.training.data import fetch
from qrlang.training.data.batches import frozen
from qrlang.training.data.files import Archive, places
from qrlang.training.data.ports import Port
from qrlang.training.data.sources import Records, Source
from qrlang.training.data.vocabulary import Vocabulary

HELD_OUT = 0.1
"""The part of the training split that is held out where a data set has no validation split."""


def admit(path: Path) -> Rights | None:
    """Every opening of a file goes through here, before anything of it is read. What its manifests
    leave of it, if it has any."""
    return rights(path)


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
    labels: tuple[str, ...] = ()  # of classes, as an earlier run numbered them
    progress: fetch.Progress | None = None
    may_fetch: bool = True
    scale: Mapping[str, Mapping[str, list[float]]] = field(default_factory=dict)  # of that run
    warm: int = 0  # moments that are wanted before those of a series that are measured
    answering: bool = False  # by a run: what words and names mean is as it was in its training
    opened: list[Rights] = field(default_factory=list)  # of files that have manifests

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
        path, found = self._named(file)
        return Archive(path, found)

    def path(self, file: str) -> Path:
        """One of the named files as it is: not if it has columns that may not be read."""
        path, found = self._named(file)
        if found is not None and found.columns:
            raise found.refuse(", ".join(sorted(found.columns)))
        return path

    def _named(self, file: str) -> tuple[Path, Rights | None]:
        """One of the named files: where it lies, or fetched."""
        looked = []
        for why, folder in places(self.data_dir):
            path = folder / file
            if path.is_file():
                return path, self._whole(path)
            looked.append(f"{folder} ({why})")
        where = "looked in " + ", ".join(looked)
        path = fetch.fetched(self.name, file, where, self.progress, self.may_fetch)
        return path, self._whole(path)

    def _whole(self, path: Path) -> Rights | None:
        found = admit(path)
        if found is not None:
            found.whole()
            self.opened.append(found)
        return found

    def hub(self, name: str) -> Rights | None:
        """The manifest of a set of the hub: `owner-name.rights.toml` in a data folder."""
        for folder in (self.base or Path(), *(p for _, p in places(self.data_dir))):
            found = self._whole(folder / name.replace("/", "-"))
            if found is not None:
                return found
        return None

    def own(self, given: str) -> tuple[Path, Rights | None]:
        """A file of one's own: beside the program, in the data folders, or by its full path."""
        folders = [self.base or Path(), *(p for _, p in places(self.data_dir)[:-1])]
        for folder in folders:
            path = folder / Path(given).expanduser()
            if path.is_dir():
                raise DataError("missing-file", f"'{path}' is a folder", "name a file in it")
            if path.is_file():
                found = admit(path)
                if found is not None:
                    self.opened.append(found)
                return path, found
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
    names: dict[str, Callable[[str], list[str]]] = field(default_factory=dict)
    """By source with a manifest: of a split's file, the name of each record in the columns."""
    columns: dict[str, list[str]] = field(default_factory=dict)
    """By source with a manifest: what was read, by every word that a manifest may have for it."""
    counts: dict[str, int] = field(default_factory=dict)
    """Records of splits that are costly to read, where that is known without."""

    def of(self, archive: Archive) -> Loaded:
        """What was read from that."""
        self.file, self.notes = archive.path, archive.notes()
        return self


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
