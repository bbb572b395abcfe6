"""Post-selection on the road that walks one state backwards: it can't be undone from what is left."""

import importlib.util

import pytest
import torch_tools as tools

from qrlang.backends.torch.emit import emit_program
from qrlang.driver import Compilation
from qrlang.ir.text import parse_program

torch = pytest.importorskip("torch")

# A quantum neuron whose input is what was said before: teacher forcing by selection.
NEURON = """
model Neuron(n: int = 3) {
  input  x: seq[real[1]]
  input  rate: real[2]
  target words: seq[token[2]]
  qubits work[n], anc[1]
  param  w: angle[n] = uniform(0.4, 1.2)
  param  v: angle[n] = uniform(-1, 1)
  carry  h: real[n] = 0
  step s, word in x, shifted(words) {
    rx(pi * one_hot(word)[1]) work[0]
    postselect work[0] == 0
    for i in 0..n { ry(v[i] + s[0] + h[i]) work[i] }
    for i in 1..n {
      cry(w[i] * rate[0]) work[i], anc[0]
      cry(pi / 2) anc[0], work[0]
      cry(-w[i]) work[i], anc[0]
      ry(0.3 + w[0]) work[i - 1]
    }
    postselect anc == 0
    h <- read [X(work[i]) for i in 0..n]
    emit log(read probs(work[0]) + 0.01)
  }
}
"""

# How many shots are kept is a number like others.
SHARE = """
program share(n = 2) {
  input %rows.1 : seq[real[1]]
  weight @w0 : real[2] = uniform(-1.0, 1.0)
  qubits r0[2] at q0

  alloc q0, q1
  %w.2 : real[2] = weight @w0
  loop step (%x.3 : real[1] in %rows.1) {
    unitary { ry(%x.3[0] + %w.2[0]) q0  cry(%w.2[1] + 0.4) q0, q1  rx(%w.2[1]) q0 }
    %p.4 : real = postselect q1 = 0, q0 = 1
  } emit(kept %seen.7 : seq[real] = %p.4)
  %z.8 : real[2] = expect [Z0, X0 Y1]

  return kept = %seen.7
  return z = %z.8
}
"""


def made(text):
    compiled = Compilation.of_bytes("m.qrl", text.encode())
    assert not compiled.failed, [d.message for d in compiled.diagnostics]
    return compiled.models()[0].program


def slopes(program, road, given, lengths):
    model = tools.module(program, road=road)
    assert model.chosen_road() == road
    given = {k: x.clone().requires_grad_(x.is_floating_point()) for k, x in given.items()}
    found = tools.outputs(program, result := model(**given, lengths=lengths))
    parts = list(result.values()) if isinstance(result, dict) else [result]
    sum((x * torch.linspace(1, 2, x.numel()).reshape(x.shape)).sum() for x in parts).backward()
    numbers = [*model.parameters(), *(x for x in given.values() if x.requires_grad)]
    return [*map(torch.as_tensor, found.values()), *(x.grad for x in numbers)]


@pytest.mark.parametrize("batch", [1, 3])
def test_slopes_through_a_selection(batch):
    program = made(NEURON)
    given = {
        "x": torch.linspace(-1, 1, 4 * batch, dtype=torch.float64).reshape(batch, 4, 1),
        "rate": torch.linspace(0.5, 1, 2 * batch, dtype=torch.float64).reshape(batch, 2),
        "words": torch.arange(4 * batch).reshape(batch, 4) // 2 % 2,
    }
    lengths = torch.tensor([4, 1, 3][:batch])
    expected = slopes(program, "plain", given, lengths)
    assert min(float(x.abs().max()) for x in expected) > 1e-3
    for mine, right in zip(slopes(program, "stepwise", given, lengths), expected, strict=True):
        torch.testing.assert_close(mine, right, rtol=1e-10, atol=1e-12)


def test_slopes_of_the_share_that_is_kept():
    program = parse_program(SHARE)
    rows = torch.linspace(0.2, 2, 6, dtype=torch.float64).reshape(2, 3, 1)
    expected, found = (
        slopes(program, road, {"rows": rows}, torch.tensor([3, 2]))
        for road in ("plain", "stepwise")
    )
    for mine, right in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, right, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("line", ["measure(0)", "reset(0)"])
def test_an_edited_file_has_to_say_what_does_not_stay_pure(line, tmp_path):
    text = emit_program(made(NEURON)).replace("postselect((3,), (0,))", line)
    given = {"x": torch.rand(2, 2, 1), "rate": torch.rand(2, 2), "words": torch.ones(2, 2).long()}

    def run(name, text):
        (tmp_path / f"{name}.py").write_text(text)
        spec = importlib.util.spec_from_file_location(name, tmp_path / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        assert module.Neuron.edited
        return module.Neuron(road="stepwise")(**given)

    said = r"'qubits' does not stay pure .*step 1 of 2.*run.qubits\(4, 'qubits', mixed=True\)"
    with pytest.raises(RuntimeError, match=said):
        run("wrong", text)
    mixed = text.replace('run.qubits(4, "qubits")', 'run.qubits(4, "qubits", mixed=True)')
    assert run("right", mixed).requires_grad
