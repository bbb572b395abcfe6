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
from trace_tools import MODEL, killed, traced
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


def test_the_account_calls_classes_by_their_names(copy: Path) -> None:
    result = json.loads((copy / "result.json").read_text())
    result |= {"confusion": [[5, 3], [0, 4]], "labels": ["calm", "wild"]}
    (copy / "result.json").write_text(json.dumps(result))
    assert qrlc("scar", copy).code == 0
    assert "It took calm for wild (3 times)." in words(copy)


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
    assert facts.unsure is not None and facts.looks is not None
    record = facts.looks.samples.rows[int(facts.unsure[1][-1].argmax())]
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


@pytest.fixture(scope="module")
def untraced(tmp_path_factory: Any) -> Path:
    """The same run as `made`, without a trace."""
    at = tmp_path_factory.mktemp("plain")
    path = project(at, MODEL, records=160)
    assert qrlc("train", path, "--out", at / "run", "--threads", 1).code == 0
    return at


@pytest.fixture
def plain(untraced: Path, tmp_path: Path) -> Path:
    shutil.copytree(untraced, tmp_path / "plain")
    page = tmp_path / "plain" / "run" / "settings.json"
    page.write_text(page.read_text().replace(str(untraced), str(tmp_path / "plain")))
    return tmp_path / "plain" / "run"


def test_readouts_that_never_move_are_said_and_drawn_at_rest(made: Path, tmp_path: Path) -> None:
    still = traced(tmp_path, "--epochs", "1", model=MODEL.replace("ry(theta[i])", "rz(theta[i])"))
    said = "No number of each_z differed, neither between samples nor between steps."
    assert said in words(still) and said not in words(made)
    assert "-0.00" not in words(still) + (still / "scar.svg").read_text()
    assert "lanes from -5e-05 to 5e-05" in (still / "scar.svg").read_text()


def test_without_a_trace_the_weights_that_were_kept_are_looked_at(made: Path, plain: Path) -> None:
    svg = (plain / "scar.svg").read_text()
    said = words(plain)
    assert "missing" not in svg and svg.count("base64") == 2
    ours, theirs = Facts(plain), Facts(made)
    steps = [r.step for r in ours.records]
    assert steps[0] == 0 and steps[-1] == 8 and len(steps) <= 3
    where = f"the weights that were kept, at steps {', '.join(map(str, steps))}"
    assert where in said and where in svg
    # What a trace of the very same run has seen at those steps.
    by_step = {r.step: r for r in theirs.records}
    for record in ours.records:
        for group in ("readouts", "activations", "outputs", "amplitudes", "entropy", "samples"):
            found, known = record.group(group), by_step[record.step].group(group)
            assert found.keys() == known.keys()
            for name, value in found.items():
                assert value == pytest.approx(known[name], abs=1e-5), (record.step, group, name)
    before = svg, said
    assert qrlc("scar", plain).code == 0
    assert ((plain / "scar.svg").read_text(), words(plain)) == before


def test_a_run_is_repeated_with_the_trace_that_it_lacks(made: Path, plain: Path) -> None:
    from qrlang.trace.reading import open_trace

    before = {p.name: p.read_bytes() for p in plain.iterdir() if p.is_file()}
    done = qrlc("scar", plain, "--replay")
    assert done.code == 0, done.err
    assert "the run repeated from its beginning" in words(plain)
    assert [r.block for r in open_trace(plain)] == [r.block for r in open_trace(made)]
    after = {p.name: p.read_bytes() for p in plain.iterdir() if p.is_file()}
    changed = {n for n in after if after[n] != before[n]}
    assert changed == {"scar.svg", "scar.txt"} and not (plain / ".again").exists()
    strip = (plain / "scar.svg").read_bytes()
    assert qrlc("scar", plain).code == 0 and (plain / "scar.svg").read_bytes() == strip
    assert "has a trace already" in qrlc("scar", plain, "--replay").err
    # A run that goes on goes on as it would have.
    assert not (plain / "trace" / "asked.json").exists()


def test_what_ends_elsewhere_is_no_repetition(plain: Path) -> None:
    with np.load(plain.parent / "tiny.npz") as data:
        arrays = {**data, "xs": data["xs"] * 1.01}
    np.savez(plain.parent / "tiny.npz", **arrays)
    done = qrlc("scar", plain, "--replay")
    assert done.code == 1 and "ended at other weights" in done.err
    assert "its data has changed" in done.err
    assert not (plain / "trace").exists() and not (plain / ".again").exists()


def test_a_killed_run_is_repeated_to_where_it_was(untraced: Path, tmp_path: Path) -> None:
    at = killed(untraced / "tiny.qrl", tmp_path / "killed")
    assert qrlc("scar", at).code == 0
    assert "it was never measured" in words(at) and "at steps 0, 3" in words(at)
    done = qrlc("scar", at, "--replay")
    assert done.code == 0, done.err
    assert [r.step for r in Facts(at).records] == [0, 1, 2, 3]
    assert qrlc("train", "--resume", at, "--threads", 1).code == 0
    whole = (untraced / "run" / "metrics.jsonl").read_bytes()
    assert (at / "metrics.jsonl").read_bytes() == whole


def test_without_its_data_rows_are_said_to_be_missing(plain: Path) -> None:
    (plain.parent / "tiny.npz").unlink()
    assert qrlc("scar", plain).code == 0
    svg = (plain / "scar.svg").read_text()
    assert svg.count("missing: the run has no trace, and its data cannot be opened") == 3
    assert "there is no file 'tiny.npz'" in words(plain)
    shutil.rmtree(plain / "checkpoints")
    assert qrlc("scar", plain).code == 0
    assert (plain / "scar.svg").read_text().count(
        "missing: the run has no trace, and no weights"
    ) == 3


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
    (tmp_path / "file.qrl").write_text("")
    assert "is not a run folder" in qrlc("scar", tmp_path / "file.qrl").err


def test_one_that_is_none_keeps_no_other_from_its_strip(copy: Path, tmp_path: Path) -> None:
    (copy / "scar.svg").unlink()
    done = qrlc("scar", tmp_path / "nothing", copy)
    assert done.code == 1 and "is not there" in done.err
    assert (copy / "scar.svg").exists() and str(copy) in done.out


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
