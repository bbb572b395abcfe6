"""What a trace holds, against the interpreter, autograd's own arithmetic, and a killed process."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("safetensors")

from cli_tools import qrlc
from trace_tools import MODEL, traced, train
from training_tools import command, environment, lines, project, same

import qrlang.trace
from qrlang.backends.reference import run
from qrlang.errors import TrainingError
from qrlang.probe.entropy import across, of_density
from qrlang.probe.trace import reduced
from qrlang.trace.errors import TraceError
from qrlang.trace.layout import FULL, laid_out, normalised, packed, unpacked
from qrlang.trace.reading import Trace
from qrlang.trace.recorder import Asked, Recorder
from qrlang.training.run import Run


@pytest.fixture(scope="module")
def made(tmp_path_factory: Any) -> Path:
    return traced(tmp_path_factory.mktemp("traced"))


@pytest.fixture(scope="module")
def trace(made: Path) -> Trace:
    return qrlang.trace.open(made)


def played(made: Path, trace: Trace, k: int, sample: int) -> Any:
    """The sample by the interpreter, at the weights of the k-th record."""
    program = Run.open(made).program()
    weights = {name: v.astype(float) for name, v in trace[k].parameters.items()}
    states: list[Any] = []
    readouts: list[Any] = []

    def look(op: Any, branches: Any, done: bool) -> None:
        if type(op).__name__ == "Expect" and done:
            states.append(np.asarray(branches[0].states[0].flat()))
            readouts.append(branches[0].values[op.out.id])

    xs = trace.samples.batch.values["xs"][sample]
    result = run(program, {"xs": xs}, weights=weights, look=look)
    return result.outputs[""], readouts, states


def test_every_step_is_recorded(made: Path, trace: Trace) -> None:
    last = lines(made)[-1]["step"]
    assert trace.steps == list(range(last + 1))
    assert trace.samples.split == "validation"
    assert trace.samples.rows == (0, 1, 2, 3)
    assert not trace[0].gradients
    assert trace.at(-1).step == last


@pytest.mark.parametrize("k", [0, 3, -1])
def test_readouts_outputs_and_entropies_are_the_interpreters(
    made: Path, trace: Trace, k: int
) -> None:
    record = trace[k % len(trace)]
    for sample in (0, 3):
        output, readouts, states = played(made, trace, k % len(trace), sample)
        assert record.get("outputs", "")[sample, 0] == pytest.approx(output, abs=2e-5)
        assert record.readouts["each_z"][sample] == pytest.approx(np.array(readouts), abs=2e-5)
        n = 3
        cuts = [across(states[-1], n, c) for c in (1, 2)]
        assert record.get("entropy", "quantum_q.cuts")[sample] == pytest.approx(cuts, abs=2e-3)
        half = [across(s, n, n // 2) for s in states]
        assert record.get("entropy", "quantum_q.half")[sample] == pytest.approx(half, abs=2e-3)
        single = [[of_density(reduced(s, n, [q])) for q in range(n)] for s in states]
        found = record.get("entropy", "quantum_q.qubits")[sample]
        assert found == pytest.approx(np.array(single), abs=2e-3)
        amplitudes = record.get("amplitudes", "quantum_q")[sample]
        overlap = abs(np.vdot(amplitudes, states[-1]))
        assert overlap == pytest.approx(1, abs=1e-4)


def test_the_losses_are_those_of_the_outputs(trace: Trace) -> None:
    record = trace.at(-1)
    logits = record.get("outputs", "")[:, 0].astype(float)
    truth = trace.samples.batch.values["label"].astype(int)
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert record.get("samples", "loss") == pytest.approx(-np.log(p[np.arange(4), truth]), abs=1e-5)


def test_gradients_are_what_the_weights_moved_by(trace: Trace) -> None:
    """Plain descent: the difference of two records is the rate times the gradient."""
    for k in (0, 4):
        before, after = trace[k], trace[k + 1]
        for name, slope in after.gradients.items():
            moved = before.parameters[name].astype(float) - after.parameters[name]
            assert moved == pytest.approx(0.1 * slope, abs=2e-7)
    assert trace[1].norm == pytest.approx(
        np.sqrt(sum(float((g.astype(float) ** 2).sum()) for g in trace[1].gradients.values())),
        rel=1e-5,
    )


def test_activations_come_back_from_their_normalisation(trace: Trace) -> None:
    record = trace.at(-1)
    assert set(record.activations) == {"net", "net.2", "head"}
    assert record.ranges["net"].tolist() == [-1, 1]  # what tanh can be
    for name, raw in record.activations.items():
        share = record.normalised[name]
        low, high = map(float, record.ranges[name])
        assert share.min() >= 0 and share.max() <= 1
        assert low + (high - low) * share == pytest.approx(raw, abs=1e-4 * (high - low))


def test_a_run_is_the_same_with_and_without_a_trace(tmp_path: Path, made: Path) -> None:
    path = project(tmp_path, MODEL, records=160)
    done = qrlc("train", path, "--out", tmp_path / "plain", "--threads", 1)
    assert done.code == 0, done.err
    assert same(tmp_path / "plain", made)


def test_spsa_leaves_its_estimate(tmp_path: Path) -> None:
    run_ = traced(tmp_path, "--optimizer", "spsa(lr: 0.1)", "--trace-every", 4)
    trace = qrlang.trace.open(run_)
    assert trace.steps == [0, 4, 8, 10] or all(s % 4 == 0 for s in trace.steps[:-1])
    slopes = np.concatenate([g.reshape(-1) for g in trace[1].gradients.values()])
    assert len(set(np.abs(slopes).round(7))) == 1  # one slope, along random signs
    assert trace[1].norm == pytest.approx(float(np.linalg.norm(slopes)), rel=1e-4)


# --- after a crash ------------------------------------------------------------------------------


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "copy")
    return tmp_path / "copy"


def test_a_block_that_never_came_whole_counts_nothing(copy: Path, trace: Trace) -> None:
    blocks = copy / "trace" / "blocks.bin"
    os.truncate(blocks, blocks.stat().st_size - 10)
    found = qrlang.trace.open(copy)
    assert found.steps == trace.steps[:-1]
    assert found.at(-1).step == trace.steps[-2]


def test_a_line_that_never_came_whole_counts_nothing(copy: Path, trace: Trace) -> None:
    index = copy / "trace" / "index.jsonl"
    os.truncate(index, index.stat().st_size - 5)
    assert qrlang.trace.open(copy).steps == trace.steps[:-1]


def test_a_damaged_record_is_said_and_the_others_are_read(copy: Path) -> None:
    blocks = copy / "trace" / "blocks.bin"
    raw = bytearray(blocks.read_bytes())
    raw[len(raw) // 2] ^= 1
    blocks.write_bytes(raw)
    found = qrlang.trace.open(copy)
    damaged = []
    for k in range(len(found)):
        try:
            found[k]
        except TraceError as error:
            damaged.append(str(error))
    assert len(damaged) == 1 and "is damaged" in damaged[0]


def test_a_killed_run_goes_on_in_the_same_trace(tmp_path: Path, made: Path) -> None:
    import subprocess

    path = project(tmp_path, MODEL, records=160)
    args = ("--out", tmp_path / "run", "--threads", 1, "--trace", "--trace-budget", 0,
            "--checkpoint", "3 steps")  # fmt: skip
    process = subprocess.Popen(command(path, *args), env=environment(),
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    index = tmp_path / "run" / "trace" / "index.jsonl"
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        if index.exists() and index.read_bytes().count(b"\n") > 4:
            break
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    with open(tmp_path / "run" / "trace" / "blocks.bin", "ab") as stream:
        stream.write(b"half of a block")
    done = qrlc("train", "--resume", tmp_path / "run")
    assert done.code == 0, done.err
    for name in ("index.jsonl", "blocks.bin", "samples.bin"):
        assert (tmp_path / "run" / "trace" / name).read_bytes() == \
            (made / "trace" / name).read_bytes()  # fmt: skip


# --- how much is recorded -----------------------------------------------------------------------


def test_a_record_waits_for_its_share_of_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    recorder = Recorder(tmp_path, Asked(budget=5.0))
    recorder._clock, recorder._cost, recorder.spent = 100.0, 0.1, 0.0
    now[0] = 105.6
    assert not recorder._affordable()  # 0.1 s now and 0.1 s at the end are 3.5 % of 5.7 s
    now[0] = 105.8
    assert recorder._affordable()
    recorder.spent = 0.1
    assert not recorder._affordable()
    recorder.asked = Asked(budget=0.0)
    assert recorder._affordable()


def test_what_is_slow_only_once_does_not_keep_records_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first record makes the files; on a busy machine that takes longer than the run."""
    found: list[float] = []
    header, begin = Recorder._write_header, Recorder.begin

    def slow(self: Recorder, trainer: Any) -> None:
        time.sleep(0.5)
        header(self, trainer)

    def watched(self: Recorder, trainer: Any) -> None:
        begin(self, trainer)
        found.append(self._cost)

    monkeypatch.setattr(Recorder, "_write_header", slow)
    monkeypatch.setattr(Recorder, "begin", watched)
    traced(tmp_path, "--trace-budget", 5)
    assert len(found) == 1 and 0 < found[0] < 0.4


