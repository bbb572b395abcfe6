"""Variance of gradients over random beginnings, against qubits and layers: barren plateaus."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np

from qrlang.analysis.purity import purity
from qrlang.driver import Setting
from qrlang.plot.chart import Chart, Panel, Series
from qrlang.probe.errors import ProbeError
from qrlang.probe.finding import Cell, Finding
from qrlang.probe.instrument import TURNS, last, with_readouts, with_turns
from qrlang.probe.subject import Array, Subject, at_settings, call, random_sample

WORDS = {"layer": "from layers", "trained": "trained", "readout": "from readouts",
         "data": "from data", "frozen": "frozen"}  # fmt: skip
DRAWS, STEPS, SEQUENCES = 40, 6, 2


def probe(
    subject: Subject,
    vary: Mapping[str, Sequence[Setting]] | None = None,
    draws: int = DRAWS,
    steps: int = STEPS,
) -> Finding:
    vary = dict(vary or usual(subject))
    points: list[dict[str, Any]] = []
    refused = []
    for values in product(*vary.values()):
        changed = dict(zip(vary, values, strict=True))
        program = subject.again(changed) if subject.again else None
        if program is None:
            refused.append(", ".join(f"{k} = {v}" for k, v in changed.items()))
            continue
        one = at_settings(subject, program, subject.seed)
        points.append({"settings": changed, **variances(one, draws, steps)})
    if not points:
        raise ProbeError(f"{subject.name} fits none of these sizes", "give others: --vary n=4,6,8")
    roles = [r for r in WORDS if any(r in p["angles"] for p in points)]
    names = list(vary)
    head = [*names, *(f"Var, {WORDS[r]}" for r in roles), "angles"]
    rows: list[list[Cell]] = [
        [*(str(p["settings"][k]) for k in names),
         *(p["angles"][r]["variance"] if r in p["angles"] else "" for r in roles),
         str(sum(a["count"] for a in p["angles"].values()))]
        for p in points
    ]  # fmt: skip
    about = f"{draws} beginnings, {SEQUENCES} sequences of {steps} steps; of the last readout"
    notes = [about, *(f"not possible: {r}" for r in refused)]
    fits = slopes(points, names[0], roles)
    notes += [f"{WORDS[r]}: variance × {2**s:.3g} for each more of {names[0]}"
              for r, s in fits.items()]  # fmt: skip
    chart = Chart(f"{subject.name}: gradients at the beginning",
                  [_panel(points, names, r) for r in roles], note=about)  # fmt: skip
    data = {"draws": draws, "steps": steps, "sequences": SEQUENCES, "points": points,
            "slopes": fits, "refused": refused}  # fmt: skip
    return Finding("gradients", f"{subject.name}: variance of the gradient by an angle", head, rows,
                   data, chart.picture(), notes)  # fmt: skip


def usual(subject: Subject) -> dict[str, list[Setting]]:
    """Sizes around the model's own, of the parameters called n and layers."""
    own = subject.settings
    found: dict[str, list[Setting]] = {}
    if isinstance(own.get("n"), int):
        # A density matrix is as large as a state of twice the qubits.
        found["n"] = [2, 4, 6, 8] if purity(subject.program).all_pure else [2, 3, 4]
    if isinstance(own.get("layers"), int):
        found["layers"] = [1, 2, 4]
    if not found:
        raise ProbeError(
            f"{subject.name} has no parameter n or layers", "say what is varied: --vary NAME=2,4,6"
        )
    return found


def variances(subject: Subject, draws: int, steps: int) -> dict[str, Any]:
    """Of the cost's gradient by every angle of every step, by role; and by every weight."""
    rng = np.random.default_rng(subject.seed)
    samples = [random_sample(subject.program, steps, rng, subject.spans) for _ in range(SEQUENCES)]
    angle, weight, roles = gradients(subject, samples, draws)
    found: dict[str, Any] = {"angles": {}, "weights": {}}
    for role in sorted(set(roles)):
        which = [k for k, r in enumerate(roles) if r == role]
        found["angles"][role] = {
            "variance": float(angle[..., which].var(axis=0).mean()),
            "count": len(which),
        }
    for name, values in weight.items():
        found["weights"][name] = float(values.var(axis=0).mean())
    return found


def gradients(
    subject: Subject, samples: Sequence[Mapping[str, Array]], draws: int
) -> tuple[Array, dict[str, Array], tuple[str, ...]]:
    """By angles [draws, sequences, steps, angles], by weights {name: [draws, …]}; the roles."""
    import torch

    from qrlang.backends.torch.emit.names import state_name

    turned = with_turns(subject.program, subject.any_loop())
    program = with_readouts(turned.program, turned.loop)
    module = subject.module(program)
    given = {k: torch.as_tensor(np.stack([s[k] for s in samples])) for k in samples[0]}
    time = [v.shape[1:2] for k, v in given.items() if _is_sequence(subject, k)][:1]
    lead = (len(samples), *(time[0] if turned.loop is not None else ()))
    angles: list[Array] = []
    weights: dict[str, list[Array]] = {}
    for k in range(draws):
        fresh = at_settings(subject, subject.program, subject.seed * 100_003 + k).all_weights()
        module.load_state_dict(
            {state_name(n): torch.as_tensor(v) for n, v in fresh.items()}, strict=False
        )
        turns = torch.zeros(*lead, len(turned.roles), dtype=torch.float64, requires_grad=True)
        module.zero_grad()
        out = call(module, program, {**given, TURNS: turns})
        cost = last(out).reshape(len(samples), -1)[:, 0]
        if not cost.requires_grad:
            raise ProbeError("the last readout depends on no angle", "give more --steps")
        cost.sum().backward()
        assert turns.grad is not None
        angles.append(turns.grad.numpy().copy())
        for name, p in module.named_parameters():
            if p.grad is not None:
                weights.setdefault(name, []).append(p.grad.numpy().copy())
    return np.array(angles), {n: np.array(v) for n, v in weights.items()}, turned.roles


def _is_sequence(subject: Subject, name: str) -> bool:
    ports = (*subject.program.inputs, *subject.program.targets)
    return any(p.name == name and p.type.seq for p in ports)


def slopes(points: Sequence[dict[str, Any]], name: str, roles: Sequence[str]) -> dict[str, float]:
    """Of log2 of the variance over the first parameter: minus the rate at which it halves."""
    found = {}
    for role in roles:
        at = [
            (float(p["settings"][name]), math.log2(p["angles"][role]["variance"]))
            for p in points
            if role in p["angles"] and p["angles"][role]["variance"] > 0
        ]
        xs, ys = (np.array(v) for v in zip(*at, strict=True)) if at else (np.zeros(0), np.zeros(0))
        if len(set(xs.tolist())) > 1:
            found[role] = float(np.polyfit(xs, ys, 1)[0])
    return found


def _panel(points: Sequence[dict[str, Any]], names: Sequence[str], role: str) -> Panel:
    lines: dict[str, list[tuple[float, float]]] = {}
    for p in points:
        if role not in p["angles"]:
            continue
        rest = ", ".join(f"{k} = {p['settings'][k]}" for k in names[1:])
        y = p["angles"][role]["variance"]
        if y > 0:
            lines.setdefault(rest, []).append((float(p["settings"][names[0]]), y))
    series = [
        Series(rest, [x for x, _ in at], [y for _, y in at], colour=k)
        for k, (rest, at) in enumerate(lines.items())
    ]
    return Panel(names[0], f"variance, angles {WORDS[role]}", series, log=True, whole=True)
