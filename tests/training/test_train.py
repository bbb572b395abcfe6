"""`qrlc train`, `eval` and `compare`, from the command line to the files."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from training_tools import MODEL, lines, project, same, weights  # noqa: E402

from qrlang.cli.main import run as qrlc  # noqa: E402
from qrlang.errors import TrainingError  # noqa: E402

SHORT = ("--threads", "1", "--log", "4 steps")


def train(folder: Path, *args: object, out: str = "run", code: int = 0, model: str = MODEL) -> Path:
    path = project(folder, model)
    made = folder / out
    assert qrlc(["train", str(path), "--out", str(made), *SHORT, *map(str, args)]) == code
    return made


def test_a_run_folder_has_everything(tmp_path: Path, capsys: Any) -> None:
    run = train(tmp_path, "--set", "n=3")
    out, err = capsys.readouterr()
    for name in ("program/tiny.qrl", "program/std/ansatz.qrl", "program.ir", "settings.json",
                 "versions.json", "data.json", "metrics.jsonl", "timing.jsonl", "curves.svg",
                 "checkpoints/last.safetensors", "checkpoints/best.safetensors", "result.json"):  # fmt: skip
        assert (run / name).stat().st_size, name
    assert not list(run.rglob("*.new"))
    assert "cosine(floor: 0.0)" in err and "gradients clipped at 1" in err
    assert "epoch 2/2" in err and "confusion" in out
    page = json.loads((run / "settings.json").read_text())
    assert page["seed"] == 0 and page["about"]["parameters"]["n"] == 3
    found = lines(run)
    assert [x["split"] for x in found].count("validation") == 2
    assert {"loss", "accuracy", "rate", "gradient", "skipped"} <= found[0].keys()
    result = json.loads((run / "result.json").read_text())
    assert sum(map(sum, result["confusion"])) == result["sequences"]


def test_eval_says_whose_weights_they_are(tmp_path: Path, capsys: Any) -> None:
    run = train(tmp_path)
    assert qrlc(["eval", str(run)]) == 0
    assert "checkpoint" not in capsys.readouterr().out
    (run / "checkpoints" / "best.safetensors").unlink()  # as in a run whose first epoch has no end
    assert qrlc(["eval", str(run)]) == 0
    assert "intervals, at the weights of its last checkpoint\n" in capsys.readouterr().out
    assert qrlc(["eval", str(run), "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["checkpoint"] == "last"


def test_what_should_be_known_of_the_data_is_said(tmp_path: Path, capsys: Any) -> None:
    path = project(tmp_path)
    with np.load(tmp_path / "tiny.npz") as z:
        np.savez(tmp_path / "tiny.npz", xs=100 * z["xs"], label=z["label"])
    line = ["train", str(path), "--steps", "1", "--out"]
    assert qrlc([*line, str(tmp_path / "plain")]) == 0
    assert "numbers of `xs` go as far as" in capsys.readouterr().err
    data = f'npz(path: "{tmp_path}/tiny.npz", scale: true)'
    assert qrlc([*line, str(tmp_path / "scaled"), "--data", data]) == 0
    err = capsys.readouterr().err
    assert "go as far as" not in err and "scale: true): " in err


def test_a_confusion_says_what_its_classes_are_called(tmp_path: Path, capsys: Any) -> None:
    path = project(tmp_path)
    found = np.load(tmp_path / "tiny.npz")
    words = np.array(["well", "ill"])[found["label"]]
    np.savez(tmp_path / "tiny.npz", xs=found["xs"], label=words)
    run = tmp_path / "run"
    assert qrlc(["train", str(path), "--out", str(run)]) == 0
    for out in (capsys.readouterr().out, qrlc(["eval", str(run)]) or capsys.readouterr().out):
        table = out[out.index("confusion") :].splitlines()
        assert [row.split()[:2] for row in table[2:4]] == [["ill", "0"], ["well", "1"]]
        assert len({len(row) for row in table[1:4]}) == 1
    assert json.loads((run / "result.json").read_text())["labels"] == ["ill", "well"]


def test_it_learns_and_repeats(tmp_path: Path) -> None:
    one = train(tmp_path, "--epochs", "12", out="one")
    two = train(tmp_path, "--epochs", "12", out="two")
    other = train(tmp_path, "--epochs", "12", "--seed", "1", out="other")
    assert same(one, two)
    assert not same(one, other)
    last = [x for x in lines(one) if x["split"] == "train"][-1]
    assert last["accuracy"] > 0.8


def test_eval_says_what_the_run_said(tmp_path: Path, capsys: Any) -> None:
    run = train(tmp_path)
    capsys.readouterr()
    assert qrlc(["eval", str(run), "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    result = json.loads((run / "result.json").read_text())
    assert found["figures"]["loss"]["value"] == pytest.approx(result["figures"]["loss"]["value"])
    low, high = found["figures"]["accuracy"]["interval"]
    assert low < found["figures"]["accuracy"]["value"] < high
    assert qrlc(["eval", str(run), "--split", "validation", "--checkpoint", "last"]) == 0
    valid = [x for x in lines(run) if x["split"] == "validation"][-1]
    assert f"{100 * valid['accuracy']:.2f} %" in capsys.readouterr().out


def test_a_run_is_a_module(tmp_path: Path) -> None:
    """In a loop of one's own, at the parameters and weights of the run."""
    import qrlang
    from qrlang.backends.torch.load import LoadError

    run = train(tmp_path, "--set", "n=3", "--core", "pqc")
    model = qrlang.load(run)
    assert model.steer.w1.shape == (8, 5)
    xs = torch.as_tensor(np.load(tmp_path / "tiny.npz")["xs"][:50])
    kept = weights(run, "best")
    assert all(torch.equal(p, kept[name]) for name, p in model.state_dict().items())
    assert model(xs).shape == (50, 2)
    with pytest.raises(LoadError, match="its own model and settings"):
        qrlang.load(run, n=3)
    (run / "checkpoints" / "best.safetensors").unlink()
    (run / "checkpoints" / "last.safetensors").unlink()
    with pytest.raises(LoadError, match="no checkpoint yet"):
        qrlang.load(run)
    with pytest.raises(LoadError, match="not a run folder"):
        qrlang.load(tmp_path)


