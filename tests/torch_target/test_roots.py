"""What is made of weights alone, outside the kernel: the numbers and slopes that it has inside."""

from __future__ import annotations

import copy
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from qrlang.backends.torch.load import make  # noqa: E402
from qrlang.backends.torch.native import road as native  # noqa: E402
from qrlang.backends.torch.native import roots  # noqa: E402
from qrlang.driver import Compilation  # noqa: E402
from qrlang.ir.walk import walk  # noqa: E402
from qrlang.training.core import swapped  # noqa: E402

# A product of weights that steers, one of which is used by itself as well.
EACH = """\
use std.readout.each_z

model M(n: int = 3) {
  input xs: seq[real[n]]
  qubits q[n]
  param  a: real[n, n]
  frozen b: real[n, n] = normal(0, 1)
  layer  head = linear(2)
  let both = matmul(tanh(a), b)
  let twice = matmul(both, both)
  step x in xs {
    let v = matmul(twice, x) + matmul(a, x)
    for i in 0..n { ry(v[i]) q[i] }
    for i in 0..n - 1 { cx q[i], q[i + 1] }
    emit head(read each_z(q))
  }
}
"""
X = torch.linspace(-1, 1, 5 * 4 * 3, dtype=torch.float64).reshape(5, 4, 3)


@pytest.fixture(autouse=True)
def outside(monkeypatch: pytest.MonkeyPatch) -> Any:
    """However little they take."""
    monkeypatch.setattr(roots, "LARGE", 1)
    native._prepared.cache_clear()
    yield
    native._prepared.cache_clear()


def program(text: str, core: str = "") -> Any:
    made = Compilation.of_bytes("m.qrl", text.encode(), {})
    assert not made.broken, made.diagnostics
    found = made.checked.models["M"].program
    return swapped(found, core) if core else found


def module(found: Any, road: str) -> Any:
    torch.manual_seed(3)
    return make(found, road=road, dtype=torch.float64)


def both(found: Any, *inputs: Any, **more: Any) -> tuple[Any, Any]:
    """The output and all slopes, on the kernel and by torch."""
    said = []
    for road in ("native", "plain"):
        model = module(found, road)
        assert model.chosen_road() == road
        y = model(*inputs, **more)
        (y**2).sum().backward()
        said.append((y.detach(), {k: p.grad for k, p in model.named_parameters()}))
    return said[0], said[1]


def same(a: Any, b: Any) -> None:
    torch.testing.assert_close(a[0], b[0])
    assert a[1].keys() == b[1].keys()
    for name, slope in b[1].items():
        torch.testing.assert_close(a[1][name], slope, msg=lambda m, n=name: f"{n}: {m}")


ORTHOGONAL = """\
use std.ansatz.su2_ring
use std.readout.each_z

model M(n: int = 3) {
  input  xs: seq[real[2]]
  target y:  class[2]
  qubits     memory[n]
  controller steer = mlp(8, relu)
  layer      head  = linear(2)
  step x in xs { apply su2_ring(1)(steer(x, read each_z(memory))) to memory }
  return head(read each_z(memory))
}
"""


def test_an_orthogonal_core() -> None:
    found = program(ORTHOGONAL, "orthogonal")
    rest, root = roots.split(found)
    assert root is not None and len(root.program.outputs) == 1
    assert not any(type(op).__name__ == "Matmul" for op in rest.body)
    same(*both(found, X[..., :2], lengths=torch.tensor([4, 1, 3, 2, 4])))


def test_products_of_weights() -> None:
    found = program(EACH)
    rest, root = roots.split(found)
    assert root is not None
    assert [w.name for w in root.program.weights] == ["a", "b"]
    names = [w.name for w in rest.weights]
    assert "b" not in names and "a" in names and "root.0" in names
    assert sum(type(op).__name__ == "Matmul" for op in walk(rest.body)) == 2  # with what comes in
    same(*both(found, X))


def test_in_segments_and_after_a_change_of_weights() -> None:
    model = module(program(EACH), "native")
    with torch.no_grad():
        whole = model(X)
        first, state = model(X[:, :2], state=None)
        second, _ = model(X[:, 2:], state=state)
        torch.testing.assert_close(torch.cat([first, second], 1), whole)
        other = copy.deepcopy(model)
        other.a.mul_(2)
        plain = module(program(EACH), "plain")
        plain.load_state_dict(other.state_dict())
        torch.testing.assert_close(other(X), plain(X))
        assert not torch.allclose(other(X), model(X))
        torch.testing.assert_close(other.float()(X.float()), plain.float()(X.float()))


def test_little_work_stays_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roots, "LARGE", 3 * 27 + 1)
    found = program(EACH)
    assert roots.split(found) == (found, None)
