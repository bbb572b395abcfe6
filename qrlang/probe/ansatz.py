"""Expressibility and entangling capability of the circuit of a step (Sim et al. 2019)."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from qrlang.analysis.circuits import circuits
from qrlang.analysis.cost import gates_of
from qrlang.ir.program import (
    Alloc,
    Angle,
    Evolve,
    Gate,
    Initial,
    Op,
    Program,
    Register,
    Unitary,
    UseWeight,
    Value,
    Weight,
)
from qrlang.ir.said import said
from qrlang.ir.types import real
from qrlang.ir.walk import substitute, walk
from qrlang.plot.chart import Chart, Panel, Series
from qrlang.probe import batch
from qrlang.probe.errors import ProbeError
from qrlang.probe.finding import Cell, Finding
from qrlang.probe.subject import Array, Subject
from qrlang.probe.trace import reduced

BINS = 75  # of fidelities, as in the paper
SAMPLES = 5000
_AT_ONCE = 1 << 22  # amplitudes


def probe(subject: Subject, samples: int = SAMPLES) -> Finding:
    program, left_out = alone(subject.program)
    n = program.registers[0].size
    if any(isinstance(op, Evolve) and not op.trotter for op in program.body):
        samples = min(samples, 500)  # each is an eigenvalue problem of its own
    states = random_states(program, 2 * samples, subject.seed)
    fidelities = np.abs(np.einsum("ij,ij->i", states[:samples].conj(), states[samples:])) ** 2
    haar = np.random.default_rng(subject.seed).beta(1, (1 << n) - 1, samples)
    kl, floor = divergence(fidelities, n), divergence(haar, n)
    q = np.array([meyer_wallach(s, n) for s in states[: min(len(states), 2000)]])
    random_q = ((1 << n) - 2) / ((1 << n) + 1)
    of = gates_of(program.body)
    rows: list[list[Cell]] = [
        ["qubits", str(n)],
        ["gates", str(of.total)],
        ["free angles", str(program.weights[0].shape[0])],
        ["KL divergence from Haar", kl],
        ["  of as many samples of Haar itself", floor],
        ["Meyer-Wallach Q, mean", float(q.mean())],
        ["  standard deviation", float(q.std())],
        ["  of random states", random_q],
    ]
    notes = [f"{samples} pairs of states, angles uniform over a whole turn"]
    if left_out:
        notes.append("left out: " + ", ".join(left_out))
    data = {
        "qubits": n, "gates": of.total, "angles": program.weights[0].shape[0], "pairs": samples,
        "bins": BINS, "expressibility": kl, "expressibility_of_haar": floor,
        "meyer_wallach": {"mean": float(q.mean()), "deviation": float(q.std()),
                          "random_states": random_q},
        "left_out": left_out,
    }  # fmt: skip
    chart = Chart(f"{subject.name}: the ansatz of a step", _panels(fidelities, q, n), note=notes[0])
    return Finding("ansatz", f"{subject.name}: expressibility and entangling capability",
                   ["", "value"], rows, data, chart.picture(), notes)  # fmt: skip


def _panels(fidelities: Array, q: Array, n: int) -> list[Panel]:
    # Where Haar lies, with room for an ansatz that is far from it.
    top = min(1.0, max(8.0 / (1 << n), float(np.quantile(fidelities, 0.98))))
    edges = np.linspace(0, top, 41)
    middle = ((edges[1:] + edges[:-1]) / 2).tolist()
    width = float(edges[1])
    counted = np.histogram(fidelities, edges)[0] / len(fidelities) / width
    exact = np.diff(haar_below(edges, n)) / width
    dense, at = np.histogram(q, 40, (0, 1))
    return [
        Panel("fidelity of two states", "density",
              [Series("ansatz", middle, counted.tolist()),
               Series("Haar", middle, exact.tolist(), colour=6, dashed=True)]),
        Panel("Meyer-Wallach Q", "density",
              [Series("", ((at[1:] + at[:-1]) / 2).tolist(), (dense * 40 / len(q)).tolist())]),
    ]  # fmt: skip


# --- figures ------------------------------------------------------------------------------------


def haar_below(fidelity: Array, n: int) -> Array:
    """The share of pairs of random states below a fidelity: 1 - (1 - F)^(N-1)."""
    return np.asarray(1 - (1 - fidelity) ** ((1 << n) - 1))


def divergence(fidelities: Array, n: int, bins: int = BINS) -> float:
    """Kullback and Leibler's, of the histogram of fidelities from that of Haar, in nats."""
    edges = np.linspace(0, 1, bins + 1)
    p = np.histogram(np.clip(fidelities, 0, 1), edges)[0] / len(fidelities)
    # (1-l)^(N-1) - (1-u)^(N-1), in logarithms: the last bins are far below double precision.
    power = (1 << n) - 1
    low = power * np.log1p(-edges[:-1])
    with np.errstate(divide="ignore"):
        high = power * np.log1p(-edges[1:])
    log_q = low + np.log1p(-np.exp(high - low))
    here = p > 0
    return float(np.sum(p[here] * (np.log(p[here]) - log_q[here])))


