"""Readouts from shots, trajectories and noise: right on average, seeded, with sound gradients."""

import pytest
import torch_tools as tools

from qrlang.ir.text import parse_program

torch = pytest.importorskip("torch")

READ = """
program Read {
  input  %x.0 : real[2]
  weight @w : real[2] = uniform(-1.0, 1.0)
  qubits q[2] at q0
  alloc q0, q1
  %w.1 : real[2] = weight @w
  unitary { ry(%x.0[0] + %w.1[0]) q0  cx q0, q1  rx(%w.1[1] + %x.0[1]) q1 }
  NOISE
  %z.2 : real[2] = expect [Z0, 0.5*X0 X1 + Z1] SHOTS
  return %z.2
}
"""


def read(shots="", noise="", **options):
    program = parse_program(READ.replace("SHOTS", shots).replace("NOISE", noise))
    model = tools.module(program, road=options.pop("road", "plain"))
    for name, value in options.items():
        setattr(model, name, value)
    model.generator = torch.Generator().manual_seed(1)
    return model


X = torch.tensor([[0.4, 0.7]], dtype=torch.float64)


@pytest.mark.parametrize("road", ["plain", "stepwise"])
def test_shots_scatter_around_the_exact_value(road):
    exact = read()(X)
    model = read("shots 400", road=road)
    found = model(X.expand(500, -1))
    assert ((found.mean(0) - exact[0]).abs() < 5 * found.std(0) / 500**0.5 + 1e-9).all()
    assert (found.std(0) < 1.6 / 400**0.5).all() and (found.std(0) > 0.2 / 400**0.5).all()


def test_one_seed_gives_the_same_shots():
    first, second = read("shots 50")(X), read("shots 50")(X)
    assert torch.equal(first, second)


@pytest.mark.parametrize("road", ["plain", "stepwise"])
def test_the_gradient_of_shots_is_that_of_the_expectation(road):
    exact, drawn = read(), read("shots 50", road=road)
    for model in (exact, drawn):
        model(X).sum().backward()
    torch.testing.assert_close(drawn.w.grad, exact.w.grad)


def test_misread_bits_shrink_the_readouts():
    exact, blurred = read()(X), read(readout_error=0.1)(X)
    assert blurred[0, 0].item() == pytest.approx(0.8 * exact[0, 0].item())
    drawn = read("shots 2000", readout_error=0.1)(X.expand(200, -1)).mean(0)
    assert (drawn - blurred[0]).abs().max() < 0.01


NOISE = "channel amplitude_damping(0.3) q0\n  channel depolarizing(0.2) q1\n  reset q0"


def test_trajectories_scatter_around_the_density_matrix():
    noise = "channel amplitude_damping(0.3) q0\n  channel depolarizing(0.2) q1"
    exact = read(noise=noise)
    sampled = read(noise=noise, trajectories=4000)
    torch.testing.assert_close(sampled(X), exact(X), atol=0.06, rtol=0)
    exact(X).sum().backward()
    gradients = []
    for _ in range(20):
        sampled.w.grad = None
        sampled(X).sum().backward()
        gradients.append(sampled.w.grad.clone())
    found = torch.stack(gradients)
    error = 5 * found.std(0) / 20**0.5
    assert ((found.mean(0) - exact.w.grad).abs() < error + 1e-9).all()


def test_measured_bits_by_trajectories():
    measured = "%b.5 : bit = measure q0\n  if %b.5 {\n    unitary { x q1 }\n  }"
    exact, sampled = read(noise=measured), read(noise=measured, trajectories=4000)
    torch.testing.assert_close(sampled(X), exact(X), atol=0.06, rtol=0)


def test_gate_noise_is_depolarising_on_each_touched_qubit():
    clean, exact = read()(X), read(gate_error=0.03)(X)
    # q0 is touched twice, before its Z is read; each time Z shrinks by 1 - 4p/3.
    torch.testing.assert_close(exact[:, 0], (1 - 0.04) ** 2 * clean[:, 0])
    sampled = read(gate_error=0.03, trajectories=8000)(X)
    torch.testing.assert_close(sampled, exact, atol=0.03, rtol=0)
