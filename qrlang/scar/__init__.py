"""The strip that a run leaves: what it read, how it interfered, what it felt and how it fared.

`write(run)` makes `scar.svg` and `scar.txt` in the run's folder, from what lies there (of a run
that was not traced: its weights on a few records of its data): the same run gives the same bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from qrlang.training.feed import Feed


def write(run: str | Path, feed: Feed | None = None, data_dir: str | None = None) -> list[Path]:
    """`feed`: the run's data, where it is open already."""
    from qrlang.scar.strip import write as written

    return written(run, feed, data_dir)
