"""Writes the museum: a folder that opens from disk, without a network."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from qrlang.errors import TrainingError
from qrlang.museum.exhibit import Exhibit, exhibit
from qrlang.system.files import explained, write_atomically
from qrlang.training.run import Run

_PAGE = Path(__file__).parent / "page"
_MARK = "museum.js"  # what a folder of ours has
# What is taken along from a run, where it is there, and what it is called in the page.
_TAKEN = {
    "scar.svg": "strip", "curves.svg": "curves", "sky.svg": "sky", "settings.json": "settings",
    "metrics.jsonl": "metrics", "result.json": "result", "ledger.jsonl": "ledger",
    "rights.json": "rights",
}  # fmt: skip


@dataclass
class Museum:
    folder: Path
    exhibits: list[Exhibit] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)  # a run, and why


def build(runs: Sequence[str], out: str, progress: Callable[[int], None] | None = None) -> Museum:
    """A page of all runs. A folder that is no run is left out and said; none at all is an error."""
    folder = Path(out)
    _ours(folder)
    museum = Museum(folder)
    taken: set[str] = set()
    seen: set[Path] = set()
    for number, path in enumerate(_folders(runs, museum)):
        if progress is not None:
            progress(number)
        if path.resolve() in seen:
            continue
        seen.add(path.resolve())
        id = _id(path.resolve().name, taken)
        try:
            run = Run.open(path)
            found = exhibit(run, id)
            json.dumps(found.to_data(), allow_nan=False)
            files = _files(run)
        except Exception as error:  # one strange folder does not close the museum
            museum.left_out.append((str(path), _why(error)))
            taken.discard(id.lower())
            continue
        with explained(folder):
            if not museum.exhibits:
                _page(folder)  # first, so that a folder half made is known as ours
            found.files = _take(files, folder / "runs" / id, id)
        museum.exhibits.append(found)
    if not museum.exhibits:
        why = f": {museum.left_out[0][1]}" if museum.left_out else ""
        raise TrainingError(f"there is no run to show{why}", "give folders that `qrlc train` made")
    _clear(folder / "runs", {e.id for e in museum.exhibits})
    data = json.dumps([e.to_data() for e in museum.exhibits], ensure_ascii=True, allow_nan=False)
    write_atomically(folder / "data.js", f"window.MUSEUM = {data};\n")
    return museum


def _why(error: Exception) -> str:
    """What is wrong with a run, and what mends it."""
    if isinstance(error, TrainingError):
        return f"{error}" + (f" ({error.help})" if error.help else "")
    return (f"its files are not as qrlc train writes them: {type(error).__name__}: {error} (train "
            "it anew, or leave it out)")  # fmt: skip


def _page(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for page in sorted(_PAGE.iterdir()):
        if page.suffix in (".html", ".css", ".js"):
            write_atomically(folder / page.name, page.read_bytes())


def _folders(runs: Sequence[str], museum: Museum) -> list[Path]:
    """The run folders themselves; of a folder of runs, all that are in it."""
    found: list[Path] = []
    for given in runs:
        path = Path(given)
        if (path / "settings.json").is_file() or not path.is_dir():
            found.append(path)
            continue
        inside = sorted(p.parent for p in path.glob("*/settings.json"))
        if not inside:
            museum.left_out.append((given, "there is no run in it"))
        found += inside
    return found


def _ours(folder: Path) -> None:
    """Nothing of somebody else's is written over."""
    if folder.is_file():
        raise TrainingError(f"'{folder}' is a file", "name a folder: -o site")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / _MARK).is_file():
        raise TrainingError(f"'{folder}' is not empty, and no museum", "name a new folder: -o site")


def _id(name: str, taken: set[str]) -> str:
    """A folder's name that every system and every address takes."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-") or "run"
    found, k = plain, 1
    while found.lower() in taken:
        k += 1
        found = f"{plain}-{k}"
    taken.add(found.lower())
    return found


def _files(run: Run) -> dict[str, tuple[str, bytes]]:
    """What is taken along: a file's name in the museum, what it is, and its bytes."""
    found = {
        name: (word, (run.folder / name).read_bytes())
        for name, word in _TAKEN.items()
        if (run.folder / name).is_file()
    }
    program = run.folder / "program" / str(run.about().get("file", ""))
    if program.is_file():  # browsers show texts, and save what they do not know
        found["program.txt"] = ("program", program.read_bytes())
    return found


def _take(files: dict[str, tuple[str, bytes]], into: Path, id: str) -> dict[str, str]:
    if into.exists():
        shutil.rmtree(into)
    into.mkdir(parents=True)
    for name, (_, data) in files.items():
        (into / name).write_bytes(data)
    return {word: f"runs/{id}/{name}" for name, (word, _) in files.items()}


def _clear(runs: Path, kept: set[str]) -> None:
    """Runs that are shown no more."""
    for path in runs.iterdir():
        if path.is_dir() and path.name not in kept:
            shutil.rmtree(path)


def without_strip(site: Path, id: str) -> None:
    """The strip of a run that must not be shown any more is gone; the page says its other facts."""
    path = site / "data.js"
    head, tail = "window.MUSEUM = ", ";\n"
    exhibits = json.loads(path.read_text(encoding="utf-8").removeprefix(head).removesuffix(tail))
    for one in exhibits:
        if one["id"] == id:
            one["files"].pop("strip", None)
            one["account"] = "What it left of single records has been forgotten."
    write_atomically(path, head + json.dumps(exhibits, ensure_ascii=True) + tail)
