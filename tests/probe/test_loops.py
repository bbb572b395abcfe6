"""Gradients, Jacobians and memory of small models, against differences and known systems."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from qrlang.backends.reference import run  # noqa: E402
from qrlang.driver import Compilation  # noqa: E402
from qrlang.ir.verify import verify  # noqa: E402
from qrlang.probe import gradients, instrument, jacobian, memory, trace  # noqa: E402
from qrlang.probe.errors import ProbeError  # noqa: E402
from qrlang.probe.subject import Subject, of_file, random_value  # noqa: E402

TEXT = """\
use std.readout.each_z

model Loop(n: int = 2, layers: int = 1) {
  input xs: seq[real[1]]

  qubits     memory[n]
  param      w: angle[n]
  layer      steer = linear(1)
  layer      head  = linear(1)

  step x in xs {
    let z = read each_z(memory)
    let a = tanh(steer(x, z))
    for k in 0..layers {
      for i in 0..n { ry(a[0] + 2 * w[i]) memory[i]  rx(w[i]) memory[i] }
      cx memory[0], memory[1]
    }
  }
  return head(read each_z(memory))
}
"""
# No controller: what is read has no say in what happens next.
DEAF = """\
use std.readout.each_z

model Deaf(n: int = 1) {
  input xs: seq[real[1]]
  qubits q[n]
  step x in xs {
    reset q
    ry(asin(x[0])) q[0]
    h q[0]
    emit read each_z(q)
  }
}
"""


def subject(text: str = TEXT, steps: int = 4, samples: int = 1) -> Subject:
    made = Compilation.of_bytes("m.qrl", text.encode())
    assert not made.failed, made.diagnostics
    name = next(iter(made.checked.models))
    return of_file(made, name, samples, steps, seed=3)


def numbers(one: Subject, program: Any, extra: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """All outputs by the reference interpreter."""
    given = {**one.samples[0], **extra}
    return run(
        program, {p.name: given[p.name] for p in program.inputs}, weights=one.all_weights()
    ).outputs


def test_taps_change_nothing() -> None:
    one = subject()
    loop = one.loop()
    turned = instrument.with_turns(one.program, loop)
    program = instrument.with_readouts(turned.program, turned.loop, noise=True)
    verify(program)
    zeros = {instrument.NOISE: np.zeros((4, 2)), instrument.TURNS: np.zeros((4, len(turned.roles)))}
    found = numbers(one, program, zeros)
    assert np.allclose(found[""], numbers(one, one.program, {})[""])
    moments = trace.traces(one)[0].moments
    assert np.allclose(found[instrument.READOUTS], [m.readouts for m in moments])
    assert found[instrument.AFTER].shape == (2,)


def test_the_jacobian_is_what_differences_say() -> None:
    one = subject()
    each, after = jacobian.jacobians(one, one.samples[0])
    program = instrument.with_readouts(one.program, one.loop(), noise=True)
    step = 1e-5
    assert after is not None
    for s in range(4):
        for k in range(2):
            ends = []
            for sign in (1, -1):
                noise = np.zeros((4, 2))
                noise[s, k] = sign * step
                ends.append(numbers(one, program, {instrument.NOISE: noise}))
            for name, block in (
                (instrument.READOUTS, each[:, s, :, k]),
                (instrument.AFTER, after[s, :, k]),
            ):
                slope = (ends[0][name] - ends[1][name]) / (2 * step)
                assert np.allclose(block, slope, atol=1e-8)
    assert np.allclose(each[0, 0], np.eye(2))
    assert np.allclose(each[0, 1:], 0)  # nothing goes back in time
    assert np.abs(each[3, 0]).max() > 1e-6


def test_a_loop_that_feeds_nothing_back_amplifies_nothing() -> None:
    found = jacobian.probe(subject(DEAF))
    assert np.allclose(found.data["gain"], 1)
    assert found.data["growth_exponent"] is None


def test_growth_and_gain_of_a_linear_loop() -> None:
    """z(t) = A z(t-1) + noise: the blocks are powers of A, the gain follows Lyapunov's sum."""
    a = np.array([[0.9, 0.3], [0.0, 1.1]])
    powers = [np.linalg.matrix_power(a, k) for k in range(12)]
    covariance = sum(p @ p.T for p in powers)
    assert jacobian.noise_gain(np.array(powers)) == pytest.approx(np.sqrt(np.trace(covariance) / 2))
    logs = np.array([np.log(np.linalg.norm(1.1**k * np.eye(2), 2)) for k in range(1, 12)])
    assert jacobian.growth(list(range(1, 12)), logs) == pytest.approx(np.log(1.1))


