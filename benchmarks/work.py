"""The work that every route does: one training step of a recurrent network, in float32."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

FEATURES, WIDTH, CLASSES, RATE = 8, 32, 2, 1e-3


@dataclass(frozen=True)
class Case:
    """`n` qubits, `layers`, sequences of `steps` moments, `batch` of them."""

    n: int
    layers: int
    steps: int
    batch: int

    @property
    def angles(self) -> int:
        return 3 * self.n * self.layers


CASES = {
    "c4": Case(4, 1, 16, 32),
    "c6": Case(6, 2, 32, 32),
    "c8": Case(8, 2, 32, 32),
    "c10": Case(10, 2, 64, 16),
    "c12": Case(12, 2, 32, 8),
    "c14": Case(14, 2, 16, 8),
    "cmem": Case(10, 2, 784, 4),
}


def weights(case: Case) -> dict[str, np.ndarray]:
    """By the names in `qrnn.qrl`; angles in the order [layer, qubit, (rz, ry, rz)]."""
    draw = np.random.default_rng(11)
    inputs = FEATURES + case.n
    return {
        "steer.w1": draw.normal(size=(WIDTH, inputs)) / np.sqrt(inputs),
        "steer.b1": 0.1 * draw.normal(size=WIDTH),
        "steer.w2": draw.normal(size=(case.angles, WIDTH)) / np.sqrt(WIDTH),
        "steer.b2": 0.5 * draw.normal(size=case.angles),
        "head.w": draw.normal(size=(CLASSES, case.n)) / np.sqrt(case.n),
        "head.b": 0.1 * draw.normal(size=CLASSES),
    }


def data(case: Case) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(12)
    return draw.normal(size=(case.batch, case.steps, FEATURES)), draw.integers(
        0, CLASSES, case.batch
    )


def ring(n: int) -> list[np.ndarray]:
    """Each CNOT of the ring as an index: new = old[index]. Qubit 0 is the most significant."""
    x = np.arange(2**n)
    return [x ^ (((x >> (n - 1 - q)) & 1) << (n - 1 - (q + 1) % n)) for q in range(n)]


def whole_ring(n: int) -> np.ndarray:
    """All of them, one after the other, as one index."""
    index = np.arange(2**n)
    for one in ring(n):
        index = index[one]
    return index


def signs(n: int) -> np.ndarray:
    """[2^n, n]: what a basis state gives for each ⟨Z⟩."""
    x = np.arange(2**n)
    return np.stack([1.0 - 2.0 * ((x >> (n - 1 - q)) & 1) for q in range(n)], 1)