def test_seed_after_seed(tmp_path: Path, capsys: Any) -> None:
    """Each is the run that it would be alone; of all of them there is one line."""
    runs = [tmp_path / "sweep" / str(k) for k in (1, 2, 3)]
    train(tmp_path, "--seed", "7", "--seeds", "3", out="sweep")
    out = capsys.readouterr().out
    values = [
        json.loads((r / "result.json").read_text())["figures"]["accuracy"]["value"] for r in runs
    ]
    mean, spread = 100 * np.mean(values), 100 * np.std(values, ddof=1)
    assert f"{mean:.2f} % ± {spread:.2f} %" in out.splitlines()[-1]
    assert same(runs[1], train(tmp_path, "--seed", "8", out="alone"))
    assert [json.loads((r / "settings.json").read_text())["seed"] for r in runs] == [7, 8, 9]
    capsys.readouterr()
    train(tmp_path, "--seeds", "2", "--epochs", "1", "--format", "json", out="two")
    page = json.loads(capsys.readouterr().out)
    assert page["rows"][0]["seeds"] == [0, 1] and len(page["runs"]) == 2
    assert qrlc(["train", "--resume", str(runs[0]), "--seeds", "2"]) == 2


def test_the_rate_falls_where_validation_stands_still(tmp_path: Path) -> None:
    """Where torch's would."""
    run = train(tmp_path, "--schedule", "plateau(patience: 2, factor: 0.5, floor: 0.1)", "--metric",
                "loss", "--lr", "0.3", "--epochs", "14", "--warmup", "0", "--log", "1 epochs")  # fmt: skip
    found = lines(run)
    losses = [x["loss"] for x in found if x["split"] == "validation"]
    rates = [x["rate"] for x in found if x["split"] == "train"]
    other = torch.optim.SGD([torch.zeros(1)], lr=0.3)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(
        other, factor=0.5, patience=1, threshold=0, min_lr=0.03, eps=0
    )
    expected = []
    for loss in losses:
        expected.append(other.param_groups[0]["lr"])
        theirs.step(loss)
    assert rates == pytest.approx(expected) and len({*expected}) > 2
    train(tmp_path, "--schedule", "plateau", "--validation", "0", out="none", code=1)