def test_the_size_is_kept(tmp_path: Path) -> None:
    one = traced(tmp_path, "--trace-every", 1, "--trace-limit", 0.02)
    trace = qrlang.trace.open(one)
    size = sum(p.stat().st_size for p in (one / "trace").glob("*.bin"))
    assert size < 0.02 * 2**20
    assert trace.header["every"] > 1
    assert all(s % trace.header["every"] == 0 for s in trace.steps[:-1])


def test_a_record_larger_than_the_limit_is_refused(tmp_path: Path) -> None:
    path = project(tmp_path, MODEL, records=160)
    done = train(path, tmp_path / "run", "--trace-limit", 0.001)
    assert done.code == 1
    assert "one record of the trace" in done.err and "--trace-limit" in done.err


# --- wrong input --------------------------------------------------------------------------------


@pytest.mark.parametrize(("samples", "said"), [("many", "how many, or which"), ("0", "from 1 to"),
                                               ("3,99999", "no record 99999")])  # fmt: skip
def test_samples_that_there_are_not(tmp_path: Path, samples: str, said: str) -> None:
    done = train(
        project(tmp_path, MODEL, records=160), tmp_path / "run", "--trace-samples", samples
    )
    assert done.code == 1
    assert said in done.err


def test_what_cannot_be_traced_leaves_no_folder(tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert train(project(tmp_path, MODEL, records=160), out, "--trace-samples", "x").code == 1
    assert not out.exists()


def test_a_trace_that_nobody_asked_for(tmp_path: Path) -> None:
    done = qrlc("train", project(tmp_path, MODEL, records=160), "--trace-samples", 2)
    assert done.code == 2 and "say --trace too" in done.err


def test_samples_by_their_numbers(tmp_path: Path) -> None:
    one = traced(tmp_path, "--trace-samples", "2,5", "--trace-every", 100)
    trace = qrlang.trace.open(one)
    assert trace.samples.rows == (2, 5) and trace.samples.count == 2


def test_a_resumed_run_takes_no_other_trace(made: Path) -> None:
    done = qrlc("train", "--resume", made, "--trace")
    assert done.code == 2
    assert "--trace" in done.err


def test_traces_that_there_are_not(tmp_path: Path, copy: Path) -> None:
    with pytest.raises(TrainingError, match="is not there"):
        qrlang.trace.open(tmp_path / "nothing")
    header = copy / "trace" / "header.json"
    page = json.loads(header.read_text())
    header.write_text(json.dumps({**page, "version": 99}))
    with pytest.raises(TraceError, match="version 99"):
        qrlang.trace.open(copy)
    header.write_text(json.dumps({**page, "fields": [{"group": "x"}]}))
    with pytest.raises(TraceError, match="damaged"):
        qrlang.trace.open(copy)
    header.write_text("{")
    with pytest.raises(TrainingError, match="damaged"):
        qrlang.trace.open(copy)
    shutil.rmtree(copy / "trace")
    with pytest.raises(TraceError, match="has no trace"):
        qrlang.trace.open(copy)


def test_steps_and_names_that_there_are_not(trace: Trace) -> None:
    with pytest.raises(TraceError, match="no step 999"):
        trace.at(999)
    with pytest.raises(TraceError, match="no readouts/nothing"):
        trace[0].get("readouts", "nothing")


# --- the layout by itself -----------------------------------------------------------------------


def test_what_is_packed_comes_back() -> None:
    lot = np.random.default_rng(0)
    arrays = {"a/x": lot.normal(size=(2, 3)), "b/y": np.arange(4, dtype=np.uint16),
              "c/": lot.normal(size=2) + 1j, "d/none": np.zeros((0, 2))}  # fmt: skip
    fields = laid_out(arrays)
    block = packed(fields, arrays)
    for field in fields:
        assert unpacked(field, block) == pytest.approx(arrays[field.key], rel=1e-6)
    with pytest.raises(ValueError, match="a/x"):
        packed(fields, {**arrays, "a/x": np.zeros(3)})


def test_numbers_that_are_none_have_a_normalisation() -> None:
    shares, bounds = normalised(np.array([1.0, np.nan, 3.0]), "relu")
    assert shares.tolist() == [0, 0, FULL] and bounds.tolist() == [1, 3]
    shares, bounds = normalised(np.array([2.0, 2.0]), "relu")
    assert shares.tolist() == [0, 0] and bounds.tolist() == [2, 2]
