"""What the governor saw, among the curves of a run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from qrlang.plot.chart import Chart, Panel, Series
from qrlang.training.curves import per_step
from qrlang.training.run import Run


def governed(run: Run, chart: Chart) -> Chart:
    """The chart with the stretches shaded in which the run only listened, and one panel more: the
    action space and the entropy of each cycle, in bits. Of a run without a governor, as it is."""
    ledger = run.lines(run.ledger) if run.ledger.exists() else []
    cycles = [x for x in ledger if x["kind"] == "cycle"]
    if not cycles:
        return chart
    an_epoch = per_step(run.lines(run.metrics))
    shaded = frozen(cycles, an_epoch)
    xs = [c["update"] / an_epoch for c in cycles]
    bits = [
        Series("entropy of outputs", xs, [c["entropy"] for c in cycles], colour=2),
        Series("action space", xs, [c["action"] for c in cycles], colour=3),
    ]
    panels = [replace(p, shaded=shaded) for p in chart.panels]
    panels.append(Panel("epoch", "bits an output", bits, shaded=shaded))
    note = chart.note + ("; shaded: parameters frozen by the governor" if shaded else "")
    return replace(chart, panels=panels, note=note)


def frozen(cycles: list[dict[str, Any]], an_epoch: float) -> list[tuple[float, float]]:
    """From the cycle that froze the run to the one that let it go."""
    found: list[tuple[float, float]] = []
    begin: float | None = None
    for cycle in cycles:
        at = cycle["update"] / an_epoch
        if cycle["frozen"] and begin is None:
            begin = at
        elif not cycle["frozen"] and begin is not None:
            found.append((begin, at))
            begin = None
    if begin is not None:
        found.append((begin, cycles[-1]["update"] / an_epoch))
    return found
