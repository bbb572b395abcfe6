"""A layer of the user's own, in Python, inside the step."""

import importlib
import sys
import types

import pytest

torch = pytest.importorskip("torch")

import qrlang  # noqa: E402
from qrlang.backends.torch.load import LoadError  # noqa: E402
from qrlang.backends.torch.memory import model_class  # noqa: E402
from qrlang.backends.torch.roads import RoadError, choose_road  # noqa: E402
from qrlang.ir.text import parse_program  # noqa: E402

PROGRAM = """
program Own {
  input %rows.0 : seq[real[2]]
  extern steer : (real[2], real[2]) -> real[4] = "own_layers:Steer"(width = 3)
  qubits q[2] at q0
  alloc q0, q1
  loop step (%row.1 : real[2] in %rows.0) {
    %z.2 : real[2] = expect [Z0, Z1]
    %a.3 : real[4] = call steer(%row.1, %z.2)
    unitary { ry(%a.3[0]) q0 rz(%a.3[1]) q0 cx q0, q1 ry(%a.3[2]) q1 rx(%a.3[3]) q0 }
  }
  %z.4 : real[2] = expect [Z0, Z1]
  return %z.4
}
"""


@pytest.fixture
def program(monkeypatch):
    class Steer(torch.nn.Module):
        def __init__(self, width):
            super().__init__()
            self.one = torch.nn.Linear(4, width)
            self.two = torch.nn.Linear(width, 4)

        def forward(self, row, z):
            return self.two(torch.relu(self.one(torch.cat([row, z], -1))))

    module = types.ModuleType("own_layers")
    module.Steer = Steer
    monkeypatch.setitem(sys.modules, "own_layers", module)
    return parse_program(PROGRAM)


def test_it_trains_step_by_step(program):
    assert choose_road(program)[0] == "stepwise"
    found = {}
    rows = torch.randn(3, 5, 2, dtype=torch.float64)
    for road in ("plain", "stepwise"):
        torch.manual_seed(2)
        model = model_class(program)(road=road).double()
        model(rows, lengths=torch.tensor([5, 2, 4])).square().sum().backward()
        found[road] = {name: w.grad for name, w in model.named_parameters()}
    assert set(found["plain"]) == {
        "steer.one.weight",
        "steer.one.bias",
        "steer.two.weight",
        "steer.two.bias",
    }
    for name, g in found["plain"].items():
        torch.testing.assert_close(found["stepwise"][name], g)


def test_the_reason_is_said_once(program):
    cls = model_class(program)
    rows = torch.randn(1, 2, 2)
    with pytest.warns(UserWarning, match="step by step.*layer in Python"):
        cls()(rows)
    cls()(rows)  # a second warning would be an error here
    with pytest.raises(RoadError, match="layer in Python"):
        cls(road="native")(rows)


TEXT = """extern layer front(width: int = 2): real[2] -> real[2] = "beside_the_program:Front"

model Own {
  input x: real[2]
  layer f = front
  return f(x)
}
"""


def test_it_is_looked_for_beside_the_program(tmp_path, monkeypatch):
    """From wherever one stands; and what is not there is said, the second time as well."""
    monkeypatch.chdir("/")
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "own.qrl").write_text(TEXT, encoding="utf-8")
    for _ in range(2):
        with pytest.raises(LoadError, match=r"`f` is .*beside_the_program:Front.* No module named"):
            qrlang.load(tmp_path / "own.qrl")
    lines = ("import torch", "class Other(torch.nn.Module): pass")
    (tmp_path / "beside_the_program.py").write_text("\n".join(lines), encoding="utf-8")
    importlib.invalidate_caches()
    with pytest.raises(LoadError, match="`beside_the_program` has no `Front`"):
        qrlang.load(tmp_path / "own.qrl")
    sys.modules.pop("beside_the_program")
    lines = (
        "import torch",
        "class Front(torch.nn.Linear):",
        "  def __init__(self, width): super().__init__(width, 2)",
    )
    (tmp_path / "beside_the_program.py").write_text("\n".join(lines), encoding="utf-8")
    importlib.invalidate_caches()
    assert qrlang.load(tmp_path / "own.qrl", road="plain")(torch.zeros(3, 2)).shape == (3, 2)
    sys.modules.pop("beside_the_program")
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "beside_a_text.py").write_text("\n".join(lines), encoding="utf-8")
    text = TEXT.replace("beside_the_program", "beside_a_text")
    made = qrlang.loads(text, name=str(tmp_path / "else" / "text.qrl"), road="plain")
    assert made(torch.zeros(3, 2)).shape == (3, 2)
    sys.modules.pop("beside_a_text")
