"""Gates as Pauli rotations, against their matrices."""

import itertools

import numpy as np
import pytest
from dense import element_matrix, same_up_to_phase, segment_matrix, word_matrix
from hypothesis import given
from hypothesis import strategies as st

from qrlang.analysis.turns import Turn, actions, gate_rotations, network
from qrlang.gates import GATES
from qrlang.ir.program import Angle, Gate, Permutation


@pytest.mark.parametrize("name", GATES)
@pytest.mark.parametrize("controls,zeros", [(0, 0), (1, 0), (0, 1), (1, 1), (2, 0)])
def test_rotations_are_the_gate(name: str, controls: int, zeros: int) -> None:
    spec = GATES[name]
    n = spec.qubits + controls + zeros
    order = list(range(n))[::-1]
    angles = tuple(Angle(a) for a in (0.7, -1.1, 2.3)[: spec.angles])
    gate = Gate(
        name,
        tuple(order[: spec.qubits]),
        angles,
        tuple(order[spec.qubits : spec.qubits + controls]),
        tuple(order[spec.qubits + controls :]),
    )
    product = np.eye(2**n, dtype=complex)
    for word, angle, _ in gate_rotations(gate):
        half = angle.constant / 2
        turn = np.cos(half) * np.eye(2**n) - 1j * np.sin(half) * word_matrix(word, n)
        product = turn @ product
    assert same_up_to_phase(product, element_matrix(gate, n, {}))


@pytest.mark.parametrize(
    "name", ["id", "x", "y", "z", "h", "s", "sdg", "sx", "sxdg", "swap", "iswap", "iswapdg"]
)
def test_clifford_gates_are_quarter_turns(name: str) -> None:
    gate = Gate(name, tuple(range(GATES[name].qubits)))
    for action in actions(gate):
        assert isinstance(action, Turn)
        assert action.quarters is not None


def invertible(n: int) -> st.SearchStrategy[tuple[tuple[int, ...], int]]:
    pairs = st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)).filter(lambda p: p[0] != p[1])

    def build(steps: list[tuple[int, int]], order: list[int], flips: int):
        rows = [1 << i for i in order]
        for a, b in steps:
            rows[a] ^= rows[b]
        return tuple(rows), flips

    return st.builds(
        build,
        st.lists(pairs, max_size=8),
        st.permutations(range(n)),
        st.integers(0, 2**n - 1),
    )


@given(invertible(4))
def test_network_is_the_permutation(built: tuple[tuple[int, ...], int]) -> None:
    rows, flips = built
    permutation = Permutation((2, 0, 3, 1), rows, flips)
    a = element_matrix(permutation, 4, {})
    b = segment_matrix(network(permutation), 4)
    assert np.array_equal(a, b)
    assert all(len(g.all_qubits) <= 2 for g in network(permutation))
    assert len(list(itertools.chain(*(g.controls for g in network(permutation))))) <= 16
