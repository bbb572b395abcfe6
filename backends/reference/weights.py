"""How weights begin."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np

from qrlang.backends.reference.gates import coefficients_of_unitary
from qrlang.backends.reference.state import Array
from qrlang.ir.program import Program, Weight


def initial_weights(program: Program, seed: int = 0) -> dict[str, Array]:
    """Every weight's own numbers depend on the seed and its name alone, so that a pass which drops
    or adds another weight does not change them."""
    return {w.name: _initial(w, seed) for w in program.weights}


def _initial(weight: Weight, seed: int) -> Array:
    rng = np.random.default_rng([seed, zlib.crc32(weight.name.encode())])
    shape, args = weight.shape, weight.initial.args
    match weight.initial.kind:
        case "uniform":
            return rng.uniform(args[0], args[1], shape)
        case "normal":
            return rng.normal(args[0], args[1], shape)
        case "constant":
            return np.full(shape, args[0])
        case "values":
            return np.array(args, float).reshape(shape)
        case "identity" if weight.unitary_qubits:
            return np.zeros(shape)  # exp(0)
        case "identity":
            return _matrix(np.eye, shape)
        case "haar":
            size = 1 << weight.unitary_qubits
            return coefficients_of_unitary(_haar(rng, size), weight.unitary_qubits)
        case "orthogonal":
            gain = args[0] if args else 1.0
            return gain * _matrix(lambda r, c: _orthogonal(rng, r, c), shape)
    raise AssertionError(weight.initial.kind)


def _matrix(make: Callable[[int, int], Array], shape: tuple[int, ...]) -> Array:
    """A tensor seen as a matrix: first axis by the rest."""
    rows = shape[0] if shape else 1
    size = int(np.prod(shape))
    return make(rows, size // rows if rows else 0).reshape(shape)


def _orthogonal(rng: np.random.Generator, rows: int, columns: int) -> Array:
    """Orthonormal rows, or columns if there are fewer of them; uniform over all such."""
    tall = rng.normal(size=(max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(tall)
    q = q * np.where(np.diagonal(r) < 0, -1.0, 1.0)
    return q if rows >= columns else q.T


def _haar(rng: np.random.Generator, size: int) -> Array:
    z = rng.normal(size=(size, size)) + 1j * rng.normal(size=(size, size))
    q, r = np.linalg.qr(z)
    phases = np.diagonal(r) / np.abs(np.diagonal(r))
    return q * phases
