"""The recurrent network of Z readouts, controller, rotations and a ring, on every kind of vector."""

import pytest

pytest.importorskip("torch")
pytest.importorskip("llvmlite")

from engine_programs import qrnn
from engine_tools import compare

LIMIT = {"float32": 2e-5, "float64": 1e-10}


@pytest.mark.parametrize(
    ("n", "dtype"),
    [(2, "float64"), (4, "float32"), (7, "float64"), (10, "float32"), (10, "float64")],
)
def test_gradients(n, dtype):
    assert max(compare(qrnn(n), dtype=dtype)) < LIMIT[dtype]


@pytest.mark.parametrize(
    ("n", "vectors", "dtype"),
    [
        (3, "avx2", "float32"),
        (8, "avx2", "float64"),
        (3, "portable", "float64"),
        (8, "portable", "float32"),
        (12, "avx2", "float32"),
    ],
)
def test_other_vectors(n, vectors, dtype):
    assert max(compare(qrnn(n), dtype=dtype, vectors=vectors, steps=3)) < LIMIT[dtype]
