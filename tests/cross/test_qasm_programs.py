"""Whole programs as OpenQASM: the states and samples of Qiskit and Braket are the reference's."""

from dataclasses import replace

import numpy as np
import pytest
import strategies
from circuit_tools import (
    angle_sources,
    bound,
    braket_run,
    braket_state,
    qiskit_circuit,
    qiskit_state,
    same_state,
)
from hypothesis import given, settings

from qrlang.analysis.circuits import circuits
from qrlang.backends.qasm.dialects import DIALECTS
from qrlang.backends.qasm.printer import Text
from qrlang.backends.qasm.target import measured, texts
from qrlang.backends.reference import run
from qrlang.ir.program import (
    Alloc,
    Angle,
    Channel,
    Const,
    Expect,
    Gate,
    If,
    Measure,
    Op,
    Output,
    Program,
    Register,
    Reset,
    Term,
    Unitary,
    Value,
)
from qrlang.ir.types import Type, real

STATE = {"qiskit": qiskit_state, "braket": braket_state}


@settings(max_examples=40)
@given(program=strategies.circuits(qubits=3))
def test_generated_circuits(program: Program) -> None:
    found = circuits(program)
    if not found:
        return
    [circuit] = found
    values = list(angle_sources(circuit).values())
    asked = replace(program, outputs=tuple(Output(f"v{v.id}", v) for v in values))
    result = run(asked, strategies.arguments(program))
    numbers = {v.id: np.asarray(result.outputs[f"v{v.id}"]) for v in values}
    [state] = result.states.values()
    if len(circuit.qubits) != sum(r.size for r in program.registers):
        return  # a register that nothing touches is in no file
    for name, dialect in DIALECTS.items():
        [text] = texts(program, dialect).values()
        same_state(STATE[name](text, numbers), np.asarray(state))


# --- measurements inside, resets, noise: by sampling ---

B, C, Z = Value(1, Type("bit", ()), "b"), Value(2, Type("bit", (2,)), "c"), Value(3, real(3), "z")
W = Value(0, real(2), "w")


def program(*ops: Op, word: str = "Z") -> Program:
    read = Expect(Z, tuple(((1.0, ((q, word),)),) for q in range(3)))
    const = Const(W, (0.7, 1.9))
    body = (const, Alloc((0, 1, 2)), *ops, read)
    return Program("P", registers=(Register("a", 0, 1), Register("b", 1, 2)), body=body,
                   outputs=(Output("z", Z),))  # fmt: skip


def turn(*names: str) -> Unitary:
    """Something generic: `ry q` for each."""
    elements = [Gate(g, (q,), (Angle(0.4 * q, (Term(1.0, W, q % 2),)),))
                for g in names for q in range(3)]  # fmt: skip
    chain = [Gate("x", (q + 1,), controls=(q,)) for q in range(2)]
    return Unitary(tuple(elements + chain))


FLIP = Unitary((Gate("x", (1,)),))
ANGLE = Unitary((Gate("ry", (2,), (Angle(0.2, (Term(2.0, W, 1),)),)),))
PROGRAMS = {
    "measure": program(turn("ry"), Measure(B, (0,)), turn("rx")),
    "if": program(turn("ry"), Measure(B, (0,)), If(B, 0, (FLIP, ANGLE))),
    "if-else": program(turn("ry"), Measure(B, (0,)), If(B, 0, (FLIP,), (ANGLE,))),
    "only-else": program(turn("ry"), Measure(B, (1,)), If(B, 0, (), (ANGLE,))),
    "nested": program(
        turn("ry"), Measure(C, (0, 2)), If(C, 0, (If(C, 1, (FLIP,), (ANGLE,)),), (ANGLE,))
    ),
    "reset": program(turn("ry"), Reset((0,)), turn("rx")),
    "reset-in-if": program(turn("ry"), Measure(B, (1,)), If(B, 0, (Reset((1, 2)),))),
    "other-bases": program(turn("ry", "rz"), word="Y"),
}
SHOTS = 4000


def means(bits: np.ndarray) -> np.ndarray:
    return 1 - 2 * bits.mean(0)


def qiskit_sample(text: Text, values: dict[int, np.ndarray]) -> np.ndarray:
    from qiskit_aer import AerSimulator

    circuit = qiskit_circuit(text)
    by_name = {p.name: p for p in circuit.parameters}
    circuit = circuit.assign_parameters({by_name[k]: v for k, v in bound(text, values).items()})
    counts = AerSimulator(seed_simulator=11).run(circuit, shots=SHOTS).result().get_counts()
    rows = [[int(c) for c in reversed(key)] for key, n in counts.items() for _ in range(n)]
    return means(np.array(rows)[:, -3:])  # the last three bits are the readout's


def braket_sample(text: Text, values: dict[int, np.ndarray]) -> np.ndarray:
    # Braket's state-vector simulator resets a qubit wrongly if it is entangled.
    device = "braket_dm" if "reset " in text.source else "braket_sv"
    result = braket_run(text.source, bound(text, values), SHOTS, device)
    return means(np.asarray(result.measurements)[:, -3:])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", PROGRAMS)
def test_samples(name: str) -> None:
    p = PROGRAMS[name]
    exact = np.asarray(run(p, {}).outputs["z"])
    values = {W.id: np.array([0.7, 1.9])}
    for dialect, sample in (("qiskit", qiskit_sample), ("braket", braket_sample)):
        [text] = measured(p, DIALECTS[dialect]).values()
        # five standard deviations of a mean of ±1
        np.testing.assert_allclose(sample(text, values), exact, atol=5 / SHOTS**0.5)


def test_noise_in_braket() -> None:
    channels = [
        Channel("depolarizing", (0,), (Angle(0.1),)),
        Channel("depolarizing2", (0, 1), (Angle(0.2),)),
        Channel("bit_flip", (1,), (Angle(0.15),)),
        Channel("phase_flip", (2,), (Angle(0.15),)),
        Channel("pauli_channel", (2,), (Angle(0.1), Angle(0.05), Angle(0.2))),
        Channel("amplitude_damping", (0,), (Angle(0.3),)),
        Channel("phase_damping", (1,), (Angle(0.3),)),
    ]
    p = program(turn("ry"), *channels, turn("rx"))
    exact = np.asarray(run(p, {}).outputs["z"])
    [text] = texts(p, DIALECTS["braket"]).values()
    wanted = [f"#pragma braket result expectation z({q})" for q in ("a[0]", "reg_b[0]", "reg_b[1]")]
    source = text.source + "\n".join(wanted) + "\n"
    angles = bound(text, {W.id: np.array([0.7, 1.9])})
    got = braket_run(source, angles, 0, "braket_dm").values
    np.testing.assert_allclose(got, exact, atol=1e-9)
