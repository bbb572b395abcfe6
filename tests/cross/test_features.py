"""The feature × target table: each target runs a feature right, or refuses it by its code."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import strategies
from circuit_tools import (
    angle_sources,
    braket_run,
    braket_state,
    number,
    qiskit_circuit,
    qiskit_state,
    same_state,
)

from qrlang.analysis.circuits import circuits
from qrlang.backends.qasm.dialects import DIALECTS
from qrlang.backends.qasm.printer import Text
from qrlang.backends.qasm.target import texts
from qrlang.backends.reference import run
from qrlang.check.model import CheckedModel
from qrlang.driver import Compilation
from qrlang.features import FEATURES
from qrlang.ir.program import Loop, LoopEmit, Output, Program
from qrlang.ir.types import seq
from qrlang.ir.walk import next_id, walk
from qrlang.targets import Support, Target, TargetError, available, load, no, unsupported, variants

FOLDER = Path(__file__).parent / "features"
COLUMNS = [
    pytest.param(load(name), column, options, id=column)
    for name in available()
    for column, options in variants(load(name))
]


def model(feature: str) -> CheckedModel:
    path = FOLDER / f"{feature}.qrl"
    made = Compilation.of_bytes(str(path), path.read_bytes())
    assert not made.failed, [d.message for d in made.diagnostics]
    [found] = made.models()
    return found


def test_every_feature_has_its_program() -> None:
    assert {p.stem for p in FOLDER.glob("*.qrl")} == set(FEATURES)


@pytest.mark.parametrize("feature", FEATURES)
def test_the_program_of_a_feature_uses_it(feature: str) -> None:
    assert list(FEATURES[feature].find(model(feature).program))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("feature", FEATURES)
@pytest.mark.parametrize(("target", "column", "options"), COLUMNS)
def test_runs_or_refuses(
    target: Target, column: str, options: dict[str, str], feature: str
) -> None:
    m = model(feature)
    support = target.features(options).get(feature, no(""))
    found = target.check(m, options)
    if not support.yes:
        assert FEATURES[feature].code in [d.code for d in found]
        assert all(d.help for d in found), "say what to use instead"
        assert all(d.span.source.name.endswith(f"{feature}.qrl") for d in found)
        line = found[0].span.source.line_column(found[0].span.start)[0]
        assert line > 1 or feature in ("extern",), "the place is the construct's, not the file's"
        return
    assert not found
    if target.name == "qasm":
        _emitted(m, target, options)
        if not any(type(op).__name__ in MIXING for op in walk(m.program.body)):
            _replayed(m.program, options["dialect"])
    else:
        _runs(m, target, options)


def _runs(m: CheckedModel, target: Target, options: dict[str, str]) -> None:
    """The numbers of the reference, if nothing is random and nothing asks for a user's code."""
    if m.program.externs:
        assert target.emit(m, options)
        return
    inputs = strategies.arguments(m.program)
    expected = run(m.program, inputs, externs=EXTERNS)
    try:
        got = target.run(m, inputs, options)
    except TargetError as error:
        pytest.skip(str(error))  # what it needs is not installed
    assert set(got) == set(expected.outputs)
    for name, value in expected.outputs.items():
        assert np.shape(got[name]) == np.shape(value)
        if target.name == "reference" or not (m.program.weights or _sampled(m.program)):
            np.testing.assert_allclose(np.asarray(got[name]), np.asarray(value), atol=1e-6)


def _sampled(program: Program) -> bool:
    return any(getattr(op, "shots", 0) for op in walk(program.body))


class Nothing(Target):
    """Refuses whatever there is."""

    name, doc, options = "nothing", "", ()

    def features(self, options: object) -> dict[str, Support]:
        return {}


# What the place of a refusal begins with, where it is not the word of the feature itself.
BEGINS = {
    "amplitudes": "prepare", "attention": "look(", "bits-in-angles": "rx(", "circuit-layers": "q[",
    "bits-in-expressions": "2 * b", "computed-noise": "bit_flip(", "conditional-noise": "bit_flip(",
    "controls": "negctrl @", "exact-evolution": "apply", "expectations": "read", "extern": "f(x)",
    "extra-steps": "step", "feed-forward": "if b", "kept-bits": "if b", "matrices": "apply",
    "mixed-start": "other[", "noise": "depolarizing", "probabilities": "read", "recurrence": "step",
    "recurrences": "recurrent second", "sequences": "reversed(", "shots": "read",
    "trotter": "apply", "weak-readouts": "read",
}  # fmt: skip


