"""A run in a few sentences, each made of what its folder says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from qrlang.scar.facts import STILL, Facts
from qrlang.training.core import parameters
from qrlang.training.progress import number
from qrlang.training.settings import written

CONFUSIONS = 3  # that are named


def account(facts: Facts) -> str:
    return "\n".join([_learn(facts), _predict(facts), _unsure(facts)]) + "\n"


def _learn(facts: Facts) -> str:
    s, program = facts.settings, facts.program
    name = str(facts.about["model"]) + ("" if s.core == "pqc" else f" with {_a(s.core)} core")
    what = "trained with"  # it has no target, only a loss
    if program.targets:
        target = program.targets[-1]
        what = f"to give `{target.name}` ({target.type}) from"
    sizes = ", ".join(f"{k} = {v}" for k, v in dict(facts.about["parameters"]).items())
    given = ", ".join(f"{p.name}: {p.type}" for p in program.inputs)
    qubits = sum(r.size for r in program.registers)
    on = f"{qubits} qubits and " if qubits else ""
    lowered = "1 - fidelity" if s.loss[0] == "fidelity" else written(s.loss)
    return (
        f"What it was to learn. {name} was {what} {written(s.data)}, given {given}. "
        + (f"It had {sizes}: " if sizes else "It had ")
        + f"{on}{parameters(program)} trained numbers. {written(s.optimizer)} had "
        f"{facts.last_step} updates to lower {lowered}; seed {s.seed}."
    )


def _predict(facts: Facts) -> str:
    begin = "What it came to predict."
    if not facts.result:
        ends = facts.losses("validation") or facts.losses("train")
        if not ends:
            return f"{begin} Nothing is recorded: it was never measured."
        step, loss = ends[-1]
        return f"{begin} It is not finished: at step {step} its loss was {loss:.4g}."
    r = facts.result
    figures = [f"{k} {_figure(k, v)}" for k, v in r["figures"].items() if v["value"] is not None]
    said = (
        f"{begin} On {r['sequences']} sequences of the {r['split']} split: {', '.join(figures)}. "
        f"Its best epoch was {r['best_epoch']} of {r['epochs']}."
    )
    wrong = list(_confusions(r.get("confusion"), r.get("labels")))
    if wrong:
        said += f" It took {', '.join(wrong)}."
    elif r.get("confusion"):
        said += " It confused none."
    if r.get("skipped"):
        said += f" {r['skipped']} updates were not finite and were skipped."
    return said


def _confusions(table: Any, labels: Any) -> Iterator[str]:
    """The most frequent ones: what was taken for what."""
    if not table:
        return
    counts = np.array(table)
    names = labels or range(len(counts))
    np.fill_diagonal(counts, 0)
    order = sorted(np.ndindex(counts.shape), key=lambda at: (-counts[at], at))
    for true, said in order[:CONFUSIONS]:
        n = int(counts[true, said])
        if n:
            yield f"{names[true]} for {names[said]} ({n} time{'s' if n > 1 else ''})"


def _unsure(facts: Facts) -> str:
    begin = "Where it was unsure."
    if facts.looks is None:
        more = f" ({facts.more})" if facts.more else ""
        return f"{begin} That is not known: {facts.why}{more}."
    steps = [r.step for r in facts.records]
    samples = facts.looks.samples
    rows = [samples.rows[k] for k in facts.kept]
    if not rows:
        return f"{begin} The samples that were watched were to be forgotten, and are."
    parts = []
    if facts.unsure is not None:
        unit, table = facts.unsure
        record = int(table[-1].argmax())
        seen = "those seen" if facts.looks.sparse else "the run"
        parts.append(
            f"Of the {len(rows)} watched samples of the {samples.split} split, record "
            f"{rows[record]} was the least certain at the end ({table[-1, record]:.2g} "
            f"{unit}), and step {steps[int(table.mean(1).argmax())]} the least certain of {seen} "
            f"({table.mean(1).max():.2g} on average, {table.mean(1)[-1]:.2g} at the end)."
        )
    losses = np.array([r.get("samples", "loss")[facts.kept] for r in facts.records])
    worst = int(losses[-1].argmax())
    parts.append(f"The largest loss at the end was that of record {rows[worst]}: "
                 f"{losses[-1, worst]:.3g}.")  # fmt: skip
    z = facts.readouts
    if z is not None and z.shot is not None:
        shot = z.shot[-1].mean(0)
        k = int(shot.argmax())
        parts.append(
            f"Its least decided readout was {z.name}[{k}]: {z.mean[-1, k]:z.2f} on average, and "
            f"one shot of it deviates by {shot[k]:.2f}."
        )
    if z is not None and float(np.ptp(z.every, axis=(0, 1)).max()) < STILL:
        parts.append(f"No number of {z.name} differed, neither between samples nor between steps.")
    if facts.looks.origin:
        parts.append(f"This was not seen on the way, but afterwards: {facts.looks.origin}.")
    return f"{begin} " + " ".join(parts)


def _figure(name: str, one: dict[str, Any]) -> str:
    text = number(name, float(one["value"]))
    if one.get("interval"):
        low, high = (number(name, float(x)) for x in one["interval"])
        text += f" (95 %: {low} … {high})"
    return text


def _a(word: str) -> str:
    return f"{'an' if word[0] in 'aeiol' else 'a'} {word}"
