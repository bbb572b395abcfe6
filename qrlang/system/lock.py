"""One process at a time in a run's folder, be it trained or run on a device.

The lock is the system's own, on a file that also says who holds it. The system takes it from a
process that is dead, however it died, so nothing has to be cleared away.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
import weakref
from contextlib import suppress
from pathlib import Path
from typing import IO

from qrlang.errors import UserError

_held: dict[Path, tuple[IO[str], int]] = {}  # by this process, and by how many of its locks


class NotTaken(UserError):
    """`str(error)` says why, and who holds it."""


class Lock:
    """Held as long as this object lives, or until `release`."""

    def __init__(self, path: Path, why: str) -> None:
        """`why` there may be only one."""
        path = path.absolute()
        file, count = _held[path] if path in _held else (_taken(path, why), 0)
        _held[path] = (file, count + 1)
        self.release = weakref.finalize(self, _released, path)


def _taken(path: Path, why: str) -> IO[str]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = open(path, "a+", encoding="utf-8")  # noqa: SIM115
    except OSError as error:
        raise NotTaken(
            f"cannot write '{path.parent}': {error.strerror or error}",
            "mend the folder, or copy it to where you may write",
        ) from None
    try:
        _lock(file)
    except OSError:
        with file:
            raise NotTaken(
                f"'{path.parent}' is in use by {_holder(file)}",
                f"wait for it, or stop it: {why}",
            ) from None
    command = " ".join(sys.argv)[:200]
    page = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.time(),
            "command": command}  # fmt: skip
    file.seek(_PLACE)
    file.truncate()
    file.write(json.dumps(page))
    file.flush()
    return file


def _holder(file: IO[str]) -> str:
    with suppress(OSError, ValueError, KeyError):
        file.seek(_PLACE)
        page = json.loads(file.read())
        since = time.strftime("%H:%M on %d %B", time.localtime(page["since"]))
        return (f"process {page['pid']} on {page['host']}, since {since}: "
                f"{page['command']}")  # fmt: skip
    return "another process"


def _released(path: Path) -> None:
    file, count = _held[path]
    if count > 1:
        _held[path] = (file, count - 1)
        return
    del _held[path]
    file.close()


if sys.platform == "win32":
    import msvcrt

    _PLACE = 1  # the byte before it is locked, and others may not read that

    def _lock(file: IO[str]) -> None:
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    _PLACE = 0

    def _lock(file: IO[str]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
