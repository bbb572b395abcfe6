"""The head of a reservoir: what least squares give, and nothing else is changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from training_tools import lines, weights  # noqa: E402

import qrlang  # noqa: E402
from qrlang.cli.main import run as qrlc  # noqa: E402

MODEL = """\
use std.ansatz.su2_ring
use std.readout.z_and_zz

model Reservoir(n: int = 3) {
  input  u: seq[real[1]]
  target y: seq[real[1]]

  qubits  memory[n]
  readout z = z_and_zz(memory)
  frozen  w: angle[...] = uniform(-pi, pi)
  layer   head = linear(1)

  step u_t in u {
    ry(u_t[0]) memory[0]
    apply su2_ring(1)(w) to memory
    emit head(read z)
  }
}

train Reservoir {
  data      = "series.npz"
  loss      = mse
  optimizer = ridge(alpha: 1e-3, washout: 2)
  precision = double
}
"""


def project(folder: Path) -> Path:
    lot = np.random.default_rng(2)
    u = lot.uniform(0, 1, (24, 9, 1)).astype(np.float32)
    y = np.roll(u, 1, axis=1) * u
    np.savez(folder / "series.npz", u=u, y=y)
    path = folder / "reservoir.qrl"
    path.write_text(MODEL)
    return path


def test_the_least_squares(tmp_path: Path) -> None:
    path = project(tmp_path)
    run = tmp_path / "run"
    assert qrlc(["train", str(path), "--out", str(run), "--validation", "0"]) == 0
    found = weights(run)
    headless = MODEL.replace("emit head(read z)", "emit read z").replace("layer   head", "// ")
    headless = headless.replace("y: seq[real[1]]", "y: seq[real[6]]")[: headless.index("train")]
    (tmp_path / "headless.qrl").write_text(headless)
    torch.manual_seed(0)
    body = qrlang.load(tmp_path / "headless.qrl", dtype=torch.float64, road="plain")
    body.load_state_dict({"w": found["w"]})
    from qrlang.training.data.opening import open_data
    from qrlang.training.data.ports import ports_of
    from qrlang.training.run import Run

    data = open_data("series.npz", {}, ports_of(Run(run).program()), base=tmp_path, validation=0)
    rows, goals = [], []
    for batch in data.batches("train", 100, shuffle=False):
        with torch.no_grad():
            z = body(torch.as_tensor(batch.arrays[0])).numpy()
        rows.append(16 * z[:, 2:].reshape(-1, 6))
        goals.append(batch.arrays[1][:, 2:].reshape(-1))
    x, y = np.concatenate(rows), np.concatenate(goals).astype(float)
    x = np.concatenate([x, np.ones((len(x), 1))], 1)
    penalty = np.diag([1e-3] * 6 + [0.0])
    expected = np.linalg.solve(x.T @ x + penalty, x.T @ y)
    np.testing.assert_allclose(found["head.w"].numpy()[0], expected[:-1], rtol=1e-6)
    np.testing.assert_allclose(found["head.b"].numpy()[0], expected[-1], rtol=1e-6)


def test_only_the_head_changes(tmp_path: Path) -> None:
    path = project(tmp_path)
    assert qrlc(["train", str(path), "--out", str(tmp_path / "run")]) == 0
    torch.manual_seed(0)
    begun = qrlang.load(path, dtype=torch.float64).state_dict()
    assert torch.equal(weights(tmp_path / "run")["w"], begun["w"])
    splits = [x["split"] for x in lines(tmp_path / "run")]
    assert splits == ["train", "validation"]
    # Finished: going on with it changes nothing.
    before = weights(tmp_path / "run")
    assert qrlc(["train", "--resume", str(tmp_path / "run")]) == 0
    assert all(torch.equal(v, before[k]) for k, v in weights(tmp_path / "run").items())


def test_one_long_series_has_an_interval(tmp_path: Path) -> None:
    """Cut into stretches, which add up to what the whole has."""
    import json

    path = tmp_path / "reservoir.qrl"
    path.write_text(MODEL.replace('"series.npz"', "narma(order: 2, length: 400)"))
    assert qrlc(["train", str(path), "--out", str(tmp_path / "run")]) == 0
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["sequences"] > 3
    nrmse = result["figures"]["nrmse"]
    assert nrmse["interval"][0] < nrmse["value"] < nrmse["interval"][1]
    from qrlang.training.asked.trained import opened

    made = opened(str(tmp_path / "run"))
    objective, feed = made.objective, made.feed(None)
    whole = next(iter(feed.batches("test", 1, seed=0, epoch=0, shuffle=False)))
    with torch.no_grad():
        output, target, _ = objective.forward(whole)
    kept = np.ones(target.shape[1], bool) if whole.counted is None else whole.counted[0]
    y, x = target.numpy()[0, kept].reshape(-1), output.numpy()[0, kept].reshape(-1)
    assert nrmse["value"] == pytest.approx(np.sqrt(np.mean((x - y) ** 2)) / y.std(), rel=1e-6)


def test_without_a_linear_head(tmp_path: Path, capsys: Any) -> None:
    path = project(tmp_path)
    path.write_text(MODEL.replace("emit head(read z)", "emit [tanh(head(read z)[0])]"))
    assert qrlc(["train", str(path), "--out", str(tmp_path / "run")]) == 1
    assert "linear" in capsys.readouterr().err


@pytest.mark.parametrize(("target", "out"), [("class[2]", 1), ("bit[1]", 1), ("class[2]", 2)])
def test_a_score_above_0_says_yes(target: str, out: int, tmp_path: Path) -> None:
    """What is decided by the sign of one score, or by the larger of two, is learned in one go."""
    lot = np.random.default_rng(3)
    x = lot.uniform(-1, 1, (200, 2))
    y = (x @ [1.0, -2.0] > 0.3).astype(np.int64)
    np.savez(tmp_path / "d.npz", x=x, y=y if target == "class[2]" else y[:, None])
    path = tmp_path / "m.qrl"
    path.write_text(
        f"model M {{ input x: real[2]  target y: {target}  layer l = linear({out})  return l(x) }}"
    )
    loss = "cross_entropy" if out == 2 else "bce"
    run = tmp_path / "run"
    args = ["train", str(path), "--data", str(tmp_path / "d.npz"), "--loss", loss]
    assert qrlc([*args, "--optimizer", "ridge", "--out", str(run)]) == 0
    figures = json.loads((run / "result.json").read_text())["figures"]
    assert figures["accuracy"]["value"] > 0.9, figures


def test_readouts_that_nearly_depend_on_each_other(tmp_path: Path) -> None:
    """Small times make all virtual nodes alike: sums of squares would lose what sets them apart,
    and so would a head in single precision."""
    program = """\
