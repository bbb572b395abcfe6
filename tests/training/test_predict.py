"""`qrlc predict`: what a trained model answers to new data, held against its module."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from training_tools import project  # noqa: E402

import qrlang  # noqa: E402
from qrlang.cli.main import run as qrlc  # noqa: E402

EACH = """\
use std.ansatz.su2_ring
use std.readout.each_z

model Each(n: int = 2) {
  input  x: seq[real[WIDTH]]
  target y: TARGET
  qubits     memory[n]
  readout    z     = each_z(memory)
  controller steer = mlp(8, relu)
  layer      head  = linear(OUT)
  step v in x {
    apply su2_ring(steer(v, read z)) to memory
    emit head(read z)
  }
}
"""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Of a model whose classes have names."""
    path = project(tmp_path, records=40)
    with np.load(tmp_path / "tiny.npz") as z:
        np.savez(tmp_path / "tiny.npz", xs=z["xs"], label=np.array(["well", "ill"])[z["label"]])
    return trained(path, tmp_path, "tiny.npz")


def trained(path: Path, folder: Path, data: object, *more: object) -> Path:
    made = folder / "run"
    line = ["train", path, "--data", data, "--out", made, "--epochs", 2, "--threads", 1, *more]
    assert qrlc([str(x) for x in line]) == 0
    return made


def predicted(capsys: Any, run: Path, data: Path, *more: object) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert qrlc(["predict", str(run), str(data), *map(str, more)]) == 0
    return list(csv.DictReader(io.StringIO(capsys.readouterr().out)))


def chances(run: Path, *inputs: Any, **more: Any) -> Any:
    with torch.no_grad():
        return torch.softmax(qrlang.load(run)(*inputs, **more), -1).numpy()


def test_classes_by_name(run: Path, tmp_path: Path, capsys: Any) -> None:
    xs = np.random.default_rng(1).normal(size=(9, 5, 2)).astype(np.float32)
    np.savez(tmp_path / "new.npz", xs=xs)
    found = predicted(capsys, run, tmp_path / "new.npz", "--batch", 4)
    expected = chances(run, torch.tensor(xs))
    assert [row["record"] for row in found] == [str(k) for k in range(9)]
    assert [row["label"] for row in found] == [["ill", "well"][p.argmax()] for p in expected]
    np.testing.assert_allclose([float(r["probability"]) for r in found], expected.max(-1), 1e-5)


def test_a_table_with_and_without_the_truth(run: Path, tmp_path: Path, capsys: Any) -> None:
    """Sequences of several lengths stay in their order; the truth, if it is there, is not read."""
    lot = np.random.default_rng(2)
    lengths = [3, 1, 4, 2]
    xs = [lot.normal(size=(n, 2)).astype(np.float32) for n in lengths]
    rows = [[k, *map(float, v), "who knows"] for k, x in enumerate(xs) for v in x]
    for name, width in (("with.csv", 4), ("without.csv", 3)):
        with open(tmp_path / name, "w", encoding="utf-8", newline="") as stream:
            head = ["sequence", "xs[0]", "xs[1]", "label"]
            csv.writer(stream).writerows([head[:width], *(row[:width] for row in rows)])
    found = predicted(capsys, run, tmp_path / "with.csv")
    assert found == predicted(capsys, run, tmp_path / "without.csv")
    padded = torch.nn.utils.rnn.pad_sequence([torch.tensor(x) for x in xs], batch_first=True)
    expected = chances(run, padded, lengths=torch.tensor(lengths))
    np.testing.assert_allclose([float(r["probability"]) for r in found], expected.max(-1), 1e-5)
    # By their order alone, the target's column would be taken for something else.
    (tmp_path / "plain.csv").write_text("1,2,3,4,ill\n")
    assert qrlc(["predict", str(run), str(tmp_path / "plain.csv")]) == 1
    assert "leave the column of `label` out" in capsys.readouterr().err
    (tmp_path / "plain.csv").write_text("1,2,3,4\n5,6\n")
    assert len(predicted(capsys, run, tmp_path / "plain.csv")) == 2