def test_an_average_of_the_weights_is_kept(tmp_path: Path, monkeypatch: Any) -> None:
    from qrlang.training.loop import Trainer

    seen, count = [], Trainer._count

    def counted(self: Trainer) -> None:
        seen.append({k: w.numpy().copy() for k, w in self.objective.model.state_dict().items()})
        count(self)

    args = ("--average", "0.8", "--checkpoint", "3 steps", "--validation", "0")
    monkeypatch.setattr(Trainer, "_count", counted)
    whole = train(tmp_path, *args, out="whole")
    monkeypatch.undo()
    kept, last = weights(whole, "best"), weights(whole)
    counts = 0.8 ** np.arange(len(seen) - 1, -1, -1)
    for name, found in kept.items():
        expected = np.average([w[name] for w in seen], axis=0, weights=counts)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert not all(torch.equal(kept[k], last[k]) for k in kept)

    def some(self: Trainer) -> None:
        counted(self)
        if self.progress.step == 11:
            raise KeyboardInterrupt

    monkeypatch.setattr(Trainer, "_count", some)
    run = train(tmp_path, *args, out="stopped", code=130)
    monkeypatch.undo()
    assert qrlc(["train", "--resume", str(run)]) == 0
    assert same(run, whole)
    train(tmp_path, "--optimizer", "ridge", "--average", "0.9", out="ridge", code=1)


def test_classes_that_are_rare_can_count_as_much(tmp_path: Path, capsys: Any) -> None:
    """One in ten: a model that never names it is right nine times of ten, and worth nothing."""
    path, lot = project(tmp_path), np.random.default_rng(0)
    xs = lot.normal(size=(400, 4, 2)).astype(np.float32)
    label = (xs[:, :, 0].sum(1) + lot.normal(size=400) > 2.6).astype(int)
    assert 40 < label.sum() < 80
    np.savez(tmp_path / "tiny.npz", xs=xs, label=label)
    figures = {}
    for name, loss in (("plain", "cross_entropy"), ("even", "cross_entropy(balanced: true)")):
        assert qrlc(["train", str(path), "--loss", loss, "--metric", "auc", "--epochs", "12", "-o",
                     str(tmp_path / name), *SHORT]) == 0  # fmt: skip
        page = json.loads((tmp_path / name / "result.json").read_text())
        figures[name] = {k: v["value"] for k, v in page["figures"].items()}
    assert figures["even"]["balanced_accuracy"] > figures["plain"]["balanced_accuracy"] + 0.05
    assert 0.8 < figures["even"]["auc"] <= 1
    assert "  auc 0.8" in capsys.readouterr().err
    train(
        tmp_path, "--loss", "cross_entropy(balanced: true)", "--optimizer", "ridge", out="r", code=1
    )


def test_fold_after_fold(tmp_path: Path, capsys: Any) -> None:
    train(tmp_path, "--folds", "3", "--seeds", "2", "--epochs", "1", out="sweep")
    last = capsys.readouterr().out.splitlines()[-1]
    runs = [tmp_path / "sweep" / str(k + 1) for k in range(6)]
    found = [json.loads((r / "settings.json").read_text()) for r in runs]
    assert [(s["seed"], s["data"][1]["fold"]) for s in found] == [
        (seed, fold) for seed in (0, 1) for fold in range(3)
    ]
    tested = [json.loads((r / "result.json").read_text()) for r in runs]
    assert sum(t["sequences"] for t in tested[:3]) == 200
    values = [100 * t["figures"]["accuracy"]["value"] for t in tested]
    assert f"{np.mean(values):.2f} % ± {np.std(values, ddof=1):.2f} %" in last and "  6  " in last
    longer = train(tmp_path, "--folds", "3", "--epochs", "2", out="longer")
    capsys.readouterr()
    every = [*map(str, runs), *(str(longer / k) for k in "123")]
    picture = ["--picture", str(tmp_path / "c.svg"), "--format", "json"]
    assert qrlc(["compare", *every[:6], *every[7:], *picture]) == 0
    names = [r["name"] for r in json.loads(capsys.readouterr().out)["rows"]]
    assert names == ["Tiny, epochs=1", "Tiny, epochs=2"]  # and not one of their folds
    train(tmp_path, "--data", "travelling_wave", "--folds", "3", out="no", code=1)


