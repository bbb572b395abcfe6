"""The plan without any machine: its own interpreter against the one that defines programs. Needs
neither torch nor LLVM."""

import numpy as np
import pytest
from engine_programs import angle, gate_program, mixed_observables, qrnn
from plan_interpreter import Interpreter

from qrlang.backends.reference import run
from qrlang.engine.gf2 import Affine
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


def layers_of(program):
    return [len(c.layers) for c in plan(program).circuits]


@pytest.mark.parametrize("name", ["recursive/repaired", "attention/score", "weights/vqc_mlp"])
def test_the_order_of_gates_that_commute_does_not_matter(root, name):
    """A plan of a program as it was written is as short as one of what the passes make of it."""
    from qrlang.backends.torch.native.fit import with_targets
    from qrlang.driver import Compilation
    from qrlang.passes import GATES, SIMULATOR, run_passes

    path = root / f"examples/{name}.qrl"
    (model,) = Compilation.of_bytes(str(path), path.read_bytes(), {}, None).checked.models.values()
    written = with_targets(model.program)
    found = [layers_of(run_passes(written, passes)) for passes in ((), GATES, SIMULATOR)]
    assert found == [found[0]] * 3
    assert sum(found[0]) == {"recursive/repaired": 2, "attention/score": 6}.get(name, 26)


def test_rotations_and_phases_go_as_early_as_they_can():
    def gates(theta):
        for q in range(3):
            yield ir.Gate("ry", (q,), (angle(theta, q),))
            yield ir.Gate("rz", (q,), (angle(theta, 3 + q),))
            yield ir.Gate("ry", (q,), (angle(theta, 6 + q),))
        yield ir.Gate("rz", (0,), (angle(theta, 0),))
        yield ir.Gate("x", (1,), (), (0,))
        yield ir.Gate("ry", (2,), (angle(theta, 1),))  # nothing has touched it since
        yield ir.Gate("rz", (0,), (angle(theta, 2),))

    (circuit,) = (c for c in plan(gate_program(gates, 3, 9, prelude=False)).circuits if c.layers)
    assert [[b for b, _ in x.rotations] for x in circuit.layers] == [[0, 1, 2]] * 2
