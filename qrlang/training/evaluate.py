"""What a run is worth on data that it has not seen."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from qrlang.diagnostics.words import plural
from qrlang.driver import Setting
from qrlang.errors import TrainingError
from qrlang.training import checkpoint, decode, initial, metrics, room, start
from qrlang.training.feed import Feed, labels_of, split_of
from qrlang.training.metrics import Tally
from qrlang.training.objective import Objective
from qrlang.training.progress import number
from qrlang.training.run import Run
from qrlang.training.settings import Settings
from qrlang.training.varied import WIDTHS, varied
from qrlang.training.world import World


def opened(
    path: str, data_dir: str | None, which: str = "best", threads: int = 0, road: str = "",
    shots: int | None = None, other: Mapping[str, Setting] | None = None,
) -> tuple[Run, Settings, Objective, Feed]:  # fmt: skip
    """A run's model at its weights, and its data; if said, with other shots than in training, and
    with `other` parameters."""
    run = Run.open(path)
    settings = run.settings()
    settings = replace(settings, threads=threads, road=road or settings.road)
    if shots is not None:
        settings = replace(settings, shots=shots)
    program = varied(run, other) if other else run.program()
    weights, _ = checkpoint.load(run.kept(which))
    feed = start.reopen(run, settings, program, run.about(), data_dir)
    objective = start.make_objective(program, settings, World(), run.imports)
    own = objective.model.state_dict()
    problems = [p for k, v in weights.items() if (p := initial.problem(k, v, own))] if other else []
    if problems:
        raise TrainingError(f"the weights of '{path}' do not fit: {problems[0]}", WIDTHS)
    objective.model.load_state_dict(weights)
    return run, settings, objective, feed


def report(tally: Tally, split: str, labels: Sequence[str] = ()) -> dict[str, Any]:
    """Figures with 95 % intervals, and the confusion matrix. `labels`: what its classes are
    called."""
    found: dict[str, Any] = {"split": split, "sequences": len(tally.table), "figures": {}}
    for name, value in tally.figures().items():
        finite = math.isfinite(value)
        between = metrics.interval(tally, name) if finite else None
        found["figures"][name] = {
            "value": value if finite else None,
            "interval": None if between is None else list(between),
        }
    if tally.confusion is not None:
        found["confusion"] = tally.confusion.tolist()
        if len(labels) == len(tally.confusion):
            found["labels"] = list(labels)
    return found


def page(found: dict[str, Any]) -> str:
    """For people."""
    lines = [f"{found['split']}: {plural(found['sequences'], 'sequence')}, 95 % intervals"]
    if found.get("checkpoint") == "last":
        lines[0] += ", at the weights of its last checkpoint"
    lines[0] += "".join(f", {k} = {v}" for k, v in found.get("set", {}).items())
    if found.get("shots"):
        lines[0] += f", readouts from {plural(found['shots'], 'shot')}"
    width = max(map(len, found["figures"]))
    for name, one in found["figures"].items():
        text = f"  {name:{width}}  {number(name, one['value'])}"
        if one["interval"]:
            low, high = (number(name, x) for x in one["interval"])
            text += f"   {low} … {high}"
        text += f"   ({one['note']})" if "note" in one else ""
        lines.append(text)
    confusion = found.get("confusion")
    if confusion and len(confusion) <= 20:
        cell = max(len(str(n)) for row in confusion for n in row) + 1
        cell = max(cell, len(str(len(confusion))) + 1)
        names = [name if name != str(k) else "" for k, name in enumerate(found.get("labels", ()))]
        names = names or [""] * len(confusion)
        wide = max(map(len, names)) + 3
        lines += ["", "confusion: true class down, answer across"]
        lines.append(" " * (wide + 1) + "".join(f"{k:>{cell}}" for k in range(len(confusion))))
        lines += [
            f"{f'{name} {k}':>{wide}} " + "".join(f"{n:>{cell}}" for n in row)
            for k, (name, row) in enumerate(zip(names, confusion, strict=True))
        ]
    for one in found.get("samples", ()):
        told = [name for name in ("source", "meant", "said") if name != "source" or one[name]]
        lines += ["", *(f"  {name:6}  {one[name]}" for name in told)]
    return "\n".join(lines) + "\n"


def whole(
    path: str, data_dir: str | None, split: str | None, which: str, batch: int | None = None,
    beam: int = 1, threads: int = 0, road: str = "", shots: int | None = None,
    other: Mapping[str, Setting] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """What `qrlc eval` says."""
    run, settings, objective, feed = opened(path, data_dir, which, threads, road, shots, other)
    batch = batch or room.together(objective, settings, feed.streaming)
    chosen = split_of(feed, split)
    kept = run.kept(which).stem  # the last, where no epoch has ended
    found: dict[str, Any] = {"run": path, "checkpoint": kept, "shots": settings.shots}
    found |= {"set": dict(other)} if other else {}
    found |= report(objective.evaluate(feed, chosen, batch), chosen, labels_of(feed))
    if decode.produces(objective.program):
        said = decode.translations(objective, feed, chosen, batch, beam)
        found["figures"]["bleu"] = decode.bleu(said)
        found |= {"beam": beam, "samples": decode.few(said)}
    return found
