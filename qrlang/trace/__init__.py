"""What a run looked like on the way: recorded while it trains, read afterwards.

`qrlang.trace.open(run)` reads one; the format is in docs/trace.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from qrlang.trace.reading import Trace


def open(run: str | Path) -> Trace:
    """The trace of a run folder."""
    from qrlang.trace.reading import open_trace

    return open_trace(run)
