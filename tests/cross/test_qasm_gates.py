"""The OpenQASM of every gate means, to Qiskit and to Braket, what the table says."""

import numpy as np
import pytest
from circuit_tools import braket_state, qiskit_circuit, qiskit_state, run, same_state

from qrlang.analysis.circuits import FlatGate, circuits, flat
from qrlang.backends.qasm.dialects import DIALECTS
from qrlang.backends.qasm.printer import Text
from qrlang.backends.qasm.target import texts
from qrlang.gates import GATES
from qrlang.ir.program import (
    Angle,
    Diagonal,
    Element,
    Evolve,
    Gate,
    Op,
    Permutation,
    Program,
    Register,
    Run,
    Term,
    Unitary,
    Value,
)
from qrlang.ir.types import real

STATE = {"qiskit": qiskit_state, "braket": braket_state}
W = Value(0, real(8), "w")
VALUES = {0: np.random.default_rng(7).uniform(-3, 3, 8)}


def w(i: int, factor: float = 1.0, constant: float = 0.0) -> Angle:
    return Angle(constant, (Term(factor, W, i),))


def program(*ops: Op, n: int = 4) -> Program:
    return Program("P", inputs=(W,), registers=(Register("q", 0, n),), body=ops)


def scramble(n: int) -> list[Element]:
    """A state with no symmetry, so that no mistake hides."""
    turned: list[Element] = [
        Gate(name, (q,), (Angle(0.4 + 0.7 * q + k),))
        for q in range(n)
        for k, name in enumerate(("ry", "rz"))
    ]
    return turned + [Gate("x", (q + 1,), controls=(q,)) for q in range(n - 1)]


def text_of(p: Program, dialect: str) -> Text:
    [text] = texts(p, DIALECTS[dialect]).values()
    return text


def check(p: Program, dialect: str) -> Text:
    [circuit] = circuits(p)
    n = len(circuit.qubits)
    gates: list[FlatGate] = [g for op in circuit.ops for g in flat(op)]  # type: ignore[arg-type]
    text = text_of(p, dialect)
    same_state(STATE[dialect](text, VALUES), run(gates, n, VALUES))
    return text


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", GATES)
def test_gate(name: str, dialect: str) -> None:
    spec = GATES[name]
    elements = scramble(4)
    for controls, zeros in [((), ()), ((3,), ()), ((), (2,)), ((2, 3), ()), ((2,), (3,))]:
        for order in ((0, 1), (1, 0)):
            constant = tuple(Angle(0.3 - 1.1 * i) for i in range(spec.angles))
            given = tuple(w(i, 1 + i, 0.2 * i) for i in range(spec.angles))
            for angles in (constant, given) if spec.angles else ((),):
                elements.append(Gate(name, order[: spec.qubits], angles, controls, zeros))
    check(program(Unitary(tuple(elements))), dialect)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_more_controls(dialect: str) -> None:
    elements = [
        *scramble(4),
        Gate("ry", (0,), (w(0),), (1, 3), (2,)),
        Gate("h", (3,), (), (), (0, 1)),
    ]
    check(program(Unitary(tuple(elements))), dialect)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_fused_elements(dialect: str) -> None:
    diagonal = Diagonal((((0,), w(0)), ((1, 3), w(1)), ((0, 1, 2), w(2, -0.5)), ((), w(3))))
    # x -> A x + b, A neither triangular nor a plain exchange
    permutation = Permutation((0, 2, 3), (0b110, 0b011, 0b111), 0b101)
    run_ = Run(1, (Gate("h", (1,)), Gate("rz", (1,), (w(4),))))
    check(program(Unitary((*scramble(4), diagonal, permutation, run_, *scramble(4)))), dialect)


def test_the_network_of_a_permutation_is_its_map() -> None:
    rng = np.random.default_rng(3)
    tried = 0
    while tried < 30:
        k = int(rng.integers(1, 5))
        rows = tuple(int(r) for r in rng.integers(1, 2**k, k))
        flips = int(rng.integers(0, 2**k))
        image = {
            x: sum(((r & x).bit_count() & 1) << i for i, r in enumerate(rows)) ^ flips
            for x in range(2**k)
        }
        if len(set(image.values())) < 2**k:
            continue  # not invertible: no permutation
        tried += 1
        gates = list(flat(Unitary((Permutation(tuple(range(k)), rows, flips),))))
        for x, y in image.items():
            # bit j of x is qubit j; in a state's index, qubit 0 is the most significant
            start = [FlatGate("x", (j,)) for j in range(k) if x >> j & 1]
            state = run([*start, *gates], k, {})
            assert abs(state[int(format(y, f"0{k}b")[::-1], 2)]) == pytest.approx(1)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_evolution(dialect: str) -> None:
    words = ["XX", "YY", "ZZ", "ZX", "XZ", "XY", "YXZ", "Z", "X", "ZZZZ", ""]
    terms = tuple(
        (w(k % 8) if k % 2 else Angle(0.3 * k), tuple(enumerate(word)))
        for k, word in enumerate(words)
    )
    evolve = Evolve(terms, w(1), trotter=2)
    text = check(program(Unitary(tuple(scramble(4))), evolve), dialect)
    assert "(w[1]) * (w[1])" in text.source  # a product of two values: the host computes it


@pytest.mark.parametrize("word", ["X", "Y", "Z", "XZ", "YX", "ZYX", "XXYZ"])
def test_a_pauli_rotation_is_the_exponential(word: str) -> None:
    from qrlang.gates import pauli_matrix

    n, t = len(word), 0.83
    pauli = np.array(pauli_matrix(word))
    expected = np.cos(t / 2) * np.eye(2**n) - 1j * np.sin(t / 2) * pauli
    start = [FlatGate("ry", (q,), (Angle(0.4 + q),)) for q in range(n)]
    evolve = Evolve(((Angle(t), tuple(enumerate(word))),), Angle(0.5))
    after = run([*start, *flat(evolve)], n, {})
    np.testing.assert_allclose(after, expected @ run(start, n, {}), atol=1e-12)


def test_one_input_for_each_distinct_angle() -> None:
    elements = [Gate("rx", (q,), (w(0),)) for q in range(3)] + [Gate("rz", (0,), (w(1, 2.0, 0.5),))]
    text = text_of(program(Unitary(tuple(elements))), "qiskit")
    assert [name for name, _ in text.inputs] == ["theta_0", "theta_1"]
    assert "theta_1 = 2*w[1] + 0.5" in text.source


def test_the_size_that_qiskit_sees() -> None:
    elements = tuple(scramble(4))
    circuit = qiskit_circuit(text_of(program(Unitary(elements)), "qiskit"))
    assert circuit.size() == len(elements)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_registers_with_awkward_names(dialect: str) -> None:
    names = ["x", "b", "pi", "Ü", "input", "reset", "q", "theta_0", "a b", "_"]
    registers = tuple(Register(name, i, 1) for i, name in enumerate(names))
    elements = [Gate("ry", (i,), (w(i % 8, 1 + i),)) for i in range(len(names))]
    p = Program("P", inputs=(W,), registers=registers, body=(Unitary(tuple(elements)),))
    check(p, dialect)