def meyer_wallach(state: Array, n: int) -> float:
    """2 (1 - mean purity of a qubit): 0 for a product, 1 if every qubit is maximally mixed."""
    purities = [np.sum(np.abs(reduced(state, n, [q])) ** 2) for q in range(n)]
    return float(2 * (1 - np.mean(purities)))


# --- the ansatz by itself -----------------------------------------------------------------------


def alone(program: Program) -> tuple[Program, list[str]]:
    """The unitary part of the step with most gates, on fresh qubits, its angles a weight: each
    number that angles are made of is one free angle. And what was left out."""
    found = [c for c in circuits(program) if c.loop is not None] or list(circuits(program))
    if not found:
        raise ProbeError(f"{program.name} has no circuit", "a classical core has no ansatz")
    circuit = max(found, key=lambda c: gates_of(c.ops).total)
    number: dict[tuple[int, int], int] = {}
    theta = Value(0, real(1), "theta")

    def free(angle: Angle) -> Angle:
        terms = tuple(
            replace(t, value=theta, index=number.setdefault((t.value.id, t.index), len(number)))
            for t in angle.terms
        )
        return Angle(angle.constant, terms)

    where = {q: k for k, q in enumerate(circuit.qubits)}
    kept: list[Op] = []
    left_out: list[str] = []
    for op in walk(circuit.ops):
        if isinstance(op, Unitary):
            kept.append(Unitary(tuple(_gate(e, free, where) for e in op.elements)))
        elif isinstance(op, Evolve):
            terms = tuple((free(a), tuple((where[q], p) for q, p in s)) for a, s in op.terms)
            kept.append(replace(op, terms=terms, time=free(op.time)))
        elif type(op).__name__ not in ("Alloc", "Free", "Expect", "Probabilities"):
            left_out.append(said(op))
    if not kept or not number:
        raise ProbeError("the circuit of a step has no angle that can change")
    n = len(where)
    wide = replace(theta, type=real(len(number)))
    body = (
        Alloc(tuple(range(n))), UseWeight(wide, "theta"), *(_wide(op, wide) for op in kept)
    )  # fmt: skip
    return Program(
        f"{program.name} ansatz",
        weights=(Weight("theta", (len(number),), Initial("uniform", (-math.pi, math.pi))),),
        registers=(Register("q", 0, n),),
        body=body,
    ), sorted(set(left_out))


def _gate(element: Any, free: Any, where: dict[int, int]) -> Gate:
    if not isinstance(element, Gate):
        raise ProbeError("the program has been optimised: its gates are no longer there")

    def at(qubits: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(where[q] for q in qubits)

    return Gate(element.name, at(element.qubits), tuple(free(a) for a in element.angles),
                at(element.controls), at(element.zeros))  # fmt: skip


def _wide(op: Op, theta: Value) -> Op:
    return substitute(op, lambda v: theta)


# --- many states at once ------------------------------------------------------------------------


def random_states(program: Program, count: int, seed: int) -> Array:
    """States [count, 2^n] of a program of one register, its angles uniform."""
    n, size = program.registers[0].size, program.weights[0].shape[0]
    rng = np.random.default_rng(seed)
    part = max(1, min(count, _AT_ONCE >> n))
    found = [
        batch.states(program, rng.uniform(-math.pi, math.pi, (min(part, count - k), size)))
        for k in range(0, count, part)
    ]
    return np.concatenate(found)
