"""What a run is worth on data that it has not seen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from qrlang.diagnostics.words import plural
from qrlang.training import decode, metrics, room
from qrlang.training.asked import horizon, trained
from qrlang.training.asked.generate import generator
from qrlang.training.asked.trained import Use
from qrlang.training.feed import labels_of, split_of
from qrlang.training.metrics import Tally
from qrlang.training.progress import number

EACH = 40  # numbers of a target, at most, that are told of one by one


def report(tally: Tally, split: str, labels: Sequence[str] = ()) -> dict[str, Any]:
    """Figures with 95 % intervals, and the confusion matrix. `labels`: what its classes are
    called."""
    counted = int((tally.table[:, 3] > 0).sum())
    found: dict[str, Any] = {"split": split, "sequences": counted, "figures": {}}
    for name, value in tally.figures().items():
        finite = math.isfinite(value)
        between = metrics.interval(tally, name) if finite else None
        found["figures"][name] = {
            "value": value if finite else None,
            "interval": None if between is None else list(between),
        }
    if 1 < tally.width <= EACH:  # as tasks of one reservoir, or delays of its memory
        errors, spreads = tally.apart()
        shares = [e / v if v and math.isfinite(e) else None
                  for e, v in zip(errors.tolist(), spreads.tolist(), strict=True)]  # fmt: skip
        found["each"] = {"nrmse": [None if x is None else math.sqrt(x) for x in shares],
                         "r2": [None if x is None else 1 - x for x in shares]}  # fmt: skip
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
    if "each" in found:
        said = ", ".join(number("nrmse", x) for x in found["each"]["nrmse"])
        lines.append(f"  nrmse of each: {said}")
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
    text = "\n".join(lines) + "\n"
    if "by_itself" in found:
        text += horizon.page(found["by_itself"]) + f"  {found['by_itself']['picture']}\n"
    return text


def whole(
    path: str, use: Use, data_dir: str | None, split: str | None, batch: int | None = None,
    beam: int = 1, alone: int = 0,
) -> dict[str, Any]:  # fmt: skip
    """What `qrlc eval` says. `alone`: moments for which the model is to go on by itself."""
    made = trained.opened(path, use)
    run, settings, objective = made.run, made.settings, made.objective
    feed = made.feed(data_dir)
    batch = batch or room.together(objective, settings, feed.streaming)
    chosen = split_of(feed, split)
    kept = run.kept(use.which).stem  # the last, where no epoch has ended
    found: dict[str, Any] = {"run": path, "checkpoint": kept, "shots": settings.shots}
    found |= {"set": dict(use.other)} if use.other else {}
    found |= report(objective.evaluate(feed, chosen, batch), chosen, labels_of(feed))
    if decode.produces(objective.program):
        said = decode.translations(objective, feed, chosen, batch, beam)
        found["figures"]["bleu"] = decode.bleu(said)
        found |= {"beam": beam, "samples": decode.few(said)}
    if alone:
        going = generator(objective, settings, run.data())
        far = horizon.horizon(going, feed, chosen, alone)
        drawn = horizon.draw(far, run.folder / "by_itself", objective.program.name)
        found["by_itself"] = {**far.data(), "picture": str(drawn[0])}
    return found
