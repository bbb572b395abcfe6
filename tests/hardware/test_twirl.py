"""Random Paulis leave circuits what they are, and turn regular errors into chance ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from device_tools import ChiSquare, compare
from hardware_tools import Mortal, difference, example, items, right, weights

from qrlang.backends.braket import gates as braket
from qrlang.backends.braket.gates import Call
from qrlang.backends.braket.local import LocalDevice
from qrlang.backends.qiskit.aer import Aer
from qrlang.backends.qiskit.devices import open_device
from qrlang.hardware.device import Device, DeviceError, DeviceOptions, Slot, Step, Template, Work
from qrlang.hardware.loop import Plan, run
from qrlang.hardware.mitigation import Mitigation, extrapolated, mitigation
from qrlang.hardware.preflight import preflight
from qrlang.hardware.simulator import Simulator
from qrlang.hardware.twirl import Gate, Rules, _pauli

PROGRAM = example("qrnn/rows.qrl")
W = weights(PROGRAM)
CLIFFORD = ("cnot", "cy", "cz", "swap", "iswap")


# --- which Paulis ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "angles", "count"),
    [*((name, 0, 16) for name in CLIFFORD), ("zz", 1, 8), ("xx", 1, 8), ("yy", 1, 8), ("xy", 1, 4),
     ("cphaseshift", 1, 4), ("cv", 0, 4), ("ccnot", 0, 8)],
)  # fmt: skip
def test_what_stands_before_a_gate_and_behind_it(name: str, angles: int, count: int) -> None:
    def matrix(*at: float) -> Any:
        return braket.matrix(name, *at) if name != "cv" else _cv()

    qubits = 3 if name == "ccnot" else 2
    found = Rules().around(Gate(None, name, range(qubits), angles, matrix))
    assert len(found) == count == len({before for before, _ in found})
    for before, behind in found:
        u = matrix(*(1.234,) * angles)
        there = _pauli(behind) @ u @ _pauli(before)
        assert abs(np.trace(there @ u.conj().T)) == pytest.approx(len(u))


def _cv() -> Any:
    root = np.array([[0.5 + 0.5j, 0.5 - 0.5j], [0.5 - 0.5j, 0.5 + 0.5j]])
    return np.block([[np.eye(2), np.zeros((2, 2))], [np.zeros((2, 2)), root]])


# --- circuits mean the same -----------------------------------------------------------------------

MANY = (
    Step("h", (0,)), Step("ry", (1,), (Slot(0),)), Step("x", (1,), controls=(0,)),
    Step("rz", (1,), (Slot(1),)), Step("sx", (0,)), Step("rzz", (0, 2), (Slot(2),)),
    Step("u", (1,), (Slot(0), 0.3, Slot(1))), Step("t", (2,)), Step("rx", (0,), (Slot(2),), (1,)),
    Step("iswap", (1, 2)), Step("p", (2,), (0.7,), (0,)), Step("r", (0,), (0.4, Slot(1))),
    Step("x", (2,), controls=(0, 1)), Step("y", (0,)), Step("rxx", (2, 0), (Slot(0),)),
    Step("xx_plus_yy", (0, 1), (Slot(2),)), Step("h", (1,)),
)  # fmt: skip
BASIS = ((0, "X"), (1, "Y"))
ANGLES = np.array([[0.3, 1.1, 2.0], [2.0, -0.4, 0.7]])


@pytest.mark.parametrize("fold", [1, 3])
@pytest.mark.parametrize("name", ["aer", "fake_manila", "fake_torino", "fake_burlington"])
def test_a_transpiled_circuit_is_the_same_unitary(name: str, fold: int) -> None:
    """On a device with `cx`, one with `cz` and one whose turns are `u3`, and with every gate that
    Aer takes: in gates of the device."""
    from qiskit.quantum_info import Operator

    device: Any = open_device(name)
    template = Template(3, 0, MANY, 3, BASIS, fold, (0, 1, 2) if name != "aer" else (), twirl=3)
    whole = device._compiled(template)
    seen = set()
    for circuit in device._compiled.sent(template):
        assert {*circuit.count_ops()} <= {*device._backend.operation_names, "barrier"}
        two = [i.operation.name for i in circuit.data if len(i.qubits) == 2]
        assert two == [i.operation.name for i in whole.data if len(i.qubits) == 2]
        a, b = (_small(c).assign_parameters(dict(_bound(c))) for c in (circuit, whole))
        assert Operator(a).equiv(Operator(b))
        seen.add(tuple(i.operation.name for i in circuit.data))
    assert len(seen) == 3


def _bound(circuit: Any) -> Iterator[tuple[Any, float]]:
    yield from ((p, float(ANGLES[1, p.index])) for p in circuit.parameters)


def _small(circuit: Any) -> Any:
    """Of the device's qubits only those that are used."""
    from qiskit import QuantumCircuit

    made = QuantumCircuit(3)
    for item in circuit.data:
        if item.operation.name not in ("measure", "barrier"):
            made.append(item.operation, [circuit.find_bit(q).index for q in item.qubits])
    return made


