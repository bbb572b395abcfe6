"""The strip that a run leaves: what it read, how it interfered, what it felt and how it fared.

`write(run)` makes `scar.svg` and `scar.txt` in the run's folder, from what lies there and nothing
else: the same folder gives the same bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def write(run: str | Path) -> list[Path]:
    from qrlang.scar.strip import write as written

    return written(run)
