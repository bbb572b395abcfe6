"""Gates as dense matrices, written out plainly: an outside proof for passes and analyses.

Qubit q of n is the q-th most significant bit. Angles must be constants, or `values` gives them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from qrlang.gates import GATES, PAULI
from qrlang.ir.program import Angle, Diagonal, Element, Gate, Permutation, Run

Values = Mapping[int, Sequence[float]]


def number(angle: Angle, values: Values) -> float:
    return angle.constant + sum(t.coefficient * values[t.value.id][t.index] for t in angle.terms)


def bit(index: int, qubit: int, n: int) -> int:
    return index >> (n - 1 - qubit) & 1


def embed(matrix: np.ndarray, qubits: Sequence[int], n: int) -> np.ndarray:
    k = len(qubits)
    full = np.zeros((2**n, 2**n), complex)
    for column in range(2**n):
        inner = sum(bit(column, q, n) << (k - 1 - i) for i, q in enumerate(qubits))
        for row_inner in range(2**k):
            row = column
            for i, q in enumerate(qubits):
                here = row_inner >> (k - 1 - i) & 1
                row = row & ~(1 << (n - 1 - q)) | here << (n - 1 - q)
            full[row, column] += matrix[row_inner, inner]
    return full


def word_matrix(word: Sequence[tuple[int, str]], n: int) -> np.ndarray:
    full = np.eye(2**n, dtype=complex)
    for q, letter in word:
        full = embed(np.array(PAULI[letter], complex), [q], n) @ full
    return full


def gate_matrix(gate: Gate, n: int, values: Values) -> np.ndarray:
    angles = [number(a, values) for a in gate.angles]
    base = embed(np.array(GATES[gate.name].matrix(*angles), complex), gate.qubits, n)
    on = [
        all(bit(i, q, n) for q in gate.controls) and not any(bit(i, q, n) for q in gate.zeros)
        for i in range(2**n)
    ]
    return np.where(np.array(on)[None, :], base, np.eye(2**n))


def element_matrix(element: Element, n: int, values: Values) -> np.ndarray:
    match element:
        case Gate():
            return gate_matrix(element, n, values)
        case Run():
            return segment_matrix(element.gates, n, values)
        case Diagonal():
            phases = np.zeros(2**n)
            for mask, angle in element.terms:
                parity = np.array([sum(bit(i, q, n) for q in mask) % 2 for i in range(2**n)])
                phases += number(angle, values) / 2 * (1 - 2 * parity)
            return np.diag(np.exp(-1j * phases))
        case Permutation():
            full = np.zeros((2**n, 2**n), complex)
            for i in range(2**n):
                x = sum(bit(i, q, n) << j for j, q in enumerate(element.qubits))
                out = i
                for j, q in enumerate(element.qubits):
                    new = (element.rows[j] & x).bit_count() % 2 ^ element.flips >> j & 1
                    out = out & ~(1 << (n - 1 - q)) | new << (n - 1 - q)
                full[out, i] = 1
            return full


def segment_matrix(elements: Sequence[Element], n: int, values: Values | None = None) -> np.ndarray:
    full = np.eye(2**n, dtype=complex)
    for element in elements:
        full = element_matrix(element, n, values or {}) @ full
    return full


def same_up_to_phase(a: np.ndarray, b: np.ndarray, tolerance: float = 1e-10) -> bool:
    overlap = np.vdot(a, b)
    return bool(np.abs(a * (overlap / abs(overlap)) - b).max() < tolerance) if overlap else False
