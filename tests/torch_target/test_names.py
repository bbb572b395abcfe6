"""Programs whose names are Python's, torch's or the module's own."""

import pytest
import torch_tools as tools

from qrlang.backends.torch.emit import emit_program
from qrlang.driver import Compilation
from qrlang.ir.text import parse_program

torch = pytest.importorskip("torch")

PROGRAM = """
program lambda {
  input %lengths.0 : seq[real[2]]
  input %self.1 : real[2]
  input %torch.2 : real
  weight @train.w1 : real[2, 2] = uniform(-1.0, 1.0)
  weight @class : real[2] = uniform(-1.0, 1.0)
  weight @a.b.w : real[2] = uniform(-1.0, 1.0)
  weight @a.c.w : real[2] = uniform(-1.0, 1.0)
  qubits run[1] at q0
  alloc q0
  %w.9 : real[2] = weight @class
  %w.10 : real[2] = weight @a.b.w
  %w.11 : real[2] = weight @a.c.w
  unitary { rx(%self.1[0] + %w.9[1]) q0 ry(%w.10[0] + %w.11[1]) q0 }
  loop step (%row.3 : real[2] in %lengths.0) {
    %F.4 : real[2] = linear %row.3, @train.w1
    unitary { rz(%F.4[0]) q0 ry(%F.4[1] + %torch.2) q0 }
    %nn.5 : real[1] = expect [X0]
  } emit(o %out.6 : seq[real[1]] = %nn.5)
  return a = %out.6
  return b = %w.9
}
"""


@pytest.mark.parametrize("road", ["plain", "stepwise", "native"])
def test_awkward_names(road):
    program = parse_program(PROGRAM)
    rng = torch.Generator().manual_seed(0)
    given = [torch.rand(s, generator=rng, dtype=torch.float64) for s in ((3, 2), (2,), ())]
    names = [v.name for v in program.inputs]
    expected = tools.reference(program, [dict(zip(names, given, strict=True))])[0]
    from qrlang.backends.reference import initial_weights
    from qrlang.backends.torch.memory import model_class

    model = model_class(program)(road=road).double()
    weights = initial_weights(program)
    tools.set_weights(
        model,
        {"train_.w1": weights["train.w1"], "class_": weights["class"],
         "a.b.w": weights["a.b.w"], "a.c.w": weights["a.c.w"]},
    )  # fmt: skip
    found = model(*(x[None] for x in given))
    for name, value in expected.items():
        torch.testing.assert_close(found[name][0], torch.as_tensor(value))


BLOCK = """
model Block {
  input  xs: seq[real[1]]
  target ys: seq[real[1]]
  recurrent enc over xs {
    qubits q[1]
    layer mix = linear(1, gain: 1)
    param w: angle[2]
    step x {
      ry(mix(x)[0]) q[0]
      rx(w[0]) q[0]
      rz(w[1]) q[0]
      emit read [Y(q[0])]
    }
  }
}
"""


@pytest.mark.parametrize("road", ["plain", "stepwise", "native"])
def test_numbers_of_a_block_beside_its_layers(road):
    """The layer is asked for first, and makes the block that the numbers are of."""
    [model] = Compilation.of_bytes("m.qrl", BLOCK.encode()).models()
    rows = torch.linspace(0, 1, 3, dtype=torch.float64)[:, None]
    [expected] = tools.reference(model.program, [{"xs": rows}])
    module = tools.module(model.program, road=road)
    assert {name for name, _ in module.named_parameters()} == {"enc.w", "enc.mix.w", "enc.mix.b"}
    torch.testing.assert_close(module(rows[None])[0], torch.as_tensor(expected[""]))


def test_a_long_head_is_broken_as_formatters_do():
    text = emit_program(parse_program(PROGRAM))
    assert "    def forward(\n        self,\n" in text and "    ) -> dict[str, Tensor]:\n" in text


def test_no_layer_hides_a_name_of_the_module():
    from qrlang.backends.torch.emit.names import TAKEN
    from qrlang.backends.torch.model import Model

    own = {name for name in dir(Model()) if not name.startswith("_")}
    assert own - set(dir(torch.nn.Module())) <= TAKEN
    text = PROGRAM.replace("@train.w1", "@checks.w").replace("@class", "@processor")
    from qrlang.backends.torch.memory import model_class

    model = model_class(parse_program(text))(road="plain")
    assert model.checks == "now"
    assert {"checks_.w", "processor_"} <= model.state_dict().keys()
    model(torch.rand(3, 4, 2), torch.rand(3, 2), torch.rand(3))
