"""The recurrent network of Z readouts, controller, rotations and a ring, on every kind of vector."""

import pytest

pytest.importorskip("torch")
pytest.importorskip("llvmlite")

from engine_programs import qrnn
from engine_tools import compare

LIMIT = {"float32": 2e-5, "float64": 1e-10}


@pytest.mark.parametrize("dtype", LIMIT)
@pytest.mark.parametrize("n", [2, 4, 7, 10])
def test_gradients(n, dtype):
    assert max(compare(qrnn(n), dtype=dtype)) < LIMIT[dtype]


@pytest.mark.parametrize("vectors", ["avx2", "portable"])
@pytest.mark.parametrize("dtype", LIMIT)
@pytest.mark.parametrize("n", [3, 8])
def test_other_vectors(n, dtype, vectors):
    assert max(compare(qrnn(n), dtype=dtype, vectors=vectors)) < LIMIT[dtype]
