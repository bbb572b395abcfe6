"""The page for a mistake of ours: never a bare traceback."""

from __future__ import annotations

import os
import platform
import traceback
from collections.abc import Sequence

from qrlang.version import VERSION

PLUGIN = "in the plug-in "  # begins the note that `qrlang.targets` puts on what is not our bug


def page(error: BaseException, args: Sequence[str]) -> str:
    where = _where(error)
    plugin = where.removeprefix("in ") if where.startswith(PLUGIN) else ""
    lines = [
        "",
        f"This is a bug in {plugin}: neither in your model nor in qrlc."
        if plugin
        else "This is a bug in qrlc, not in your model. We are sorry.",
        "",
        f"  what     {type(error).__name__}: {' '.join(str(error).split())[:200]}",
        f"  where    {where}",
        f"  version  qrlc {VERSION}, Python {platform.python_version()}, "
        f"{platform.system()} {platform.machine()}",
        f"  command  qrlc {' '.join(args)[:200]}",
        "",
        f"Please send {'its authors' if plugin else 'us'} these lines and the file, or the "
        "smallest part of it that does the same.",
    ]
    if os.environ.get("QRLC_TRACEBACK"):
        lines += ["", *traceback.format_exception(error)]
    else:
        lines.append(
            "With QRLC_TRACEBACK=1 in the environment this page also shows where it broke."
        )
    return "\n".join(lines)


def _where(error: BaseException) -> str:
    """The phase, from the innermost frame of ours: `passes/merge.py:40`, or the pass or plug-in
    that a note names."""
    for note in getattr(error, "__notes__", ()):
        if note.startswith(("in the pass", PLUGIN)):
            return str(note)
    found = "unknown"
    for frame in traceback.extract_tb(error.__traceback__):
        path = frame.filename.replace(os.sep, "/")
        if "/qrlang/" in path or "/backends/" in path:
            found = "/".join(path.rsplit("/", 2)[-2:]) + f":{frame.lineno}"
    return found
