"""Both layouts of states, whatever the batch: the same numbers, and those of plain torch."""

import math

import pytest

pytest.importorskip("torch")
pytest.importorskip("llvmlite")

import numpy as np
import torch
from engine_programs import Build, angle, mixed_observables, qrnn
from engine_tools import compare
from torch_meaning import Meaning

from qrlang.engine.cpu.launch.kernel import kernel
from qrlang.engine.plan import plan
from qrlang.ir import program as ir

LIMIT = {"float32": 2e-5, "float64": 1e-10}
LENGTHS = torch.tensor([3, 1, 5, 4, 2, 5, 1])


@pytest.mark.parametrize(
    ("n", "dtype", "vectors"),
    [
        (2, "float64", ""),
        (3, "float32", "portable"),
        (4, "float32", ""),
        (6, "float64", "avx2"),
        (7, "float64", ""),
        (8, "float32", ""),
        (8, "float64", "portable"),
    ],
)
def test_batch_layout(n, dtype, vectors):
    assert max(compare(qrnn(n), 5, 3, dtype, vectors=vectors, layout="batch")) < LIMIT[dtype]


@pytest.mark.parametrize(("dtype", "width"), [("float32", 14), ("float64", 7), ("float64", 2)])
def test_few_sequences(dtype, width):
    """A controller's matrices are multiplied otherwise where a batch leaves lanes empty; columns
    that are a multiple of four, and what is left of them."""
    program = qrnn(3, width=width, features=2)
    for batch in (1, 2, 4, 5):
        assert max(compare(program, batch, 3, dtype, layout="state")) < LIMIT[dtype]
    if dtype == "float64":
        lengths = torch.tensor([3, 1])
        assert max(compare(program, 2, 3, dtype, lengths, layout="state")) < LIMIT[dtype]


@pytest.mark.parametrize("layout", ["state", "batch"])
def test_sequences_end_where_they_end(layout):
    program = qrnn(5, observables=mixed_observables(5), extra=1)
    for lengths, batch in ((LENGTHS, 7), (None, 33)):
        assert max(compare(program, batch, 5, "float64", lengths, layout=layout)) < 1e-10


@pytest.mark.parametrize("layout", ["state", "batch"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_half_turns(layout, dtype):
    """Every tangent of a layer at infinity or next to it, in some sequences and not in others."""
    n = 4
    b = Build()
    x = b.real(2 * n)
    elements = []
    for first in (0, n):
        for q in range(n):
            elements.append(ir.Gate("rz", (q,), (angle(x, (first + q + 1) % n, 0.3),)))
        for q in range(n):
            elements.append(ir.Gate("ry", (q,), (angle(x, first + q),)))
        elements += [ir.Gate("x", ((q + 1) % n,), (), (q,)) for q in range(n)]
    out = b.real(5)
    ops = [ir.Alloc(tuple(range(n))), ir.Unitary(tuple(elements))]
    ops.append(ir.Expect(out, mixed_observables(n)))
    registers = (ir.Register("m", 0, n),)
    program = ir.Program("m", (), (x,), (), (), (), registers, tuple(ops), (ir.Output("", out),))
    turns = np.array([math.pi, -math.pi, 3 * math.pi, math.pi + 1e-4, 0.3, -2.0, 0.0, 2 * math.pi])
    draw = np.random.default_rng(3)
    given = turns[draw.integers(0, 8, (20, 2 * n))]
    given[::3, :n] = math.pi
    given[1::3, n:] = 5 * math.pi
    given = given.astype(dtype).astype(np.float64)
    angles = torch.tensor(given, requires_grad=True)
    (truth,) = Meaning(program, {}).run([angles])
    seeds = draw.normal(size=truth.shape)
    (truth * torch.from_numpy(seeds)).sum().backward()
    k = kernel(plan(program), dtype, 1, layout=layout)
    (y,), saved = k.forward([given.astype(dtype)], [])
    (dx,) = k.backward(saved, [seeds.astype(dtype)], True)[1]
    for mine, true in ((y, truth.detach().numpy()), (dx, angles.grad.numpy())):
        assert np.linalg.norm(mine - true) < LIMIT[dtype] * np.linalg.norm(true)


def test_the_layout_goes_by_the_size_and_the_batch():
    small, large = kernel(plan(qrnn(6)), threads=1), kernel(plan(qrnn(9)), threads=1)
    assert small._for(64, 1).together and not small._for(1, 1).together
    assert not large._for(64, 1).together
