"""States and unitaries that are numbers, as gates: `ry`, `rz` and `cx`.

The gates depend on the number of qubits alone and the numbers only on the angles, so that one
circuit serves every sequence, on every device. Big-endian; global phases are left out. A state on k
qubits takes about 2^k gates of two qubits (twice that if it is complex), a unitary 4^k: the
quantum Shannon decomposition (Shende, Bullock, Markov, 2006).

Modules that `qrlc compile` writes bring these functions with them, word for word.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Made = Iterator[tuple[Any, ...]]  # name, qubits, angle


def prepare(qubits: Sequence[Any], a: Sequence[Any]) -> Made:
    """From |0…0> to the state of `state_angles`."""
    angles = iter(a)
    for i, qubit in enumerate(qubits):
        yield from multiplexed("ry", qubits[:i], qubit, angles)
    if len(a) >= 2 ** len(qubits):  # of complex numbers
        yield from phases(qubits, angles)


def unitary(qubits: Sequence[Any], a: Sequence[Any]) -> Made:
    """The matrix of `unitary_angles`: two block-diagonal ones, and rotations between them."""
    angles = iter(a)
    if len(qubits) == 1:
        for name, angle in zip(("rz", "ry", "rz"), angles):  # noqa: B905
            yield name, (qubits[0],), angle
        return
    first, rest = qubits[0], qubits[1:]
    part = [next(angles) for _ in range(len(a))]
    size = unitary_size(len(rest))
    half = 1 << len(rest)
    at = 0
    for kind in ("u", "rz", "u", "ry", "u", "rz", "u"):
        count = size if kind == "u" else half
        mine = part[at : at + count]
        at += count
        if kind == "u":
            yield from unitary(rest, mine)
        else:
            yield from multiplexed(kind, rest, first, iter(mine))


def controlled(
    ones: Sequence[Any], zeros: Sequence[Any], qubits: Sequence[Any], a: Sequence[Any]
) -> Made:
    """The matrix of `controlled_angles` where some qubits are 1 and others 0: its eigenvalues are
    phases, between two changes of basis that need no control."""
    size = unitary_size(len(qubits))
    yield from unitary(qubits, a[:size])
    yield from phases([*ones, *zeros, *qubits], iter(a[size:-size]))
    yield from unitary(qubits, a[-size:])


def multiplexed(name: str, controls: Sequence[Any], target: Any, angles: Iterator[Any]) -> Made:
    """A rotation by an angle for each value of the controls, which are passed in Gray's order."""
    for i in range(2 ** len(controls)):
        yield name, (target,), next(angles)
        if controls:
            here, there = i ^ i >> 1, (i + 1) % 2 ** len(controls)
            changed = here ^ there ^ there >> 1
            yield "cx", (controls[-changed.bit_length()], target)


def phases(qubits: Sequence[Any], angles: Iterator[Any]) -> Made:
    """A phase for each basis state."""
    for i in reversed(range(len(qubits))):
        yield from multiplexed("rz", qubits[:i], qubits[i], angles)


# --- numbers ------------------------------------------------------------------------------------


def unitary_size(count: int) -> int:
    """How many angles a unitary on so many qubits has."""
    size = 3
    for k in range(1, count):
        size = 4 * size + 3 * 2**k
    return size


def turns(angles: Any) -> Array:
    """From an angle for each value of the controls to the rotations of `multiplexed`."""
    values = np.arange(np.shape(angles)[-1])
    common = (values ^ values >> 1)[:, None] & values
    signs = np.array([[-1.0 if x.bit_count() % 2 else 1.0 for x in row] for row in common.tolist()])
    found: Array = np.asarray(angles) @ signs.T / len(values)
    return found