def test_a_value_at_each_step(tmp_path: Path, capsys: Any) -> None:
    path = tmp_path / "each.qrl"
    path.write_text(EACH.replace("WIDTH", "1").replace("TARGET", "seq[class[3]]")
                    .replace("OUT", "3"))  # fmt: skip
    lot = np.random.default_rng(0)
    xs = lot.normal(size=(30, 6, 1)).astype(np.float32)
    lengths = lot.integers(1, 7, 30)
    np.savez(tmp_path / "d.npz", x=xs, y=lot.integers(0, 3, (30, 6)), length=lengths)
    run = trained(path, tmp_path, tmp_path / "d.npz")
    found = predicted(capsys, run, tmp_path / "d.npz")
    assert len(found) == lengths.sum()
    expected = chances(run, torch.tensor(xs), lengths=torch.tensor(lengths))
    for row in found:
        p = expected[int(row["record"]), int(row["moment"])]
        assert int(row["y"]) == p.argmax()
        assert float(row["probability"]) == pytest.approx(p.max(), abs=1e-5)


@pytest.mark.parametrize("score", ["[read Z(q[0])]", "read Z(q[0])"])
def test_two_classes_by_one_score(tmp_path: Path, capsys: Any, score: str) -> None:
    """As `bce` trains them: above 0 it is the second, with the probability of its logistic."""
    path = tmp_path / "one.qrl"
    path.write_text(
        "model One {\n  input x: real[1]\n  target y: class[2]\n  qubits q[1]\n"
        f"  param w: angle[1]\n  rx(x[0] + w[0]) q[0]\n  return {score}\n}}\n"
    )
    xs = np.random.default_rng(0).uniform(-3, 3, (40, 1)).astype(np.float32)
    np.savez(tmp_path / "d.npz", x=xs, y=np.where(abs(xs[:, 0]) < 1.5, "well", "ill"))
    run = trained(path, tmp_path, tmp_path / "d.npz", "--loss", "bce", "--batch", 4)
    found = predicted(capsys, run, tmp_path / "d.npz")
    with torch.no_grad():
        ahead = qrlang.load(run)(torch.tensor(xs)).reshape(-1).double()
    assert [r["y"] for r in found] == [["ill", "well"][int(a > 0)] for a in ahead]
    assert {r["y"] for r in found} == {"ill", "well"}
    expected = torch.sigmoid(ahead.abs()).numpy()
    np.testing.assert_allclose([float(r["probability"]) for r in found], expected, 1e-5)


def test_numbers_in_the_units_of_the_data(tmp_path: Path, capsys: Any) -> None:
    """A series was scaled for training; what is asked and answered is not. It is one record."""
    path = tmp_path / "each.qrl"
    path.write_text(EACH.replace("WIDTH", "3").replace("TARGET", "seq[real[3]]")
                    .replace("OUT", "3"))  # fmt: skip
    run = trained(path, tmp_path, "lorenz(length: 300)")
    scale = json.loads((run / "data.json").read_text())["scale"]
    xs = np.random.default_rng(3).normal(size=(7, 3)) * 10 + 5
    np.savetxt(tmp_path / "new.csv", xs, delimiter=",")
    found = predicted(capsys, run, tmp_path / "new.csv")
    x, y = ({k: np.array(v) for k, v in scale[name].items()} for name in "xy")
    given = torch.tensor((xs - x["shift"]) / x["divisor"], dtype=torch.float32)
    with torch.no_grad():
        expected = qrlang.load(run)(given[None])[0].numpy() * y["divisor"] + y["shift"]
    got = [[float(row[f"y[{k}]"]) for k in range(3)] for row in found]
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)
    assert [row["moment"] for row in found] == [str(t) for t in range(7)]


def test_a_device_is_given_the_units_of_the_run(tmp_path: Path) -> None:
    from qrlang.hardware.batch import items_of_file
    from qrlang.training.run import Run

    path = project(tmp_path, records=30)
    run = Run(trained(path, tmp_path, f'npz(path: "{tmp_path}/tiny.npz", scale: true)'))
    said = run.data()
    scale = said["scale"]
    items, _ = items_of_file(str(tmp_path / "tiny.npz"), run.program(), 2, said)
    with np.load(tmp_path / "tiny.npz") as z:
        expected = (z["xs"] - scale["xs"]["shift"]) / scale["xs"]["divisor"]
    for k, item in enumerate(items):
        np.testing.assert_allclose(item.inputs["xs"], expected[k])


