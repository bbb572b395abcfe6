"""Quantum data: states, evolutions and syndromes, made as they are asked for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from qrlang.errors import DataError
from qrlang.training.data.ports import Array
from qrlang.training.data.request import Loaded, Request
from qrlang.training.data.synthetic import Block, Random, drawn

_PAULI = {
    "I": np.eye(2, dtype=complex),
    "X": np.array([[0, 1], [1, 0]], complex),
    "Y": np.array([[0, -1j], [1j, 0]]),
    "Z": np.diag([1.0 + 0j, -1]),
}


def _string(words: str) -> Array:
    """A Pauli word as a matrix."""
    out = np.eye(1, dtype=complex)
    for letter in words:
        out = np.kron(out, _PAULI[letter])
    return out


def _sum(n: int, word: str, ring: bool) -> Array:
    """A word on each stretch of neighbours."""
    total = np.zeros((2**n, 2**n), complex)
    for start in range(n if ring else n - len(word) + 1):
        letters = ["I"] * n
        for k, letter in enumerate(word):
            letters[(start + k) % n] = letter
        total += _string("".join(letters))
    return total


def _sectors(h: Array) -> list[Array]:
    """Basis states by which of them a Hamiltonian leads to which: what is symmetric stays apart."""
    left = np.ones(len(h), bool)
    found = []
    while left.any():
        seen = np.zeros(len(h), bool)
        seen[left.argmax()] = True
        while (more := seen | (np.abs(h[seen]).sum(0) > 0)).sum() > seen.sum():
            seen = more
        found.append(np.flatnonzero(seen))
        left &= ~seen
    return found


def _phases(request: Request) -> Block:
    """Ground states of a ring, -ZXZ - h X: below h = 1 in the cluster phase, above it not."""
    n = request.whole("qubits")
    # In the basis of X the field is a diagonal, and the Hamiltonian falls apart into small blocks.
    cluster, field = _sum(n, "XZX", True).real, _sum(n, "Z", True).real
    blocks = [(s, cluster[np.ix_(s, s)], field[np.ix_(s, s)]) for s in _sectors(cluster)]
    back = np.eye(1)
    for _ in range(n):
        back = np.kron(back, np.array([[1, 1], [1, -1]]) / np.sqrt(2))

    def block(random: Random, count: int) -> tuple[Array, ...]:
        h = random.uniform(0, 2, count)
        ground, lowest = np.zeros((count, 2**n)), np.full(count, np.inf)
        for sector, c, f in blocks:
            values, vectors = np.linalg.eigh(-c - h[:, None, None] * f)
            lower = np.flatnonzero(values[:, 0] < lowest)
            lowest[lower] = values[lower, 0]
            ground[lower] = vectors[lower, :, 0] @ back[:, sector].T
        largest = np.take_along_axis(ground, np.abs(ground).argmax(1)[:, None], 1)
        return ground * np.sign(largest), (h >= 1).astype(int)

    return block


def _evolved(h: Array, time: Array) -> Array:
    """exp(-iHt), one after the other."""
    values, vectors = np.linalg.eigh(h)
    phases = np.exp(-1j * values * time[:, None])
    found: Array = (vectors * phases[:, None, :]) @ vectors.conj().swapaxes(1, 2)
    return found


def _evolutions(request: Request) -> Block:
    """exp(-iHt) of a chain in a field: of Ising's or of Heisenberg's coupling?"""
    n = request.whole("qubits")
    ising, field = _sum(n, "ZZ", False).real, _sum(n, "X", False).real
    heisenberg = ising + (_sum(n, "XX", False) + _sum(n, "YY", False)).real

    def block(random: Random, count: int) -> tuple[Array, ...]:
        label = random.randint(0, 2, count)
        coupling, strength, time = random.uniform((0.5, 0.2, 0.4), (1.5, 1.0, 1.0), (count, 3)).T
        part = np.where(label[:, None, None], heisenberg, ising)
        h = coupling[:, None, None] * part + strength[:, None, None] * field
        return _evolved(h, time), label

    return block


def _phase_evolutions(request: Request) -> Block:
    """exp(-iHt) of the ring of `phases`, for a time between 0.5 and 1.5: from which phase is H?"""
    n = request.whole("qubits")
    cluster, field = _sum(n, "ZXZ", True).real, _sum(n, "X", True).real

    def block(random: Random, count: int) -> tuple[Array, ...]:
        h, time = random.uniform((0.0, 0.5), (2.0, 1.5), (count, 2)).T
        return _evolved(-cluster - h[:, None, None] * field, time), (h >= 1).astype(int)

    return block


def _ground_states(request: Request) -> Block:
    """The field h of a chain -ZZ - h X - Z/2, and its ground state. (The last term parts the two
    that would else be alike.)"""
    n = request.whole("qubits")
    ising, field, tilt = (_sum(n, word, False).real for word in ("ZZ", "X", "Z"))

    def block(random: Random, count: int) -> tuple[Array, ...]:
        h = random.uniform(0, 2, count)
        _, vectors = np.linalg.eigh(-ising - tilt / 2 - h[:, None, None] * field)
        ground = vectors[:, :, 0]
        sign = np.sign(ground.sum(1))[:, None]  # real, and all of one sign
        return h[:, None].astype(np.float32), ground * sign

    return block


def syndromes(
    random: Random, count: int, distance: int, rounds: int, flip: float, misread: float
) -> tuple[Array, Array]:
    """Repetition codes whose syndromes are read again and again.

    In each round each data qubit flips with probability `flip`, and each of the `distance - 1`
    parities of neighbours is read wrongly with probability `misread`. After the last round the
    data qubits themselves are read, which gives a last syndrome without an error. Returns what
    changed from each syndrome to the next [count, rounds + 1, distance - 1], and what the data
    qubits were read as [count, distance].
    """
    flips = random.random_sample((count, rounds, distance)) < flip
    data = flips.cumsum(1) % 2  # after each round
    parity = data[:, :, 1:] ^ data[:, :, :-1]
    read = parity ^ (random.random_sample(parity.shape) < misread)
    whole = np.concatenate([np.zeros_like(read[:, :1]), read, parity[:, -1:]], 1)
    return whole[:, 1:] ^ whole[:, :-1], data[:, -1]


def _syndromes(request: Request) -> Block:
    """What changed in the syndrome from round to round; has the first qubit flipped in the end?"""
    d, rounds = request.whole("distance"), request.whole("rounds")
    flip, misread = (float(request.arguments[n]) for n in ("flip", "misread"))
    if not (0 <= flip <= 1 and 0 <= misread <= 1):
        raise DataError("bad-argument", "`flip` and `misread` are probabilities: from 0 to 1")

    def block(random: Random, count: int) -> tuple[Array, ...]:
        events, data = syndromes(random, count, d, rounds, flip, misread)
        return events.astype(np.float32), data[:, 0].astype(int)

    return block


LOADERS: dict[str, Callable[[Request], Loaded]] = {
    "phases": drawn(_phases),
    "evolutions": drawn(_evolutions),
    "phase_evolutions": drawn(_phase_evolutions),
    "ground_states": drawn(_ground_states),
    "syndromes": drawn(_syndromes),
}