use std.hamiltonian.reservoir
use std.readout.each_z

model Nodes(n: int = 3, nodes: int = 6) {
  input  u: seq[real[1]]
  target y: seq[real[2]]
  qubits  spins[n]
  readout z = each_z(spins)
  frozen  J: real[...] = uniform(-0.5, 0.5)
  carry   seen: real[nodes, n] = 0
  layer   head = linear(2, gain: 1)
  step x in u {
    reset spins[0]
    ry(2 * asin(sqrt(x[0]))) spins[0]
    for k in 0..nodes {
      apply reservoir(J, 0.5) for 0.3 to spins
      seen <- push(seen, read z)
    }
    emit head(seen)
  }
}

train Nodes {
  data      = "u.csv"
  loss      = mse
  optimizer = ridge(alpha: 0, washout: 150)
}
"""
    path = tmp_path / "nodes.qrl"
    path.write_text(program)
    u = np.random.default_rng(4).integers(0, 1024, 700) / 1024  # the same in single precision
    y = np.stack([np.roll(u, 1), u * np.roll(u, 2)], 1).astype(np.float32)
    rows = [f"{a!r},{b!r},{c!r}" for a, (b, c) in zip(u.tolist(), y.tolist(), strict=True)]
    (tmp_path / "u.csv").write_text("\n".join(["u,y[0],y[1]", *rows]) + "\n")
    run = tmp_path / "run"
    assert qrlc(["train", str(path), "--validation", "0", "--out", str(run)]) == 0

    # The same in numpy, all of it one long time.
    pauli = {"X": np.array([[0, 1], [1, 0]]), "Z": np.diag([1.0, -1.0])}

    def at(letter: str, *places: int) -> Any:
        out = np.eye(1)
        for k in range(3):
            out = np.kron(out, pauli[letter] if k in places else np.eye(2))
        return out

    pairs = [(0, 1), (0, 2), (1, 2)]
    h = sum(0.5 * at("Z", k) for k in range(3))
    h = h + sum(
        c * at("X", *p) for c, p in zip(weights(run)["J"].double().numpy(), pairs, strict=True)
    )
    energies, states = np.linalg.eigh(h)
    turn = (states * np.exp(-0.3j * energies)) @ states.conj().T
    rho, seen = np.diag([1.0, *[0.0] * 7]).astype(complex), []
    for x in u:
        r = rho.reshape(2, 4, 2, 4)
        fresh = np.array([np.sqrt(1 - x), np.sqrt(x)])
        rho = np.kron(np.outer(fresh, fresh), r[0, :, 0] + r[1, :, 1])
        for _ in range(6):
            rho = turn @ rho @ turn.conj().T
            seen.append([np.trace(rho @ at("Z", k)).real for k in range(3)])
    features = np.c_[np.reshape(seen, (700, 18)), np.ones(700)]
    fitted, tested = slice(150, 560), slice(560, 700)
    head = np.linalg.lstsq(features[fitted], y[fitted], rcond=None)[0]
    error = (features @ head - y) ** 2
    found = json.loads((run / "result.json").read_text())
    assert found["figures"]["mse"]["value"] == pytest.approx(error[tested].mean(), rel=1e-3)
    assert found["sequences"] == 7 + 1  # stretches of 20 moments, the first of them a part
    assert lines(run)[0]["mse"] == pytest.approx(error[fitted].mean(), rel=1e-3)


def test_a_washout_longer_than_the_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = project(tmp_path)
    line = ["--optimizer", "ridge(washout: 9)", "--out", str(tmp_path / "run")]
    assert qrlc(["train", str(path), *line]) != 0
    assert "`washout: 9` leaves no moment of the training sequences" in capsys.readouterr().err
