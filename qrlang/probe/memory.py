"""How far back an input can be told from the readouts (Jaeger 2002)."""

from __future__ import annotations

import numpy as np

from qrlang.analysis.purity import purity
from qrlang.plot.chart import Chart, Panel, Series
from qrlang.probe.errors import ProbeError
from qrlang.probe.finding import Cell, Finding
from qrlang.probe.instrument import last, with_readouts
from qrlang.probe.subject import ANY, Array, Subject, call, random_value

MOST, DELAYS = 4000, 20
_ROOM = 2**10  # numbers of a state that as many sequences can have
_AT_ONCE = 100
RIDGES = (1e-10, 1e-8, 1e-6, 1e-4, 1e-2)


def probe(subject: Subject, delays: int = 0) -> Finding:
    delays = delays or usual(subject)
    readouts, signal = driven(subject, delays + 1)
    found = capacity(readouts, signal, delays)
    chance = capacity(readouts, np.random.default_rng(1).permutation(signal), delays)
    total, width = float(found.sum()), readouts.shape[-1]
    at = [float(d) for d in range(delays + 1)]
    rows: list[list[Cell]] = [[str(d), float(found[d])] for d in range(delays + 1)]
    rows.append(["sum", total])
    notes = [
        f"{len(signal)} sequences of a random signal, read after {delays + 1} steps",
        f"at most {width}, the number of readouts; shuffled inputs give {float(chance.sum()):.3g}",
        f"{int((found > 0.5).sum())} of these inputs can be told by more than half",
    ]
    if found[-1] > max(0.05, 2 * float(chance.max())):
        notes.append(f"the farthest is not the last that can be told: --delays {2 * delays}")
    chart = Chart(f"{subject.name}: memory", [
        Panel("steps back", "share of variance told", [
            Series(f"capacity {total:.2f} of {width}", at, found.tolist()),
            Series("shuffled", at, chance.tolist(), colour=6, dashed=True),
        ], whole=True),
    ], width=380, note=subject.source.rpartition(", ")[2])  # fmt: skip
    data = {"by_delay": found.tolist(), "capacity": total, "shuffled": chance.tolist(),
            "readouts": width, "sequences": len(signal)}  # fmt: skip
    return Finding("memory", f"{subject.name}: linear memory capacity of the readouts",
                   ["steps back", "R²"], rows, data, chart.picture(), notes)  # fmt: skip


def usual(subject: Subject) -> int:
    """As far back as its sequences go, to a bound."""
    found = [len(s[p.name]) for s in subject.samples for p in subject.program.inputs if p.type.seq]
    return max(1, min(DELAYS, max(found, default=DELAYS) - 1))


def sequences(subject: Subject) -> int:
    """As many as there is time for: with a few hundred a capacity comes out a sixth too small."""
    together: dict[int, int] = {}
    for register in subject.program.registers:
        together[register.space] = together.get(register.space, 0) + register.size
    qubits, pure = max(together.values(), default=0), purity(subject.program).all_pure
    fit = MOST * _ROOM >> (qubits if pure else 2 * qubits)
    return min(MOST, max(1600 if pure else 400, fit))


def driven(subject: Subject, steps: int) -> tuple[Array, Array]:
    """The last readouts [sequences, m], when a random signal [sequences, T] is what the
    recurrence goes over."""
    import torch

    loop = subject.loop()
    names = [p for p in subject.program.inputs if any(i.sequence.id == p.id for i in loop.items)]
    if not names:
        raise ProbeError(
            f"the recurrence {loop.name} reads no input as it is",
            "memory is of an input that the recurrence goes over",
        )
    count = sequences(subject)
    rng = np.random.default_rng(subject.seed)
    bits = names[0].type.kind != "real"
    signal = rng.uniform(-1, 1, (count, steps))
    if bits:
        signal = np.sign(signal)
    given: dict[str, Array] = {}
    for p in (*subject.program.inputs, *subject.program.targets):
        one = random_value(p.type, steps, rng, subject.spans.get(p.name, ANY))
        given[p.name] = np.broadcast_to(one, (count, *one.shape)).copy()
    port = names[0]
    if port.type.kind in ("state", "unitary"):
        raise ProbeError(f"{port.name} is {port.type}: memory needs numbers or tokens")
    if port.type.kind in ("token", "class"):
        given[port.name] = (signal > 0).astype(int)
    else:
        low, high = (0.0, 1.0) if bits else subject.spans.get(port.name, ANY)
        value = low + (high - low) * (signal + 1) / 2
        lead = (count, steps)
        given[port.name] = np.broadcast_to(
            value.reshape(*lead, *(1,) * len(port.type.shape)), (*lead, *port.type.shape)
        ).copy()
    program = with_readouts(subject.program, loop)
    module = subject.module(program)
    with torch.no_grad():
        found = [
            call(
                module,
                program,
                {k: torch.as_tensor(v[at : at + _AT_ONCE]) for k, v in given.items()},
            )
            for at in range(0, count, _AT_ONCE)
        ]
    parts = [last(out) for out in found]
    return np.concatenate([p.reshape(len(p), -1).numpy() for p in parts]), signal


def capacity(readouts: Array, signal: Array, delays: int) -> Array:
    """R² of the best linear guess, from the readouts [sequences, m] of the last step, of the
    input d steps back, for d = 0 … delays; on sequences that the guess was not fitted on.

    Over sequences at one step, not over steps: a circuit that is nearly the same at every step
    turns its state, and an input's trace in the readouts turns with it.
    """
    wanted = signal[:, signal.shape[1] - 1 - np.arange(delays + 1)]
    count = len(readouts)
    parts = [slice(0, count // 2), slice(count // 2, count * 3 // 4), slice(count * 3 // 4, count)]
    shift, spread = readouts[parts[0]].mean(0), readouts[parts[0]].std(0)
    features = (readouts - shift) / np.where(spread > 1e-12, spread, 1.0)
    wanted = wanted - wanted[parts[0]].mean(0)
    x, y = features[parts[0]], wanted[parts[0]]
    square, cross = x.T @ x / len(x), x.T @ y / len(x)
    chosen = np.zeros(cross.shape)
    least = np.mean(wanted[parts[1]] ** 2, axis=0)
    for ridge in RIDGES:
        weights = np.linalg.solve(square + ridge * np.eye(len(square)), cross)
        error = np.mean((features[parts[1]] @ weights - wanted[parts[1]]) ** 2, axis=0)
        better = error < least
        chosen[:, better], least = weights[:, better], np.minimum(error, least)
    error = np.mean((features[parts[2]] @ chosen - wanted[parts[2]]) ** 2, axis=0)
    return np.asarray(np.clip(1 - error / wanted[parts[2]].var(axis=0), 0, 1))
