"""Whole models on Braket: the loop on its simulators, and the module that is written."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import strategies
from cli_tools import qrlc
from hypothesis import HealthCheck, given, settings

from qrlang.backends.braket import target
from qrlang.backends.braket.aws import program_sets
from qrlang.backends.braket.emit.module import emit_module, inputs_of
from qrlang.backends.braket.gates import COMMON
from qrlang.backends.braket.local import LocalDevice
from qrlang.backends.braket.tensors import packed, unpacked
from qrlang.backends.reference import initial_weights, run
from qrlang.driver import Compilation
from qrlang.features import FEATURES
from qrlang.hardware import loop
from qrlang.hardware.device import Template, Work
from qrlang.ir.program import Expect, Loop, Op, Probabilities, Program
from qrlang.ir.walk import map_bodies

FOLDER = Path(__file__).parent.parent.parent / "examples"
SMALL: dict[str, dict[str, int | float]] = {
    "bausch/bausch": {"m": 2, "stages": 1},
    "copying/copying": {"n": 3},
    "deep/bidirectional": {"n": 3},
    "deep/stacked": {"n": 3},
    "language_model/character": {"n": 3},
    "language_model/word": {"n": 3, "vocab": 20, "d": 4},
    "qrnn/permuted": {"n": 3},
    "qrnn/pixels": {"n": 3},
    "qrnn/rows": {"n": 3},
    "sentiment/sentiment": {"n": 3, "vocab": 20, "d": 4},
    "translation/translation": {"n": 3, "src": 9, "tgt": 7, "d": 4},
    "attention/score": {"n": 2, "vocab": 9},
}
SHORT = (  # one moment of these is work enough
    "ancilla/weak", "bausch/bausch", "qrnn/permuted", "qrnn/pixels", "translation/translation"
)  # fmt: skip
RUN_ONLY = ("kept-bits", "bits-in-expressions")


def program_of(name: str) -> Program:
    path = FOLDER / f"{name}.qrl"
    made = Compilation.of_bytes(str(path), path.read_bytes(), SMALL.get(name))
    (model,) = made.models()
    return model.program


def used(program: Program) -> set[str]:
    return {name for name, f in FEATURES.items() if any(True for _ in f.find(program))}


def without_shots(ops: tuple[Op, ...]) -> tuple[Op, ...]:
    """The exact readouts are what is compared."""
    kept = (replace(o, shots=0) if isinstance(o, (Expect, Probabilities)) else o for o in ops)
    return tuple(map_bodies(o, without_shots) for o in kept)


def runs(program: Program) -> bool:
    has = target.features({})
    return all(has[name].yes for name in used(program) - {"extern"}) and not program.externs


NAMES = [str(p.relative_to(FOLDER))[:-4] for p in sorted(FOLDER.glob("*/*.qrl"))]
SUPPORTED = [name for name in NAMES if runs(program_of(name))]


def arguments(program: Program, seed: int, length: int = 2) -> dict[str, Any]:
    return strategies.arguments(replace(program, inputs=tuple(inputs_of(program))), seed, length)


def item(program: Program, values: dict[str, Any]) -> loop.Item:
    targets = {v.name for v in program.targets}
    return loop.Item(
        {k: x for k, x in values.items() if k not in targets},
        {k: x for k, x in values.items() if k in targets},
    )


def expected(program: Program, values: dict[str, Any], weights: Any) -> dict[str, Any]:
    one = item(program, values)
    return run(program, one.inputs, one.targets, weights=weights).outputs


def simulator(program: Program) -> str:
    return "braket_dm" if "noise" in used(program) else "braket_sv"


def module(program: Program, shots: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = {"__name__": "written"}
    exec(compile(emit_module(program), "model.py", "exec"), found)
    found["device"] = found["Device"](simulator(program), shots)
    return found


def same(got: Any, want: dict[str, Any]) -> None:
    assert set(got) == set(want)
    for name, value in want.items():
        assert np.shape(got[name]) == np.shape(value)
        np.testing.assert_allclose(got[name], value, atol=1e-9)


def test_nearly_all_examples_are_supported() -> None:
    assert len(SUPPORTED) > 0.75 * len(NAMES)


@pytest.mark.parametrize("name", SUPPORTED)
def test_an_example_in_the_loop_and_as_a_module(name: str) -> None:
    program = program_of(name)
    program = replace(program, body=without_shots(program.body))
    weights = initial_weights(program)
    length = 1 if name in SHORT else 2
    batch = [arguments(program, seed, length) for seed in range(2)]
    want = [expected(program, values, weights) for values in batch]
    plan = loop.Plan(0)
    items = [item(program, values) for values in batch]
    for got, right in zip(
        loop.run(program, weights, items, LocalDevice(simulator(program)), plan).outputs,
        want,
        strict=True,
    ):
        same(got, right)
    if used(program) & set(RUN_ONLY):
        return
    ports = [v.name for v in inputs_of(program)]
    stacked = [np.stack([values[p] for values in batch]) for p in ports]
    outputs = module(program)["forward"](weights, *stacked)
    for k, right in enumerate(want):
        # what does not depend on the sequence is there once
        same({n: np.broadcast_to(x, (2, *x.shape[1:]))[k] for n, x in outputs.items()}, right)


class Recorder(LocalDevice):
    """Keeps what it was given and what it answered."""

    def __init__(self) -> None:
        super().__init__("braket_sv")
        self.seen: list[tuple[Work, Any]] = []

    def submit(self, works: Any, seed: int) -> Any:
        ticket = super().submit(works, seed)
        self.seen += list(zip(works, ticket.result(), strict=True))
        return ticket


def test_shots_of_all_examples_together() -> None:
    from scipy.stats import chi2

    statistic, freedom = 0.0, 0
    for name in SUPPORTED:
        program = program_of(name)
        if used(program) & {"measure", "postselect", "weak-readouts", "reset", "shots", "noise"}:
            continue
        device = Recorder()
        items = [item(program, arguments(program, 3))]
        result = loop.run(program, initial_weights(program), items, device, loop.Plan(10_000, 11))
        assert sum(w.circuits for w, _ in device.seen) == result.counts.circuits
        for work, bits in device.seen:
            k = work.template.qubits
            for row, likely in zip(
                bits, device.probabilities(work.template, work.angles), strict=True
            ):
                counts = np.bincount(row @ (1 << np.arange(k - 1, -1, -1)), minlength=1 << k)
                wanted = likely * work.shots
                often = wanted >= 5
                if not often.any():
                    continue
                statistic += float(np.sum((counts[often] - wanted[often]) ** 2 / wanted[often]))
                freedom += int(often.sum()) - bool(often.all())
    assert freedom > 200
    assert chi2.sf(statistic, freedom) > 0.01


# `braket_dm` says so of what is read before the first noise.
pytestmark = pytest.mark.filterwarnings("ignore:You are running a noise-free circuit:UserWarning")

LOOSE = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]


@settings(max_examples=60, deadline=None, suppress_health_check=LOOSE)
@given(program=strategies.programs(qubits=2))
def test_generated_programs(program: Program) -> None:
    in_the_loop(program)


@settings(max_examples=60, deadline=None, suppress_health_check=LOOSE)
@given(program=strategies.mixed_programs(qubits=2))
def test_generated_programs_that_measure(program: Program) -> None:
    in_the_loop(program, length=1)


def in_the_loop(program: Program, length: int = 2) -> None:
    if not runs(program):
        return
    values, weights = arguments(program, 1, length), initial_weights(program)
    plan = loop.Plan(0)
    device = LocalDevice(simulator(program))
    got = loop.run(program, weights, [item(program, values)], device, plan)
    same(got.outputs[0], expected(program, values, weights))


@settings(max_examples=15, deadline=None, suppress_health_check=LOOSE)
@given(program=strategies.programs(qubits=2))
def test_modules_of_generated_programs(program: Program) -> None:
    as_a_module(program)


@settings(max_examples=15, deadline=None, suppress_health_check=LOOSE)
@given(program=strategies.mixed_programs(qubits=2))
def test_modules_of_generated_programs_that_measure(program: Program) -> None:
    as_a_module(program)


def as_a_module(program: Program) -> None:
    if not runs(program) or used(program) & set(RUN_ONLY):
        return
    values, weights = arguments(program, 1, 1), initial_weights(program)
    ports = [np.asarray(values[v.name])[None] for v in inputs_of(program)]
    got = module(program)["forward"](weights, *ports)
    same({name: x[0] for name, x in got.items()}, expected(program, values, weights))


def test_a_module_with_the_gates_that_every_device_has() -> None:
    program = program_of("exchange_memory/emcz")
    assert "circuit.cz(" in emit_module(program)
    written = emit_module(program, COMMON)
    body = written[: written.index("class Device")]
    assert set(re.findall(r"circuit\.(\w+)\(", body)) <= COMMON | {"begin", "add", "reset"}
    found: dict[str, Any] = {"__name__": "written"}
    exec(compile(written, "model.py", "exec"), found)
    found["device"] = found["Device"]()
    values, weights = arguments(program, 1), initial_weights(program)
    got = found["forward"](weights, *(np.asarray(values[v.name])[None] for v in inputs_of(program)))
    same({name: x[0] for name, x in got.items()}, expected(program, values, weights))


# --- the folder ---------------------------------------------------------------------------------


def test_the_folder_runs_by_itself(tmp_path: Path) -> None:
    done = qrlc(
        "compile", FOLDER / "staggered/staggered.qrl", "--target", "braket", "--ir", "yes",
        "-o", tmp_path,
    )  # fmt: skip
    assert done.code == 0, done.err
    assert {p.name for p in tmp_path.iterdir()} >= {"model.py", "weights.safetensors"}
    (step,) = tmp_path.glob("*.step.qasm")
    assert step.read_text().count("OPENQASM 3.0;") == 1
    from braket.ir.openqasm import Program as IR

    assert IR.parse_file(str(step.with_suffix(".json"))).source == step.read_text()
    command = [sys.executable, "-I", "model.py", "--shots", "200", "--length", "2"]
    made = [
        subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        for _ in range(2)
    ]
    assert made[0].returncode == 0, made[0].stderr
    assert made[0].stdout == made[1].stdout, "one seed fixes everything"
    assert "200 shots each" in made[0].stdout
    assert "qrlang" not in (tmp_path / "model.py").read_text().split("import", 1)[1]


def test_the_module_counts_what_it_runs_as_the_loop_does() -> None:
    program = program_of("qrnn/rows")
    weights = initial_weights(program)
    values = [arguments(program, seed) for seed in range(3)]
    written = module(program)
    written["forward"](weights, np.stack([v["rows"] for v in values]))
    counts = loop.run(
        program, weights, [item(program, v) for v in values], LocalDevice("braket_sv"),
        loop.Plan(100), rehearsal=True,
    ).counts  # fmt: skip
    # the loop does not ask for what is known of fresh qubits; no angle, so it is one circuit
    assert written["device"].executables == counts.circuits + 1


def test_the_module_on_a_device_sends_program_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    import braket.aws
    from braket.devices import LocalSimulator

    sent = []

    class Cloud:
        def __init__(self, arn: str) -> None:
            class Action:
                maximumExecutables = 4

            action = {"braket.ir.openqasm.program_set": Action()}
            self.properties = SimpleNamespace(action=action)

        def run(self, made: Any) -> Any:
            sent.append(made.total_executables)
            return LocalSimulator("braket_sv").run(made)

    monkeypatch.setattr(braket.aws, "AwsDevice", Cloud)
    program = program_of("qrnn/rows")
    weights = initial_weights(program)
    rows = np.stack([arguments(program, seed)["rows"] for seed in range(5)])
    exact = module(program)
    want = exact["forward"](weights, rows)[""]
    written = module(program)
    written["device"] = written["Device"]("arn:aws:braket:x", 4000)
    got = written["forward"](weights, rows)[""]
    assert sent == [1, 4, 1, 4, 1] or sent == [4, 1, 4, 1, 4, 1]
    assert got.shape == want.shape
    assert np.abs(got - want).max() < 3  # the head has a gain of 16


def test_weights_come_from_a_file(tmp_path: Path) -> None:
    program = program_of("staggered/staggered")
    weights = {name: x + 1 for name, x in initial_weights(program).items()}
    path = tmp_path / "w.safetensors"
    path.write_bytes(packed(weights))
    from safetensors.numpy import load_file

    for name, x in load_file(str(path)).items():
        np.testing.assert_array_equal(x, weights[name])
    out = tmp_path / "out"
    model = FOLDER / "staggered/staggered.qrl"
    assert qrlc("compile", model, "-t", "braket", "--weights", path, "-o", out).code == 0
    np.testing.assert_array_equal(unpacked(out / "weights.safetensors")["w"], weights["w"])
    for bad in (tmp_path / "none", model):
        done = qrlc("compile", model, "-t", "braket", "--weights", bad, "-o", out)
        assert done.code == 2 and "bug" not in done.err


def test_what_only_the_loop_can_do(tmp_path: Path) -> None:
    path = Path(__file__).parent.parent / "cross" / "features" / "bits-in-expressions.qrl"
    done = qrlc("compile", path, "--target", "braket", "-o", tmp_path)
    assert done.code == 2
    assert "qrlc run" in done.err and "bug" not in done.err


def test_one_circuit_a_step_for_all_sequences() -> None:
    """What the device is given grows by a step at a time, and is the same for every sequence."""
    program = program_of("qrnn/rows")
    device = Recorder()
    items = [item(program, arguments(program, seed, 4)) for seed in range(5)]
    loop.run(program, initial_weights(program), items, device, loop.Plan(10))
    templates: list[Template] = [work.template for work, _ in device.seen]
    assert [work.circuits for work, _ in device.seen] == [5] * len(templates)
    assert len(set(map(id, templates))) == len(templates) == 4
    assert any(isinstance(op, Loop) for op in program.body)
    assert program_sets([w for w, _ in device.seen])[0].total_executables == 20
