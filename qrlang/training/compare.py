"""Runs side by side. Runs that differ in nothing but the seed, and the part of the data
that is the test, are one row: mean ± s.d."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qrlang.errors import TrainingError
from qrlang.ir.program import Expect, Loop, Op, Probabilities, Program
from qrlang.ir.walk import walk
from qrlang.plot.chart import Chart, Panel, Series
from qrlang.training.curves import WORDS, per_step, save, scaled
from qrlang.training.progress import number
from qrlang.training.run import Run
from qrlang.training.settings import Settings


@dataclass(frozen=True)
class Entry:
    """One finished run."""

    run: Run
    settings: Settings
    about: dict[str, Any]
    result: dict[str, Any]
    readouts: int  # in a step

    @property
    def shared(self) -> dict[str, Any]:
        """The settings that runs of one row have in common: all but the seed, the fold, and where
        it ran."""
        page = {k: v for k, v in self.settings.to_data().items()
                if k not in ("seed", "threads", "road", "checkpoint", "log")}  # fmt: skip
        name, given = self.settings.data
        return {**page, "data": (name, {k: v for k, v in given.items() if k != "fold"})}

    @property
    def key(self) -> tuple[Any, ...]:
        return (self.about["model"], str(self.about["parameters"]), str(self.shared))

    @property
    def lot(self) -> tuple[int, Any]:
        """What runs of one row differ in."""
        return self.settings.seed, self.settings.data[1].get("fold")


@dataclass(frozen=True)
class Row:
    name: str
    runs: tuple[Entry, ...]
    metric: str

    @property
    def values(self) -> list[float]:
        return [float(e.result["figures"][self.metric]["value"]) for e in self.runs]

    @property
    def mean(self) -> float:
        return statistics.fmean(self.values)

    @property
    def deviation(self) -> float | None:
        return statistics.stdev(self.values) if len(self.runs) > 1 else None

    def data(self) -> dict[str, Any]:
        first = self.runs[0]
        return {
            "name": self.name,
            "core": first.settings.core,
            "metric": self.metric,
            "split": first.result["split"],
            "mean": self.mean,
            "deviation": self.deviation,
            "values": self.values,
            "seeds": [e.settings.seed for e in self.runs],
            "parameters": first.result["parameters"],
            "readouts_a_step": first.readouts,
            "seconds_an_epoch": statistics.fmean(e.result["seconds_an_epoch"] for e in self.runs),
            "epochs": first.result["epochs"],
            "runs": [str(e.run.folder) for e in self.runs],
        }


class _Left(TrainingError):
    """A run that is no row: of `runs/*` the others are shown."""


def rows(paths: Iterable[str], metric: str | None) -> tuple[list[Row], list[TrainingError]]:
    """The table, and what is left out, and why."""
    left: list[TrainingError] = []
    groups: dict[tuple[Any, ...], list[Entry]] = {}
    for path in paths:
        try:
            e = _entry(path)
            metric = metric or e.settings.metric
            _fits(e, metric, groups.get(e.key, []))
        except _Left as error:
            left.append(error)
            continue
        groups.setdefault(e.key, []).append(e)
    names = _names(list(groups.values()))
    found = zip(names, groups.values(), strict=True)
    return [Row(n, tuple(g), metric or "") for n, g in found], left


def _fits(e: Entry, metric: str, others: list[Entry]) -> None:
    has = [k for k, one in e.result["figures"].items() if one["value"] is not None]
    if metric not in has:
        raise _Left(
            f"'{e.run.folder}' has no {metric}",
            f"it has {', '.join(has)}: choose with --metric",
        )
    for o in others:
        if o.lot == e.lot:  # it would make the deviation look smaller
            raise _Left(f"'{e.run.folder}' is '{o.run.folder}' once more, of the same seed")


def _entry(path: str) -> Entry:
    run = Run.open(path)
    if not run.result.exists():
        raise _Left(f"'{path}' is not finished", f"qrlc train --resume {path}")
    result = run.outcome("split", "parameters", "epochs", "seconds_an_epoch")
    return Entry(run, run.settings(), run.about(), result, readouts(run.program()))


def readouts(program: Program) -> int:
    """Expectation values and probabilities in one turn of the busiest recurrence (in the whole
    program, where it has none)."""

    def count(ops: tuple[Op, ...]) -> int:
        return sum(o.out.type.count for o in walk(ops) if isinstance(o, (Expect, Probabilities)))

    loops = [o for o in walk(program.body) if isinstance(o, Loop)]
    return max((count(loop.body) for loop in loops), default=count(program.body))


def _names(groups: list[list[Entry]]) -> list[str]:
    """The model and its core; and where that is not enough, what else differs."""
    found = []
    firsts = [g[0] for g in groups]
    base = [_base(e) for e in firsts]
    for e, name in zip(firsts, base, strict=True):
        same = [o for o, n in zip(firsts, base, strict=True) if n == name and o is not e]
        found.append(name + "".join(sorted(_differences(e, same))))
    return found


def _base(e: Entry) -> str:
    core = e.settings.core
    return str(e.about["model"]) if core == "pqc" else f"{e.about['model']}, {core} core"


def _differences(e: Entry, others: list[Entry]) -> set[str]:
    found = set()
    theirs = [{**o.shared, **o.about["parameters"]} for o in others]
    for k, value in {**e.shared, **e.about["parameters"]}.items():
        beside = [t.get(k) for t in theirs]
        if any(value != x for x in beside):
            found.add(f", {k}={_brief(value, beside)}")
    return found


def _brief(value: Any, beside: list[Any]) -> str:
    """Of a choice: its name, and those options in which another of the same name differs."""
    if not _is_choice(value):
        return str(value)
    same = [x[1] for x in beside if _is_choice(x) and x[0] == value[0]]
    inner = [f"{k}: {v}" for k, v in value[1].items() if any(o.get(k) != v for o in same)]
    return f"{value[0]}({', '.join(inner)})" if inner else str(value[0])


def _is_choice(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == 2 and isinstance(value[1], dict)


# --- the table ----------------------------------------------------------------------------------


def cells(found: list[Row]) -> list[list[str]]:
    out = [["model", found[0].metric, "runs", "parameters", "readouts/step", "s/epoch", "epochs"]]
    for row in found:
        d = row.data()
        value = number(row.metric, row.mean)
        if row.deviation is not None:
            value += f" ± {number(row.metric, row.deviation)}"
        sizes = [str(len(row.runs)), str(d["parameters"]), str(d["readouts_a_step"])]
        out.append([row.name, value, *sizes, f"{d['seconds_an_epoch']:.3g}", str(d["epochs"])])
    return out


def text(found: list[Row]) -> str:
    return aligned(cells(found))


def aligned(table: list[list[str]]) -> str:
    widths = [max(len(r[k]) for r in table) for k in range(len(table[0]))]
    lines = [
        "  ".join(c.ljust(w) if k == 0 else c.rjust(w) for k, (c, w) in
                  enumerate(zip(r, widths, strict=True))).rstrip()
        for r in table
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def markdown(found: list[Row]) -> str:
    return ruled(cells(found))


def ruled(table: list[list[str]]) -> str:
    head, *rest = table
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "".join("| " + " | ".join(r) + " |\n" for r in (head, rule, *rest))


# --- the picture --------------------------------------------------------------------------------


def picture(found: list[Row], stem: Path) -> list[Path]:
    """The metric over epochs, a band of one standard deviation; and over the parameters."""
    metric = found[0].metric
    word = WORDS.get(metric, metric)
    curves, dots = [], []
    for k, row in enumerate(found):
        xs, means, spreads = _curve(row)
        if xs:
            curves.append(Series(row.name, xs, means, spreads, colour=k))
        value = scaled(metric, row.mean)
        spread = scaled(metric, row.deviation or 0.0)
        size = float(row.data()["parameters"])
        dots.append(Series(row.name, [size], [value], [spread], colour=k, points=True))
    split = found[0].data()["split"]
    panels = [Panel("epoch", f"{word}, validation", curves, whole=True)] if curves else []
    panels.append(Panel("parameters", f"{word}, {split}", dots, zero=True))
    many = " and ".join(sorted({str(len(r.runs)) for r in found}))
    note = "one run" if many == "1" else f"mean ± s.d. of {many} runs"
    return list(save(stem, Chart("", panels, width=330, note=note)))


def _curve(row: Row) -> tuple[list[float], list[float], list[float]]:
    """The mean over seeds, at the epochs that all of them have."""
    by_epoch: list[dict[float, float]] = []
    for e in row.runs:
        lines = e.run.lines(e.run.metrics)
        an_epoch = per_step(lines)
        by_epoch.append({
            round(x["step"] / an_epoch, 3): scaled(row.metric, x[row.metric])
            for x in lines if x["split"] == "validation" and x.get(row.metric) is not None
        })  # fmt: skip
    xs = sorted(set.intersection(*(set(d) for d in by_epoch)))
    values = [[d[x] for d in by_epoch] for x in xs]
    spreads = [statistics.stdev(v) if len(v) > 1 else 0.0 for v in values]
    return xs, [statistics.fmean(v) for v in values], spreads if len(by_epoch) > 1 else []
