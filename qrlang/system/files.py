"""Files that are either as they were or as they shall be, whenever the power goes."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from qrlang.errors import TrainingError


def write_atomically(path: Path, data: bytes | str) -> None:
    """To a neighbour first, onto the disk, then in place of the old one."""
    raw = data.encode() if isinstance(data, str) else data
    new = path.with_name(f".{path.name}.new")
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(new, "wb") as stream:
                stream.write(raw)
                stream.flush()
                os.fsync(stream.fileno())
            replace(new, path)
            _sync_folder(path.parent)
        except BaseException:
            new.unlink(missing_ok=True)
            raise


def nameable(folder: Path) -> None:
    """Settings and checkpoints hold UTF-8, and a name in an encoding of old cannot be in them."""
    try:
        str(folder.absolute()).encode()
    except UnicodeEncodeError:
        raise TrainingError(
            f"the name of the folder {str(folder.absolute())!r} is not UTF-8", "rename the folder"
        ) from None


def write_json(path: Path, data: Any) -> None:
    write_atomically(path, json.dumps(data, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise TrainingError(f"cannot read '{path}': {error.strerror or error}") from None
    except ValueError as error:
        raise TrainingError(
            f"'{path}' is damaged: {error}", "put a copy of it back, or train the run anew"
        ) from None


def replace(new: str | Path, path: str | Path) -> None:
    """A file in the place of another. Windows refuses while somebody has the old one open, be it
    a virus scanner for a moment, and a long training run must not end of that."""
    for pause in (0.01, 0.1, 0.4, 1.0) if sys.platform == "win32" else ():
        try:
            os.replace(new, path)
            return
        except PermissionError:
            time.sleep(pause)
    os.replace(new, path)


def suffixed(path: Path, suffix: str) -> Path:
    """`page.md` and `page` -> `page.html`, but `lr0.01` -> `lr0.01.html`: that is no suffix."""
    known = path.suffix.lower() in (".html", ".md", ".png", ".svg")
    return path.with_name((path.stem if known else path.name) + suffix)


def append(path: Path, data: bytes | str) -> int:
    """Adds to a file; returns how long it is now."""
    with explained(path), open(path, "ab") as stream:
        stream.write(data.encode() if isinstance(data, str) else data)
        stream.flush()
        return stream.tell()


def json_lines(path: Path) -> list[dict[str, Any]]:
    """Up to the first that is not whole: a crash has cut it short."""
    found: list[dict[str, Any]] = []
    raw = path.read_bytes() if path.exists() else b""
    for line in raw.split(b"\n")[:-1]:
        try:
            page = json.loads(line)
        except ValueError:
            break
        if not isinstance(page, dict):
            break
        found.append(page)
    return found


def cut(path: Path, length: int) -> None:
    """Forgets what was added to a file after this length."""
    if path.exists() and path.stat().st_size > length:
        with explained(path), open(path, "r+b") as stream:
            stream.truncate(length)


def _sync_folder(folder: Path) -> None:
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return  # not every system opens folders
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        run = _run_of(path)
        help = "make room, or name another folder: --out DIR"
        drawn = path.suffix in (".svg", ".png", ".txt", ".md", ".html")
        if drawn and (run / "settings.json").exists():
            help = f"make room, or mend the folder {run}"
        elif (run / "checkpoints" / "last.safetensors").exists():
            help = ("nothing is lost: the checkpoint before this one is whole. Make room (or mend "
                    f"the folder), then go on with: qrlc train --resume {run}")  # fmt: skip
        raise TrainingError(f"cannot write '{path}': {error.strerror or error}", help) from None


def _run_of(path: Path) -> Path:
    return path.parent.parent if path.parent.name in ("checkpoints", "program") else path.parent
