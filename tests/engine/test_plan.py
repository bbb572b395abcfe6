"""The plan without any machine: its own interpreter against the one that defines programs. Needs
neither torch nor LLVM."""

import numpy as np
import pytest
from engine_programs import angle, gate_program, mixed_observables, qrnn

from qrlang.backends.reference import run
from qrlang.engine.gf2 import Affine
from qrlang.engine.interpreter import Interpreter
from qrlang.engine.plan import Plan, plan
from qrlang.gates import GATES
from qrlang.ir import program as ir


def every_gate(n):
    def gates(theta):
        for i, (name, spec) in enumerate(GATES.items()):
            qubits = tuple((i + j) % n for j in range(spec.qubits))
            control = ((i + spec.qubits) % n,) if i % 2 else ()
            own = tuple(angle(theta, (i + j) % 9) for j in range(spec.angles))
            yield ir.Gate(name, qubits, own, control)

    return gate_program(gates, n, 9)


PROGRAMS = {
    "two layers": qrnn(4),
    "three steps more": qrnn(3, extra=3),
    "observables": qrnn(4, observables=mixed_observables(4)),
    "every gate": every_gate(4),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_plan_means_what_its_program_means(name):
    program = PROGRAMS[name]
    found = plan(program)
    assert isinstance(found, Plan)
    rng = np.random.default_rng(0)
    weights = {w.name: rng.uniform(-1, 1, w.shape) for w in program.weights}
    x = rng.uniform(-1, 1, (4, 3))
    (mine,), _ = Interpreter(found).forward([x[None]], [weights[w.name] for w in found.weights])
    true = meaning(program, x, weights)
    assert np.abs(mine[0] - true).max() < 1e-12


def meaning(program, x, weights):
    result = run(program, {str(program.inputs[0].id): x}, weights=weights)
    return result.outputs[""].reshape(-1)


def test_the_diagonal_and_the_ring_cross_the_step():
    """Two layers stay two, and the last angles are carried."""
    (start, read, step, end) = plan(qrnn(5)).circuits
    assert (start.layers, read.layers, end.layers) == ((), (), ())
    assert len(step.layers) == 2 and all(len(x.rotations) == 5 for x in step.layers)
    assert not step.layers[0].map.trivial and step.layers[0].map == step.layers[1].map
    assert len(step.layers[0].terms) == 10


def test_index_maps():
    rng = np.random.default_rng(1)
    for _ in range(50):
        found = Affine.identity(6)
        for _ in range(12):
            a, b = rng.choice(6, 2, replace=False)
            cols = [1 << j for j in range(6)]
            cols[a] |= 1 << int(b)
            found = Affine(tuple(cols), int(rng.integers(64))).after(found)
        back = found.inverse()
        assert all(back(found(x)) == x for x in range(64))
        mask = int(rng.integers(1, 64))
        before, sign = found.pull(mask)
        for x in range(64):
            assert (-1) ** (found(x) & mask).bit_count() == sign * (-1) ** (x & before).bit_count()
