"""Where functions have no slope, or an infinite one, and angles of any size: on every road."""

from pathlib import Path

import pytest
import torch_tools as tools

import qrlang
from qrlang.driver import Compilation

torch = pytest.importorskip("torch")

EDGES = """
model Edges {
  input  x: real[3]
  target y: real[14]
  qubits q[1]
  param  w: real[3] = 0
  let v = x + w
  ry(acos(v[0]) + asin(v[1])) q[0]
  return concat(acos(v), asin(v), [norm(v), norm(v - x)], v ** 0, v ** 2, read Z(q[0]))
}
"""

# The last two are so large that after whole turns nothing of them is left.
HUGE = """
model Huge {
  input  x: real[1]
  target y: real[3]
  qubits q[2]
  ry(x[0]) q[0]
  xx_plus_yy(2 * x[0]) q[0], q[1]
  return concat(read [Z(q[0]), X(q[1])], [sin(x[0]) ** 2 + cos(x[0]) ** 2])
}
"""


def made(text):
    [model] = Compilation.of_bytes("m.qrl", text.encode()).models()
    return model.program


@pytest.mark.parametrize("road", ["plain", "stepwise", "native"])
def test_slopes_at_the_edges(road):
    model = tools.module(made(EDGES), road=road)
    x = torch.tensor([[0.0, 0, 0], [1, -1, 0], [2, -3, 0.5]], dtype=torch.float64)
    result = model(x)
    expected = tools.reference(made(EDGES), [{"x": row} for row in x])
    for mine, right in zip(result, expected, strict=True):
        torch.testing.assert_close(mine, torch.as_tensor(right[""]))
    for row, inner in ((0, 1.0), (1, 0.0), (2, 0.0)):
        for k, sign in ((0, -1), (3, 1)):
            [slope] = torch.autograd.grad(result[row, k], model.w, retain_graph=True)
            assert slope.tolist() == [sign * inner, 0, 0]
        [none] = torch.autograd.grad(result[row, 7], model.w, retain_graph=True)
        [flat] = torch.autograd.grad(result[row, 8:11].sum(), model.w, retain_graph=True)
        assert none.tolist() == flat.tolist() == [0, 0, 0]
    result.sum().backward()
    assert bool(torch.isfinite(model.w.grad).all())


@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("road", ["stepwise", "native"])
def test_no_angle_is_too_large_for_a_state(road, double):
    model = tools.module(made(HUGE), double=double, road=road)
    x = torch.tensor([[1e3], [1e9], [1e18], [-1e30]], dtype=torch.float64)
    x = x.to(model.like.dtype).requires_grad_()
    result = model(x)
    tiny = 1e-5 if not double else 1e-12
    assert float(result.detach().abs().max()) <= 1 + tiny
    torch.testing.assert_close(result[:, 2], torch.ones_like(result[:, 2]), rtol=tiny, atol=tiny)
    result[:, :2].sum().backward()
    assert float(x.grad.abs().max()) < 10


@pytest.mark.parametrize("road", ["plain", "stepwise", "native"])
def test_a_number_whose_sign_is_still_to_be_turned(road):
    """As torch leaves it in a view of a conjugate: one number is in a row, whatever it is of."""
    page = Path(__file__).resolve().parents[2] / "examples" / "qrnn" / "permuted.qrl"
    model = qrlang.load(page, n=3, layers=1, dtype=torch.float64)
    model.road = road
    x = torch.tensor([[[0.3 - 0.7j]]], dtype=torch.complex128).conj().imag
    assert x.is_neg() and x.is_contiguous()
    torch.testing.assert_close(model(x), model(torch.full((1, 1, 1), 0.7, dtype=torch.float64)))
