"""What `qrlc inspect` claims is what Qiskit counts in the OpenQASM that `qrlc compile` writes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from circuit_tools import qiskit_circuit
from cli_tools import qrlc

from qrlang.analysis.circuits import circuits
from qrlang.analysis.settings import measurement_settings
from qrlang.backends.qasm.dialects import DIALECTS
from qrlang.backends.qasm.printer import Text
from qrlang.backends.qasm.target import texts
from qrlang.backends.reference import initial_weights
from qrlang.driver import Compilation
from qrlang.inspection.data import inspect
from qrlang.ir.program import Expect, Program, Unitary
from qrlang.ir.walk import walk
from qrlang.targets import load

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(str(p.relative_to(ROOT)) for p in (ROOT / "examples").rglob("*.qrl"))


def both(path: str) -> tuple[Program, Program, dict[str, Any]]:
    made = Compilation.of_bytes(path, (ROOT / path).read_bytes())
    [m] = made.models()
    after = made.for_target(m)
    return m.program, after.program, inspect(m, after.program, made.optimised(m.program))


def everything(circuit: Any) -> Iterator[Any]:
    """Qiskit's instructions, those inside an `if` too."""
    for instruction in circuit.data:
        yield instruction
        for block in getattr(instruction.operation, "blocks", ()):
            yield from everything(block)


@pytest.mark.parametrize("path", EXAMPLES)
def test_gates_depth_and_angles_are_qiskits(path: str) -> None:
    before, after, data = both(path)
    made = Compilation.of_bytes(path, (ROOT / path).read_bytes())
    [m] = made.models()
    qasm = load("qasm")
    if qasm.check(m, {"dialect": "qiskit", "readouts": "comments"}):
        pytest.skip("has no OpenQASM")
    seen = 0
    for program, word in ((before, "before"), (after, "after")):
        for circuit, text in zip(
            circuits(program), texts(program, DIALECTS["qiskit"]).values(), strict=True
        ):
            name = circuit.name or program.name
            [entry] = [c for c in data["circuits"] if c["name"] == name]
            claimed = entry[word]
            counted = qiskit_circuit(text)
            inside = list(everything(counted))
            steps = {"measure", "reset", "if_else"}
            gates = [i for i in inside if i.operation.name not in steps]
            assert claimed["gates"] == len(gates)
            assert claimed["depth"] == counted.depth()
            assert claimed["two_qubit"] == sum(len(i.qubits) == 2 for i in gates)
            turned = sum(
                1 for i in gates for p in i.operation.params if getattr(p, "parameters", ())
            )
            assert claimed["angles"] == turned
            assert len(counted.parameters) == len(text.inputs)
            seen += 1
    assert seen >= 2 * bool(before.registers)  # a classical baseline has no circuit


@pytest.mark.parametrize("path", EXAMPLES)
def test_settings_are_as_many_as_qiskit_finds(path: str) -> None:
    """Qiskit groups greedily, so ours may be fewer, never more; each of ours is one of commuting
    letters."""
    from qiskit.quantum_info import SparsePauliOp

    before, _, data = both(path)
    claimed = {
        r["name"]: len(r["settings"]) for c in data["circuits"] for r in c["readouts"]
        if r["kind"] == "expectation"
    }  # fmt: skip
    for circuit in circuits(before):
        index = {q: i for i, q in enumerate(circuit.qubits)}
        for op in walk(circuit.ops):
            if not isinstance(op, Expect):
                continue
            words = {string for o in op.observables for _, string in o if string}
            sparse = [
                ("".join(p for _, p in w), [index[q] for q, _ in w], 1.0) for w in sorted(words)
            ]
            found = SparsePauliOp.from_sparse_list(sparse, num_qubits=len(index))
            groups = found.group_commuting(qubit_wise=True)
            assert len(measurement_settings(op)) <= len(groups)
            for setting in measurement_settings(op):
                basis = dict(setting.basis)
                for i, j in setting.words:
                    assert all(basis[q] == p for q, p in op.observables[i][j][1])
            measured = {w for s in measurement_settings(op) for w in s.words}
            assert len(measured) == sum(bool(w) for o in op.observables for _, w in o)
            assert claimed[op.out.name] == len(measurement_settings(op))


@pytest.mark.parametrize("path", EXAMPLES)
def test_parameters_are_the_weights(path: str) -> None:
    before, _, data = both(path)
    weights = initial_weights(before, seed=0)
    sizes = {name: array.size for name, array in weights.items()}
    said = {w["name"]: w["count"] for w in data["parameters"]["weights"]}
    assert said == sizes
    trained = sum(sizes[w.name] for w in before.weights if w.trained)
    p = data["parameters"]
    assert p["classical"] + p["quantum"] == trained
    assert p["frozen"] == sum(sizes.values()) - trained


@pytest.mark.parametrize("path", EXAMPLES)
def test_the_page(path: str) -> None:
    done = qrlc("inspect", ROOT / path)
    assert done.code == 0, done.err
    assert max(map(len, done.out.splitlines())) < 130
    _, _, data = both(path)
    assert done.out.startswith(data["model"])
    for c in data["circuits"]:
        assert f"{c['before']['gates']:,}" in done.out


def test_the_batch_and_the_steps(tmp_path: Path) -> None:
    path = ROOT / "examples/qrnn/rows.qrl"
    one = qrlc("inspect", path, "--batch", 1, "--steps", 10, "--format", "json").data()
    two = qrlc("inspect", path, "--batch", 2, "--steps", 10, "--format", "json").data()
    a, b = (d["models"][0]["training_step"] for d in (one, two))
    assert b["state_bytes"] == 2 * a["state_bytes"]
    assert b["quantum_operations"] == 2 * a["quantum_operations"]
    assert b["weight_bytes"] == a["weight_bytes"]


def test_a_file_written_by_compile_is_what_was_counted(tmp_path: Path) -> None:
    path = ROOT / "examples/qrnn/rows.qrl"
    done = qrlc("compile", path, "--target", "qasm", "-o", tmp_path, "--set", "n=4")
    assert done.code == 0, done.err
    assert {p.name for p in tmp_path.iterdir()} == {"QRNN.step.qasm", "QRNN.after_step.qasm"}
    counted = qiskit_circuit(Text((tmp_path / "QRNN.step.qasm").read_text(), ()))
    data = qrlc("inspect", path, "--set", "n=4", "--format", "json").data()["models"][0]
    step, after = data["circuits"]
    assert after["after"]["gates"] == 0 and after["readouts"][0]["settings"]
    assert step["after"]["gates"] == counted.size()
    assert step["after"]["depth"] == counted.depth()
    assert step["after"]["angles"] == len(counted.parameters) == 24
    assert step["after"]["by_name"] == {"rz": 16, "cx": 8, "ry": 8}
    assert any(isinstance(op, Unitary) for op in walk(both("examples/qrnn/rows.qrl")[0].body))
