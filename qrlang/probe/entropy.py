"""Entanglement over time, across every cut of the register."""

from __future__ import annotations

import numpy as np

from qrlang.plot.chart import Chart, Panel, Series
from qrlang.probe.errors import ProbeError
from qrlang.probe.finding import Finding, thinned
from qrlang.probe.heat import Map, beside
from qrlang.probe.subject import Array, Subject
from qrlang.probe.trace import reduced, traces


def of_density(rho: Array) -> float:
    """Von Neumann's entropy, in bits."""
    p = np.linalg.eigvalsh(rho)
    p = p[p > 1e-15]
    return max(0.0, float(-np.sum(p * np.log2(p))))


def across(state: Array, n: int, cut: int) -> float:
    """Between the first `cut` qubits and the rest: half the mutual information, which for a pure
    state is the entropy of either side."""
    first, rest = list(range(cut)), list(range(cut, n))
    if state.ndim == 1:
        values = np.linalg.svd(state.reshape(1 << cut, -1), compute_uv=False) ** 2
        values = values[values > 1e-15]
        return max(0.0, float(-np.sum(values * np.log2(values))))
    parts = of_density(reduced(state, n, first)) + of_density(reduced(state, n, rest))
    return max(0.0, (parts - of_density(state)) / 2)


def page(k: int, rest: int) -> float:
    """The mean over all states by Haar (Page 1993), in bits; k the smaller side's qubits."""
    k, rest = min(k, rest), max(k, rest)
    small, large = 1 << k, 1 << rest
    total = sum(1 / j for j in range(large + 1, small * large + 1))
    return (total - (small - 1) / (2 * large)) / float(np.log(2))


def probe(subject: Subject) -> Finding:
    found = traces(subject)
    n = found[0].n
    if n < 2:
        raise ProbeError(f"{subject.name} keeps one qubit", "entanglement needs two")
    steps = min(len(t.moments) for t in found)
    cuts = list(range(1, n))
    table = np.array(
        [[[across(t.moments[s].state, n, c) for c in cuts] for s in range(steps)] for t in found]
    )
    mean, deviation = table.mean(0), table.std(0)
    pure = all(m.state.ndim == 1 for t in found for m in t.moments)
    haar = [page(c, n - c) for c in cuts]
    half = n // 2 - 1
    at = [float(s + 1) for s in range(steps)]
    middle = Series(f"cut {half + 1}|{n - half - 1}", at, mean[:, half].tolist(),
                    deviation[:, half].tolist())  # fmt: skip
    random = Series("random state", [at[0], at[-1]], [haar[half]] * 2, colour=6, dashed=True)
    width = [float(c) for c in range(n + 1)]
    profile = [
        Series("last step", width, [0, *mean[-1].tolist(), 0], [0, *deviation[-1].tolist(), 0]),
        Series("random state", width, [0, *haar, 0], colour=6, dashed=True),
    ]
    chart = Chart(f"{subject.name}: entanglement", [
        Panel("step", "entropy (bits)", [middle, random], whole=True),
        Panel("qubits left of the cut", "entropy (bits)", profile, whole=True),
    ], note=subject.source)  # fmt: skip
    names = [f"{c}|{n - c}" for c in cuts]
    heat = Map("step", "cut", mean.T.tolist(), names, "bits", low=0.0)
    rows = [[str(s + 1), *mean[s].tolist()] for s in thinned(steps)]
    rows.append(["random", *haar])
    notes = [subject.source]
    if not pure:
        notes.append("mixed states: half the mutual information")
    return Finding(
        "entropy", f"{subject.name}: entropy in bits, by step and cut", ["step", *names], rows,
        {"cuts": cuts, "pure": pure, "mean": mean.tolist(), "deviation": deviation.tolist(),
         "random_state": haar, "qubits": list(found[0].qubits)},
        beside(chart.picture(), heat.picture()), notes,
    )  # fmt: skip
