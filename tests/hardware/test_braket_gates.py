"""Every gate under any controls, in Braket's gates, is the matrix of the table."""

from __future__ import annotations

import numpy as np
import pytest
from circuit_tools import dense

from qrlang.analysis.circuits import FlatGate
from qrlang.backends.braket.circuit import circuit
from qrlang.backends.braket.gates import NATIVE, Call, calls
from qrlang.gates import GATES
from qrlang.hardware.device import Slot, Step, Template
from qrlang.ir.program import Angle

N = 4
CONTROLS = [((), ()), ((3,), ()), ((), (2,)), ((2, 3), ()), ((3,), (2,))]


def matrix(made: list[Call], n: int = N) -> np.ndarray:
    """By Braket's own matrices."""
    from braket.default_simulator.gate_operations import BRAKET_GATES
    from braket.default_simulator.state_vector_simulation import StateVectorSimulation

    columns = []
    for x in range(2**n):
        simulation = StateVectorSimulation(n, 0, 1)
        start = [BRAKET_GATES["x"]((q,)) for q in range(n) if x >> (n - 1 - q) & 1]
        gates = [BRAKET_GATES["U" if c.name == "u" else c.name](c.qubits, *c.angles) for c in made]
        simulation.evolve(start + gates)
        columns.append(simulation.state_vector)
    return np.array(columns).T


@pytest.mark.parametrize("native", [NATIVE, frozenset()], ids=["all", "few"])
@pytest.mark.parametrize("name", GATES)
def test_gate(name: str, native: frozenset[str]) -> None:
    spec = GATES[name]
    angles = [0.3 - 1.1 * i for i in range(spec.angles)]
    for controls, zeros in CONTROLS:
        for order in ((0, 1), (1, 0))[: spec.qubits]:
            qubits = order[: spec.qubits]
            made = list(calls(name, qubits, angles, controls, zeros, native))
            assert {c.name for c in made} <= native | {"rx", "rz", "h", "cnot"}
            got = matrix(made)
            flat = FlatGate(name, qubits, tuple(map(Angle, angles)), controls, zeros)
            want = dense(flat, N, {})
            phase = np.vdot(want, got) / abs(np.vdot(want, got))
            if native:  # else a global phase is free
                assert phase == pytest.approx(1, abs=1e-9)
            np.testing.assert_allclose(got, phase * want, atol=1e-9)


def test_three_controls_the_same_one_twice_and_never() -> None:
    flat = FlatGate("ry", (0,), (Angle(0.7),), (1, 2, 3))
    got = matrix(list(calls("ry", (0,), (0.7,), (1, 2, 3, 3))))
    np.testing.assert_allclose(got, dense(flat, N, {}), atol=1e-9)
    assert list(calls("x", (0,), (), (1,), (1,))) == []


@pytest.mark.parametrize("name", GATES)
def test_the_sdk_takes_them_with_free_parameters(name: str) -> None:
    """Through `LocalSimulator`, with its text and its parser, angles as inputs."""
    from braket.circuits import Circuit
    from braket.devices import LocalSimulator

    spec = GATES[name]
    start = tuple(
        Step(g, (q,), (0.4 + 0.7 * q + k,)) for q in range(3) for k, g in enumerate(("ry", "rz"))
    )
    slots = tuple(Slot(i) for i in range(spec.angles))
    own = (
        Step(name, (2, 0)[: spec.qubits], slots),
        Step(name, (0, 2)[: spec.qubits], slots, controls=(1,)),
    )
    template = Template(3, 0, (*start, *own, Step("barrier", (0,))), spec.angles)
    made = circuit(template)
    numbers = [0.9 - 0.6 * i for i in range(spec.angles)]
    without = Circuit(made.instructions[:-3]).probability(range(3))
    inputs = {str(p): numbers[int(str(p)[2:])] for p in made.parameters}
    likely = LocalSimulator("braket_sv").run(without, shots=0, inputs=inputs).result().values[0]
    state = np.eye(8)[0].astype(complex)
    for s in (*start, *own):
        angles = (numbers[a.index] if isinstance(a, Slot) else a for a in s.angles)
        gate = FlatGate(s.name, s.qubits, tuple(map(Angle, angles)), s.controls)
        state = dense(gate, 3, {}) @ state
    np.testing.assert_allclose(likely, np.abs(state) ** 2, atol=1e-9)
