"""What a model said of numbers beside what was true: the picture of a forecast."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from qrlang.diagnostics.words import plural
from qrlang.plot.chart import Chart, Panel, Series
from qrlang.training.curves import save
from qrlang.training.data.foretold import one_time
from qrlang.training.data.ports import Array
from qrlang.training.feed import Feed
from qrlang.training.metrics import Tally

FILE = "answers"
_WIDE = 3  # numbers of a moment that are drawn
_TRUE, _SAID = 6, 1  # colours


def draw(folder: Path, title: str, tally: Tally, feed: Feed, split: str) -> list[Path]:
    """The first answers of a split, in the units of its data; nothing, if they are no numbers, or
    the data's own may not be kept."""
    data: Any = getattr(feed, "data", None)
    if not tally.kept or data is None or data.rights:
        return []
    name = data.ports[-1].name
    shift, divisor = map(np.array, data.scale.get(name, (0.0, 1.0)))
    pairs = [(a * divisor + shift, b * divisor + shift) for a, b in tally.kept]
    wide = pairs[0][0].shape[1]
    names = [name] if wide == 1 else [f"{name}[{k}]" for k in range(min(wide, _WIDE))]
    if not tally.kind.seq:
        pairs = [(np.concatenate([a for a, _ in pairs]), np.concatenate([b for _, b in pairs]))]
    curves = tally.kind.seq or one_time(data.source(split), data.ports)
    panels = [(_over_time if curves else _scattered)(n, k, pairs) for k, n in enumerate(names)]
    width = (640.0 if len(panels) == 1 else 420.0) if curves else 300.0
    count = sum(len(a) for a, _ in pairs)
    some = "the first " if count < tally.moments[0] else ""
    note = f"{some}{plural(count, 'moment' if curves else 'record')} of the {split} split"
    return save(folder / FILE, Chart(title, panels, width=width, note=note))


def _over_time(name: str, k: int, pairs: Sequence[tuple[Array, Array]]) -> Panel:
    """Sequences one after the other, each a curve of its own."""
    ends = [0, *accumulate(len(a) for a, _ in pairs)]
    found = []
    for place, (colour, what) in enumerate(((_SAID, "answer"), (_TRUE, "truth"))):
        for begin, pair in zip(ends, pairs, strict=False):
            ys = pair[place][:, k]
            at = np.flatnonzero(np.isfinite(ys))
            named = what if begin == 0 else ""
            found.append(Series(named, (begin + at).tolist(), ys[at].tolist(), colour=colour,
                                dashed=place == 0))  # fmt: skip
    return Panel("moment", name, found[len(pairs) :] + found[: len(pairs)])


def _scattered(name: str, k: int, pairs: Sequence[tuple[Array, Array]]) -> Panel:
    said, true = (x[:, k] for x in pairs[0])
    fine = np.isfinite(said)
    ends = [float(true.min()), float(true.max())]
    return Panel(f"{name}, true", f"{name}, answered", [
        Series("", ends, ends, colour=_TRUE, dashed=True),
        Series("", true[fine].tolist(), said[fine].tolist(), colour=0, points=True),
    ])  # fmt: skip
