"""A large last layer outside the kernel: the numbers and the slopes that it has inside."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from qrlang.backends.torch.load import make  # noqa: E402
from qrlang.backends.torch.native import head  # noqa: E402
from qrlang.backends.torch.native import road as native  # noqa: E402
from qrlang.driver import Compilation  # noqa: E402
from qrlang.ir.walk import walk  # noqa: E402

TEXT = """\
use std.ansatz.su2_ring
use std.readout.each_z

model M(vocab: int = 9, n: int = 3) {
  input  words: seq[token[vocab]]
  target next:  seq[token[vocab]]
  qubits     memory[n]
  readout    z      = each_z(memory)
  layer      embed  = embedding(5)
  controller steer  = mlp(8, relu)
  layer      mix    = linear(6)
  layer      head   = linear(vocab, HEAD)
  step word in words {
    apply su2_ring(1)(steer(embed(word), read z)) to memory
    emit LAST
  }
}
"""
PLAIN = TEXT.replace("LAST", "head(relu(mix(read z)))").replace("HEAD", "gain: 4")
WITHOUT_BIAS = PLAIN.replace("gain: 4", "bias: false")
WORDS = torch.tensor([[1, 2, 3, 4], [5, 6, 0, 0], [7, 8, 8, 0]])
LENGTHS = torch.tensor([4, 2, 3])


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Any last layer is a large one; called with False, none is."""

    def change(small: bool = True) -> None:
        monkeypatch.setattr(head, "LARGE", 1 if small else 1 << 60)
        native._prepared.cache_clear()

    change()
    yield change
    native._prepared.cache_clear()


def program(text: str) -> Any:
    made = Compilation.of_bytes("m.qrl", text.encode(), {})
    assert not made.broken, made.diagnostics
    return made.checked.models["M"].program


def run(text: str, road: str, lengths: Any) -> list[Any]:
    torch.manual_seed(3)
    made = make(program(text), road=road, dtype=torch.float64)
    result = made(WORDS, lengths=lengths)
    slope = torch.linspace(-1, 1, result.numel(), dtype=result.dtype).reshape(result.shape)
    (result * slope).sum().backward()
    return [result.detach(), *(p.grad for _, p in sorted(made.named_parameters()))]


@pytest.mark.parametrize("text", [PLAIN, WITHOUT_BIAS])
@pytest.mark.parametrize("lengths", [None, LENGTHS])
def test_the_same_numbers_and_slopes(outside: Any, text: str, lengths: Any) -> None:
    apart = run(text, "native", lengths)
    for mine, truth in zip(apart, run(text, "plain", lengths), strict=True):
        assert mine.shape == truth.shape
        assert (mine - truth).abs().max() < 1e-12
    outside(False)
    for mine, truth in zip(apart, run(text, "native", lengths), strict=True):
        assert (mine - truth).abs().max() < 1e-12
    if lengths is not None:
        assert not apart[0][1, 2:].any()


def test_segments(outside: Any) -> None:
    made = make(program(PLAIN), road="native", dtype=torch.float64)
    whole = made(WORDS)
    first, state = made(WORDS[:, :2], state=None)
    second, _ = made(WORDS[:, 2:], state=state)
    assert (torch.cat([first, second], 1) - whole).abs().max() < 1e-12


def test_nan_in_it_is_an_error(outside: Any) -> None:
    made = make(program(PLAIN), road="native")
    with torch.no_grad():
        made.head.w[0, 0] = torch.nan
    with pytest.raises(FloatingPointError, match="the result is NaN"):
        made(WORDS)


@pytest.mark.parametrize(
    ("last", "taken"),
    [
        ("head(relu(mix(read z)))", True),
        ("softmax(head(read z))", False),  # it is not the last one
        ("head(mix(read z)) + head(relu(mix(read z)))", False),  # it is there twice
    ],
)
def test_which_layers_are_taken_out(outside: Any, last: str, taken: bool) -> None:
    before = program(TEXT.replace("LAST", last).replace("HEAD", "gain: 1"))
    rest, found = head.split(before)
    assert (found is not None) == taken
    names = {getattr(op, "weight", None) for op in walk(rest.body)}
    assert ("head.w" in names) != taken
    assert [w.name for w in before.weights if w not in rest.weights] == (
        ["head.w", "head.b"] if taken else []
    )


def test_one_that_is_needed_elsewhere_stays(outside: Any) -> None:
    carried = TEXT.replace("HEAD", "gain: 1").replace(
        "  step word", "  carry  past: real[vocab] = 0\n  step word"
    )
    carried = carried.replace("emit LAST", "past <- head(read z, past)\n    emit past")
    assert head.split(program(carried))[1] is None


def test_small_ones_stay() -> None:
    assert head.split(program(PLAIN))[1] is None