def test_runs_together_of_which_some_have_no_figure(tmp_path: Path, capsys: Any) -> None:
    """They have been trained all the same: what came out is said, and who is left out."""
    lot = np.random.default_rng(0)
    path = tmp_path / "line.qrl"
    path.write_text("model Line {\n  input x: real[2]\n  target y: real[1]\n"
                    "  layer head = linear(1)\n  return head(x)\n}\n")  # fmt: skip
    y = lot.normal(size=30)
    for name, test in (("all", np.full(10, 0.5)), ("one", np.r_[[0.5] * 5, lot.normal(size=5)])):
        np.savez(tmp_path / f"{name}.npz", x=lot.normal(size=(40, 2)), y=np.r_[y, test],
                 split=["train"] * 20 + ["validation"] * 10 + ["test"] * 10)  # fmt: skip
    line = ["train", str(path), "--epochs", "1", "--seeds", "2", "--data", f"{tmp_path}/all.npz"]
    assert qrlc([*line, "-o", f"{tmp_path}/text", *SHORT]) == 0
    assert "1' has no nrmse" in capsys.readouterr().err
    assert qrlc([*line, "-o", f"{tmp_path}/json", "--format", "json", *SHORT]) == 0
    page = json.loads(capsys.readouterr().out)
    assert page["rows"] == [] and len(page["runs"]) == 2


def test_compare(tmp_path: Path, capsys: Any) -> None:
    runs = [train(tmp_path, "--seed", s, out=f"s{s}") for s in (0, 1, 2)]
    runs.append(train(tmp_path, "--core", "rnn", out="rnn"))
    picture = tmp_path / "p.svg"
    capsys.readouterr()
    args = ["compare", *map(str, runs), "--picture", str(picture)]
    assert qrlc([*args, "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [r["name"] for r in rows] == ["Tiny", "Tiny, rnn core"]
    values = [json.loads((r / "result.json").read_text())["figures"]["accuracy"]["value"]
              for r in runs[:3]]  # fmt: skip
    assert rows[0]["mean"] == pytest.approx(np.mean(values))
    assert rows[0]["deviation"] == pytest.approx(np.std(values, ddof=1))
    assert rows[0]["seeds"] == [0, 1, 2] and rows[1]["deviation"] is None
    assert rows[0]["readouts_a_step"] == 2 and rows[1]["readouts_a_step"] == 0
    assert abs(rows[1]["parameters"] / rows[0]["parameters"] - 1) <= 0.02
    assert "accuracy" in picture.read_text()
    assert qrlc([*args, "--format", "markdown"]) == 0
    assert capsys.readouterr().out.startswith("| model | accuracy | runs |")
    assert qrlc([*args, "--metric", "bleu"]) == 1


def test_the_table_is_there_without_the_picture(tmp_path: Path, capsys: Any) -> None:
    run = train(tmp_path)
    capsys.readouterr()
    (tmp_path / "file").write_text("")
    assert qrlc(["compare", str(run), "--picture", str(tmp_path / "file" / "x.svg")]) == 1
    said = capsys.readouterr()
    assert "accuracy" in said.out and "--picture" in said.err


def test_what_is_no_row_is_left_out_and_said(tmp_path: Path, capsys: Any) -> None:
    """Of `runs/*` some were stopped, and some are the same run once more."""
    runs = [train(tmp_path, "--steps", "1", out=name) for name in ("a", "again", "stopped")]
    (runs[2] / "result.json").unlink()
    capsys.readouterr()
    args = ["compare", *map(str, runs), "--picture", str(tmp_path / "p.svg"), "--format", "json"]
    assert qrlc(args) == 0
    said = capsys.readouterr()
    (row,) = json.loads(said.out)["rows"]
    assert row["seeds"] == [0] and row["deviation"] is None
    assert f"left out: '{runs[1]}' is '{runs[0]}' once more, of the same seed" in said.err
    assert f"left out: '{runs[2]}' is not finished" in said.err
    assert qrlc(["compare", str(runs[2])]) == 1
    assert "is not finished" in capsys.readouterr().err
    assert qrlc(["report", str(runs[0]), str(runs[2])]) == 1


def test_compare_names_only_what_differs(tmp_path: Path, capsys: Any) -> None:
    asked = ("adam(lr: 0.01)", "adam(lr: 0.02)", "sgd(lr: 0.01)")
    runs = [
        train(tmp_path, "--steps", "1", "--optimizer", o, out=f"run{k}")
        for k, o in enumerate(asked)
    ]
    capsys.readouterr()
    args = ["compare", *map(str, runs), "--picture", str(tmp_path / "p.svg")]
    assert qrlc([*args, "--format", "json"]) == 0
    names = [r["name"] for r in json.loads(capsys.readouterr().out)["rows"]]
    choices = ["adam(lr: 0.01)", "adam(lr: 0.02)", "sgd"]
    assert names == [f"Tiny, optimizer={c}" for c in choices]


def test_early_stopping_and_the_best_weights(tmp_path: Path) -> None:
    run = train(tmp_path, "--epochs", "40", "--early-stopping", "2", "--lr", "0.5",
                "--schedule", "constant", "--metric", "loss")  # fmt: skip
    result = json.loads((run / "result.json").read_text())
    assert result["epochs"] == result["best_epoch"] + 2 < 40
    valid = {x["epoch"]: x["loss"] for x in lines(run) if x["split"] == "validation"}
    assert min(valid, key=lambda e: valid[e]) == result["best_epoch"]


def test_resume_refuses_other_settings(tmp_path: Path, capsys: Any) -> None:
    run = train(tmp_path)
    assert qrlc(["train", "--resume", str(run), "--batch", "9"]) == 2
    assert "own settings" in capsys.readouterr().err
    assert qrlc(["train", "--resume", str(tmp_path)]) == 1
    assert "is not a run folder" in capsys.readouterr().err
    assert qrlc(["train"]) == 2


def test_a_finished_run_is_finished(tmp_path: Path) -> None:
    run = train(tmp_path)
    before = (run / "metrics.jsonl").read_bytes()
    assert qrlc(["train", "--resume", str(run)]) == 0
    assert (run / "metrics.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--data", "absent.npz"), "absent.npz"),
        (("--truncate", "10"), "comes at the end"),
        (("--freeze", "[hed]"), "did you mean `head`"),
        (("--freeze", "[head, steer]"), "nothing to train"),
        (("--optimizer", "ridge", "--core", "lstm"), "classical core"),
        (("--checkpoint", "sometimes"), "100 steps"),
        (("--early-stopping", "3", "--validation", "0"), "nothing is held out"),
    ],
)
def test_what_cannot_be_done(tmp_path: Path, capsys: Any, args: Any, words: str) -> None:
    train(tmp_path, *args, code=1)
    assert words.lower() in capsys.readouterr().err.lower().replace("'", "`")


