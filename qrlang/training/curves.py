"""The curves of a run, as SVG and PNG in its folder."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from qrlang.plot.chart import Chart, Panel, Series
from qrlang.plot.png import to_png
from qrlang.plot.shapes import Picture
from qrlang.plot.svg import to_svg
from qrlang.system.files import write_atomically
from qrlang.training.run import Run
from qrlang.training.settings import lower_is_better

WORDS = {
    "accuracy": "accuracy (%)",
    "balanced_accuracy": "balanced accuracy (%)",
    "auc": "AUC",
    "r2": "R²",
    "nrmse": "normalised r.m.s. error",
    "rmse": "r.m.s. error",
    "mse": "mean squared error",
    "bits_per_token": "bits a token",
    "f1": "F1 (%)",
    "bleu": "BLEU",
}


def scaled(metric: str, value: float) -> float:
    return 100 * value if metric in ("accuracy", "balanced_accuracy", "f1") else value


def chart(run: Run) -> Chart | None:
    """Of its metrics; None: there are none yet."""
    lines = run.lines(run.metrics)
    if not lines:
        return None
    settings, about = run.settings(), run.about()
    metric = settings.metric
    panels = [_panel(lines, "loss")]
    if metric != "loss" and any(x.get(metric) is not None for x in lines):
        panels.append(_panel(lines, metric))
    sizes = ", ".join(f"{k} = {v}" for k, v in dict(about["parameters"]).items())
    core = "" if settings.core == "pqc" else f", {settings.core} core"
    note = f"{sizes}; seed {settings.seed}"
    return Chart(f"{about['model']}{core}", panels, note=note)


def save(stem: Any, chart: Chart) -> list[Any]:
    """`stem`.svg, and `stem`.png where Pillow is there."""
    return save_picture(stem, chart.picture())


def save_picture(stem: Any, picture: Picture) -> list[Any]:
    written = [stem.with_name(stem.name + ".svg")]
    write_atomically(written[0], to_svg(picture))
    png = to_png(picture)
    if png is not None:
        written.append(stem.with_name(stem.name + ".png"))
        write_atomically(written[1], png)
    return written


def per_step(lines: list[dict[str, Any]]) -> float:
    """Steps in an epoch, as the log tells: its lines know both."""
    ends = [(x["step"], x["epoch"]) for x in lines]
    full = [(s, e) for (s, e), (_, after) in pairwise(ends) if after > e]
    step, epoch = (float(x) for x in (full[-1] if full else ends[-1]))
    return step / max(epoch, 1.0)


def _panel(lines: list[dict[str, Any]], metric: str) -> Panel:
    an_epoch = per_step(lines)
    series = []
    for colour, split in enumerate(("train", "validation")):
        of = [x for x in lines if x["split"] == split and x.get(metric) is not None]
        if of:
            xs = [x["step"] / an_epoch for x in of]
            ys = [scaled(metric, x[metric]) for x in of]
            series.append(Series(split, xs, ys, colour=colour))
    log = metric != "accuracy" and lower_is_better(metric)
    return Panel("epoch", WORDS.get(metric, metric), series, log=log)
