"""The memory of a reservoir, against the field's own way of measuring it: along one long time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from qrlang.driver import Compilation  # noqa: E402
from qrlang.probe import memory  # noqa: E402
from qrlang.probe.subject import of_file  # noqa: E402

SPINS = """\
use std.hamiltonian.reservoir
use std.readout.z_and_zz

model Spins(n: int = 3) {
  input  u: seq[real[1]]
  target y: seq[real[1]]
  qubits spins[n]
  frozen J: real[...] = [0.47, 0.21, -0.34]
  layer  head = linear(1)
  step x in u {
    reset spins[0]
    ry(acos(x[0])) spins[0]
    apply reservoir(J, 0.5) for 4 to spins
    emit head(read z_and_zz(spins))
  }
}
"""


def test_as_along_a_long_time() -> None:
    made = Compilation.of_bytes("m.qrl", SPINS.encode())
    assert not made.failed, made.diagnostics
    found = memory.probe(of_file(made, "Spins", 1, 4, seed=3), delays=10).data
    expected = along(20_000, 11)
    assert np.abs(np.array(found["by_delay"]) - expected).max() < 0.07
    assert found["capacity"] == pytest.approx(expected.sum(), rel=0.05)


def test_a_sum_that_is_cut_off_is_said() -> None:
    made = Compilation.of_bytes("m.qrl", SPINS.encode())
    one = of_file(made, "Spins", 1, 4, seed=3)
    assert any("--delays 4" in note for note in memory.probe(one, delays=2).notes)
    assert not any("--delays" in note for note in memory.probe(one, delays=10).notes)


def along(count: int, delays: int) -> Any:
    """In numpy: R² of each past input on the second half of a series."""
    pauli = {"X": np.array([[0, 1], [1, 0]]), "Z": np.diag([1.0, -1.0])}

    def on(letter: str, *places: int) -> Any:
        out = np.eye(1)
        for k in range(3):
            out = np.kron(out, pauli[letter] if k in places else np.eye(2))
        return out

    pairs = [(0, 1), (0, 2), (1, 2)]
    h = sum(0.5 * on("Z", k) for k in range(3))
    h = h + sum(c * on("X", *p) for c, p in zip((0.47, 0.21, -0.34), pairs, strict=True))
    energies, states = np.linalg.eigh(h)
    turn = (states * np.exp(-4j * energies)) @ states.conj().T
    seen = [on("Z", k) for k in range(3)] + [on("Z", *p) for p in pairs]
    diagonals = np.array([np.diag(o) for o in seen])
    signal = np.random.default_rng(0).uniform(-1, 1, count)
    rho, rows = np.diag([1.0, *[0.0] * 7]).astype(complex), []
    for x in signal:
        r = rho.reshape(2, 4, 2, 4)
        fresh = np.array([np.cos(np.arccos(x) / 2), np.sin(np.arccos(x) / 2)])
        rho = turn @ np.kron(np.outer(fresh, fresh), r[0, :, 0] + r[1, :, 1]) @ turn.conj().T
        rows.append(diagonals @ np.diag(rho).real)
    features = np.c_[np.array(rows), np.ones(count)][100:]
    half, found = len(features) // 2, []
    for d in range(delays):
        y = signal[100 - d : count - d]
        head = np.linalg.lstsq(features[:half], y[:half], rcond=None)[0]
        error = np.mean((features[half:] @ head - y[half:]) ** 2)
        found.append(1 - error / y[half:].var())
    return np.array(found)
