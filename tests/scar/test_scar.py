"""The strip of a run: the same from the same folder, and nothing in it that the folder lacks."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
import xml.dom.minidom
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("safetensors")

import itertools

from cli_tools import qrlc
from trace_tools import MODEL, traced
from training_tools import project

import qrlang.scar
from qrlang.scar import raster
from qrlang.scar.facts import Facts
from qrlang.scar.strip import folded, thinned


@pytest.fixture(scope="module")
def made(tmp_path_factory: Any) -> Path:
    return traced(tmp_path_factory.mktemp("scarred"))


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "elsewhere" / "copy")
    return tmp_path / "elsewhere" / "copy"


def words(path: Path) -> str:
    return (path / "scar.txt").read_text()


def test_training_leaves_a_strip_and_the_same_run_gives_the_same(made: Path, copy: Path) -> None:
    before = [(made / name).read_bytes() for name in ("scar.svg", "scar.txt")]
    for name in ("scar.svg", "scar.txt"):
        (copy / name).unlink()
    done = qrlc("scar", copy)
    assert done.code == 0, done.err
    assert [(copy / name).read_bytes() for name in ("scar.svg", "scar.txt")] == before
    assert words(made) in done.out


def test_a_run_repeated_leaves_the_same_strip(made: Path, tmp_path: Path) -> None:
    again = traced(tmp_path)
    assert (again / "scar.svg").read_bytes() == (made / "scar.svg").read_bytes()


def test_the_account_is_what_is_recorded(made: Path) -> None:
    said = words(made)
    result = json.loads((made / "result.json").read_text())
    assert f"{result['parameters']} trained numbers" in said
    assert f"accuracy {100 * result['figures']['accuracy']['value']:.2f} %" in said
    table = np.array(result["confusion"])
    np.fill_diagonal(table, 0)
    most = int(table.max())
    true, answer = np.unravel_index(table.argmax(), table.shape)
    assert f"It took {true} for {answer} ({most} time" in said
    facts = Facts(made)
    assert facts.unsure is not None and facts.trace is not None
    record = facts.trace.samples.rows[int(facts.unsure[1][-1].argmax())]
    assert f"record {record} was the least certain at the end" in said
    assert xml.dom.minidom.parse(str(made / "scar.svg")).getElementsByTagName("desc")


def test_uncertainty_is_the_entropy_of_the_answer(made: Path) -> None:
    facts = Facts(made)
    assert facts.unsure is not None
    logits = facts.records[-1].get("outputs", "")[:, 0].astype(float)
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert facts.unsure[1][-1] == pytest.approx(-(p * np.log2(p)).sum(1))


def test_a_phase_of_the_whole_state_leaves_no_mark(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Facts(made).amplitudes
    from qrlang.trace.reading import Record

    get = Record.get
    lot = np.random.default_rng(1)

    def turned(self: Record, group: str, name: str) -> Any:
        found = get(self, group, name)
        return found * np.exp(2j * np.pi * lot.random()) if group == "amplitudes" else found

    monkeypatch.setattr(Record, "get", turned)
    again = Facts(made).amplitudes
    assert plain is not None and again is not None
    assert again == pytest.approx(plain, abs=1e-6)
    steps = itertools.pairwise(plain)
    assert all(abs(np.angle(np.vdot(a, b))) < 1e-6 for a, b in steps)


def test_the_fields_of_colour_are_the_numbers(made: Path) -> None:
    from PIL import Image

    svg = (made / "scar.svg").read_text()
    pictures = [Image.open(io.BytesIO(base64.b64decode(x)))
                for x in re.findall(r"base64,([^\"]+)", svg)]  # fmt: skip
    assert len(pictures) == 2
    amplitudes = Facts(made).amplitudes
    assert amplitudes is not None
    last = np.array(pictures[0].convert("RGB"))[:: 64 // amplitudes.shape[1], -1]
    palette = raster.fringes()
    expected = [palette[k] for k in raster.fringe(amplitudes)[-1]]
    assert last.tolist() == [list(c) for c in expected]


def test_readouts_have_the_deviation_of_samples_and_shots(made: Path) -> None:
    z = Facts(made).readouts
    assert z is not None and z.shot is not None and not z.shots
    assert z.band == pytest.approx(z.every.std(1))
    assert z.shot == pytest.approx(np.sqrt(1 - z.every**2))
    with_shots = type(z)(z.name, z.every, z.shot, 100)
    assert (with_shots.band > z.band).all()
    assert with_shots.band**2 - z.band**2 == pytest.approx((1 - z.every**2).mean(1) / 100)


def test_without_a_trace_rows_are_said_to_be_missing(tmp_path: Path) -> None:
    path = project(tmp_path, MODEL, records=160)
    assert qrlc("train", path, "--out", tmp_path / "run", "--threads", 1).code == 0
    svg = (tmp_path / "run" / "scar.svg").read_text()
    assert svg.count("missing: the run was trained without a trace") == 3
    assert "not recorded: the run has no trace" in words(tmp_path / "run")


def test_a_classical_core_has_no_readouts(tmp_path: Path) -> None:
    path = project(tmp_path, records=160)
    done = qrlc("train", path, "--out", tmp_path / "run", "--threads", 1, "--core", "lstm",
                "--epochs", 1, "--trace", "--trace-budget", 0)  # fmt: skip
    assert done.code == 0, done.err
    svg = (tmp_path / "run" / "scar.svg").read_text()
    assert "missing: the model has no qubits" in svg
    assert "an lstm core" in words(tmp_path / "run")


def test_a_run_that_is_not_finished_says_so(copy: Path) -> None:
    (copy / "result.json").unlink()
    lines = (copy / "metrics.jsonl").read_text().splitlines(keepends=True)
    (copy / "metrics.jsonl").write_text("".join(lines[:1]))
    with open(copy / "trace" / "blocks.bin", "ab") as stream:
        stream.write(b"half")
    assert qrlc("scar", copy).code == 0
    assert "It is not finished" in words(copy)
    (copy / "metrics.jsonl").write_text("")
    shutil.rmtree(copy / "trace")
    assert qrlc("scar", copy).code == 0
    assert "it was never measured" in words(copy)


def test_what_is_no_run(tmp_path: Path) -> None:
    done = qrlc("scar", tmp_path)
    assert done.code == 1 and "is not a run folder" in done.err
    assert qrlc("scar", tmp_path / "nothing").code == 1


def test_numbers_of_colours() -> None:
    lot = np.random.default_rng(0)
    cells = lot.integers(0, 240, (5, 7))
    from PIL import Image

    picture = Image.open(io.BytesIO(raster.png(cells, raster.fringes())))
    palette = raster.fringes()
    assert np.array(picture.convert("RGB")).tolist() == [
        [list(palette[k]) for k in row] for row in cells
    ]
    big = np.zeros((300, 300), int)  # more than one block of the format
    assert Image.open(io.BytesIO(raster.png(big, raster.heats()))).size == (300, 300)


def test_a_large_state_is_folded_without_losing_probability() -> None:
    lot = np.random.default_rng(0)
    states = lot.normal(size=(3, 256)) + 1j * lot.normal(size=(3, 256))
    small = folded(states, 64)
    assert (np.abs(small) ** 2).sum(1) == pytest.approx((np.abs(states) ** 2).sum(1))
    table, widths = thinned([("a", 300), ("b", 3)], lot.random((2, 303)))
    assert table.shape[1] == sum(widths) and widths[1] >= 1


def test_strips_of_several_runs_as_data(made: Path) -> None:
    found = qrlc("scar", made, "--format", "json").data()
    assert found[0]["run"] == str(made) and found[0]["account"] == words(made)
    assert qrlang.scar.write(made)[0] == made / "scar.svg"


def test_samples_that_were_erased_are_in_nothing(copy: Path) -> None:
    from qrlang.trace.erase import erase

    assert erase(copy, {"validation": {0}}) == 1
    assert qrlc("scar", copy).code == 0
    assert "Of the 3 watched samples" in words(copy) and "record 0 " not in words(copy)
    assert "nan" not in (copy / "scar.svg").read_text().lower()
    done = qrlc("draw", copy, "--step", 3, "--svg", "-")
    assert done.code == 0 and "validation record 1" in done.out
    assert "sample 0 was erased" in qrlc("draw", copy, "--sample", 0).err
    assert erase(copy, {"validation": {1, 2, 3}}) == 3
    assert qrlc("scar", copy).code == 0
    assert "were to be forgotten" in words(copy)
    assert "were erased" in qrlc("draw", copy).err
