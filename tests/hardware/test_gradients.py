"""Slopes of a loop on a device: those of the exact model, whichever gate an angle belongs to."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from hardware_tools import EXAMPLES, SMALL  # noqa: E402

from qrlang.backends.torch.load import make  # noqa: E402
from qrlang.driver import Compilation  # noqa: E402
from qrlang.gates import GATES  # noqa: E402
from qrlang.hardware.device import Device, DeviceError, Limits, Slot, Step, Template  # noqa: E402
from qrlang.hardware.gradient.processor import Processor  # noqa: E402
from qrlang.hardware.gradient.shifts import rule  # noqa: E402
from qrlang.hardware.simulator import Simulator  # noqa: E402
from qrlang.ir.program import Program  # noqa: E402

TURNS = [g for g in GATES.values() if g.angles]
UNDER = {"": (), "ctrl @ ": (1,), "negctrl @ ": (0,), "ctrl(2) @ ": (1, 1)}


@pytest.mark.parametrize("under", UNDER, ids=["plain", "ctrl", "negctrl", "ctrl2"])
@pytest.mark.parametrize("gate", TURNS, ids=lambda g: g.name)
def test_the_rule_of_every_gate(gate: Any, under: str) -> None:
    """Against differences of high order, in a state without symmetries."""
    ones = tuple(i for i, v in enumerate(UNDER[under]) if v)
    zeros = tuple(i for i, v in enumerate(UNDER[under]) if not v)
    first = len(UNDER[under])
    n = first + gate.qubits
    lot = np.random.default_rng(3)
    before = [Step("u", (q,), tuple(lot.uniform(-3, 3, 3))) for q in range(n)]
    before += [Step("x", (q + 1,), (), (q,)) for q in range(n - 1)]
    after = [Step("u", (q,), tuple(lot.uniform(-3, 3, 3))) for q in range(n)]
    slots = tuple(Slot(i) for i in range(gate.angles))
    step = Step(gate.name, tuple(range(first, n)), slots, ones, zeros)
    template = Template(n, 0, (*before, step, *after), gate.angles)
    signs = np.array([1 - 2 * (bin(i).count("1") % 2) for i in range(1 << n)])

    def f(angles: Any) -> float:
        return float(Simulator().probabilities(template, np.array([angles]))[0] @ signs)

    at = lot.uniform(-3, 3, gate.angles)
    for which in range(gate.angles):
        unit = np.eye(gate.angles)[which]
        found = sum(factor * f(at + shift * unit) for shift, factor in rule(step, which))
        h = 0.02
        near = [f(at + k * h * unit) - f(at - k * h * unit) for k in (1, 2, 3, 4)]
        right = (near[0] * 4 / 5 - near[1] / 5 + near[2] * 4 / 105 - near[3] / 280) / h
        assert abs(right) > 1e-5
        assert found == pytest.approx(right, abs=1e-10)


def test_two_values_for_a_rotation_and_four_under_a_control() -> None:
    turn = Step("rx", (1,), (Slot(0),))
    assert [s for s, _ in rule(turn, 0)] == pytest.approx([math.pi / 2, -math.pi / 2])
    assert len(rule(Step("rx", (1,), (Slot(0),), (0,)), 0)) == 4
    assert len(rule(Step("p", (1,), (Slot(0),), (0,)), 0)) == 2


# --- the chain through the controller -----------------------------------------------------------

EVERYTHING = """\
use std.readout.each_z
hamiltonian field on q: qubit[3] with h: real =
  0.3 * X(q[0]) * Y(q[1]) * Z(q[2]) + h * Z(q[0]) + 0.1 * I
