"""A run that goes on, or is looked at, under another manifest than that of the day it began."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("safetensors")

from rights_tools import MANIFEST, project, watched
from trace_tools import killed
from training_tools import lines

from qrlang.cli.main import run as qrlc
from qrlang.rights.gate import digest

TRAIN = ("--epochs", "4", "--trace", "--trace-budget", "0")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    at = tmp_path_factory.mktemp("clinic")
    path = project(at)
    killed(path, at / "runs" / "one", 7, *TRAIN)
    args = ["train", str(path), *TRAIN, "--threads", "1", "--checkpoint", "1 steps"]
    assert qrlc([*args, "--out", str(at / "runs" / "whole")]) == 0
    return at


@pytest.fixture
def clinic(made: Path, tmp_path: Path) -> Path:
    at = tmp_path / "clinic"
    shutil.copytree(made, at)
    page = at / "runs" / "one" / "settings.json"
    page.write_text(page.read_text().replace(str(made), str(at)))
    return at


def resume(at: Path, *more: str) -> int:
    return qrlc(["train", "--resume", str(at / "runs" / "one"), "--threads", "1", *more])


def close(at: Path, *names: str, more: str = "") -> None:
    text = MANIFEST + f"records = {json.dumps(list(names))}\n" + more
    (at / "visits.csv.rights.toml").write_text(text)


def seen(at: Path, split: str, out: str = "one") -> list[str]:
    """The patients of a split, in the order of the run."""
    by_digest = {digest("clinic", f"P{k}"): f"P{k}" for k in range(60)}
    page = json.loads((at / "runs" / out / "rights.json").read_text())
    return [by_digest[d] for d in page["clinic"]["splits"][split]]


def weights(run: Path) -> dict[str, Any]:
    from qrlang.training import checkpoint

    return checkpoint.load(run / "checkpoints" / "last.safetensors")[0]


def test_without_a_change_it_goes_on_as_it_would_have(clinic: Path) -> None:
    from qrlang.trace.reading import open_trace

    before = (clinic / "runs" / "one" / "rights.json").read_bytes()
    assert resume(clinic) == 0
    one, whole = clinic / "runs" / "one", clinic / "runs" / "whole"
    assert (one / "rights.json").read_bytes() == before
    assert not (one / "forgotten.jsonl").exists()
    assert lines(one) == lines(whole)
    assert [r.block for r in open_trace(one)] == [r.block for r in open_trace(whole)]


def test_what_was_closed_since_is_given_up(clinic: Path, capsys: Any) -> None:
    from qrlang.trace.reading import open_trace

    one, whole = clinic / "runs" / "one", clinic / "runs" / "whole"
    name = watched(clinic)[1]
    assert name in seen(clinic, "validation")
    (one / "film.html").write_text("of its own numbers")
    close(clinic, name)
    assert resume(clinic) == 0
    said = capsys.readouterr().err
    assert "left out: 1 of validation; removed: trace: 1 watched sample" in said
    assert not (one / "film.html").exists()
    ours, theirs = open_trace(one), open_trace(whole)
    assert ours.steps == theirs.steps and ours.kept == [0, 2, 3]
    for a, b in zip(ours, theirs, strict=True):  # before it was stopped, and since
        for group in ("readouts", "outputs", "samples", "activations", "entropy", "amplitudes"):
            for key, value in a.group(group).items():
                assert np.isnan(value[1]).all(), (a.step, key)
                assert np.allclose(value[ours.kept], b.group(group)[key][ours.kept], atol=1e-6)
    assert np.isnan(ours.samples.batch.values["xs"][1]).all()
    # What it is trained on, and in which order, has not changed.
    assert all((v == weights(whole)[k]).all() for k, v in weights(one).items())
    page = json.loads((one / "rights.json").read_text())["clinic"]
    assert digest("clinic", name) in page["splits"]["validation"]  # it did see it once
    (line,) = page["closed"]
    assert line["splits"] == {"validation": [digest("clinic", name)]} and line["date"]
    (log,) = [json.loads(x) for x in (one / "forgotten.jsonl").read_text().splitlines()]
    assert log["saw"] == {"validation": 1} and "checkpoints/best.safetensors" in log["still there"]
    # Going on once more is no second change.
    assert resume(clinic) == 0
    assert json.loads((one / "rights.json").read_text())["clinic"] == page
    assert "1 of validation" not in capsys.readouterr().err


def test_splits_stay_as_they_were_drawn(clinic: Path, capsys: Any) -> None:
    from qrlang.training import start
    from qrlang.training.run import Run

    validation, test = seen(clinic, "validation"), seen(clinic, "test")
    close(clinic, validation[0], test[2])
    run = Run.open(clinic / "runs" / "one")
    feed = start.reopen(run, run.settings(), run.program(), run.about(), None)
    now = feed.data.seen()["clinic"]["splits"]
    assert now["train"] == [digest("clinic", n) for n in seen(clinic, "train")]
    assert now["validation"] == [digest("clinic", n) for n in validation[1:]]
    assert now["test"] == [digest("clinic", n) for n in test[:2] + test[3:]]
    assert qrlc(["eval", str(clinic / "runs" / "one"), "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["sequences"] == len(test) - 1


@pytest.mark.parametrize("way", ["opacity", "asked", "forgotten", "date", "row"])
def test_it_does_not_go_on_without_what_it_was_trained_on(
    clinic: Path, capsys: Any, way: str
) -> None:
    name = seen(clinic, "train")[3]
    if way == "opacity":
        close(clinic, name)
    elif way == "asked":
        close(clinic, more=f'[decay.records]\n{name} = "asked"\n')
    elif way == "date":
        close(clinic, more=f"[decay.records]\n{name} = 2020-01-01\n")
    elif way == "forgotten":
        assert qrlc(["forget", str(clinic / "visits.csv"), str(clinic / "elsewhere"), "--record",
                     name]) == 1  # fmt: skip
    else:
        data = clinic / "visits.csv"
        rows = data.read_text().splitlines(keepends=True)
        data.write_text("".join(r for r in rows if f",{name}," not in r))
    capsys.readouterr()
    run = clinic / "runs" / "one"
    before = {p: p.read_bytes() for p in run.rglob("*") if p.is_file() and p.name != ".lock"}
    assert resume(clinic) == 1
    said = capsys.readouterr().err
    assert "1 of the 42 records that this run was trained on may not be read any more" in said
    assert "can't be undone" in said and "qrlc forget" in said and "Train anew" in said
    assert {
        p: p.read_bytes() for p in run.rglob("*") if p.is_file() and p.name != ".lock"
    } == before


def test_ways_round(clinic: Path, capsys: Any) -> None:
    """Each of them would have read what is closed."""
    manifest = clinic / "visits.csv.rights.toml"
    name = seen(clinic, "train")[0]

    def refused(*more: str) -> str:
        capsys.readouterr()
        assert resume(clinic, *more) == 1
        return str(capsys.readouterr().err)

    manifest.rename(clinic / "away.toml")  # the manifest is lost
    assert "under a manifest" in refused() and "put the manifest back" in refused()
    assert qrlc(["eval", str(clinic / "runs" / "one")]) == 1
    (clinic / "away.toml").rename(manifest)
    (clinic / "copy").mkdir()  # the data lies elsewhere, without one
    shutil.copy(clinic / "visits.csv", clinic / "copy")
    (clinic / "visits.csv").rename(clinic / "hidden.csv")
    assert "under a manifest" in refused("--data-dir", str(clinic / "copy"))
    (clinic / "hidden.csv").rename(clinic / "visits.csv")
    close(clinic, name)
    manifest.write_text(manifest.read_text().replace('"clinic"', '"other"'))  # under another name
    assert "under a manifest" in refused()
    # Nobody's records are told apart any more.
    close(clinic)
    manifest.write_text(manifest.read_text().replace('key = "patient"\n', ""))
    assert "42 of the 42 records" in refused()
    manifest.write_text(MANIFEST.replace('["patient"]', '["patient", "xs[1]"]'))
    assert "may not be read" in refused()
    manifest.write_text(MANIFEST + "[decay]\nafter = 2020-01-01\n")
    assert "has faded" in refused()


def test_a_manifest_that_came_later(tmp_path: Path, capsys: Any) -> None:
    project(tmp_path)
    manifest = tmp_path / "visits.csv.rights.toml"
    manifest.unlink()
    text = (tmp_path / "visits.csv").read_text().replace("sequence,patient", "sequence,who")
    rows = [",".join(x for k, x in enumerate(line.split(",")) if k != 1)
            for line in text.splitlines()]  # fmt: skip
    (tmp_path / "visits.csv").write_text("\n".join(rows) + "\n")
    killed(tmp_path / "tiny.qrl", tmp_path / "runs" / "one", 7, *TRAIN)
    run = tmp_path / "runs" / "one"
    assert not (run / "rights.json").exists()
    manifest.write_text('source = "clinic"\nkey = "sequence"\n[opacity]\nrecords = ["7"]\n')
    assert resume(tmp_path) == 1
    assert "had no manifest when this run began" in capsys.readouterr().err
    manifest.write_text('source = "clinic"\nkey = "sequence"\n')  # closes nothing
    assert resume(tmp_path) == 0
    assert len(json.loads((run / "rights.json").read_text())["clinic"]["splits"]["train"]) == 42
