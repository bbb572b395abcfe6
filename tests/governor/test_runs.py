"""Governed runs, from the command line to the files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from training_tools import MODEL, lines, project, same  # noqa: E402

from qrlang.cli.main import run as qrlc  # noqa: E402
from qrlang.governor import ledger  # noqa: E402

SHORT = ("--threads", "1", "--log", "4 steps")
GOVERNED = MODEL + "\ngovern Tiny { cycle = 2  window = 4 }\n"


def bounded(lines: str) -> str:
    return MODEL + f"\ngovern Tiny {{ {lines} }}\n"


def train(
    folder: Path, *args: object, model: str = GOVERNED, out: str = "run", code: int = 0
) -> Path:
    path = project(folder, model)
    made = folder / out
    assert qrlc(["train", str(path), "--out", str(made), *SHORT, *map(str, args)]) == code
    return made


def cycles(run: Path) -> list[dict[str, Any]]:
    assert ledger.broken((run / "ledger.jsonl").read_text().splitlines()) is None
    return [x for x in lines(run, "ledger.jsonl") if x["kind"] == "cycle"]


def test_an_ordinary_run_is_let_alone_and_is_the_same(tmp_path: Path, capsys: Any) -> None:
    free = train(tmp_path, "--epochs", "6", model=MODEL, out="free")
    run = train(tmp_path, "--epochs", "6")
    assert same(free, run)
    found = cycles(run)
    assert len(found) == 27 and not any(c["frozen"] for c in found)
    assert (run / "sky.svg").stat().st_size
    assert "bits an output" in (run / "curves.svg").read_text()
    assert qrlc(["ledger", str(run)]) == 0
    assert "each as it was written" in capsys.readouterr().out


def test_a_run_whose_outputs_run_away_is_frozen(tmp_path: Path, capsys: Any) -> None:
    wild = ("--epochs", "4", "--lr", "20", "--seed", "2")
    free = train(tmp_path, *wild, model=MODEL, out="free")
    run = train(tmp_path, *wild, "--override", "to see it fire")
    said = capsys.readouterr().err
    assert "parameters are frozen, the run only listens" in said
    assert "it starts all the same, because: to see it fire" in said
    found = cycles(run)
    first = next(k for k, c in enumerate(found) if c["frozen"])
    held = [c["entropy"] for c in found[first:] if c["frozen"]]
    assert len(held) > 4 and len(set(held[1:])) == 1  # nothing changes while it listens
    assert [x for x in lines(run) if x["split"] == "train"][-1]["listened"] > 8
    assert "frozen by the governor" in (run / "curves.svg").read_text()
    assert not same(free, run)


def test_calm_again(tmp_path: Path, capsys: Any) -> None:
    # The rate falls to nothing on the way, so what an update could reach does too.
    model = bounded("cycle = 1  window = 3  allow = 0.02  entropy = 100  consent = 0")
    run = train(tmp_path, "--epochs", "8", "--lr", "1", model=model)
    frozen = [c["frozen"] for c in cycles(run)]
    assert any(frozen) and not frozen[-1]
    assert "calm again" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("bounds", "lr", "band"),
    [("touch = 1.5", "1e-2", "touch"), ("consent = 2", "1e-2", "consent"),
     ("entropy = 0.01", "1", "entropy")],
)  # fmt: skip
def test_a_sky_that_is_not_calm(
    tmp_path: Path, capsys: Any, bounds: str, lr: str, band: str
) -> None:
    run = train(tmp_path, "--lr", lr, model=bounded(bounds), code=3)
    said = capsys.readouterr().err
    assert f"the run does not start: {band} is not calm" in said and "--override" in said
    assert not (run / "checkpoints").exists() and not lines(run)
    (line,) = lines(run, "ledger.jsonl")
    assert line["kind"] == "sky" and not line["calm"]
    assert qrlc(["train", "--resume", str(run)]) == 3


def test_two_classes_and_the_bounds_as_they_are(tmp_path: Path, capsys: Any) -> None:
    train(tmp_path, "--seed", "2", "--epochs", "1", model=bounded(""))
    train(tmp_path, "--seed", "2", "--lr", "20", model=bounded(""), out="wild", code=3)
    said = capsys.readouterr().err
    assert "entropy is not calm" in said and "100 % of the way that it could go" in said


def test_a_reason_is_kept(tmp_path: Path) -> None:
    run = train(tmp_path, "--override", "  known data  ", model=bounded("touch = 1.5"))
    sky, override, *_ = lines(run, "ledger.jsonl")
    assert not sky["calm"] and override["reason"] == "known data"
    assert cycles(run)


def test_a_reason_under_a_calm_sky_is_none(tmp_path: Path) -> None:
    run = train(tmp_path, "--override", "just in case")
    assert "override" not in {x["kind"] for x in lines(run, "ledger.jsonl")}


def test_wrong_use(tmp_path: Path, capsys: Any) -> None:
    train(tmp_path, "--override", "why not", model=MODEL, code=1)
    assert "nothing governs Tiny" in capsys.readouterr().err
    run = train(tmp_path, model=MODEL, out="free")
    assert qrlc(["ledger", str(run)]) == 1
    assert "has no ledger" in capsys.readouterr().err
    assert qrlc(["train", "--resume", str(run), "--override", "x"]) == 2


@pytest.mark.parametrize(
    "optimizer",
    [
        "sgd(lr: 0.1)",
        "lbfgs(max_iterations: 3)",
        "spsa(lr: 0.05)",
        "nelder_mead(max_iterations: 9)",
    ],
)
def test_every_optimiser(tmp_path: Path, optimizer: str) -> None:
    args = ("--optimizer", optimizer, "--override", "a test")
    free = train(tmp_path, *args[:2], model=MODEL, out="free")
    calm = bounded("cycle = 2  allow = 1000")
    run = train(tmp_path, *args, model=calm)
    assert same(free, run)
    assert cycles(run)


def test_shots_and_dropout_are_drawn_as_without_it(tmp_path: Path) -> None:
    free = train(tmp_path, "--shots", "50", model=MODEL, out="free")
    assert same(free, train(tmp_path, "--shots", "50", model=bounded("cycle = 2  allow = 1000")))


def test_weights_found_in_one_go(tmp_path: Path) -> None:
    model = (
        GOVERNED.replace("label: class[2]", "label: real[1]").replace("linear(2)", "linear(1)")
        .replace("  loss      = cross_entropy\n", "").replace("adam(lr: 1e-2)", "ridge")
        .replace("\n  qubits", "\n  frozen steer\n  qubits")
    )  # fmt: skip
    (line,) = cycles(train(tmp_path, model=model.replace("\n  frozen steer", "")))
    assert line["action"] > 0.1 and line["burned"] > 0


def test_the_same_ledger_after_a_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from qrlang.training import checkpoint

    model = bounded("cycle = 2  window = 4  allow = 0.05")
    more = ("--epochs", "8", "--checkpoint", "5 steps", "--lr", "0.3", "--override", "a test")
    whole = train(tmp_path, *more, model=model)
    assert any(c["frozen"] for c in cycles(whole))
    save, saved = checkpoint.save, [0]

    def stop(*given: Any) -> None:
        save(*given)
        saved[0] += 1
        if saved[0] == 9:
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "save", stop)
    run = train(tmp_path, *more, model=model, out="stopped", code=130)
    monkeypatch.undo()
    with open(run / "ledger.jsonl", "a", encoding="utf-8") as stream:
        stream.write('{"kind": "cycle"}\n{"half": ')  # written after the checkpoint
    assert qrlc(["train", "--resume", str(run)]) == 0
    assert (run / "ledger.jsonl").read_bytes() == (whole / "ledger.jsonl").read_bytes()
    assert same(run, whole)


def test_it_costs_little(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from qrlang.governor.governor import Governor
    from qrlang.training.objective import Objective

    seen = {"look": 0, "sums": 0}

    def counted(cls: Any, name: str, size: Any) -> None:
        plain = getattr(cls, name)

        def counting(self: Any, *given: Any, **named: Any) -> Any:
            seen[name] += size(self, *given)
            return plain(self, *given, **named)

        monkeypatch.setattr(cls, name, counting)

    counted(Governor, "look", lambda governor: governor.probe.size)
    counted(Objective, "sums", lambda _, batch, *rest: batch.size)
    train(tmp_path, "--epochs", "20", "--batch", "64", "--validation", "0",
          model=MODEL + "\ngovern Tiny {}\n")  # fmt: skip
    # Gradients cost twice as much as outputs.
    assert seen["look"] < 0.05 * 3 * seen["sums"]