def test_data_that_does_not_fit(tmp_path: Path, capsys: Any) -> None:
    path = project(tmp_path)
    np.savez(tmp_path / "tiny.npz", xs=np.zeros((20, 4, 3), np.float32), label=np.zeros(20, int))
    assert qrlc(["train", str(path), "--out", str(tmp_path / "run")]) == 1
    assert "seq[real[2]]" in capsys.readouterr().err
    xs = np.zeros((20, 4, 2), np.float32)
    xs[7, 1, 0] = np.nan
    np.savez(tmp_path / "tiny.npz", xs=xs, label=np.zeros(20, int))
    assert qrlc(["train", str(path), "--out", str(tmp_path / "run2")]) == 1
    assert "7" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_road_that_is_not_open_is_said(tmp_path: Path, capsys: Any) -> None:
    weak = MODEL.replace("  return ", "  measure memory[0]\n  return ")
    assert weak != MODEL
    for road in ("native", "stepwise"):
        train(tmp_path, "--road", road, out=road, code=1, model=weak)
        err = capsys.readouterr().err
        assert f"error: the {road} road is not open: " in err and "without a road" in err


def test_a_wrong_program_is_said_as_check_says_it(tmp_path: Path, capsys: Any) -> None:
    train(tmp_path, "--epochs", "0", code=1)
    assert "E0905" in capsys.readouterr().err
    train(tmp_path, "--set", "m=3", code=2)
    train(tmp_path, "--lr", "inf", code=2)


