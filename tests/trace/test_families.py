"""Every family can be watched: its program with taps is a program, and computes the same."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from qrlang.backends.torch.load import make  # noqa: E402
from qrlang.check.training.fit import default_loss  # noqa: E402
from qrlang.driver import Compilation  # noqa: E402
from qrlang.ir.verify import verify  # noqa: E402
from qrlang.probe.subject import random_sample  # noqa: E402
from qrlang.trace.lined import Lined  # noqa: E402
from qrlang.trace.replay import play  # noqa: E402
from qrlang.trace.samples import Samples  # noqa: E402
from qrlang.trace.taps import exact, tapped  # noqa: E402
from qrlang.trace.watch import Watch, picks  # noqa: E402
from qrlang.training.feed import Batch  # noqa: E402
from qrlang.training.objective import Objective  # noqa: E402
from qrlang.training.world import World  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "examples").glob("*/*.qrl"))
# One of each kind: a loop, layers that are circuits, attention, resets, measured bits, noise,
# frozen circuits, several recurrences, no recurrence.
WATCHED = ("qrnn/rows", "recursive/repaired", "qlstm/qlstm", "attention/value", "mixed/dqc1",
           "qcnn/qcnn", "noise/noisy", "reservoir/reservoir", "deep/stacked", "weights/vqc_mlp",
           "overlap/overlap")  # fmt: skip


def programs(path: Path) -> list[Any]:
    made = Compilation.of_bytes(str(path), path.read_bytes())
    return [m.program for m in made.checked.models.values()]


@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_a_program_with_taps_is_a_program(path: Path) -> None:
    for program in programs(path):
        found = tapped(program)
        assert verify(found.program) == []
        assert len({(t.group, t.name) for t in found.taps}) == len(found.taps)
        given = {o.name for o in found.program.outputs}
        assert given == {o.name for o in program.outputs} | {t.output for t in found.taps}


SCORED = """circuit score(q: real[2], k: real[2]) -> real {
  qubits r[2]
  ry(q[0] + k[0]) r[0]
  ry(q[1] * k[1]) r[1]
  cx r[0], r[1]
  return read Z(r[1])
}

model M {
  input  xs: seq[real[2]]
  target y:  seq[real[2]]
  attention look = scored(score)
  carry     h: real[2] = 0
  layer     l = linear(2)
  step x in xs {
    h <- tanh(l(x, look(h, over: xs)))
    emit h
  }
}
"""


def test_attention_inside_a_step() -> None:
    """Its weights are a sequence at each moment, and a trace has numbers; it can be run again."""
    made = Compilation.of_bytes("m.qrl", SCORED.encode())
    found = tapped(made.models()[0].program)
    assert verify(found.program) == []
    assert found.left_out == ("softmax",) and [t.name for t in found.taps] == ["l"]
    program = made.models()[0].program
    sample = random_sample(program, 3, np.random.default_rng(0))
    model = make(program, dtype=torch.float64)
    weights = {w.name: model.state_dict()[w.name].numpy() for w in program.weights}
    played = play(program, sample, weights, at=1)
    assert played.place == {"step": 1} and played.times == {"step": 3}
    with torch.no_grad():
        said = model(torch.as_tensor(sample["xs"])[None])[0].numpy()
    assert played.outputs[""] == pytest.approx(said, abs=1e-9)


@pytest.mark.parametrize("name", WATCHED)
def test_what_is_watched_is_what_the_model_and_the_interpreter_compute(name: str) -> None:
    path = ROOT / "examples" / f"{name}.qrl"
    sys.path.insert(0, str(path.parent))
    [program] = programs(path)
    rows = [random_sample(program, 4, np.random.default_rng(k)) for k in range(2)]
    values = {k: np.stack([r[k] for r in rows]) for k in rows[0]}
    loss = (default_loss(program.targets[-1].type), {}) if program.targets else ("mse", {})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        model = make(program, dtype=torch.float64).eval()
        objective = Objective(model, program, loss, World())
        watch = Watch(objective, Samples("validation", (0, 1), Batch(values)))
        before = torch.get_rng_state()
        arrays = watch.look()
        assert torch.equal(before, torch.get_rng_state())  # nothing is drawn by lot
        with torch.no_grad():
            same = make(exact(program), dtype=torch.float64).eval()
            same.load_state_dict(model.state_dict())
            plain = same(**{k: torch.as_tensor(values[k]) for k in model.inputs})
    plain = plain[""] if isinstance(plain, dict) else plain
    found = arrays["outputs/"]
    assert found == pytest.approx(plain.numpy().reshape(found.shape), abs=1e-5)
    for key, array in arrays.items():
        assert np.isfinite(array).all(), key
        if key.startswith("entropy/"):
            assert array.min() > -1e-5
        if key.startswith("amplitudes/"):
            assert (np.abs(array) ** 2).sum(1) == pytest.approx(1, abs=1e-5)
    # The same by the interpreter, gate by gate.
    weights = {k: v.numpy() for k, v in model.state_dict().items()}
    given = {w.name: weights[w.name] for w in program.weights}
    played = play(program, rows[1], given)
    value = np.asarray(played.outputs[""])
    assert found[1].reshape(-1) == pytest.approx(value.reshape(-1), abs=1e-5)
    lines = Lined(played, {}).lines()
    assert lines and all(len(one.entropies) == len(one.wires) for one in lines)


def test_moments_that_are_kept() -> None:
    assert picks(5, set()) == [0, 1, 2, 3, 4]
    kept = picks(784, {10, 500})
    assert kept[0] == 0 and kept[-1] == 783 and {10, 500} <= set(kept) and len(kept) <= 34
