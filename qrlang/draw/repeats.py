"""Layers alike, one after the other, in whatever is drawn."""

from __future__ import annotations

from collections.abc import Sequence

MOST = 4000  # things among which layers are looked for


def repeated(shapes: Sequence[object]) -> tuple[int, int, int]:
    """Where the longest run of equal layers begins, how many things are in one, and how many
    layers there are: the run that saves most when it is drawn once."""
    best = (0, 0, 0, 1)  # things saved, -period, start, times
    if len(shapes) > MOST:
        return 0, 0, 1
    for period in range(2, len(shapes) // 2 + 1):
        run = 0
        for i in range(len(shapes) - period + 1):
            if i < len(shapes) - period and shapes[i] == shapes[i + period]:
                run += 1
                continue
            times = run // period + 1
            if times > 1:
                best = max(best, ((times - 1) * period, -period, i - run, times))
            run = 0
    return best[2], -best[1], best[3]
