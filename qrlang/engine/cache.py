"""Machine code on disk, of processors and of GPUs: files that only this user may write, checked
before use.

QRLANG_CACHE_DIR names the folder; QRLANG_CACHE=0 switches it off. A file that is damaged, of
another owner or writable by others is ignored and written anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import sys
import tempfile
from pathlib import Path

from qrlang.system import environment

MAGIC = b"qrlang-kernel-1\n"


def folder() -> Path | None:
    if not environment.flag("QRLANG_CACHE", usual=True):
        return None
    named = os.environ.get("QRLANG_CACHE_DIR")
    if named:
        if Path(named).exists() and not Path(named).is_dir():
            raise environment.WrongEnvironment(
                "QRLANG_CACHE_DIR", "that is no folder", "name a folder, or unset it"
            )
        return Path(named)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA")
        return Path(base) / "qrlang" / "cache" if base else None
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(base) if base else Path.home() / ".cache") / "qrlang"
    except RuntimeError:
        return None


def key(*parts: str) -> str:
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode()
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()


def read(name: str) -> bytes | None:
    where = folder()
    if where is None:
        return None
    try:
        with open(where / f"{name}.o", "rb") as file:
            info = os.fstat(file.fileno())
            if hasattr(os, "getuid") and (
                info.st_uid != os.getuid() or info.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
            ):
                return None
            data = file.read()
    except OSError:
        return None
    head = len(MAGIC) + 32 + len(name)
    if len(data) < head or not data.startswith(MAGIC):
        return None
    check, own, blob = data[len(MAGIC) : len(MAGIC) + 32], data[len(MAGIC) + 32 : head], data[head:]
    if own != name.encode() or hashlib.sha256(own + blob).digest() != check:
        return None
    return blob


def write(name: str, blob: bytes) -> None:
    """Under a name of its own first, so that nobody ever sees half a file."""
    where = folder()
    if where is None:
        return
    own = name.encode()
    data = MAGIC + hashlib.sha256(own + blob).digest() + own + blob
    with contextlib.suppress(OSError):
        where.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, temporary = tempfile.mkstemp(dir=where, prefix=".new-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            os.chmod(temporary, 0o600)
            os.replace(temporary, where / f"{name}.o")
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
