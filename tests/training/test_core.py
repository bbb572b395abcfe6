"""Classical cores: as many numbers, the same interface, and cells that are what they are called."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from qrlang.backends.torch.load import make, program_of  # noqa: E402
from qrlang.errors import TrainingError  # noqa: E402
from qrlang.ir.program import Expect, Unitary  # noqa: E402
from qrlang.ir.text import parse_program  # noqa: E402
from qrlang.ir.verify import verify  # noqa: E402
from qrlang.ir.walk import walk  # noqa: E402
from qrlang.training import core  # noqa: E402

EXAMPLES = Path(__file__).parents[2] / "examples"
FILES = ["qrnn/rows", "qrnn/permuted", "copying/copying", "sentiment/sentiment",
         "translation/translation", "deep/stacked"]  # fmt: skip
CORES = ["orthogonal", "rnn", "gru", "lstm"]


def example(name: str, **settings: int):
    return program_of(EXAMPLES / f"{name}.qrl", None, settings)


@pytest.mark.parametrize("kind", CORES)
@pytest.mark.parametrize("name", FILES)
def test_as_many_numbers_and_the_same_ends(name: str, kind: str) -> None:
    old = example(name)
    new = core.swapped(old, kind)
    assert verify(new) == []
    assert abs(core.parameters(new) / core.parameters(old) - 1) <= core.TOLERANCE
    assert not any(isinstance(op, (Unitary, Expect)) for op in walk(new.body))
    assert [v.type for v in new.inputs] == [v.type for v in old.inputs]
    assert [o.value.type for o in new.outputs] == [o.value.type for o in old.outputs]
    # What is no core stays: heads, embeddings, attention, to the last weight.
    kept = {w.name: w for w in old.weights if "steer" not in w.name}
    assert {w.name: w for w in new.weights if w.name in kept} == kept


@pytest.mark.parametrize("kind", CORES)
def test_the_exchanged_part_is_matched_too(kind: str) -> None:
    """An embedding of 640,000 numbers would hide any core."""
    old = example("sentiment/sentiment")
    new = core.swapped(old, kind)
    table = sum(np.prod(w.shape) for w in old.weights if w.name.endswith("table"))
    ratio = (core.parameters(new) - table) / (core.parameters(old) - table)
    assert abs(ratio - 1) <= core.TOLERANCE


@pytest.mark.parametrize("kind", CORES)
def test_readouts_are_as_wide_and_heads_have_no_gain(kind: str) -> None:
    new = core.swapped(example("qrnn/rows"), kind)
    shapes = {w.name: w.shape for w in new.weights}
    assert shapes["read_1.w"][0] == 8
    assert shapes["head.w"] == (10, 8)
    assert all(getattr(op, "gain", 1.0) == 1.0 for op in walk(new.body))


def run(program, xs):
    torch.manual_seed(3)
    model = make(program, road="plain", dtype=torch.float64)
    with torch.no_grad():
        return model, model(torch.as_tensor(xs)).numpy()


def arrays(model) -> dict[str, np.ndarray]:
    return {k: v.detach().numpy() for k, v in model.state_dict().items()}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def drive(w, x):
    """The input, with the layer beside it where there is one."""
    if "core.front_w" not in w:
        return x
    return np.concatenate([x, np.maximum(w["core.front_w"] @ x + w["core.front_b"], 0)])


def cell(kind: str, w, x, state):
    x = drive(w, x)
    h = state[0]
    both = np.concatenate([x, h])
    if kind == "rnn":
        return (np.tanh(w["core.w"] @ both + w["core.b"]),)
    if kind == "gru":
        keep, look = np.split(sigmoid(w["core.gate_w"] @ both + w["core.gate_b"]), 2)
        new = np.tanh(w["core.w"] @ np.concatenate([x, look * h]) + w["core.b"])
        return (new + keep * (h - new),)
    if kind == "lstm":
        enter, leave, new = np.split(w["core.w"] @ both + w["core.b"], 3)
        keep = sigmoid(w["core.forget_w"] @ both + w["core.forget_b"])
        c = keep * state[1] + sigmoid(enter) * np.tanh(new)
        return sigmoid(leave) * np.tanh(c), c
    matrix = np.eye(len(h))
    for v in w["core.mirrors"]:
        matrix = matrix @ (np.eye(len(h)) - 2 * np.outer(v, v) / (v @ v))
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(len(h)), atol=1e-12)
    y = matrix @ h + w["core.w"] @ x + w["core.b"]
    return (np.sign(y) * np.maximum(np.abs(y) + w["core.cut"], 0),)


@pytest.mark.parametrize("kind", CORES)
def test_the_cells_are_what_they_are_called(kind: str) -> None:
    """Against NumPy, step by step."""
    program = core.swapped(example("qrnn/rows", n=4, hidden=16), kind)
    xs = np.random.default_rng(1).normal(size=(2, 5, 28))
    model, found = run(program, xs)
    w = arrays(model)
    width = w["read_1.w"].shape[1]
    for k in range(2):
        state = (np.zeros(width), np.zeros(width))
        for x in xs[k]:
            state = cell(kind, w, x, state)
        z = w["read_1.w"] @ state[0] + w["read_1.b"]
        np.testing.assert_allclose(found[k], w["head.w"] @ z + w["head.b"], atol=1e-12)


def test_what_is_not_possible_is_said() -> None:
    with pytest.raises(TrainingError, match="postselect"):
        core.swapped(example("bausch/bausch"), "lstm")
    with pytest.raises(TrainingError, match="no lstm core comes within 2 %"):
        core.swapped(example("qlstm/qlstm"), "lstm")
    bare = parse_program(
        "program Bare {\n  input %x.0 : real[1]\n  qubits q[1] at q0\n  alloc q0\n"
        "  unitary { ry(%x.0[0]) q0 }\n  %z.1 : real[1] = expect [Z0]\n  return %z.1\n}\n"
    )
    with pytest.raises(TrainingError, match="Bare trains nothing"):
        core.swapped(bare, "lstm")
