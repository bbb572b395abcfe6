"""What may not be read any more is taken out of runs, and nothing else is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("safetensors")

from museum_tools import folder
from rights_tools import MANIFEST, project, watched

from qrlang.cli.main import run as qrlc
from qrlang.rights.gate import digest


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    at = tmp_path_factory.mktemp("clinic")
    args = ["train", str(project(at)), "--threads", "1", "--epochs", "1", "--trace"]
    assert qrlc([*args, "--trace-samples", "4", "--out", str(at / "runs" / "one")]) == 0
    return at


@pytest.fixture
def clinic(trained: Path, tmp_path: Path) -> Path:
    import shutil

    shutil.copytree(trained, tmp_path / "clinic")
    return tmp_path / "clinic"


def test_a_run_keeps_no_names(clinic: Path) -> None:
    text = (clinic / "runs" / "one" / "rights.json").read_text()
    assert "P1" not in text and len(json.loads(text)["clinic"]["splits"]["train"]) > 40


def test_a_request(clinic: Path, capsys: Any) -> None:
    from qrlang.trace.reading import open_trace

    run, name = clinic / "runs" / "one", watched(clinic)[1]
    (run / "scar.svg").write_text("<svg/>")
    pictures = ("step-5.svg", "step-5.png", "film.html", "report.html", "probe/memory.svg")
    (run / "probe").mkdir()
    for picture in pictures:
        (run / picture).write_text("of the record's own numbers")
    before = [r.group("readouts") for r in open_trace(run)]
    data = str(clinic / "visits.csv")
    runs = str(clinic / "runs")
    assert qrlc(["forget", data, runs, "--record", name, "--dry-run"]) == 0
    assert "would remove" in capsys.readouterr().out and (run / "scar.svg").exists()
    assert not (clinic / "visits.csv.forgotten").exists()
    assert qrlc(["forget", data, runs, "--record", name]) == 0
    said = capsys.readouterr().out
    assert "trace: 1 watched sample" in said and "scar.svg" in said
    assert "checkpoints/best.safetensors" in said and "1 run saw" in said
    assert not (run / "scar.svg").exists()
    assert not any((run / picture).exists() for picture in (*pictures, "probe"))
    after = [r.group("readouts") for r in open_trace(run)]
    assert len(after) == len(before) > 0
    for old, new in zip(before, after, strict=True):
        for key in old:
            assert np.isnan(new[key][1]).all()
            assert np.array_equal(np.delete(old[key], 1, 0), np.delete(new[key], 1, 0))
    given = open_trace(run).samples.batch.values["xs"]
    assert np.isnan(given[1]).all() and np.isfinite(np.delete(given, 1, 0)).all()
    (line,) = [json.loads(x) for x in (run / "forgotten.jsonl").read_text().splitlines()]
    assert line["saw"] == {"validation": 1} and name not in json.dumps(line)
    # Nobody reads it again, and asking twice is no harm.
    assert (clinic / "visits.csv.forgotten").read_text() == f"{name}\n"
    args = ["train", str(clinic / "tiny.qrl"), "--threads", "1", "--epochs", "1"]
    assert qrlc([*args, "--out", str(clinic / "runs" / "two")]) == 0
    text = (clinic / "runs" / "two" / "rights.json").read_text()
    assert digest("clinic", name) not in text
    assert qrlc(["forget", data, runs, "--record", name]) == 0
    assert [r.group("readouts").keys() for r in open_trace(run)] == [x.keys() for x in after]


def test_a_date(clinic: Path, capsys: Any) -> None:
    one, other = watched(clinic)[:2]
    text = MANIFEST + f"[decay.records]\n{one} = 2020-01-01\n{other} = 2999-01-01\n"
    (clinic / "visits.csv.rights.toml").write_text(text)
    assert (
        qrlc(["forget", str(clinic / "visits.csv"), str(clinic / "runs"), "--format", "json"]) == 0
    )
    (found,) = json.loads(capsys.readouterr().out)["runs"]
    assert found["saw"] == {"validation": 1}


def test_a_record_that_became_opaque_later(clinic: Path, capsys: Any) -> None:
    from qrlang.trace.reading import open_trace

    run, name = clinic / "runs" / "one", watched(clinic)[2]
    text = MANIFEST + f'records = ["{name}"]\n'
    (clinic / "visits.csv.rights.toml").write_text(text)
    assert qrlc(["forget", str(clinic / "visits.csv"), str(clinic / "runs")]) == 0
    said = capsys.readouterr().out
    assert "saw 1 of validation" in said and "trace: 1 watched sample" in said
    assert "checkpoints/best.safetensors" in said
    assert open_trace(run).kept == [0, 1, 3]
    log = (run / "forgotten.jsonl").read_bytes()
    assert qrlc(["forget", str(clinic / "visits.csv"), str(clinic / "runs")]) == 0
    assert "nothing: there was nothing" in capsys.readouterr().out
    assert (run / "forgotten.jsonl").read_bytes() == log  # nothing new was done


@pytest.mark.parametrize(
    ("column", "read"), [("xs[1]", True), ("3", True), ("label", True), ("patient", False)]
)
def test_a_column_that_became_opaque_later(
    clinic: Path, capsys: Any, column: str, read: bool
) -> None:
    text = MANIFEST.replace('["patient"]', f'["patient", "{column}"]')
    (clinic / "visits.csv.rights.toml").write_text(text)
    assert qrlc(["forget", str(clinic / "visits.csv"), str(clinic / "runs")]) == 0
    said = capsys.readouterr().out
    assert ("trace: 4 watched samples" in said) == read
    assert ("saw 42 of train" in said) == read and f"{int(read)} run" in said


def test_data_whose_records_have_no_names(tmp_path: Path, capsys: Any) -> None:
    from trace_tools import traced

    from qrlang.trace.reading import open_trace

    run = traced(tmp_path, "--epochs", 1)
    # As of a run on a data set that is fetched by its name: what it saw is known as a whole.
    (run / "rights.json").write_text('{"mnist": {"file": "mnist.npz", "splits": {}}}')
    manifest = tmp_path / "mnist.npz.rights.toml"
    manifest.write_text("[decay]\nafter = 2999-01-01\n")
    assert qrlc(["forget", str(tmp_path / "mnist.npz"), str(tmp_path)]) == 0
    assert "0 runs saw" in capsys.readouterr().out
    manifest.write_text("[decay]\nafter = 2020-01-01\n")
    assert qrlc(["forget", str(tmp_path / "mnist.npz"), str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "saw all of it" in said and "trace: 4 watched samples" in said
    assert open_trace(run).kept == []


def test_all_of_it(clinic: Path, capsys: Any) -> None:
    (clinic / "visits.csv.rights.toml").write_text(MANIFEST + "[decay]\nafter = 2020-01-01\n")
    assert qrlc(["forget", str(clinic / "visits.csv"), str(clinic / "runs")]) == 0
    assert "trace: 4 watched samples" in capsys.readouterr().out
    assert qrlc(["train", str(clinic / "tiny.qrl"), "--out", str(clinic / "runs" / "late")]) == 1
    assert "has faded" in capsys.readouterr().err


def test_museums_forget_too(clinic: Path, capsys: Any) -> None:
    run, name = clinic / "runs" / "one", watched(clinic)[0]
    (run / "scar.svg").write_text("<svg/>")
    free = folder(clinic / "runs", "free")
    site = clinic / "site"
    assert qrlc(["museum", str(run), str(free), "-o", str(site)]) == 0
    assert qrlc(["forget", str(clinic / "visits.csv"), str(clinic), "--record", name]) == 0
    assert not (site / "runs" / "one" / "scar.svg").exists()
    assert (site / "runs" / "free" / "scar.svg").exists()
    page = (site / "data.js").read_text()
    assert "runs/one/scar.svg" not in page and "runs/free/scar.svg" in page


def test_runs_that_did_not_see_it_stay_as_they_are(clinic: Path, capsys: Any) -> None:
    run = clinic / "runs" / "one"
    before = {p: p.read_bytes() for p in run.rglob("*") if p.is_file()}
    assert qrlc(["forget", str(clinic / "visits.csv"), str(clinic), "--record", "P999"]) == 0
    said = capsys.readouterr().out
    assert "0 runs saw" in said
    assert "no run here has seen a record `P999`" in said  # perhaps it is called otherwise
    name = watched(clinic)[0]
    line = ["forget", str(clinic / "visits.csv"), str(clinic), "--dry-run", "--format", "json"]
    assert qrlc([*line, "--record", name, "--record", "P998"]) == 0
    assert json.loads(capsys.readouterr().out)["unknown"] == ["P998"]
    assert {p: p.read_bytes() for p in run.rglob("*") if p.is_file()} == before


def test_wrong_use(clinic: Path, capsys: Any) -> None:
    assert qrlc(["forget", str(clinic / "other.csv"), str(clinic)]) == 1
    assert "has no manifest" in capsys.readouterr().err
    assert qrlc(["forget", str(clinic / "visits.csv"), str(clinic / "nowhere")]) == 1
    assert "there is no folder" in capsys.readouterr().err


def test_a_scale_is_told_of(clinic: Path, capsys: Any) -> None:
    """Records of training are in the mean that a run keeps, as they are in its vocabulary."""
    page = clinic / "runs" / "one" / "data.json"
    scale = {"xs": {"shift": [0.0, 0.0], "divisor": [1.0, 1.0]}}
    page.write_text(json.dumps(json.loads(page.read_text()) | {"scale": scale}))
    line = ["forget", str(clinic / "visits.csv"), str(clinic / "runs"), "--dry-run"]
    assert qrlc([*line, "--record", watched(clinic)[1], "--format", "json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["runs"]
    assert "data.json: its scale" in found["still there"]
