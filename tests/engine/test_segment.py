"""A segment on states that the caller keeps, against plain torch in float64."""

import pytest

pytest.importorskip("torch")
pytest.importorskip("llvmlite")

import numpy as np
import torch
from torch_meaning import Meaning

from qrlang.engine.cpu.segment import segment_kernel
from qrlang.engine.segment import Segment, plan_segment
from qrlang.gates import GATES
from qrlang.ir import program as ir
from qrlang.ir.types import real

LIMIT = {"float32": 2e-5, "float64": 1e-10}


def gates(n, angles):
    """Every gate once, every second one controlled, on qubits that go round."""
    value = ir.Value(0, real(len(angles)))
    k = 0
    for i, (name, spec) in enumerate(GATES.items()):
        if spec.qubits + (i % 2 == 0) > n:
            continue
        qubits = tuple((i + j) % n for j in range(spec.qubits))
        control = ((i + spec.qubits) % n,) if i % 2 == 0 else ()
        own = []
        for _ in range(spec.angles):
            own.append(ir.Angle(0.0, (ir.Term(1.0, value, k),)))
            k += 1
        yield ir.Gate(name, qubits, tuple(own), control)


@pytest.mark.parametrize("dtype", LIMIT)
@pytest.mark.parametrize("n", [2, 4, 9])
def test_done_and_undone(n, dtype):
    batch, count = 5, 20
    g = torch.Generator().manual_seed(n)
    angles = torch.randn(batch, count, generator=g, dtype=torch.float64).requires_grad_(True)
    psi = torch.randn(batch, 1 << n, generator=g, dtype=torch.complex128)
    psi = (psi / psi.norm(dim=1, keepdim=True)).requires_grad_(True)
    seed = torch.randn(batch, 1 << n, generator=g, dtype=torch.float64)
    elements = tuple(gates(n, range(count)))
    program = ir.Program("m", registers=(ir.Register("m", 0, n),))
    m = Meaning(program, {})
    m.b, m.env, m.state = batch, {0: angles}, {0: psi.reshape(batch, *[2] * n)}
    for e in elements:
        m.element(e)
    after = m.state[0].reshape(batch, -1)
    (seed * (after.conj() * after).real).sum().backward()
    found = plan_segment(n, elements, count, lambda a: a.terms[0].index if a.terms else None)
    assert isinstance(found, Segment)
    k = segment_kernel(found, dtype)
    mine = k.do(psi.detach().numpy(), angles.detach().numpy())
    overlap = (after.detach().numpy().conj() * mine).sum(1)
    assert np.abs(np.abs(overlap) - 1).max() < LIMIT[dtype]
    before, back, gradient = k.undo(mine, 2 * seed.numpy() * mine, angles.detach().numpy())

    def error(a, b):
        b = b.detach().numpy()
        return np.linalg.norm(a - b) / np.linalg.norm(b)

    # All of it is true up to one phase.
    phase = (psi.detach().numpy().conj() * before).sum(1, keepdims=True)
    assert error(before / phase, psi) < LIMIT[dtype]
    assert error(back / phase, psi.grad) < LIMIT[dtype]
    assert error(gradient, angles.grad) < LIMIT[dtype]