def test_a_device_is_given_what_the_run_was(run: Path, tmp_path: Path) -> None:
    """Names of classes are its own; what can't be put into its units is said, not computed."""
    from qrlang.hardware.batch import items_of_file
    from qrlang.hardware.device import DeviceError
    from qrlang.training.run import Run

    it, tiny = Run(run), str(tmp_path / "tiny.npz")
    with np.load(tiny) as z:
        names, xs = z["label"], z["xs"]
    _, answers = items_of_file(tiny, it.program(), 0, it.data())
    assert [["ill", "well"][k] for k in answers] == names.tolist()
    said = it.data() | {"scale": {"xs": {"shift": [1.0, 2.0], "divisor": [1.0, 1.0]}}}
    for arrays, words in [
        ({"xs": xs[..., :1]}, "ends in [2]"),  # not taken twice
        ({"xs": np.zeros((3, 4, 3))}, "ends in [2]"),
        ({"xs": xs.astype(str)}, "holds no numbers"),
        ({"xs": xs, "label": np.full(len(xs), "dead")}, "the label 'dead'"),
    ]:
        np.savez(tiny, **arrays)
        with pytest.raises(DeviceError, match=re.escape(words)):
            items_of_file(tiny, it.program(), 0, said)


def test_a_device_is_given_sequences_of_their_own_lengths(tmp_path: Path) -> None:
    """What it gets of a padded file is what training gets of it."""
    from qrlang.driver import Compilation
    from qrlang.hardware.batch import items_of_file
    from qrlang.hardware.device import DeviceError
    from qrlang.training.data import open_data
    from qrlang.training.data.ports import ports_of

    path = project(tmp_path, records=20)
    program = Compilation.of_bytes("t.qrl", path.read_bytes()).checked.models["Tiny"].program
    lot, tiny = np.random.default_rng(0), str(tmp_path / "tiny.npz")
    xs, lengths = lot.normal(size=(20, 4, 2)).astype(np.float32), lot.integers(1, 5, 20)
    arrays = {"xs": xs, "label": np.arange(20) % 2, "split": np.array(["train"] + ["test"] * 19)}
    for name in ("length", "xs_length"):
        wrong = {"length": lengths * 0} if name == "xs_length" else {}  # its own come first
        np.savez(tiny, **arrays | wrong, **{name: lengths})
        items, answers = items_of_file(tiny, program, 0)
        data = open_data("npz", {"path": tiny}, ports_of(program), validation=0)
        (batch,) = data.batches("test", 20, shuffle=False)
        for k, x, length in zip(batch.rows, batch.arrays[0], batch.lengths[0], strict=True):
            np.testing.assert_array_equal(items[1 + k].inputs["xs"], x[:length])
        assert answers == (np.arange(20) % 2).tolist()
    for given, words in [
        (lengths + 1, "`length` of sequence"), (lengths - 4, "`length` of sequence"),
        (lengths[:5], "one whole number for each sequence"), (lengths * 1.0, "one whole number"),
    ]:  # fmt: skip
        np.savez(tiny, **arrays, length=given)
        with pytest.raises(DeviceError, match=re.escape(words)):
            items_of_file(tiny, program, 0)


def test_into_a_file(run: Path, tmp_path: Path, capsys: Any) -> None:
    capsys.readouterr()
    out = tmp_path / "folder" / "answers.json"
    line = ["predict", str(run), str(tmp_path / "tiny.npz"), "-o", str(out), "--format", "json"]
    assert qrlc(line) == 0
    assert capsys.readouterr().out == ""
    assert [row["record"] for row in json.loads(out.read_text())] == list(range(40))


def test_what_is_refused(run: Path, tmp_path: Path, capsys: Any) -> None:
    tiny = tmp_path / "tiny.npz"
    np.savez(tmp_path / "splits.npz", xs_train=np.zeros((3, 4, 2)), xs_test=np.zeros((3, 4, 2)))
    np.savez(tmp_path / "other.npz", other=np.zeros((3, 4, 2)), another=np.zeros(3))
    for data, words in [
        (tmp_path / "nowhere.csv", "there is no file"),
        (tmp_path / "tiny.qrl", "is no file of data"),
        (tmp_path / "splits.npz", "has splits, and no array `xs`"),
        (tmp_path / "other.npz", "has no array for `input xs: seq[real[2]]`"),
    ]:
        assert qrlc(["predict", str(run), str(data)]) == 1
        assert words in capsys.readouterr().err
    assert qrlc(["predict", str(run), str(tiny), "-o", str(tiny)]) == 2
    assert "would be written over" in capsys.readouterr().err
    assert qrlc(["predict", str(tmp_path), str(tiny)]) == 1
    assert "is not a run folder" in capsys.readouterr().err
    kept = (run / "data.json").read_text()
    (run / "data.json").write_text('{"scale": 3}')
    assert qrlc(["predict", str(run), str(tiny)]) == 1
    assert "data.json: its `scale` is 3" in capsys.readouterr().err
    (run / "data.json").unlink()  # nobody knows the units
    assert qrlc(["predict", str(run), str(tiny)]) == 1
    assert "data.json" in capsys.readouterr().err
    (run / "data.json").write_text(kept)
    # Nothing keeps account of what is read here.
    tiny.with_name("tiny.npz.rights.toml").write_text("")
    assert qrlc(["predict", str(run), str(tiny)]) == 1
    assert "has a manifest" in capsys.readouterr().err