def test_an_old_run_is_not_written_over(tmp_path: Path, capsys: Any) -> None:
    run = train(tmp_path)
    before = weights(run)
    assert qrlc(["train", str(tmp_path / "tiny.qrl"), "--out", str(run)]) == 1
    assert "is not empty" in capsys.readouterr().err
    assert all(torch.equal(v, before[k]) for k, v in weights(run).items())


def test_runs_that_begin_at_once_have_folders_of_their_own(tmp_path: Path) -> None:
    from qrlang.training.run import claimed

    runs = tmp_path / "runs"
    with claimed("Tiny", runs) as one, claimed("Tiny", runs) as two:
        assert (one, two) == (runs / "Tiny-1", runs / "Tiny-2")
        with pytest.raises(KeyboardInterrupt), claimed("Tiny", runs) as three:
            assert three == runs / "Tiny-3" and three.is_dir()
            raise KeyboardInterrupt
        assert not three.exists()
        (two / "program.ir").touch()
    with pytest.raises(ValueError), claimed("Tiny", tmp_path / "new"):
        raise ValueError
    assert not (tmp_path / "new").exists()


def test_a_folder_that_another_has_begun_is_left_alone(tmp_path: Path, capsys: Any) -> None:
    fcntl = pytest.importorskip("fcntl")
    folder = tmp_path / "run"
    folder.mkdir()
    with open(folder / ".lock", "w", encoding="utf-8") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        train(tmp_path, code=1)
    assert "is in use by" in capsys.readouterr().err
    assert [p.name for p in folder.iterdir()] == [".lock"]


def test_a_run_that_was_killed_before_it_began(tmp_path: Path) -> None:
    (tmp_path / "run" / "program").mkdir(parents=True)
    (tmp_path / "run" / "program.ir").write_text("half of")
    train(tmp_path)


def test_a_model_that_the_machine_cannot_hold(tmp_path: Path, capsys: Any) -> None:
    """The system would kill the process, and say nothing."""
    path = project(tmp_path)
    out = tmp_path / "run"
    args = ["train", str(path), "--out", str(out), "--set", "n=40"]
    assert qrlc(args) == 1
    said = capsys.readouterr().err
    assert "16 sequences take 256 TiB" in said and "fewer qubits" in said
    assert not out.exists()


def test_room_for_some_sequences(tmp_path: Path, monkeypatch: Any) -> None:
    from qrlang.driver import Compilation
    from qrlang.training import room
    from qrlang.training.settings import Settings, settle

    path = project(tmp_path)
    program = Compilation.of_bytes("m", path.read_bytes(), {"n": 10}).models()[0].program
    settings = settle({"data": ("x", {}), "batch": 4}, program.targets[-1].type)
    one = 2**10 * 8  # of single precision
    assert isinstance(settings, Settings) and room.of_sequence(program, settings) == one
    monkeypatch.setattr(room.host, "memory", lambda: 8 * one)
    room.refuse(program, settings, 99)  # four states, and their slopes
    monkeypatch.setattr(room.host, "memory", lambda: 8 * one - 1)
    with pytest.raises(TrainingError, match="4 sequences take 64 KiB") as caught:
        room.refuse(program, settings, 99)
    room.refuse(program, settings, 3)  # there are no more
    assert "--batch 3 at most" in caught.value.help
    monkeypatch.setattr(room.host, "memory", lambda: 0)  # a system that does not say
    room.refuse(program, settings, 99)


def test_what_is_worth_threads(tmp_path: Path) -> None:
    from qrlang.driver import Compilation
    from qrlang.training import room

    text = project(tmp_path).read_bytes()
    settings: Any = SimpleNamespace(batch=32, precision="single")
    for n, hidden, worth in ((4, 8, False), (10, 8, False), (14, 8, True), (4, 40_000, True)):
        made = Compilation.of_bytes("m", text, {"n": n, "hidden": hidden})
        assert room.worth_threads(made.models()[0].program, settings) == worth