def state_angles(states: Any) -> Array:
    """[sequences, angles] of amplitudes [sequences, 2^k], which need not be normalised."""
    states = np.asarray(states)
    norms = np.linalg.norm(states, axis=-1)
    if not np.all(np.isfinite(norms) & (norms > 0)):
        raise ValueError(f"amplitudes of norm {norms.min():g} are no state")
    signed = not np.iscomplexobj(states)
    parts: list[Array] = []
    sizes = states if signed else np.abs(states)
    for _ in range(int(np.log2(states.shape[-1]))):
        pairs = sizes.reshape(len(states), -1, 2)
        parts.insert(0, turns(2 * np.arctan2(pairs[..., 1], pairs[..., 0])))
        sizes = np.linalg.norm(pairs, axis=-1)
    if not signed:
        parts.append(phase_angles(np.angle(states)))
    return np.concatenate(parts, axis=-1)


def phase_angles(angles: Any) -> Array:
    """Of `phases`, from a phase for each basis state."""
    parts: list[Array] = []
    while np.shape(angles)[-1] > 1:
        pairs = np.reshape(angles, (*np.shape(angles)[:-1], -1, 2))
        parts.append(turns(pairs[..., 1] - pairs[..., 0]))
        angles = pairs.mean(-1)
    return np.concatenate(parts, axis=-1)


def unitary_angles(matrices: Any) -> Array:
    """[sequences, angles] of matrices [sequences, 2^k, 2^k]."""
    return np.stack([one_unitary(m) for m in np.asarray(matrices, complex)])


def one_unitary(matrix: Array) -> Array:
    if len(matrix) == 2:
        (a, _), (b, _) = matrix / np.sqrt(np.linalg.det(matrix))
        turn = 2 * np.arctan2(abs(b), abs(a))
        return np.array([-np.angle(a) - np.angle(b), turn, np.angle(b) - np.angle(a)])
    from scipy.linalg import cossin

    half = len(matrix) // 2
    left, angles, right = cossin(matrix, half, half, separate=True)
    middle = turns(2 * angles)
    return np.concatenate([block_diagonal(*right), middle, block_diagonal(*left)])


def block_diagonal(upper: Array, lower: Array) -> Array:
    """One matrix where the first qubit is 0, another where it is 1: `V D W` and `V D* W`."""
    from scipy.linalg import schur

    values, v = schur(upper @ lower.conj().T, output="complex")
    angles = np.angle(np.diag(values)) / 2
    w = np.exp(1j * angles)[:, None] * (v.conj().T @ lower)
    return np.concatenate([one_unitary(w), turns(-2 * angles), one_unitary(v)])


def controlled_angles(matrices: Any, ones: int, zeros: int) -> Array:
    """Of `controlled`, with so many controls at 1 and at 0."""
    from scipy.linalg import schur

    found = []
    for matrix in np.asarray(matrices, complex):
        values, v = schur(matrix, output="complex")
        acts = np.zeros((2 ** (ones + zeros), len(matrix)))
        acts[(2**ones - 1) << zeros] = np.angle(np.diag(values))
        parts = one_unitary(v.conj().T), phase_angles(acts.ravel()), one_unitary(v)
        found.append(np.concatenate(parts))
    return np.stack(found)


def evolved(words: Sequence[str], coefficients: Any, time: Any) -> Array:
    """exp(-i time H) for each sequence, H the sum of Pauli words with coefficients [sequences,
    words], time [sequences, 1]."""
    energy = np.tensordot(coefficients, np.array([pauli(word) for word in words]), axes=1)
    values, vectors = np.linalg.eigh(energy)
    turned = vectors * np.exp(-1j * np.asarray(time) * values)[:, None]
    found: Array = turned @ vectors.conj().swapaxes(-1, -2)
    return found


def pauli(word: str) -> Array:
    """The matrix of "XIZ"."""
    letters = {"I": [[1, 0], [0, 1]], "X": [[0, 1], [1, 0]],
               "Y": [[0, -1j], [1j, 0]], "Z": [[1, 0], [0, -1]]}  # fmt: skip
    found: Array = np.ones((1, 1), complex)
    for letter in word:
        found = np.kron(found, np.array(letters[letter], complex))
    return found