model M(n: int = 3) {
  input  x: seq[real[2]]
  target y: real[3]
  qubits q[n]
  param  w: angle[9]
  controller steer = mlp(4, tanh, out: 11)
  layer head = linear(3)
  step x_t in x {
    let z = read [Z(q[0]), X(q[1]) * Y(q[2]), 0.5 * Z(q[0]) * Z(q[1]) - X(q[2])]
    let a = steer(x_t, z)
    h q[0]
    ry(x_t[0] + a[0] + w[0]) q[1]
    ctrl @ rx(2 * a[1]) q[0], q[2]
    negctrl @ rz(a[2]) q[1], q[0]
    ctrl(2) @ p(w[1] - a[3]) q[0], q[1], q[2]
    u(a[4], w[2], a[5]) q[2]
    r(w[3], a[6]) q[0]
    rzz(a[7]) q[0], q[2]
    rzx(w[4] + a[8]) q[1], q[2]
    xx_plus_yy(a[9]) q[0], q[1]
    ctrl @ u(w[5], w[6], w[7] * 1) q[2], q[0]
    apply field(a[10]) for w[8] trotter 2 to q
    rx(w[8] + read Y(q[0])) q[1]
  }
  return head(read each_z(q))
}
"""


def program(text: str) -> Program:
    made = Compilation.of_bytes("m.qrl", text.encode())
    (model,) = made.models()
    return model.program


def compared(made: Program, batch: Any, lengths: Any = None, device: Device | None = None) -> float:
    """The largest difference of any slope, by autograd and by shifts."""
    torch.manual_seed(2)
    model = make(made, road="plain", dtype=torch.float64)
    with torch.no_grad():  # slopes that vanish would prove nothing
        for p in model.parameters():
            p.add_(0.3 * torch.randn_like(p))
    given = {} if lengths is None else {"lengths": lengths}
    found = []
    for processor in (None, Processor(device or Simulator(), 0)):
        model.processor = processor
        model.zero_grad()
        torch.manual_seed(3)  # of a dropout
        out = model(*batch, **given)
        out = out if isinstance(out, torch.Tensor) else next(iter(out.values()))
        (torch.sin(out).sum() + (out**2).mean()).backward()
        found.append([out.detach(), *(p.grad for p in model.parameters() if p.grad is not None)])
    assert len(found[0]) == len(found[1]) > 1
    assert max(float(g.abs().max()) for g in found[0][1:]) > 1e-3
    return max(float((a - b).abs().max()) for a, b in zip(*found, strict=True))


def test_a_later_angle_depends_on_an_earlier_readout() -> None:
    lot = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, 2, generator=lot, dtype=torch.float64)
    assert compared(program(EVERYTHING), (x,)) < 1e-7


def test_sequences_that_end_at_their_own_time() -> None:
    x = torch.randn(3, 4, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert compared(program(EVERYTHING), (x,), torch.tensor([3, 1, 2])) < 1e-7


@pytest.mark.parametrize(
    "name",
    ["qrnn/rows.qrl", "qlstm/qlstm.qrl", "deep/stacked.qrl", "language_model/word.qrl",
     "attention/score.qrl", "reservoir/reservoir.qrl", "mixed/dqc1.qrl"],
)  # fmt: skip
def test_families(name: str) -> None:
    path = EXAMPLES / name
    (model,) = Compilation.of_bytes(str(path), path.read_bytes(), SMALL.get(name)).models()
    lot = torch.Generator().manual_seed(0)
    batch = []
    for v in model.program.inputs:
        kind, lead = v.type, (2, 2) if v.type.seq else (2,)
        if kind.kind == "real":
            batch.append(torch.randn(*lead, *kind.shape, generator=lot, dtype=torch.float64))
        else:
            batch.append(torch.randint(0, kind.size, lead, generator=lot))
    assert compared(model.program, batch) < 1e-7


@pytest.mark.parametrize("target", ["aer", "braket_sv"])
def test_on_the_simulators_of_both_vendors(target: str) -> None:
    if target == "aer":
        from qrlang.backends.qiskit import open_device
    else:
        from qrlang.backends.braket.devices import open_device
    x = torch.randn(1, 2, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert compared(program(EVERYTHING), (x,), device=open_device(target)) < 1e-7


def test_all_slopes_go_out_in_one_round_and_within_limits() -> None:
    model = make(program(EVERYTHING), road="plain", dtype=torch.float64)
    device = Simulator()
    processor = model.processor = Processor(device, 100, seed=1)
    model(torch.randn(2, 3, 2, dtype=torch.float64)).sum().backward()
    # Two readouts at the first moment, one of them of fresh qubits; two at the others; the last.
    assert processor.counts.rounds == processor.counts.jobs == 1 + 2 + 2 + 1 + 1
    device.limits = Limits(qubits=22, circuits=100)
    small = model.processor = Processor(device, 100, seed=1)
    model(torch.randn(2, 3, 2, dtype=torch.float64)).sum().backward()
    assert small.counts.circuits == processor.counts.circuits
    assert small.counts.jobs == 6 + -(-(small.counts.circuits - 2 * 14) // 100)


def test_noise_resets_and_mixed_starts() -> None:
    text = """\
