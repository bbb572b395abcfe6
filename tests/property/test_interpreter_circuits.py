"""The interpreter's gates and readouts against Qiskit."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.circuit import Gate as QiskitGate
from qiskit.circuit.library import UnitaryGate, XXPlusYYGate, iSwapGate
from qiskit.quantum_info import Operator, SparsePauliOp, Statevector
from strategies import arguments, circuits, gates

from qrlang.backends.reference import initial_weights, run, unitary
from qrlang.gates import GATES
from qrlang.ir.program import (
    Angle,
    Diagonal,
    Element,
    Expect,
    Gate,
    Permutation,
    Program,
    Run,
    Unitary,
    UseWeight,
)


def qiskit_gate(name: str, angles: list[float]) -> QiskitGate:
    if name == "iswapdg":
        return iSwapGate().inverse()
    if name == "xx_plus_yy":
        return XXPlusYYGate(angles[0])
    spec = GATES[name]
    circuit = QuantumCircuit(spec.qubits)
    getattr(circuit, name)(*angles, *range(spec.qubits))
    return circuit.data[0].operation


def add(circuit: QuantumCircuit, element: Element, number) -> None:  # type: ignore[no-untyped-def]
    """An element, built from what Qiskit has."""
    match element:
        case Gate():
            gate = qiskit_gate(element.name, [number(a) for a in element.angles])
            controls = element.controls + element.zeros
            if controls:
                # Qiskit's ctrl_state: the first control is the last letter.
                state = "0" * len(element.zeros) + "1" * len(element.controls)
                matrix = Operator(gate.control(len(controls), ctrl_state=state, annotated=False))
                gate = UnitaryGate(matrix)
            circuit.append(gate, controls + element.qubits)
        case Run():
            for one in element.gates:
                add(circuit, one, number)
        case Diagonal():
            for qubits, angle in element.terms:
                # exp(-i a/2 Z…Z) by a chain of CNOT.
                for a, b in pairwise(qubits):
                    circuit.cx(a, b)
                circuit.rz(number(angle), qubits[-1])
                for a, b in reversed(list(pairwise(qubits))):
                    circuit.cx(a, b)
        case Permutation():
            n = len(element.qubits)
            matrix = np.zeros((1 << n, 1 << n))
            for before in range(1 << n):  # little-endian: bit i belongs to qubits[i]
                after = element.flips
                for i, row in enumerate(element.rows):
                    after ^= (bin(before & row).count("1") % 2) << i
                matrix[after, before] = 1
            circuit.append(UnitaryGate(matrix), element.qubits)


def big_endian(matrix: np.ndarray, n: int) -> np.ndarray:
    """Qiskit's operator with qubit 0 as the most significant bit."""
    axes = [*range(n - 1, -1, -1), *range(2 * n - 1, n - 1, -1)]
    return matrix.reshape((2,) * (2 * n)).transpose(axes).reshape(1 << n, 1 << n)


def constant(angle: Angle) -> float:
    return angle.constant


@pytest.mark.parametrize("name", GATES)
@pytest.mark.parametrize("controls,zeros", [((), ()), ((2,), ()), ((), (2,)), ((3,), (2,))])
def test_every_gate_is_qiskits(name: str, controls: tuple[int], zeros: tuple[int]) -> None:
    spec = GATES[name]
    angles = tuple(Angle(a) for a in (0.7, -1.3, 2.1)[: spec.angles])
    gate = Gate(name, (1, 0)[: spec.qubits], angles, controls, zeros)
    circuit = QuantumCircuit(4)
    add(circuit, gate, constant)
    expected = big_endian(Operator(circuit).data, 4)
    assert np.allclose(unitary([gate], (0, 1, 2, 3)), expected, atol=1e-13)


@settings(max_examples=60)
@given(st.lists(gates((0, 1, 2)), min_size=1, max_size=10))
def test_matrix_of_a_segment_in_any_qubit_order(segment: list[Gate]) -> None:
    circuit = QuantumCircuit(3)
    for gate in segment:
        add(circuit, gate, constant)
    assert np.allclose(unitary(segment, (2, 1, 0)), Operator(circuit).data, atol=1e-12)


@settings(max_examples=120)
@given(circuits())
def test_circuits_and_readouts_are_qiskits(program: Program) -> None:
    given_inputs, weights = arguments(program), initial_weights(program, 5)
    result = run(program, given_inputs, weights=weights)

    values = {program.inputs[0].id: given_inputs["x"]}
    values |= {op.out.id: weights[op.weight] for op in program.body if isinstance(op, UseWeight)}

    def number(angle: Angle) -> float:
        terms = sum(t.coefficient * values[t.value.id][t.index] for t in angle.terms)
        return float(angle.constant + terms)

    n = program.registers[0].size
    circuit = QuantumCircuit(n)
    for op in program.body:
        if isinstance(op, Unitary):
            for element in op.elements:
                add(circuit, element, number)
    state = Statevector(circuit)
    assert np.allclose(result.states[0], state.reverse_qargs().data, atol=1e-12)
    (read,) = (op for op in program.body if isinstance(op, Expect))
    expected = [
        state.expectation_value(
            SparsePauliOp.from_sparse_list(
                [("".join(p for _, p in string), [q for q, _ in string], c) for c, string in terms],
                num_qubits=n,
            )
        ).real
        for terms in read.observables
    ]
    assert np.allclose(result.outputs[""], expected, atol=1e-12)


@settings(max_examples=60)
@given(circuits())
def test_density_matrices_say_the_same_as_vectors(program: Program) -> None:
    pure = run(program, arguments(program), method="statevector")
    mixed = run(program, arguments(program), method="density")
    assert np.allclose(pure.outputs[""], mixed.outputs[""], atol=1e-12)
    vector = pure.states[0]
    assert np.allclose(np.outer(vector, vector.conj()), mixed.states[0], atol=1e-12)