@pytest.mark.parametrize("road", ["native", "plain"])
def test_how_many_are_looked_at_together(road: str, tmp_path: Path, monkeypatch: Any) -> None:
    from qrlang.driver import Compilation
    from qrlang.training import room

    text = project(tmp_path).read_bytes()
    program = Compilation.of_bytes("m", text, {"n": 10}).models()[0].program
    model = SimpleNamespace(chosen_road=lambda: road)
    cpu, gpu = (SimpleNamespace(type=x) for x in ("cpu", "cuda"))
    objective: Any = SimpleNamespace(program=program, model=model, device=cpu)
    settings: Any = SimpleNamespace(batch=4, precision="single")
    one = 2**10 * 8
    for memory, plain in ((0, 64), (1 << 40, 64), (32 * one, 8), (8 * one, 4)):
        monkeypatch.setattr(room.host, "memory", lambda there=memory: there)
        assert room.together(objective, settings, False) == (256 if road == "native" else plain)
        assert room.together(objective, settings, True) == 4  # lanes of a stream
    # A GPU's kernels leave a state of each sequence in its memory, whatever the host has.
    objective.device = gpu
    for memory, found in ((1 << 40, 256 if road == "native" else 64), (32 * one, 8)):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda d, there=memory: (there, 1 << 50))
        assert room.together(objective, settings, False) == found


def test_a_folder_that_cannot_be_written_is_not_resumed(tmp_path: Path, capsys: Any) -> None:
    run = train(tmp_path)
    (run / ".lock").unlink(missing_ok=True)
    (run / ".lock").mkdir()  # what no user may write, root neither
    assert qrlc(["train", "--resume", str(run)]) == 1
    assert "cannot write" in capsys.readouterr().err


@pytest.mark.skipif(os.name != "posix", reason="its file names are UTF-16")
def test_a_folder_whose_name_is_not_utf8(tmp_path: Path, capsys: Any) -> None:
    old = tmp_path / os.fsdecode(b"gr\xfc\xdfe")
    old.mkdir()
    for folder, out in (old, "../run"), (tmp_path, f"{old.name}/run"):
        train(folder, out=out, code=1)
        said = capsys.readouterr().err
        assert "is not UTF-8" in said and "rename the folder" in said
        assert not (tmp_path / "run").exists() and not (old / "run").exists()


def test_a_run_is_no_file(tmp_path: Path, capsys: Any) -> None:
    run = train(tmp_path)
    assert qrlc(["train", str(run)]) == 2
    assert "--resume" in capsys.readouterr().err


def test_a_full_disk_loses_nothing(tmp_path: Path, capsys: Any, monkeypatch: Any) -> None:
    """The third checkpoint does not fit; then there is room again."""
    whole = train(tmp_path, "--epochs", "3", "--checkpoint", "5 steps", out="whole")
    real, count = os.replace, [0]

    def full(a: Any, b: Any) -> None:
        if str(b).endswith("last.safetensors"):
            count[0] += 1
            if count[0] == 3:
                raise OSError(errno.ENOSPC, "No space left on device")
        real(a, b)

    monkeypatch.setattr(os, "replace", full)
    run = train(tmp_path, "--epochs", "3", "--checkpoint", "5 steps", code=1)
    err = capsys.readouterr().err
    assert "No space left" in err and f"--resume {run}" in err
    monkeypatch.undo()
    assert qrlc(["train", "--resume", str(run)]) == 0
    assert same(run, whole)


def test_a_damaged_checkpoint_is_said(tmp_path: Path, capsys: Any) -> None:
    run = train(tmp_path)
    (run / "checkpoints" / "best.safetensors").write_bytes(b"nothing")
    assert qrlc(["eval", str(run)]) == 1
    assert "is not a checkpoint" in capsys.readouterr().err


def test_a_loss_that_turns_nan(tmp_path: Path, capsys: Any) -> None:
    """Angles out of a logarithm: the weights of the last checkpoint stay whole."""
    model = MODEL.replace("steer(x, read z)", "log(steer(x, read z))")
    run = train(tmp_path, "--epochs", "30", code=1, model=model)
    err = capsys.readouterr().err
    assert "became chaotic" in err and "last.safetensors" in err
    assert all(bool(torch.isfinite(v).all()) for v in weights(run).values())


def test_a_gradient_that_grows_beyond_bounds_is_said_once(tmp_path: Path, capsys: Any) -> None:
    """Clipping keeps such a run finite, and it learns nothing: nobody would notice."""
    wild = MODEL.replace("steer(x, read z)", "100000 * steer(x, read z)")
    train(tmp_path, "--epochs", "2", model=wild)
    assert capsys.readouterr().err.count("the recurrence became chaotic") == 1


