"""A run folder: what was trained, how, with what result.

program/            the text, and every file that it draws on
program.ir          the program itself, all names and sizes resolved: what is trained
settings.json       every setting, also those that nobody gave
versions.json       of all that has a say in the numbers
metrics.jsonl       one line at a time; the same whenever the run is repeated
timing.jsonl        seconds, which are not
ledger.jsonl        of a governed run: see qrlang/governor
curves.svg .png
checkpoints/        last: everything, to go on from; best: by the validation metric
result.json         what came out
trace/              what was seen on the way, if that was asked for
scar.svg .txt       the strip that it left
.lock               the process that is at work here
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qrlang.errors import TrainingError
from qrlang.ir.program import Program
from qrlang.ir.text import IRSyntaxError, parse_program, print_program
from qrlang.system.files import (
    append,
    cut,
    explained,
    json_lines,
    read_json,
    write_atomically,
    write_json,
)
from qrlang.system.lock import Lock
from qrlang.training.settings import Settings
from qrlang.version import VERSION

_BEFORE = {"program", "program.ir", "versions.json", "metrics.jsonl", "timing.jsonl",
           ".program.ir.new", ".versions.json.new", ".metrics.jsonl.new", ".timing.jsonl.new",
           ".settings.json.new", ".lock"}  # fmt: skip


@dataclass(frozen=True)
class Run:
    folder: Path
    _held: list[Any] = field(default_factory=list, compare=False, repr=False)

    def hold(self) -> None:
        """For this process alone, as long as this object lives."""
        self._held.append(Lock(self.folder / ".lock", "two at once would spoil its checkpoints"))

    @property
    def last(self) -> Path:
        return self.folder / "checkpoints" / "last.safetensors"

    @property
    def best(self) -> Path:
        return self.folder / "checkpoints" / "best.safetensors"

    def kept(self, which: str = "best") -> Path:
        """The weights that are asked for; the last, where no epoch had a figure."""
        file = self.best if which == "best" and self.best.exists() else self.last
        if not file.exists():
            raise TrainingError(f"'{self.folder}' has no checkpoint yet",
                                f"train it: qrlc train --resume {self.folder}")  # fmt: skip
        return file

    @property
    def imports(self) -> tuple[str, ...]:
        """Where its program's layers in Python are."""
        return (str((self.folder / "program").absolute()),)

    @property
    def metrics(self) -> Path:
        return self.folder / "metrics.jsonl"

    @property
    def timing(self) -> Path:
        return self.folder / "timing.jsonl"

    @property
    def ledger(self) -> Path:
        return self.folder / "ledger.jsonl"

    @property
    def result(self) -> Path:
        return self.folder / "result.json"

    # --- beginning ---

    @classmethod
    def begin(
        cls, folder: Path, program: Program, settings: Settings, files: dict[str, bytes],
        about: dict[str, Any],
    ) -> Run:  # fmt: skip

        run = cls(folder)
        for name, data in files.items():
            write_atomically(folder / "program" / name, data)
        write_atomically(folder / "program.ir", print_program(program))
        write_json(folder / "versions.json", versions())
        write_atomically(run.metrics, "")
        write_atomically(run.timing, "")
        # The last to be written: a folder that has it is a run.
        write_json(folder / "settings.json", {**settings.to_data(), "about": about})
        return run

    def plan(self, settings: Settings, before: dict[str, int]) -> None:
        """For longer than it was planned: what was found at its end is not its outcome any more.
        `before`: where it was, and what it was planned for until then."""
        about = self.about()
        about["planned"] = [*about.get("planned", []), before]
        self.result.unlink(missing_ok=True)
        write_json(self.folder / "settings.json", {**settings.to_data(), "about": about})

    @classmethod
    def open(cls, path: str | Path) -> Run:
        folder = Path(path)
        if not (folder / "settings.json").is_file():
            what = "is not a run folder" if folder.exists() else "is not there"
            raise TrainingError(f"'{path}' {what}", "give the folder that `qrlc train` has made")
        return cls(folder)

    # --- what it holds ---

    def settings(self) -> Settings:
        page = self._page("settings.json")
        strange = Settings.strange(page)
        if strange:
            raise self._other("settings.json", strange)
        return Settings.of_data(page)

    def about(self) -> dict[str, Any]:
        """Which model of which file, with which parameters, on data from where."""
        found = self._page("settings.json").get("about")
        if not isinstance(found, dict) or not isinstance(found.get("model"), str):
            raise self._other("settings.json", "it does not say which model was trained")
        return {"parameters": {}, **found}

    def data(self) -> dict[str, Any]:
        """What is known of the data: columns, labels, scale, vocabularies."""
        page = self._page("data.json")
        for name in ("scale", "vocabularies", "arguments"):
            if not isinstance(page.get(name, {}), dict):
                raise self._other("data.json", f"its `{name}` is {page[name]!r}")
        return page

    def outcome(self, *needed: str) -> dict[str, Any]:
        """`result.json`; nothing, if the run has not come to its end. `needed`: what it has to
        say besides its figures."""
        if not self.result.is_file():
            return {}
        page = self._page("result.json")
        figures = page.get("figures")
        if not isinstance(figures, dict) or not all(
            isinstance(one, dict) and "value" in one for one in figures.values()
        ):
            raise self._other("result.json", "it has no `figures` with a value each")
        for name in needed:
            if name not in page:
                raise self._other("result.json", f"it lacks `{name}`")
        for name in ("steps", "epochs", "best_epoch", "parameters", "seconds"):
            if not isinstance(page.get(name, 0), (int, float, type(None))):
                raise self._other("result.json", f"its `{name}` is {page[name]!r}")
        return page

    def _other(self, name: str, what: str) -> TrainingError:
        """A run folder of another shape: of another version, or changed by somebody."""
        path = self.folder / "versions.json"
        try:
            by = f"qrlang {json.loads(path.read_text(encoding='utf-8'))['qrlang']}"
        except (OSError, ValueError, KeyError, TypeError):
            by = "another version"
        return TrainingError(
            f"'{self.folder}' is not as qrlang {VERSION} writes a run ({name}: {what})",
            f"it was made by {by}, or changed: read it with that, or train it anew: qrlc train "
            f"{self.folder / 'program'}/…",
        )

    def _page(self, name: str) -> dict[str, Any]:
        page = read_json(self.folder / name)
        if not isinstance(page, dict):
            raise TrainingError(f"'{self.folder / name}' is damaged")
        return page

    def program(self) -> Program:
        path = self.folder / "program.ir"
        try:
            return parse_program(path.read_text(encoding="utf-8"))
        except (OSError, IRSyntaxError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            again = "put a copy of it back, or train the run anew"
            raise TrainingError(f"'{path}' cannot be read: {why}", again) from None

    def lines(self, path: Path) -> list[dict[str, Any]]:
        """The lines of metrics or of timing; one that a crash has cut short is left out."""
        return json_lines(path)

    def log(self, path: Path, line: dict[str, Any]) -> None:
        append(path, json.dumps(line) + "\n")

    def lengths(self) -> dict[str, int]:
        """How long the logs are; what is on the disk before a checkpoint says so."""
        found = {}
        for path in (self.metrics, self.timing, self.ledger):
            if path.exists():
                with open(path, "ab") as stream:
                    os.fsync(stream.fileno())
                    found[path.name] = stream.tell()
        return found

    def rewind(self, lengths: dict[str, int]) -> None:
        """The logs as they were at a checkpoint."""
        for path in (self.metrics, self.timing, self.ledger):
            cut(path, lengths.get(path.name, 0))


def vacant(folder: Path) -> bool:
    """Whether a run can begin there: nothing is there, or one that was killed before it began."""
    if not folder.exists():
        return True
    if not folder.is_dir():
        return False
    return {p.name for p in folder.iterdir()} <= _BEFORE


@contextmanager
def claimed(model: str, parent: Path = Path("runs")) -> Iterator[Path]:
    """`runs/QRNN-3`: the first that is free, and this process's alone from now on, however many
    begin at the same moment. Where nothing comes of it, it is not there again."""
    first = not parent.exists()
    folder = _made(model, parent)
    try:
        yield folder
    except BaseException:
        with suppress(OSError):  # only if nothing is in them
            folder.rmdir()
            if first:
                parent.rmdir()
        raise


def _made(model: str, parent: Path) -> Path:
    for k in range(1, 1_000_000):
        folder = parent / f"{model}-{k}"
        with explained(folder):
            parent.mkdir(parents=True, exist_ok=True)
            try:
                folder.mkdir()
            except FileExistsError:
                continue
            return folder
    raise TrainingError(f"'{parent}' is full of runs of {model}", "name a folder: --out DIR")


def versions() -> dict[str, str]:
    found = {
        "qrlang": VERSION,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
    }
    from importlib.metadata import PackageNotFoundError, version

    for name in ("torch", "numpy", "safetensors"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found
