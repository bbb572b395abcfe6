"""Every gate of the table, with and without controls, trained through a recurrence."""

import pytest

pytest.importorskip("torch")
pytest.importorskip("llvmlite")

from engine_programs import angle, gate_program, mixed_observables, qrnn
from engine_tools import compare

from qrlang.gates import GATES
from qrlang.ir import program as ir

N = 5


def gate(name, qubits, theta, first=0, controls=(), zeros=()):
    count = GATES[name].angles
    return ir.Gate(
        name,
        qubits,
        tuple(angle(theta, first + i, 0.7, 0.3) for i in range(count)),
        controls,
        zeros,
    )


NAMES = tuple(GATES)


@pytest.mark.parametrize("names", [NAMES[i : i + 3] for i in range(0, len(NAMES), 3)])
def test_gate(names):
    """Plain, with one control, with one of each kind, on lane qubits and others."""

    def gates(theta):
        for name in names:
            k = GATES[name].qubits
            low, high = tuple(range(k)), tuple(range(N - k, N))
            yield gate(name, low, theta)
            yield gate(name, high, theta, 3)
            yield gate(name, high[::-1], theta, 6, (0,))
            yield gate(name, low, theta, 9, (N - 1,), (N - 2,))

    program = gate_program(gates, N, 12)
    assert max(compare(program, dtype="float64", steps=3, layout="state")) < 1e-10


@pytest.mark.parametrize(
    ("layout", "dtype"), [("state", "float32"), ("batch", "float32"), ("batch", "float64")]
)
def test_every_gate_at_once(layout, dtype):
    def gates(theta):
        for i, name in enumerate(GATES):
            q = tuple((i + j) % N for j in range(GATES[name].qubits))
            yield gate(name, q, theta, i % 9, ((i + 3) % N,) if i % 2 else ())

    limit = 2e-5 if dtype == "float32" else 1e-10
    assert max(compare(gate_program(gates, N, 12), steps=3, dtype=dtype, layout=layout)) < limit


@pytest.mark.parametrize("layout", ["state", "batch"])
def test_elements_of_passes(layout):
    def gates(theta):
        yield ir.Diagonal(
            (
                ((0,), angle(theta, 0)),
                ((0, 2), angle(theta, 1)),
                ((1, 3, 4), angle(theta, 2)),
                ((4,), angle(theta, 3)),
            )
        )
        yield ir.Permutation((0, 1, 2, 3), (0b0011, 0b0110, 0b1100, 0b1000), 0b0101)
        yield ir.Run(
            2, (gate("ry", (2,), theta, 4), gate("rx", (2,), theta, 5), gate("h", (2,), theta))
        )

    assert max(compare(gate_program(gates, N, 12), dtype="float64", layout=layout)) < 1e-10


def test_index_maps_that_mix_much():
    """Reversal of the qubits moves every lane qubit out of the lanes."""

    def gates(theta):
        yield ir.Permutation(tuple(range(9)), tuple(1 << (8 - i) for i in range(9)), 0b100000001)
        yield gate("ry", (0,), theta)

    assert max(compare(gate_program(gates, 9, 3), steps=3)) < 2e-5


def test_all_to_all_phases():
    def gates(theta):
        k = 0
        for a in range(8):
            for b in range(a):
                yield gate("rzz", (a, b), theta, k % 12)
                k += 1
        for a in range(8):
            yield gate("rx", (a,), theta, a)

    for layout in ("state", "batch"):
        assert max(compare(gate_program(gates, 8, 12), steps=3, layout=layout)) < 2e-5


@pytest.mark.parametrize(("n", "dtype"), [(3, "float64"), (6, "float64"), (9, "float32")])
def test_readouts(n, dtype):
    limit = 2e-5 if dtype == "float32" else 1e-10
    assert max(compare(qrnn(n, observables=mixed_observables(n)), dtype=dtype)) < limit


@pytest.mark.parametrize("layout", ["state", "batch"])
def test_large_angles(layout):
    """Whole and half turns, and angles just beside them."""
    assert max(compare(qrnn(6), scale=20.0, steps=2, dtype="float64", layout=layout)) < 1e-9