def test_gradients_are_what_differences_say() -> None:
    one = subject()
    angle, weight, roles = gradients.gradients(one, one.samples, draws=1)
    assert angle.shape == (1, 1, 4, 4) and sorted(set(roles)) == ["layer", "trained"]
    fresh = replace(one, seed=one.seed * 100_003)
    turned = instrument.with_turns(one.program, one.loop())
    program = instrument.with_readouts(turned.program, turned.loop)
    step = 1e-5
    for t in range(4):
        for k in range(4):
            ends = []
            for sign in (1, -1):
                turns = np.zeros((4, 4))
                turns[t, k] = sign * step
                ends.append(numbers(fresh, program, {instrument.TURNS: turns})[instrument.AFTER][0])
            assert angle[0, 0, t, k] == pytest.approx((ends[0] - ends[1]) / (2 * step), abs=1e-8)
    # Each w[i] stands in two angles of every step, in one of them twice.
    own = [(roles[k], angle[0, 0, :, k].sum()) for k in range(4)]
    wanted = [2 * own[0][1] + own[1][1], 2 * own[2][1] + own[3][1]]
    assert np.allclose(weight["w"][0], wanted)


def test_gradients_without_a_recurrence() -> None:
    """⟨Z⟩ after RY(x) RY(w) is cos(x + w)."""
    text = """\
model Flat() {
  input x: real[1]
  qubits q[1]
  param w: angle[1]
  ry(x[0]) q[0]
  ry(w[0]) q[0]
  return read Z(q[0])
}
"""
    one = subject(text, samples=3)
    angle, weight, roles = gradients.gradients(one, one.samples, draws=2)
    assert roles == ("data", "trained")
    for draw in range(2):
        w = replace(one, seed=one.seed * 100_003 + draw).all_weights()["w"]
        wanted = np.array([-np.sin(s["x"][0] + w[0]) for s in one.samples])
        assert np.allclose(angle[draw], wanted[:, None])
        assert weight["w"][draw] == pytest.approx(wanted.sum())


def test_a_loop_that_goes_on_after_its_input() -> None:
    one = subject(TEXT.replace("step x in xs {", "step x in xs then 2 as done {"))
    each, after = jacobian.jacobians(one, one.samples[0])
    assert each.shape == (6, 4, 2, 2) and after is not None
    assert np.allclose(each[0, 0], np.eye(2)) and np.abs(each[5, 3]).max() > 1e-6
    assert np.shape(jacobian.probe(one).data["gain"]) == (1, 4)
    assert len(trace.traces(one)[0].moments) == 6


PLATEAU = """\
use std.ansatz.su2_ring
use std.readout.each_z

model Plateau(n: int = 2, layers: int = 1) {
  input xs: seq[real[1]]
  qubits q[n]
  param w: angle[...]
  step x in xs { apply su2_ring(layers)(w) to q }
  return read each_z(q)
}
"""


def test_deep_circuits_have_barren_plateaus() -> None:
    """Variances of a random circuit fall about as 1/2^n (McClean et al.: between one and two
    factors of two a qubit)."""
    found = gradients.probe(
        subject(PLATEAU, steps=1), {"n": [2, 4, 6], "layers": [6]}, draws=40, steps=1
    )
    values = [p["angles"]["trained"]["variance"] for p in found.data["points"]]
    assert values[0] > values[1] > values[2]
    assert -2.2 < found.data["slopes"]["trained"] < -0.5
    assert "n" in found.head and "layers" in found.head