def test_accumulated_batches_are_one_large_one(tmp_path: Path) -> None:
    args = ("--precision", "double", "--log", "1 steps", "--epochs", "1", "--validation", "0.2")
    large = train(tmp_path, "--batch", "20", *args, out="large")
    small = train(tmp_path, "--batch", "10", "--accumulate", "2", *args, out="small")
    one = [x["loss"] for x in lines(large)]
    two = [x["loss"] for x in lines(small)]
    assert len(one) == len(two) > 3
    np.testing.assert_allclose(one, two, rtol=1e-9)


def test_frozen_layers_stay(tmp_path: Path) -> None:
    train(tmp_path, "--steps", "1", out="one")
    run = train(tmp_path, "--epochs", "2", "--freeze", "[steer, head.b]")
    torch.manual_seed(0)
    import qrlang

    begun = qrlang.load(tmp_path / "tiny.qrl").state_dict()
    for name, now in weights(run).items():
        assert torch.equal(now, begun[name]) == (name != "head.w"), name


@pytest.mark.parametrize("name", ["sgd(lr: 0.3)", "rmsprop", "adamw", "lbfgs", "spsa(lr: 0.005)"])
def test_other_optimisers_learn(tmp_path: Path, name: str) -> None:
    run = train(tmp_path, "--optimizer", name, "--epochs", "30", "--batch", "200")
    assert all(bool(torch.isfinite(v).all()) for v in weights(run).values())
    found = lines(run)
    assert max(x["accuracy"] for x in found if x["split"] == "validation") >= 0.7
    losses = [x["loss"] for x in found if x["split"] == "train"]
    assert min(losses) < 0.6


def test_nelder_mead_sees_all_data(tmp_path: Path) -> None:
    run = train(tmp_path, "--optimizer", "nelder_mead(max_iterations: 15)", "--freeze", "[steer]")
    found = [x["loss"] for x in lines(run) if x["split"] == "train"]
    assert len(found) == 15
    result = json.loads((run / "result.json").read_text())
    assert result["steps"] == 15
    run = train(
        tmp_path, "--optimizer", "nelder_mead", "--epochs", "4", "--freeze", "[steer]", out="few"
    )
    assert json.loads((run / "result.json").read_text())["steps"] == 4


def test_pictures(tmp_path: Path) -> None:
    import xml.etree.ElementTree as ET

    run = train(tmp_path)
    root = ET.parse(run / "curves.svg").getroot()
    words = {e.text for e in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {"epoch", "loss", "accuracy (%)", "train", "validation"} <= words
    image = pytest.importorskip("PIL.Image")
    with image.open(run / "curves.png") as png:
        assert png.size == (1800, 684)
        assert len(png.convert("RGB").getcolors(1 << 20)) > 20


def test_a_run_that_ends_in_nothing_says_so(tmp_path: Path, capsys: Any) -> None:
    run = train(tmp_path, "--lr", "1e30", "--clip", "0", "--warmup", "0", "--steps", "6", code=1)
    said = capsys.readouterr().err
    assert "its loss on the test split is no number" in said and "chaotic" in said
    result = json.loads((run / "result.json").read_text())
    assert result["figures"]["loss"]["value"] is None and result["sequences"] == 40


def test_targets_that_never_change(tmp_path: Path, capsys: Any) -> None:
    """An encoder's: there is no spread that an error could be held against."""
    model = MODEL.replace("class[2]", "real[1]").replace("linear(2)", "linear(1)")
    path = project(tmp_path, model.replace("cross_entropy", "mse"))
    xs = np.random.default_rng(0).normal(size=(60, 4, 2))
    np.savez(tmp_path / "tiny.npz", xs=xs, label=np.ones((60, 1)))
    run = tmp_path / "run"
    assert qrlc(["train", str(path), "--out", str(run), *SHORT]) == 0
    out, err = capsys.readouterr()
    assert "nan" not in err and "nrmse  none" in out
    assert (run / "checkpoints" / "best.safetensors").exists()  # by the loss
    assert qrlc(["report", str(run)]) == 0
    assert qrlc(["compare", str(run)]) == 1
    assert "has no nrmse" in (said := capsys.readouterr().err)
    assert "it has loss, mse, rmse, mae: choose" in said