def test_on_braket_nothing_changes_without_noise() -> None:
    template = Template(3, 0, MANY, 3, BASIS, 3)
    twirled = Template(3, 0, MANY, 3, BASIS, 3, twirl=2)
    device = LocalDevice("braket_sv")
    plain = device.probabilities(template, ANGLES)
    np.testing.assert_allclose(device.probabilities(twirled, ANGLES), plain, atol=1e-9)


MIDDLE = (
    *MANY[:6], Step("measure", (1,), bit=0), *MANY[7:9], Step("reset", (1,)),
    Step("h", (1,)), Step("measure", (0,), bit=1), Step("ry", (2,), (Slot(1),), when=((0, 1),)),
    Step("x", (2,), controls=(1,), when=((0, 1), (1, 0))),
    Step("rzz", (1, 2), (Slot(2),), when=((1, 1),)), *MANY[9:12],
)  # fmt: skip


@pytest.mark.parametrize("name", ["aer", "braket_sv"])
def test_around_what_happens_in_the_middle(name: str) -> None:
    """Measurements, a reset, gates under bits: whole distributions."""
    device: Device = open_device(name) if name == "aer" else LocalDevice(name)
    template = Template(3, 2, MIDDLE, 3, twirl=4)
    work = Work(template, ANGLES, 4 * 1000)
    total = ChiSquare()
    compare(total, [work], device.submit([work], 5).result(), device)
    assert total.circuits == 2 and total.p > 0.01


@pytest.mark.parametrize("name", ["aer", "braket_sv"])
def test_exactly_nothing_changes_without_noise(name: str) -> None:
    batch = items(PROGRAM, (2,))
    device: Device = open_device(name) if name == "aer" else LocalDevice(name)
    found = run(PROGRAM, W, batch, device, Plan(0, mitigate=mitigation("twirl:3")))
    assert difference(found.outputs, right(PROGRAM, batch, W)) < 1e-9


def test_angles_that_nothing_is_asked_of() -> None:
    """A circuit without angles has no rows: its shots are those of all, in each of its forms."""
    template = Template(2, 0, (Step("h", (0,)), Step("x", (1,), controls=(0,))), 0, twirl=4)
    for name in ("aer", "fake_manila"):
        (bits,) = open_device(name).submit([Work(template, np.zeros((3, 0)), 400)], 1).result()
        assert bits.shape == (3, 400, 2)
        for row in bits:
            assert np.mean(row[:, 0] == row[:, 1]) > 0.85
            assert np.mean(row[:, 0]) == pytest.approx(0.5, abs=0.12)


# --- what it is for -------------------------------------------------------------------------------


class Regular(LocalDevice):
    """Every gate on two qubits goes a little too far, always in the same way."""

    def __init__(self, angle: float) -> None:
        super().__init__("braket_sv")
        self.angle = angle

    def _after(self, call: Call) -> Iterator[Call]:
        if len(call.qubits) == 2:
            yield Call("zz", call.qubits, (self.angle,))
            yield Call("xx", call.qubits, (self.angle,))


def aer(angle: float) -> Any:
    from qiskit.circuit.library import RXXGate
    from qiskit_aer import AerSimulator
    from qiskit_aer.noise import NoiseModel, coherent_unitary_error

    device: Any = Aer(DeviceOptions(noise="0.0", seed=3))
    device._noise = NoiseModel()
    error = coherent_unitary_error(RXXGate(angle).to_matrix())
    device._noise.add_all_qubit_quantum_error(error, ["cz"])
    device._backend = AerSimulator(noise_model=device._noise, basis_gates=["rz", "sx", "x", "cz"])
    return device


