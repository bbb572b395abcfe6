"""Sequences that one recurrence runs over together."""

import pytest
import torch_tools as tools

from qrlang.driver import Compilation

torch = pytest.importorskip("torch")

PROGRAM = """
model Both {
  input  a: seq[real[1]]
  input  b: seq[real[1]]
  target y: real[1]
  recurrent first over a {
    carry h: real[1] = 0
    step u then 1 {
      h <- 0.5 * h + u
      emit z = h
    }
  }
  recurrent second over first.z, reversed(first.z) {
    qubits q[1]
    step u, w { ry(u[0] - w[0]) q[0] }
  }
  qubits r[1]
  step u, v in a, b { ry(u[0] + 2 * v[0]) r[0] }
  return read [Z(r[0]), X(second.q[0])]
}
"""


@pytest.mark.parametrize("road", ["plain", "stepwise", "native"])
def test_they_end_together(road):
    [made] = Compilation.of_bytes("m.qrl", PROGRAM.replace("real[1]\n  rec", "real[2]\n  rec")
                                  .encode()).models()  # fmt: skip
    model = tools.module(made.program, road=road)
    a = torch.linspace(0, 1, 6, dtype=torch.float64).reshape(2, 3, 1)
    b, ends = a**2 + 0.1, torch.tensor([3, 1])
    expected = tools.reference(
        made.program, [{"a": a[0], "b": b[0]}, {"a": a[1, :1], "b": b[1, :1]}]
    )
    for lengths in (ends, {"a": ends, "b": ends.int()}):
        for mine, right in zip(model(a, b, lengths=lengths), expected, strict=True):
            torch.testing.assert_close(mine, torch.as_tensor(right[""]))
    full = {"a": torch.tensor([3, 3])}  # said of one, and so it is for the other
    torch.testing.assert_close(model(a, b, lengths=full), model(a, b))
    for wrong in ({"a": ends}, {"b": ends}, {"a": ends, "b": torch.tensor([3, 2])}):
        with pytest.raises(
            ValueError, match=r"go in step, and have . and . moments in sequence 1 "
        ):
            model(a, b, lengths=wrong)