model M {
  input  x: seq[real[1]]
  target y: real[2]
  qubits q[2]
  qubits e[1] = mixed
  param  w: angle[3]
  step x_t in x {
    ry(x_t[0] + read Z(q[1])) q[0]
    rx(w[0]) e[0]
    cx q[0], q[1]
    cx e[0], q[1]
    depolarizing(0.05) q[0]
    amplitude_damping(0.2) q[1]
    rx(w[1]) q[1]
    ry(w[2]) q[0]
    reset e[0]
  }
  return read [Z(q[0]), Y(q[1])]
}
"""
    x = torch.randn(2, 2, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert compared(program(text), (x,)) < 1e-7


def test_noise_whose_strength_is_computed() -> None:
    """Each sequence has its own; one that is trained takes more than shifts."""
    text = """\
model M {
  input  x: seq[real[1]]
  target y: real[2]
  qubits q[2]
  param  w: angle[3]
  step v in x {
    ry(w[0] + v[0]) q[0]
    amplitude_damping(0.5 * v[0]) q[0]
    rx(w[1]) q[1]
    cx q[0], q[1]
    depolarizing(RATE) q[1]
    ry(w[2]) q[0]
  }
  return read [Z(q[0]), Y(q[1])]
}
"""
    x = torch.rand(3, 3, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    steady = program(text.replace("RATE", "0.1"))
    assert compared(steady, (x,)) < 1e-7
    assert compared(steady, (x,), torch.tensor([3, 1, 2])) < 1e-7
    model = make(
        program(text.replace("RATE", "0.1 * sigmoid(w[2])")), road="plain", dtype=torch.float64
    )
    exact = model(x).detach()
    model.processor = Processor(Simulator(), 0)
    with pytest.raises(DeviceError, match="strength of `depolarizing` is trained"):
        model(x)
    with torch.no_grad():
        assert torch.allclose(model(x), exact, atol=1e-9)


# --- with noise -----------------------------------------------------------------------------------

NOISY = """\
use std.readout.each_z
model M {
  input  x: seq[real[1]]
  target y: real[2]
  qubits q[2]
  param  w: angle[4]
  step v in x {
    for i in 0..2 { ry(w[i] + v[0]) q[i] }
    cx q[0], q[1]
    for i in 0..2 { ry(w[2 + i]) q[i] }
  }
  return read each_z(q)
}
"""


def test_slopes_are_mitigated_as_readouts_are() -> None:
    from qrlang.backends.qiskit import open_device
    from qrlang.hardware.device import DeviceOptions
    from qrlang.hardware.mitigation import mitigation

    model = make(program(NOISY), road="plain", dtype=torch.float64)
    with torch.no_grad():
        model.w.copy_(torch.tensor([0.4, -0.9, 0.7, 1.1]))
    x = torch.tensor([[[0.3], [-0.5]], [[0.9], [0.1]]], dtype=torch.float64)

    def slopes(processor: Processor | None) -> Any:
        model.processor = processor
        model.zero_grad()
        (model(x) * torch.tensor([[1.0, 0.5], [-0.5, 1.0]])).sum().backward()
        return model.w.grad.clone()

    exact = slopes(None)
    device = open_device("aer", DeviceOptions(noise="0.03"))
    off = {}
    for kinds in ("", "readout", "readout,zne"):
        on = Processor(device, 8000, 1, mitigation=mitigation(kinds))
        off[kinds] = float((slopes(on) - exact).norm() / exact.norm())
    assert off["readout"] < 0.75 * off[""], off
    assert off["readout,zne"] < 0.5 * off[""], off
