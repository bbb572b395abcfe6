"""How far a model that goes on by itself stays with the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from qrlang.errors import TrainingError
from qrlang.plot.chart import Chart, Panel, Series
from qrlang.training import curves
from qrlang.training.asked.generate import Generator
from qrlang.training.data.foretold import series
from qrlang.training.data.ports import Array
from qrlang.training.feed import DataFeed

PLACES = 20  # of a long series
_RECORDS = 200  # of many short ones
VALID = 0.4  # of the spread: the error up to which a forecast is of use, as the field counts it


@dataclass(frozen=True)
class Horizon:
    """Of every place and moment: what was said and what was true, in units of the spread."""

    said: Array  # [places, moments, numbers]
    true: Array
    before: Array  # [places, numbers], the last that was known

    @property
    def errors(self) -> Array:
        """[places, moments]"""
        return _size(self.said - self.true)

    @property
    def valid(self) -> Array:
        """[places]: moments until an error is larger than `VALID`."""
        over = ~(self.errors <= VALID)
        found: Array = np.where(over.any(1), over.argmax(1), over.shape[1])
        return found

    def nrmse(self) -> tuple[Array, Array]:
        """By the moment ahead; and that of whoever says the last known value for ever."""
        kept = _size(self.before[:, None] - self.true)
        return _over_places(self.errors), _over_places(kept)

    def data(self) -> dict[str, Any]:
        ahead = _marks(self.said.shape[1])
        error, kept = self.nrmse()
        at = np.array(ahead) - 1
        low, middle, high = np.percentile(self.valid, (25, 50, 75))
        return {
            "places": len(self.said), "moments": self.said.shape[1], "ahead": ahead,
            "nrmse": [_finite(x) for x in error[at]], "last_value": kept[at].tolist(),
            "valid": {"below": VALID, "median": middle, "half": [low, high]},
        }  # fmt: skip


def horizon(going: Generator, feed: DataFeed, split: str, moments: int) -> Horizon:
    source, ports = feed.data.source(split), feed.data.ports
    if ports[0].type.kind != "real":
        raise TrainingError("how far a forecast holds is a question of numbers, and "
                            f"{ports[0]} has none", "qrlc generate")  # fmt: skip
    found = series(source, ports, feed.data.scale, going.ahead)
    first = max(getattr(source, "lead", 0), going.ahead, going.window)
    if len(found) == 1:
        [x] = found
        starts = np.unique(np.linspace(first, len(x) - moments, PLACES).astype(int))
        pairs = [(x, k) for k in starts if first <= k <= len(x) - moments]
    else:
        pairs = [(x, len(x) - moments) for x in found[:_RECORDS] if len(x) - moments >= first]
    if not pairs:
        raise TrainingError(
            f"the {split} split has {max(map(len, found))} moments in a row, too few to see "
            f"{moments} after at least {first}",
            "ask for fewer",
        )
    spread = np.concatenate(found).reshape(sum(map(len, found)), -1).std(0, dtype=np.float64)
    units = np.where(spread > 0, spread, 1.0)

    def flat(rows: Sequence[Array]) -> Array:
        whole = np.stack(rows).astype(np.float64)
        return whole.reshape(*whole.shape[:2], -1) / units

    said = going([x[:k] for x, k in pairs], moments)
    return Horizon(flat(list(said)), flat([x[k : k + moments] for x, k in pairs]),
                   flat([x[k - 1 : k] for x, k in pairs])[:, 0])  # fmt: skip


def page(found: dict[str, Any]) -> str:
    """For people."""
    rows = {
        "moments ahead": [str(k) for k in found["ahead"]],
        "nrmse": ["-" if x is None else f"{x:.3g}" for x in found["nrmse"]],
        "last value kept": [f"{x:.3g}" for x in found["last_value"]],
    }
    wide = [max(map(len, column)) for column in zip(*rows.values(), strict=True)]
    lines = [f"by itself: {found['moments']} moments from {found['places']} places"]
    lines += [f"  {name:15}  " + "  ".join(f"{c:>{w}}" for c, w in zip(cells, wide, strict=True))
              for name, cells in rows.items()]  # fmt: skip
    low, high = found["valid"]["half"]
    lines.append(f"  holds for {found['valid']['median']:.0f} moments, until the error is over "
                 f"{VALID:g} (median; half of the places: {low:.0f} … {high:.0f})")  # fmt: skip
    return "\n".join(lines) + "\n"


def draw(found: Horizon, stem: Path, title: str) -> list[Path]:
    """From the place that is neither best nor worst; and the error by the moment."""
    place = int(np.argsort(found.valid, kind="stable")[len(found.valid) // 2])
    moments = list(range(1, found.said.shape[1] + 1))
    error, kept = (x.tolist() for x in found.nrmse())
    seen = [k for k, x in enumerate(error) if np.isfinite(x)]
    truth = Series("truth", moments, found.true[place, :, 0].tolist(), colour=6)
    said = found.said[place, :, 0]
    fine = int(np.isfinite(said).sum())
    alone = Series("by itself", moments[:fine], said[:fine].tolist(), colour=0, dashed=True)
    chart = Chart(title, [
        Panel("moments ahead", "value, in units of its spread", [truth, alone]),
        Panel("moments ahead", "normalised r.m.s. error", [
            Series("by itself", [moments[k] for k in seen], [error[k] for k in seen], colour=0),
            Series("last value kept", moments, kept, colour=1, dashed=True),
        ], log=True),
    ])  # fmt: skip
    return curves.save(stem, chart)


def _size(x: Array) -> Array:
    """Of the numbers of a moment together."""
    found: Array = np.sqrt((x**2).mean(-1))
    return found


def _over_places(errors: Array) -> Array:
    found: Array = np.sqrt((errors**2).mean(0))
    return found


def _finite(x: float) -> float | None:
    return float(x) if np.isfinite(x) else None


def _marks(moments: int) -> list[int]:
    """1, 2, 5, 10, … and the last."""
    steps = [f * 10**k for k in range(8) for f in (1, 2, 5)]
    return [k for k in steps if k < moments] + [moments]