COLOURS = """\
model Colours() {
  input  colour: class[3]
  target label:  class[2]
  layer e    = embedding(3)
  layer head = linear(2)
  return head(e(colour))
}
"""


@pytest.mark.parametrize("colours", [["red", "green", "blue"], ["0", "1", "2"]])
def test_inputs_have_names_of_their_own(tmp_path: Path, capsys: Any, colours: list[str]) -> None:
    """Both columns have names, or one; those of one are none of the other's."""
    path = tmp_path / "colours.qrl"
    path.write_text(COLOURS)
    rows = [f"{colours[k % 3]},{'ill' if k % 3 else 'well'}" for k in range(60)]
    data = tmp_path / "data.csv"
    data.write_text("\n".join(["colour,label", *rows]))
    run = trained(path, tmp_path, data)
    assert qrlc(["eval", str(run)]) == 0
    new = tmp_path / "new.csv"
    new.write_text("\n".join(["colour", colours[2], colours[0]]))
    expected = chances(
        run, torch.tensor([sorted(colours).index(c) for c in (colours[2], colours[0])])
    )
    found = predicted(capsys, run, new)
    np.testing.assert_allclose([float(r["probability"]) for r in found], expected.max(-1), 1e-5)
    new.write_text("colour\nred\npink\n")
    assert qrlc(["predict", str(run), str(new)]) == 1
    error = capsys.readouterr().err
    if colours[0] == "red":
        assert "the label 'pink' only outside of training" in error
    else:  # nobody can say which number is red
        assert "in training its classes were numbers" in error


def test_no_word_gets_a_meaning_that_training_did_not_know(tmp_path: Path, capsys: Any) -> None:
    path = tmp_path / "tokens.qrl"
    path.write_text(COLOURS.replace("class[3]", "seq[token[9]]").replace("return", "").replace(
        "head(e(colour))", "carry h: real[3] = 0\n  step c in colour { h <- h + e(c) }\n"
        "  return head(h)"))  # fmt: skip
    lot = np.random.default_rng(0)
    np.savez(tmp_path / "t.npz", colour=lot.integers(0, 9, (40, 4)), label=lot.integers(0, 2, 40))
    run = trained(path, tmp_path, tmp_path / "t.npz")
    (tmp_path / "new.csv").write_text("colour\n7 8\n")
    assert qrlc(["predict", str(run), str(tmp_path / "new.csv")]) == 1
    assert "in training its tokens were numbers" in capsys.readouterr().err


@pytest.mark.parametrize("target", ["class[2]", "real[2]"])
def test_what_is_no_number_is_no_answer(tmp_path: Path, capsys: Any, target: str) -> None:
    path = tmp_path / "steep.qrl"
    path.write_text(
        f"model Steep() {{\n  input  x: real[1]\n  target y: {target}\n"
        "  layer head = linear(2)\n  return exp(exp(head(x)))\n}\n"
    )
    lot = np.random.default_rng(0)
    x, y = lot.normal(size=(40, 1)) / 9, lot.normal(size=(40, 2))
    np.savez(tmp_path / "d.npz", x=x, y=y if target == "real[2]" else y[:, 0] > 0)
    run = trained(path, tmp_path, tmp_path / "d.npz")
    np.savez(tmp_path / "new.npz", x=np.array([[0.1], [1e9]]))
    rows = predicted(capsys, run, tmp_path / "new.npz")
    assert all(rows[0].values()) and "" in rows[1].values() and "inf" not in rows[1].values()
    assert qrlc(["predict", str(run), str(tmp_path / "new.npz"), "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert None in found[1].values() and None not in found[0].values()
