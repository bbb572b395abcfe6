"""What lies behind the end of a shorter sequence is never looked at, nor are its slopes."""

import pytest
import torch_tools as tools

from qrlang.driver import Compilation

torch = pytest.importorskip("torch")

# None of it has a slope at zero.
STEEP = """
model Steep {
  input  x: seq[real[1]]
  target y: real[2]
  qubits q[1]
  carry h: real[1] = 0
  param w: angle[2]
  layer mix = linear(1, gain: 1)
  step v in x {
    ry(w[0] * log(v[0])) q[0]
    rx(w[1] / v[0]) q[0]
    h <- tanh(mix(log(v), h)) + sqrt(v)
  }
  return concat(read Z(q[0]), h)
}
"""

# What is read in the middle of a step is sure at its end, where a shorter sequence has stopped.
SURE = """
model Sure {
  input  x: seq[real[1]]
  target y: real[2]
  qubits q[1], c[1]
  carry h: real[1] = 0
  param w: angle[2]
  step v in x {
    ry(w[0] * v[0]) q[0]
    ry(w[1] * v[0]) c[0]
    h <- h + log(read probs(q))[1] + 1 / (1 - read Z(q[0]))
    ry(-w[0] * v[0]) q[0]
    AGAIN
  }
  return concat(read Z(c[0]), h)
}
"""

# States and unitaries that are data: zeros are none.
DATA = """
model Data {
  input  us: seq[unitary[1]]
  input  ss: seq[state[1]]
  target y:  real[2]
  qubits q[1]
  step u, s in reversed(us), reversed(ss) {
    qubits d[1]
    prepare s on d
    apply ctrl @ u to d[0], q[0]
    rzz(0.4) d[0], q[0]
    amplitude_damping(0.1) q[0]
  }
  return read [Z(q[0]), X(q[0])]
}
"""


def made(text):
    [model] = Compilation.of_bytes("m.qrl", text.encode()).models()
    return model.program


def slopes_together_and_alone(program, road):
    model = tools.module(program, road=road)
    x = torch.linspace(0.3, 1, 6, dtype=torch.float64).reshape(2, 3, 1)
    model(x, lengths=torch.tensor([3, 1])).sum().backward()
    together = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    for one in (x[:1], x[1:, :1]):
        model(one).sum().backward()
    for name, p in model.named_parameters():
        torch.testing.assert_close(together[name], p.grad)


@pytest.mark.parametrize("road", ["plain", "stepwise", "native"])
def test_slopes_do_not_come_from_behind_the_end(road):
    slopes_together_and_alone(made(STEEP), road)


@pytest.mark.parametrize(
    ("road", "again"),
    [("plain", ""), ("plain", "reset q[0]"), ("stepwise", ""), ("native", "")],
)
def test_slopes_do_not_come_from_readings_behind_the_end(road, again):
    slopes_together_and_alone(made(SURE.replace("AGAIN", again)), road)


def test_states_and_unitaries_of_different_lengths():
    program = made(DATA)
    rng = torch.Generator().manual_seed(0)

    def drawn(*shape):
        return torch.linalg.qr(torch.randn(*shape, 2, 2, generator=rng, dtype=torch.complex128))[0]

    us, ss = drawn(2, 3), drawn(2, 3)[..., 0]
    lengths = torch.tensor([1, 3])
    given = [{"us": us[i, :n], "ss": ss[i, :n]} for i, n in enumerate(lengths)]
    found = tools.module(program)(us, ss, lengths=lengths)
    for mine, right in zip(found, tools.reference(program, given), strict=True):
        torch.testing.assert_close(mine, torch.as_tensor(right[""]))
