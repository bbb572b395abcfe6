"""Bloch vectors of every qubit and readouts, over time."""

from __future__ import annotations

from typing import Any

import numpy as np

from qrlang.probe.finding import Cell, Finding, thinned
from qrlang.probe.heat import Map, below, beside
from qrlang.probe.subject import Array, Subject
from qrlang.probe.trace import Trace, reduced, traces

SHOWN = 3  # samples that get pictures


def vectors(state: Array, n: int) -> Array:
    """⟨X⟩, ⟨Y⟩, ⟨Z⟩ of each qubit: [n, 3]."""
    found = []
    for q in range(n):
        rho = reduced(state, n, [q])
        found.append([2 * rho[1, 0].real, 2 * rho[1, 0].imag, (rho[0, 0] - rho[1, 1]).real])
    return np.array(found)


def probe(subject: Subject) -> Finding:
    found = traces(subject)
    samples = [_data(t) for t in found]
    pictures = []
    for k, (t, d) in enumerate(zip(found[:SHOWN], samples, strict=False)):
        row = []
        of = np.array(d["bloch"])  # [time, n, 3]
        for axis, letter in enumerate("XYZ"):
            title = f"{subject.name}, sequence {k + 1}" if axis == 0 else ""
            row.append(Map("step", "", of[:, :, axis].T.tolist(), t.qubits, letter,
                           -1.0, 1.0, title, width=280).picture())  # fmt: skip
        if d["readouts"] and d["readouts"][0]:
            z = np.array(d["readouts"])
            names = [f"z[{i}]" for i in range(z.shape[1])]
            row.append(Map("step", "", z.T.tolist(), names, "z", min(-1.0, float(z.min())),
                           max(1.0, float(z.max())), width=280).picture())  # fmt: skip
        pictures.append(beside(*row))
    rows: list[list[Cell]] = []
    first = samples[0]
    for s in thinned(len(found[0].moments), 12):
        for q, name in enumerate(found[0].qubits):
            x, y, z = first["bloch"][s][q]
            rows.append([str(s + 1), name, x, y, z, first["lengths"][s][q]])
    return Finding(
        "bloch", f"{subject.name}: Bloch vectors of sequence 1 at the end of each step",
        ["step", "qubit", "X", "Y", "Z", "length"], rows,
        {"qubits": list(found[0].qubits), "samples": samples}, below(*pictures), [subject.source],
    )  # fmt: skip


def _data(trace: Trace) -> dict[str, Any]:
    of = [vectors(m.state, trace.n) for m in trace.moments]
    return {
        "bloch": [v.tolist() for v in of],
        "lengths": [np.linalg.norm(v, axis=1).tolist() for v in of],
        "readouts": [m.readouts.tolist() for m in trace.moments],
    }