def test_what_cannot_be_varied_is_said() -> None:
    with pytest.raises(ProbeError, match="no parameter n or layers"):
        gradients.usual(replace(subject(), program=replace(subject().program, settings=())))
    refused = gradients.probe(subject(PLATEAU), {"n": [0, 2]}, draws=2, steps=1)
    assert refused.data["refused"] == ["n = 0"]


# --- memory -------------------------------------------------------------------------------------


def test_a_delay_line_remembers_exactly_its_length() -> None:
    signal = np.random.default_rng(0).uniform(-1, 1, (800, 12))
    line = signal[:, [-1, -2, -3]]  # the last three inputs
    found = memory.capacity(line @ np.random.default_rng(1).normal(size=(3, 3)), signal, 8)
    assert np.allclose(found[:3], 1, atol=1e-6)
    assert np.all(found[3:] < 0.05)
    assert found.sum() == pytest.approx(3, abs=0.1)


def test_a_linear_reservoir_of_full_rank_has_its_size_as_capacity() -> None:
    """Jaeger 2002: N for N units. Here with noise-free states, long after the start."""
    rng = np.random.default_rng(2)
    size, steps = 5, 40
    a = rng.normal(size=(size, size))
    a *= 0.9 / np.abs(np.linalg.eigvals(a)).max()
    b = rng.normal(size=size)
    signal = rng.uniform(-1, 1, (2000, steps))
    state = np.zeros((2000, size))
    for t in range(steps):
        state = state @ a.T + signal[:, t : t + 1] * b
    assert memory.capacity(state, signal, 30).sum() == pytest.approx(size, abs=0.5)


def test_noise_remembers_nothing() -> None:
    rng = np.random.default_rng(3)
    found = memory.capacity(rng.normal(size=(1000, 4)), rng.uniform(-1, 1, (1000, 10)), 6)
    assert found.sum() < 0.1


def test_memory_of_a_circuit_that_forgets_at_every_step() -> None:
    """⟨Z⟩ after H RY(asin x) is x: the present input is all there is."""
    found = memory.probe(subject(DEAF), delays=4).data["by_delay"]
    assert found[0] == pytest.approx(1, abs=1e-9)
    assert max(found[1:]) < 0.05


def test_values_drawn_by_lot_fit_their_types() -> None:
    from qrlang.ir.types import Type

    rng = np.random.default_rng(0)
    states = random_value(Type("state", size=2, seq=True), 3, rng)
    assert states.shape == (3, 4) and np.allclose(np.linalg.norm(states, axis=1), 1)
    unitary = random_value(Type("unitary", size=1), 3, rng)
    assert np.allclose(unitary @ unitary.conj().T, np.eye(2))
    assert random_value(Type("token", size=5, seq=True), 50, rng).max() == 4


# --- inputs that an angle does not take ---------------------------------------------------------

BOUNDED = """\
use std.readout.each_z

model Bounded(n: int = 2) {
  input xs: seq[real[1]]
  qubits q[n]
  param  w: angle[n]
  step x in xs {
    reset q[0]
    ry(2 * asin(sqrt(x[0]))) q[0]
    for i in 0..n { ry(w[i]) q[i] }
    cx q[0], q[1]
    emit read each_z(q)
  }
}
"""


def test_inputs_are_drawn_from_where_those_of_the_data_are() -> None:
    one = subject(BOUNDED)
    for probe in (memory.probe, gradients.probe):
        with pytest.raises(ProbeError, match=r"`asin`.*NaN") as error:
            probe(one)
        assert "probe a trained run" in error.value.help
    known = replace(one, spans={"xs": (0.25, 0.75)})
    found = memory.probe(known, delays=1).data
    assert found["by_delay"][0] > 0.5 > found["shuffled"][0]
    found = gradients.probe(known, draws=2, steps=2).data
    assert [p["settings"]["n"] for p in found["points"]] == [2, 3, 4]  # density matrices
