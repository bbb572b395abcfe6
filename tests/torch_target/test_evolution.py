"""Evolutions in plain torch: the right matrix, and no more of them than there are."""

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch

import qrlang
from qrlang.backends.torch.states.evolution import Evolutions
from qrlang.backends.torch.weights import unitary
from qrlang.gates import pauli_matrix

SPINS = """
use std.hamiltonian.reservoir
use std.readout.each_z
model Spins(n: int = 3, nodes: int = 2) {{
  input  u: seq[real[1]]
  target y: seq[real[n]]
  qubits  spins[n]
  readout z = each_z(spins)
  {kind}  J: real[...] = uniform(-0.5, 0.5)
  step x in u {{
    reset spins[0]
    ry(x[0]) spins[0]
    for k in 0..nodes {{ apply reservoir(J, 0.5) for {time} to spins }}
    emit read z
  }}
}}
"""


def test_the_matrix_is_the_exponential() -> None:
    strings = (((0, "X"), (2, "Y")), ((1, "Z"),), ((0, "Y"), (2, "X")), ((0, "X"),), ())
    words = ["XIY", "IZI", "YIX", "XII", "III"]
    factors = torch.rand(4, 5, dtype=torch.float64)
    found = Evolutions().of(3, strings, factors)
    for row, got in zip(factors.numpy(), found.numpy(), strict=True):
        h = sum(c * np.array(pauli_matrix(w)) for c, w in zip(row, words, strict=True))
        values, vectors = np.linalg.eigh(h)
        wanted = (vectors * np.exp(-1j * values)) @ vectors.conj().T
        assert np.abs(got - wanted).max() < 1e-12


@pytest.mark.parametrize(
    ("kind", "time", "count"),
    [("frozen", "0.7", 1), ("param", "0.7", 10), ("frozen", "x[0]", 10)],
)
def test_what_never_changes_is_exponentiated_once(
    kind: str, time: str, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = qrlang.loads(SPINS.format(kind=kind, time=time), road="plain")
    calls = []
    plain = torch.linalg.matrix_exp

    def counted(h: torch.Tensor) -> Any:
        calls.append(h)
        return plain(h)

    monkeypatch.setattr(torch.linalg, "matrix_exp", counted)
    model(torch.rand(2, 5, 1))
    assert len(calls) == count
    if kind == "frozen":  # other weights, another matrix
        first = model(torch.ones(1, 5, 1))
        with torch.no_grad():
            model.J.mul_(2)
        assert not torch.allclose(first, model(torch.ones(1, 5, 1)))


def test_a_trained_unitary_writes_its_words_down_once(monkeypatch: pytest.MonkeyPatch) -> None:
    letters = ["".join(w) for w in product("IXYZ", repeat=2)]
    c = torch.rand(16, dtype=torch.float64)
    h = sum(float(k) * np.array(pauli_matrix(w)) for k, w in zip(c, letters, strict=True))
    values, vectors = np.linalg.eigh(h)
    wanted = (vectors * np.exp(-1j * values)) @ vectors.conj().T
    assert np.abs(unitary(c).numpy() - wanted).max() < 1e-12

    def never(word: str) -> None:
        raise AssertionError(word)

    monkeypatch.setattr("qrlang.backends.torch.weights.pauli_matrix", never)
    assert np.abs(unitary(c).numpy() - wanted).max() < 1e-12