@pytest.mark.parametrize("feature", FEATURES)
def test_a_refusal_points_at_its_line(feature: str) -> None:
    said = unsupported(Nothing(), model(feature), {})
    [found] = [d for d in said if d.message.endswith(f" has no {FEATURES[feature].words}")]
    assert found.span.text.startswith(BEGINS.get(feature, feature))


EXTERNS = {"f": lambda x: x[:1]}  # what `extern.qrl` asks for
STATE = {"qiskit": qiskit_state, "braket": braket_state}
MIXING = {"Measure", "Reset", "Channel", "If"}


def _emitted(m: CheckedModel, target: Target, options: dict[str, str]) -> None:
    """Every file is one that the tool reads."""
    files = target.emit(m, {**options, "readouts": "settings"})
    assert files
    for source in files.values():
        assert isinstance(source, str)
        if options["dialect"] == "qiskit":
            qiskit_circuit(Text(source, ()))
            continue
        names = [
            line.split()[2].rstrip(";") for line in source.splitlines() if line.startswith("input")
        ]
        measures = " = measure " in source
        if not measures:
            first = next(x for x in source.splitlines() if x.startswith("qubit")).split()[1]
            source += f"#pragma braket result expectation z({first.rstrip(';')}[0])\n"
        device = "braket_dm" if "braket noise" in source else "braket_sv"
        braket_run(source, dict.fromkeys(names, 0.1), 10 if measures else 0, device)


def _replayed(program: Program, dialect: str) -> None:
    """Step for step: the emitted circuits, with angles of the reference, make its states."""
    traced, names = _traced(program)
    result = run(traced, strategies.arguments(program), externs=EXTERNS)
    found = circuits(program)
    left: dict[tuple[int, ...], np.ndarray] = {}
    for circuit, text in zip(found, texts(program, DIALECTS[dialect]).values(), strict=True):
        columns = {v: np.asarray(result.outputs[names[v]]) for v in angle_sources(circuit)}
        zero = np.eye(2 ** len(circuit.qubits))[0].astype(complex)
        state = left.get(circuit.qubits, zero) if any(circuit.holds) else zero
        if circuit.loop is None and not any(circuit.holds):
            state = STATE[dialect](text, columns)
        elif dialect == "qiskit" and circuit.loop is None:
            state = _qiskit_step(text, columns) @ state
        elif dialect == "qiskit" and not circuit.fresh:
            for t in range(len(next(iter(columns.values())))):
                state = _qiskit_step(text, {v: c[t] for v, c in columns.items()}) @ state
        else:
            continue  # no state is left of it, or Braket cannot begin in one
        left[circuit.qubits] = state
        expected = result.states.get(circuit.registers[0].space)
        if expected is not None and expected.shape == state.shape:
            same_state(np.asarray(expected), state)


def _traced(program: Program) -> tuple[Program, dict[int, str]]:
    """The program with every value that steers an angle among its outputs."""
    names: dict[int, str] = {}
    outputs = list(program.outputs)
    fresh = next_id(program)
    loops: dict[str, list[LoopEmit]] = {}
    for circuit in circuits(program):
        for value in angle_sources(circuit).values():
            if value.id in names:
                continue
            names[value.id] = f"angle{value.id}"
            if circuit.loop is None:
                outputs.append(Output(names[value.id], value))
                continue
            out = replace(value, id=fresh, type=seq(value.type))
            fresh += 1
            loops.setdefault(circuit.loop.name, []).append(LoopEmit(names[value.id], value, out))
            outputs.append(Output(names[value.id], out))
    body = tuple(
        replace(op, emits=(*op.emits, *loops.get(op.name, ()))) if isinstance(op, Loop) else op
        for op in program.body
    )
    return replace(program, body=body, outputs=tuple(outputs)), names


def _qiskit_step(text: Text, values: dict[int, np.ndarray]) -> np.ndarray:
    from qiskit.quantum_info import Operator

    circuit = qiskit_circuit(text)
    by_name = {p.name: p for p in circuit.parameters}
    circuit = circuit.assign_parameters({by_name[n]: number(a, values) for n, a in text.inputs})
    return np.asarray(Operator(circuit.reverse_bits()).data)
