"""Quantum data against what it says it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from data_tools import label, ports, real, seq, whole

from qrlang.ir.types import Type
from qrlang.training.data.opening import open_data
from qrlang.training.data.quantum import syndromes

qiskit = pytest.importorskip("qiskit.quantum_info")


def hamiltonian(n: int, terms: list[tuple[str, float]], ring: bool) -> Any:
    found = []
    for word, factor in terms:
        for start in range(n if ring else n - len(word) + 1):
            letters = ["I"] * n
            for k, letter in enumerate(word):
                letters[(start + k) % n] = letter
            found.append(("".join(letters), factor))
    return qiskit.SparsePauliOp.from_list(found).to_matrix()


@pytest.mark.parametrize("n", [4, 5, 6])
def test_phases_have_the_lowest_energy(n: int) -> None:
    from qrlang.training.data import quantum

    class Fields(np.random.RandomState):
        def uniform(self, *_: Any) -> Any:  # which fields are drawn is not told with the states
            return np.linspace(0.05, 1.95, 9)

    request: Any = type("Request", (), {"whole": lambda self, name: n})()
    states, labels = quantum._phases(request)(Fields(), 9)
    for h, psi, above in zip(np.linspace(0.05, 1.95, 9), states, labels, strict=True):
        matrix = hamiltonian(n, [("ZXZ", -1.0), ("X", -float(h))], True)
        assert np.isclose(psi @ matrix @ psi, np.linalg.eigvalsh(matrix)[0], atol=1e-9)
        assert above == (h >= 1)


def test_ground_states() -> None:
    data = open_data(
        "ground_states", {"qubits": 4, "size": 60}, ports(real(1), Type("state", (), 4))
    )
    fields, states = whole(data, "test")
    for h, psi in zip(fields[:, 0], states, strict=True):
        terms = [("ZZ", -1.0), ("X", -float(h)), ("Z", -0.5)]
        matrix = hamiltonian(4, terms, False)
        assert np.isclose(
            (psi.conj() @ matrix @ psi).real, np.linalg.eigvalsh(matrix)[0], atol=1e-5
        )


def test_phase_evolutions_are_unitary() -> None:
    data = open_data("phase_evolutions", {"size": 40}, ports(Type("unitary", (), 3), label(2)))
    u, labels = whole(data, "test")
    assert np.allclose(u @ u.conj().swapaxes(1, 2), np.eye(8), atol=1e-5)
    assert set(labels.tolist()) == {0, 1}


def test_syndromes_add_up() -> None:
    random = np.random.RandomState(0)
    events, data = syndromes(random, 500, 5, 6, 0.1, 0.2)
    last = events.sum(1) % 2  # misreadings have cancelled
    assert (last == data[:, 1:] ^ data[:, :-1]).all()
    assert events.shape == (500, 7, 4)
    quiet, data = syndromes(random, 50, 3, 4, 0.0, 0.0)
    assert not quiet.any() and not data.any()
    # How often qubits have flipped in the end: an odd number of times out of six.
    often = 0.5 * (1 - (1 - 2 * 0.1) ** 6)
    many = syndromes(random, 20_000, 3, 6, 0.1, 0.2)[1].mean()
    assert abs(many - often) < 0.01


def test_a_probability_that_is_none() -> None:
    from qrlang.errors import DataError

    with pytest.raises(DataError, match="probabilities"):
        open_data("syndromes", {"flip": 1.5}, ports(seq(real(2)), label(2))).count("train")