STEPS = (Step("ry", (0,), (0.3,)), Step("x", (1,), controls=(0,)), Step("rx", (1,), (-0.5,))) * 5
NONE = np.zeros((1, 0))
RIGHT = Simulator().probabilities(Template(2, 0, STEPS, 0), NONE)[0] @ [1, -1, 1, -1]


def seen(device: Device, fold: int, twirl: int, shots: int, seed: int = 1) -> Any:
    work = Work(Template(2, 0, STEPS, 0, fold=fold, twirl=twirl), NONE, shots)
    ((row,),) = device.submit([work], seed).result()
    return np.mean(1.0 - 2 * row[:, 1:], axis=0)


@pytest.mark.parametrize("of", [Regular, aer])
def test_a_bias_becomes_one_that_extrapolation_takes_away(of: Any) -> None:
    """Alone, it does not take away an error that is the same each time."""
    device = of(0.1)

    def bias(wanted: Mitigation, shots: int = 256_000) -> float:
        values = [seen(device, fold, wanted.twirl, shots) for fold in wanted.scales]
        return float(abs(extrapolated(values, wanted, shots, True)[0] - RIGHT))

    plain, zne, both = map(bias, map(mitigation, ("", "zne", "twirl:128,zne")))
    assert min(plain, zne) > 0.04
    assert both < 0.2 * min(plain, zne)


def test_the_spread_of_what_is_seen_covers_what_is_right() -> None:
    """Over many choices of Paulis; without them, by the spread of the shots, it is far away."""
    device, line, away = Regular(0.08), mitigation("zne:linear"), {}
    for twirl in (1, 16):
        found = [
            extrapolated([seen(device, k, twirl, 32_000, seed) for k in line.scales], line, 0, True)
            for seed in range(10)
        ]
        away[twirl] = abs(np.mean(found) - RIGHT) / (np.std(found) / np.sqrt(len(found)))
    assert away[16] < 3
    assert away[1] > 10


# --- counts and words -----------------------------------------------------------------------------


def test_what_it_takes_is_in_the_preflight() -> None:
    """As many executions as without, rounded up to as many for each circuit."""
    batch, of = items(PROGRAM, (3,) * 2), Mortal()
    plan = Plan(50, 1, mitigate=mitigation("readout,twirl:8,zne"))
    said = preflight(PROGRAM, W, batch, of, plan, errors=False)
    done = run(PROGRAM, W, batch, of, plan)
    assert said.circuits == of.circuits == done.counts.circuits == 3 * 6 * 8 + 2
    assert said.executions == of.executions == 3 * 6 * 56 + 2 * 56
    assert said.mitigate == "readout,twirl:8,zne"


def test_its_gates_are_in_the_preflight() -> None:
    batch, of = items(PROGRAM, (2,) * 8), open_device("aer", DeviceOptions(noise="0.01"))
    plain, less = (preflight(PROGRAM, W, batch, of, Plan(320, mitigate=mitigation(m)))
                   for m in ("", "twirl"))  # fmt: skip
    for a, b in zip(plain.moments, less.moments, strict=True):
        assert a.two_qubit == b.two_qubit and a.one_qubit < b.one_qubit
        assert a.error is not None and b.error == pytest.approx(a.error, rel=0.3)


@pytest.mark.parametrize(
    ("text", "said"),
    [("twirl", Mitigation(twirl=32)), ("zne,twirl:16", Mitigation(zne=True, twirl=16)),
     ("readout,twirl", Mitigation(readout=True, twirl=32))],
)  # fmt: skip
def test_words(text: str, said: Mitigation) -> None:
    assert mitigation(text) == said
    assert mitigation(str(said)) == said


@pytest.mark.parametrize(
    ("text", "words"),
    [("twirl:1", "`1` is not how many"), ("twirl:many", "`many` is not how many"),
     ("twirl:100000", "is not how many"), ("twril", "did you mean `twirl`")],
)  # fmt: skip
def test_what_there_is_not(text: str, words: str) -> None:
    with pytest.raises(DeviceError, match=words):
        mitigation(text)
