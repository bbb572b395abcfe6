"""How far back an input can be told from the readouts (Jaeger 2002)."""

from __future__ import annotations

import numpy as np

from qrlang.probe.errors import ProbeError
from qrlang.probe.finding import Cell, Finding
from qrlang.probe.instrument import READOUTS, with_readouts
from qrlang.probe.subject import Array, Subject, call, random_value
from qrlang.training.plot.chart import Chart, Panel, Series

SEQUENCES, DELAYS, WASHOUT, LENGTH = 64, 20, 10, 60
RIDGES = (1e-9, 1e-7, 1e-5, 1e-3, 1e-1)


def probe(subject: Subject, delays: int = DELAYS) -> Finding:
    readouts, signal = driven(subject, WASHOUT + delays + LENGTH)
    found = capacity(readouts, signal, delays, WASHOUT)
    chance = capacity(readouts, np.random.default_rng(1).permutation(signal), delays, WASHOUT)
    total, width = float(found.sum()), readouts.shape[-1]
    at = [float(d) for d in range(delays + 1)]
    rows: list[list[Cell]] = [[str(d), float(found[d])] for d in range(delays + 1)]
    rows.append(["sum", total])
    half = next((d for d in range(delays + 1) if found[d] < 0.5), delays + 1)
    notes = [
        f"{SEQUENCES} sequences of a random signal, uniform in [-1, 1] (of tokens: two by lot)",
        f"at most {width}, the number of readouts; shuffled inputs give {float(chance.sum()):.3g}",
        f"more than half of an input's variance can be told for {half} steps",
    ]
    chart = Chart(f"{subject.name}: memory", [
        Panel("steps back", "share that can be told (R²)", [
            Series(f"capacity {total:.2f} of {width}", at, found.tolist()),
            Series("shuffled", at, chance.tolist(), colour=6, dashed=True),
        ], whole=True),
    ], width=380, note=subject.source.rpartition(", ")[2])  # fmt: skip
    data = {"by_delay": found.tolist(), "capacity": total, "shuffled": chance.tolist(),
            "readouts": width, "sequences": SEQUENCES}  # fmt: skip
    return Finding("memory", f"{subject.name}: linear memory capacity of the readouts",
                   ["steps back", "R²"], rows, data, chart.picture(), notes)  # fmt: skip


def driven(subject: Subject, steps: int) -> tuple[Array, Array]:
    """Readouts [sequences, T, m] of the model when a random signal [sequences, T] is all that its
    recurrence is given."""
    import torch

    loop = subject.loop()
    names = [p for p in subject.program.inputs if any(i.sequence.id == p.id for i in loop.items)]
    if not names:
        raise ProbeError(
            f"the recurrence {loop.name} reads no input as it is",
            "memory is of an input that the recurrence goes over",
        )
    rng = np.random.default_rng(subject.seed)
    bits = names[0].type.kind != "real"
    signal = rng.uniform(-1, 1, (SEQUENCES, steps))
    if bits:
        signal = np.sign(signal)
    given: dict[str, Array] = {}
    for p in (*subject.program.inputs, *subject.program.targets):
        one = random_value(p.type, steps, rng)
        given[p.name] = np.broadcast_to(one, (SEQUENCES, *one.shape)).copy()
    port = names[0]
    if port.type.kind in ("state", "unitary"):
        raise ProbeError(f"{port.name} is {port.type}: memory needs numbers or tokens")
    if port.type.kind in ("token", "class"):
        given[port.name] = (signal > 0).astype(int)
    else:
        value = (signal > 0).astype(float) if bits else signal
        lead = (SEQUENCES, steps)
        given[port.name] = np.broadcast_to(
            value.reshape(*lead, *(1,) * len(port.type.shape)), (*lead, *port.type.shape)
        ).copy()
    module = subject.module(with_readouts(subject.program, loop))
    with torch.no_grad():
        out = call(module, {k: torch.as_tensor(v) for k, v in given.items()})[READOUTS]
    return out.numpy()[:, :steps], signal


def capacity(readouts: Array, signal: Array, delays: int, washout: int = 0) -> Array:
    """R² of the best linear guess of the input d steps back, for d = 0 … delays, on sequences that
    the guess was not fitted on."""
    first = washout + delays
    half = len(readouts) // 2
    features = readouts[:, first:]
    ones = np.ones((*features.shape[:2], 1))
    features = np.concatenate([features, ones], axis=-1)
    time = signal.shape[1]
    wanted = np.stack([signal[:, first - d : time - d] for d in range(delays + 1)], axis=-1)
    fit = half * 3 // 4
    parts = [(features[a:b].reshape(-1, features.shape[-1]), wanted[a:b].reshape(-1, delays + 1))
             for a, b in ((0, fit), (fit, half), (half, len(readouts)))]  # fmt: skip
    (x, y), (x_choose, y_choose), (x_test, y_test) = parts
    square, cross = x.T @ x, x.T @ y
    scale = np.trace(square) / len(square)
    chosen = np.zeros((x.shape[1], delays + 1))
    least = np.full(delays + 1, np.inf)
    for ridge in RIDGES:
        weights = np.linalg.solve(square + ridge * scale * np.eye(len(square)), cross)
        error = np.mean((x_choose @ weights - y_choose) ** 2, axis=0)
        better = error < least
        chosen[:, better], least = weights[:, better], np.minimum(error, least)
    error = np.mean((x_test @ chosen - y_test) ** 2, axis=0)
    return np.asarray(np.clip(1 - error / y_test.var(axis=0), 0, 1))
