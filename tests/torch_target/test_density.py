"""Density matrices, whose channels wait to be done together, against Qiskit's."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
info = pytest.importorskip("qiskit.quantum_info")

from qiskit import QuantumCircuit  # noqa: E402

from qrlang.backends.torch import runtime as qr  # noqa: E402
from qrlang.backends.torch.calls.run import Run  # noqa: E402
from qrlang.backends.torch.states.density import MixedQubits  # noqa: E402
from qrlang.backends.torch.states.noise import kraus  # noqa: E402

N = 4
NOISE = {"depolarizing": 1, "amplitude_damping": 1, "phase_damping": 1, "bit_flip": 1,
         "phase_flip": 1, "pauli_channel": 3, "depolarizing2": 1}  # fmt: skip
LAYER = qr.circuit(
    N,
    """
    rz(v[0]) q[0]; ry(v[1]) q[0]; h q[1]; rx(v[2]) q[1]; ry(v[3]) q[3];
    cx q[0], q[1]; cx q[1], q[2]; crx(v[4]) q[2], q[3]; rzz(v[5]) q[0], q[2]; cz q[1], q[3];
    ry(v[6]) q[2]; u(v[7], v[0], v[1]) q[1];
    """,
)


def layer(v):
    c = QuantumCircuit(N)
    c.rz(v[0], 0), c.ry(v[1], 0), c.h(1), c.rx(v[2], 1), c.ry(v[3], 3)
    c.cx(0, 1), c.cx(1, 2), c.crx(v[4], 2, 3), c.rzz(v[5], 0, 2), c.cz(1, 3)
    c.ry(v[6], 2), c.u(v[7], v[0], v[1], 1)
    return c


def fresh(batch):
    from types import SimpleNamespace

    model = SimpleNamespace(like=torch.zeros((), dtype=torch.float64), shots=0, readout_error=0.0,
                            gate_error=0.0, generator=None, trajectories=0)  # fmt: skip
    run = Run(model, batch, stepwise=False)
    return run, run.qubits(N, "q", mixed=True)


@pytest.mark.parametrize("seed", range(6))
def test_layers_and_noise_as_in_qiskit(seed):
    rng = np.random.default_rng(seed)
    run, q = fresh(3)
    assert isinstance(q, MixedQubits)
    theirs = [info.DensityMatrix.from_label("0" * N) for _ in range(3)]
    for _ in range(12):
        # Some sequences have ended, or a bit says no.
        run.mask = torch.tensor(rng.random(3) < 0.7) if rng.random() < 0.5 else None
        goes = [True] * 3 if run.mask is None else run.mask.tolist()
        if rng.random() < 0.4:
            v = rng.uniform(-3, 3, (3, 8))
            q.apply(LAYER, v=torch.tensor(v))
            changes = [(layer(one), list(range(N))) for one in v]
        else:
            name = rng.choice(list(NOISE))
            args = torch.tensor(rng.uniform(0, 0.3, NOISE[name]))
            at = rng.permutation(N)[: 2 if name == "depolarizing2" else 1].tolist()
            args.requires_grad_(bool(rng.random() < 0.5))  # by another way to the same map
            q.channel(name, tuple(at), args)
            # Ours takes the first qubit as the most significant, Qiskit the last.
            changes = [(info.Kraus(list(kraus(name, args.detach()).numpy())), at[::-1])] * 3
        theirs = [
            rho.evolve(change, qargs=where) if on else rho
            for rho, (change, where), on in zip(theirs, changes, goes, strict=True)
        ]
        if rng.random() < 0.3:  # somebody looks
            compare(q, theirs)
    compare(q, theirs)


def compare(q, theirs):
    for mine, other in zip(q.tensor.detach(), theirs, strict=True):
        np.testing.assert_allclose(mine, other.reverse_qargs().data, atol=1e-12)


def test_slopes_of_angles_and_of_noise():
    """By differences: through maps that wait, from before and behind a mask."""

    def value(v, p):
        run, q = fresh(2)
        q.apply(LAYER, v=v)
        q.channel("depolarizing", (0,), p[:1])
        q.channel("amplitude_damping", (0,), p[1:])
        run.mask = torch.tensor([True, False])
        q.channel("phase_damping", (2,), p[1:])
        q.apply(LAYER, v=2 * v)
        run.mask = None
        q.channel("amplitude_damping", (2,), p[:1])
        return q.read(qr.observables(N, "Z0", "X1 Y2", "Z3", settings=((0, 2), (1,))))

    torch.manual_seed(0)
    v = torch.rand(2, 8, dtype=torch.float64, requires_grad=True)
    p = torch.tensor([0.1, 0.2], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(value, (v, p), atol=1e-7)


@pytest.mark.parametrize("name", list(NOISE))
def test_slopes_where_a_probability_is_zero(name):
    """Noise that begins at nothing is trained like any other."""

    def value(p):
        _, q = fresh(1)
        for turn in (0.4, 0.7):
            q.apply(LAYER, v=turn * torch.arange(1, 9, dtype=torch.float64)[None])
        q.channel(name, (1, 2) if name == "depolarizing2" else (1,), p)
        return q.read(qr.observables(N, "Z1", "X1", "Y1 Y2", settings=((0,), (1,), (2,))))

    zero = torch.zeros(NOISE[name], dtype=torch.float64, requires_grad=True)
    found = torch.autograd.functional.jacobian(value, zero)[0]
    h = 1e-4
    for k in range(len(zero)):
        one = h * torch.eye(len(zero), dtype=torch.float64)[k]
        near = (4 * value(one) - value(2 * one) - 3 * value(0 * one))[0] / (2 * h)
        assert float(near.abs().max()) > 0.05
        np.testing.assert_allclose(found[:, k], near.detach(), atol=1e-6)


@pytest.mark.parametrize("dtype, turn", [(torch.float32, 3e-20), (torch.float64, 1e-155)])
def test_a_branch_that_is_next_to_impossible(dtype, turn):
    """Its chance is a subnormal number, and a complex number over that would be NaN."""
    import qrlang

    text = (
        "model M {\n  input x: real[1]\n  qubits q[2]\n  rx(x[0]) q[0]\n  depolarizing(0.1) q[1]\n"
        "  let b = measure q[0]\n  if b { h q[1] }\n  return read [X(q[1]), Z(q[0])]\n}\n"
    )
    model = qrlang.loads(text, name="m.qrl", road="plain", dtype=dtype)
    x = torch.tensor([[turn]], dtype=dtype, requires_grad=True)
    found = model(x)
    found.sum().backward()
    assert found[0].tolist() == pytest.approx([0, 1], abs=1e-6)
    assert torch.isfinite(x.grad).all()
