"""How much a disturbance of the readouts grows on its way through the loop."""

from __future__ import annotations

from typing import Any

import numpy as np

from qrlang.plot.chart import Chart, Panel, Series
from qrlang.probe.finding import Cell, Finding, thinned
from qrlang.probe.instrument import AFTER, NOISE, READOUTS, with_readouts
from qrlang.probe.subject import Array, Sample, Subject, call

_COPIES = 2048  # of a sequence at once


def probe(subject: Subject) -> Finding:
    found = [jacobians(subject, s) for s in subject.samples]
    steps = min(j.shape[1] for j, _ in found)
    inner = [j[:steps, :steps] for j, _ in found]
    largest = np.array(
        [[[_top(j[t, s]) for s in range(steps)] for t in range(steps)] for j in inner]
    )
    gain = np.array([[noise_gain(j[t, : t + 1]) for t in range(steps)] for j in inner])
    ends = [noise_gain(end) for _, end in found if end is not None]
    lags = list(range(1, steps))
    with np.errstate(divide="ignore"):
        by_lag = np.array([
            [np.mean([np.log(largest[k, s + d, s]) for s in range(steps - d)]) for d in lags]
            for k in range(len(found))
        ])  # fmt: skip
    top, spread = np.exp(by_lag.mean(0)), np.exp(by_lag).std(0)
    rate = growth(lags, by_lag.mean(0))
    spectrum = np.mean(
        [[np.linalg.svd(j[t, 0], compute_uv=False) for t in range(steps)] for j in inner], axis=0
    )
    mean = gain.mean(0)
    rows: list[list[Cell]] = [
        [str(t + 1), mean[t], float(gain[:, t].std()), *_three(spectrum[t])]
        for t in thinned(steps)
    ]  # fmt: skip
    notes = [subject.source]
    if ends:
        rows.append(["end", float(np.mean(ends)), float(np.std(ends)), "", "", ""])
        notes.append("end: the readouts after the recurrence")
    if rate is not None:
        notes.append(f"a disturbance grows by {np.exp(rate):.4g} a step (exponent {rate:+.4f})")
    at = [float(t + 1) for t in range(steps)]
    chart = Chart(f"{subject.name}: what the loop does to noise of its readouts", [
        Panel("step", "noise gain",
              [Series("", at, mean.tolist(), gain.std(0).tolist())], whole=True),
        Panel("steps later", "largest singular value",
              [Series("", [float(d) for d in lags], top.tolist(), spread.tolist())],
              log=bool(lags and (top > spread).all()), whole=True),
    ], note=subject.source)  # fmt: skip
    data = {
        "gain": gain.tolist(), "gain_at_end": ends, "lags": lags, "largest": top.tolist(),
        "growth_exponent": rate, "singular_values_of_first_step": spectrum.tolist(),
    }  # fmt: skip
    return Finding(
        "jacobian", f"{subject.name}: gain of readout noise, and singular values of ∂z(t)/∂z(1)",
        ["step", "gain", "s.d.", "σ1", "σ2", "σ3"], rows, data, chart.picture(), notes,
    )  # fmt: skip


def jacobians(subject: Subject, sample: Sample) -> tuple[Array, Array | None]:
    """∂z(t)/∂ε(s), [T', T, m, m], ε(s) added to what step s reads (T' > T where a recurrence goes
    on for some steps); and of the readouts after the recurrence, [T, k, m]. Exact: one backward
    pass over as many copies as there are readouts."""
    import torch

    loop = subject.loop()
    program = with_readouts(subject.program, loop, noise=True)
    width = next(v.type.count for v in program.inputs if v.name == NOISE)
    module = subject.module(program)
    ports = {p.name: p.type for p in (*subject.program.inputs, *subject.program.targets)}
    sequences = {i.sequence.id for i in loop.items}
    steps = next(
        (len(sample[p.name]) for p in subject.program.inputs if p.id in sequences),
        max(len(v) for k, v in sample.items() if ports[k].seq),
    )

    long = steps + loop.extra

    def slope_of(copies: int, name: str, weights: Any) -> Array:
        given = {k: torch.as_tensor(v).expand(copies, *np.shape(v)) for k, v in sample.items()}
        noise = torch.zeros(copies, steps, width, dtype=torch.float64, requires_grad=True)
        out = call(module, program, {**given, NOISE: noise})[name].reshape(copies, -1)
        (slope,) = torch.autograd.grad((out * weights).sum(), noise)
        return np.asarray(slope.numpy())

    def feeds_back() -> bool:
        """Whether a readout has a say in any other: else one backward pass says it all."""
        at = torch.randn(1, long * width, dtype=torch.float64)
        at[:, steps * width :] = 0
        found = slope_of(1, READOUTS, at)
        return not np.array_equal(found.reshape(-1), at.numpy()[0, : steps * width])

    def rows(name: str, count: int) -> Array:
        found = []
        for first in range(0, count, _COPIES):
            copies = min(_COPIES, count - first)
            weights = torch.zeros(copies, count, dtype=torch.float64)
            weights[torch.arange(copies), torch.arange(first, first + copies)] = 1
            found.append(slope_of(copies, name, weights))
        return np.concatenate(found)  # [count, T, m]

    after = [o.value.type.count for o in program.outputs if o.name == AFTER]
    if not feeds_back():
        alone = np.einsum("ts,ij->tsij", np.eye(steps), np.eye(width))
        return alone, rows(AFTER, after[0]).transpose(1, 0, 2) if after else None
    each = rows(READOUTS, long * width).reshape(long, width, steps, width).transpose(0, 2, 1, 3)
    return each, rows(AFTER, after[0]).transpose(1, 0, 2) if after else None


def noise_gain(blocks: Array) -> float:
    """The r.m.s. of a readout's error when every readout before it (and it itself, where the
    blocks hold it) is disturbed by independent noise of variance 1."""
    return float(np.sqrt(np.sum(blocks**2) / blocks.shape[1]))


def growth(lags: list[int], logs: Array) -> float | None:
    """The slope of the logarithm of a disturbance over the steps: Lyapunov's exponent, as far as
    a few steps can tell."""
    fine = np.isfinite(logs)
    if fine.sum() < 2:
        return None
    return float(np.polyfit(np.array(lags, float)[fine], logs[fine], 1)[0])


def _top(block: Array) -> float:
    return float(np.linalg.norm(block, 2))


def _three(values: Array) -> list[Cell]:
    return [*(float(v) for v in values[:3]), *[""] * (3 - min(3, len(values)))]
