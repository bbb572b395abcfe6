"""What the elements of a unitary segment, and time evolution, do to a state."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import product

import numpy as np

from qrlang.backends.reference.errors import RunError
from qrlang.backends.reference.state import Array, State, act_pauli
from qrlang.gates import CHANNELS, GATES, pauli_matrix
from qrlang.ir.program import Angle, Diagonal, Element, Gate, PauliString, Permutation, Run

Numbers = Callable[[Angle], float]

DENSE = 8  # qubits up to which an evolution is one matrix
_FARTHEST = 1e5  # sum of |coefficient * time| of an exact evolution


@lru_cache(maxsize=4096)
def gate_matrix(name: str, angles: tuple[float, ...]) -> Array:
    return np.array(GATES[name].matrix(*angles), complex)


def kraus(name: str, args: Sequence[float]) -> list[Array]:
    slack = 1e-9
    if min(args) < -slack or sum(args) > 1 + slack:
        shown = ", ".join(f"{x:g}" for x in args)
        raise RunError(f"{name}({shown}): these are not probabilities")
    clipped = [min(max(x, 0.0), 1.0) for x in args]
    return [np.array(k, complex) for k in CHANNELS[name].kraus(*clipped)]


def apply_element(state: State, element: Element, number: Numbers) -> State:
    match element:
        case Gate():
            angles = tuple(map(number, element.angles))
            matrix = gate_matrix(element.name, angles)
            return state.apply(matrix, element.qubits, element.controls, element.zeros)
        case Run():
            for gate in element.gates:
                state = apply_element(state, gate, number)
            return state
        case Diagonal():
            return _diagonal(state, element, number)
        case Permutation():
            return state.permute(_sources(element), element.qubits)


def _diagonal(state: State, element: Diagonal, number: Numbers) -> State:
    n = len(state.qubits)
    half = np.zeros((1,) * n)
    for qubits, angle in element.terms:
        sign = np.ones((1,) * n)
        for q in qubits:
            shape = [1] * n
            shape[state.qubits.index(q)] = 2
            sign = sign * np.array([1.0, -1.0]).reshape(shape)
        half = half + number(angle) / 2 * sign
    return state.apply_diagonal(np.exp(-1j * half))


@lru_cache(maxsize=256)
def _sources(p: Permutation) -> Array:
    """For each basis state after, the one before."""
    k = len(p.qubits)
    sources = np.zeros(1 << k, int)
    for before in range(1 << k):
        bits = sum(1 << j for j in range(k) if before >> (k - 1 - j) & 1)  # bit j = qubits[j]
        after = 0
        for i, row in enumerate(p.rows):
            bit = ((bits & row).bit_count() + (p.flips >> i)) & 1
            after |= bit << (k - 1 - i)
        sources[after] = before
    return sources


# --- time evolution -----------------------------------------------------------------------------

Terms = tuple[tuple[float, PauliString], ...]


def evolve(state: State, terms: Terms, time: float, trotter: int) -> State:
    """`exp(-i time H)`: exact, or `trotter` equal steps."""
    size = sum(abs(c * time) for c, _ in terms)
    if size > _FARTHEST:
        raise RunError(f"an evolution over {size:g} (sum of |coefficient * time|) is too long")
    qubits = sorted({q for _, string in terms for q, _ in string})
    if not trotter and len(qubits) <= DENSE:
        at = {q: i for i, q in enumerate(qubits)}
        on_axes = tuple((c, tuple((at[q], p) for q, p in string)) for c, string in terms)
        return state.apply(_exponential(on_axes, len(qubits), time), qubits)
    at = {q: i for i, q in enumerate(state.qubits)}
    on_axes = tuple((c, tuple((at[q], p) for q, p in string)) for c, string in terms)
    array = _evolve_array(state.array, on_axes, time, trotter)
    if not state.pure:
        # The columns evolve by conj(U): the conjugate of U on the conjugate.
        n = len(state.qubits)
        shifted = tuple((c, tuple((axis + n, p) for axis, p in string)) for c, string in on_axes)
        array = _evolve_array(array.conj(), shifted, time, trotter).conj()
    return State(state.qubits, array, state.pure)


@lru_cache(maxsize=64)
def _exponential(terms: Terms, k: int, time: float) -> Array:
    """The whole matrix, by the eigenvalues of H."""
    columns = np.eye(1 << k, dtype=complex).reshape((2,) * k + (1 << k,))
    parts = [c * act_pauli(columns, string) for c, string in terms]
    values, vectors = np.linalg.eigh(np.sum(parts, axis=0).reshape((1 << k, 1 << k)))
    return (vectors * np.exp(-1j * time * values)) @ vectors.conj().T


def _evolve_array(array: Array, terms: Terms, time: float, trotter: int) -> Array:
    """Without a matrix: each step of it acts on the state."""
    if trotter:
        for _ in range(trotter):
            for c, string in terms:
                angle = c * time / trotter
                rotated = -1j * math.sin(angle) * act_pauli(array, string)
                array = math.cos(angle) * array + rotated
        return array
    # The power series in pieces short enough (norm at most 1) that it loses no digits.
    pieces = max(1, math.ceil(sum(abs(c * time) for c, _ in terms)))
    for _ in range(pieces):
        power = array
        for order in range(1, 25):
            parts = [(-1j * time / pieces / order * c) * act_pauli(power, s) for c, s in terms]
            power = np.sum(parts, axis=0)
            array = array + power
    return array


# --- matrices -----------------------------------------------------------------------------------


def unitary(
    elements: Iterable[Element], qubits: Sequence[int], number: Numbers | None = None
) -> Array:
    """The matrix of a segment, big-endian in `qubits`; `number` gives its angles their values."""
    n = len(qubits)
    columns = np.eye(1 << n, dtype=complex).reshape((2,) * n + (1 << n,))
    state = State(tuple(qubits), columns)
    for element in elements:
        state = apply_element(state, element, number or (lambda angle: angle.constant))
    return state.array.reshape((1 << n, 1 << n))


@lru_cache(maxsize=8)
def pauli_words(k: int) -> Array:
    """All 4^k Pauli matrices on k qubits: II, IX, IY, IZ, XI, …"""
    words = map("".join, product("IXYZ", repeat=k))
    return np.array([pauli_matrix(word) for word in words], complex)


def unitary_from_coefficients(coefficients: Array, k: int) -> Array:
    """exp(-i sum of coefficient * Pauli word)."""
    hamiltonian = np.tensordot(coefficients, pauli_words(k), axes=1)
    values, vectors = np.linalg.eigh(hamiltonian)
    return (vectors * np.exp(-1j * values)) @ vectors.conj().T


def coefficients_of_unitary(matrix: Array, k: int) -> Array:
    """The other way round."""
    values, vectors = np.linalg.eig(matrix)
    vectors, _ = np.linalg.qr(vectors)
    hamiltonian = (vectors * -np.angle(values)) @ vectors.conj().T
    return np.tensordot(pauli_words(k), hamiltonian.T, axes=2).real / (1 << k)
