"""Circuits as dense matrices, as Qiskit sees them and as Braket sees them: for the tests."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from qrlang.analysis.circuits import AnyAngle, Circuit, FlatGate, Product
from qrlang.backends.qasm.printer import Text
from qrlang.gates import GATES
from qrlang.ir.program import Expect, If, Measure, Probabilities, Value
from qrlang.ir.walk import uses, walk


def number(angle: AnyAngle, values: Mapping[int, np.ndarray]) -> float:
    """An angle, given the flattened value of each id."""
    if isinstance(angle, Product):
        return angle.factor * number(angle.a, values) * number(angle.b, values)
    terms = (t.coefficient * values[t.value.id].flat[t.index] for t in angle.terms)
    return float(angle.constant + sum(terms))


def dense(gate: FlatGate, n: int, values: Mapping[int, np.ndarray]) -> np.ndarray:
    """The 2^n matrix of a gate, qubit 0 the most significant."""
    spec = GATES[gate.name]
    small = np.array(spec.matrix(*(number(a, values) for a in gate.angles)), complex)
    out = np.eye(2**n, dtype=complex)
    k = len(gate.qubits)

    def bit(x: int, q: int) -> int:
        return x >> (n - 1 - q) & 1

    for x in range(2**n):
        if not all(bit(x, q) for q in gate.controls) or any(bit(x, q) for q in gate.zeros):
            continue
        column = sum(bit(x, q) << (k - 1 - j) for j, q in enumerate(gate.qubits))
        rest = x
        for q in gate.qubits:
            rest &= ~(1 << (n - 1 - q))
        out[:, x] = 0
        for row in range(2**k):
            y = rest
            for j, q in enumerate(gate.qubits):
                y |= (row >> (k - 1 - j) & 1) << (n - 1 - q)
            out[y, x] = small[row, column]
    return out


def run(gates: Iterable[FlatGate], n: int, values: Mapping[int, np.ndarray]) -> np.ndarray:
    """The state that the gates make of |0…0⟩."""
    state = np.zeros(2**n, complex)
    state[0] = 1
    for gate in gates:
        state = dense(gate, n, values) @ state
    return state


def angle_sources(circuit: Circuit) -> dict[int, Value]:
    """Values that the circuit's angles come from, in order."""
    found: dict[int, Value] = {}
    for op in walk(circuit.ops):
        if not isinstance(op, (Expect, Probabilities, Measure, If)):
            found.update({v.id: v for v in uses(op)})
    return found


def bound(text: Text, values: Mapping[int, np.ndarray]) -> dict[str, float]:
    return {name: number(angle, values) for name, angle in text.inputs}


def qiskit_circuit(text: Text) -> Any:
    from qiskit import qasm3

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return qasm3.loads(text.source)


def qiskit_state(text: Text, values: Mapping[int, np.ndarray]) -> np.ndarray:
    from qiskit.quantum_info import Statevector

    circuit = qiskit_circuit(text)
    angles = bound(text, values)
    by_name = {p.name: p for p in circuit.parameters}
    assert set(by_name) == set(angles)
    circuit = circuit.assign_parameters({by_name[k]: v for k, v in angles.items()})
    # Qiskit's first qubit is the least significant.
    return np.asarray(Statevector(circuit.reverse_bits()).data)


def braket_run(source: str, inputs: Mapping[str, float], shots: int = 0, device: str = "") -> Any:
    from braket.devices import LocalSimulator
    from braket.ir.openqasm import Program

    logging.getLogger("braket").setLevel(logging.ERROR)
    simulator = LocalSimulator(device or "default")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that another simulator would be faster
        return simulator.run(Program(source=source, inputs=dict(inputs)), shots=shots).result()


def braket_state(text: Text, values: Mapping[int, np.ndarray]) -> np.ndarray:
    source = text.source + "#pragma braket result state_vector\n"
    return np.asarray(braket_run(source, bound(text, values)).values[0])


def same_state(a: np.ndarray, b: np.ndarray) -> None:
    """Equal up to a global phase."""
    assert a.shape == b.shape
    np.testing.assert_allclose(abs(np.vdot(a, b)), 1, atol=1e-10)
