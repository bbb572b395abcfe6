"""Braket's devices behind the loop: the simulators here, and ARNs by a stand-in for the cloud."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from cloud_tools import ARN, Cloud

from qrlang.backends.braket.aws import AwsBraket, explained, program_set
from qrlang.backends.braket.circuit import circuit, text
from qrlang.backends.braket.devices import open_device
from qrlang.backends.braket.local import LocalDevice
from qrlang.backends.braket.noise import gate_noise
from qrlang.hardware.device import (
    DeviceError,
    DeviceOptions,
    Limits,
    Slot,
    Step,
    Template,
    Work,
    sample,
)
from qrlang.hardware.simulator import Simulator

SHOTS = 4000


def turned(n: int = 3, basis: tuple[tuple[int, str], ...] = ()) -> Template:
    steps = [
        Step(g, (q,), (Slot(2 * q + k),)) for q in range(n) for k, g in enumerate(("ry", "rz"))
    ]
    steps += [Step("x", (q + 1,), controls=(q,)) for q in range(n - 1)]
    steps += [Step("rxx", (n - 1, 0), (0.7,))]
    return Template(n, 0, tuple(steps), 2 * n, basis)


ANGLES = np.random.default_rng(5).uniform(-3, 3, (4, 6))


def chi(counts: np.ndarray, likely: np.ndarray) -> tuple[float, int]:
    """The statistic over outcomes that are expected often enough, and its degrees of freedom."""
    expected = likely * counts.sum()
    often = expected >= 5
    a, b = counts[often].astype(float), expected[often]
    if b.sum() < counts.sum() - 1e-6:
        a, b = np.append(a, counts.sum() - a.sum()), np.append(b, counts.sum() - b.sum())
    return float(np.sum((a - b) ** 2 / b)), len(a) - 1


def counts_of(bits: np.ndarray) -> np.ndarray:
    k = bits.shape[-1]
    return np.bincount(bits @ (1 << np.arange(k - 1, -1, -1)), minlength=1 << k)


@pytest.mark.parametrize("name", ["braket_sv", "braket_dm"])
@pytest.mark.parametrize("basis", [(), ((0, "X"), (2, "Y"))])
def test_exact(name: str, basis: Any) -> None:
    template = turned(basis=basis)
    got = LocalDevice(name).probabilities(template, ANGLES)
    np.testing.assert_allclose(got, Simulator().probabilities(template, ANGLES), atol=1e-12)


def test_it_is_what_local_simulator_says() -> None:
    from braket.circuits import Circuit
    from braket.devices import LocalSimulator

    template = turned(basis=((1, "Y"),))
    made = circuit(template)
    without = Circuit(made.instructions[: -template.qubits]).probability(range(3))
    inputs = {f"a_{i}": float(x) for i, x in enumerate(ANGLES[0])}
    want = LocalSimulator("braket_sv").run(without, shots=0, inputs=inputs).result().values[0]
    got = LocalDevice("braket_sv").probabilities(template, ANGLES[:1])[0]
    np.testing.assert_allclose(got, want, atol=1e-12)


def test_shots_and_seeds() -> None:
    device, template = LocalDevice("braket_sv"), turned()
    work = Work(template, ANGLES, SHOTS)
    first = device.submit((work,), 7).result()[0]
    np.testing.assert_array_equal(first, device.submit((work,), 7).result()[0])
    assert (first != device.submit((work,), 8).result()[0]).any()
    total = freedom = 0.0
    for bits, likely in zip(first, device.probabilities(template, ANGLES), strict=True):
        one, k = chi(counts_of(bits), likely)
        total, freedom = total + one, freedom + k
    assert total < freedom + 5 * (2 * freedom) ** 0.5


MIDDLE = Template(
    2,
    2,
    (
        Step("ry", (0,), (Slot(0),)),
        Step("x", (1,), controls=(0,)),
        Step("measure", (0,), bit=0),
        Step("ry", (1,), (0.7,), when=((0, 1),)),
        Step("h", (0,), when=((0, 0),)),
        Step("reset", (1,), when=((0, 1),)),
        Step("rx", (1,), (Slot(1),)),
        Step("measure", (1,), bit=1),
        Step("reset", (0,)),
        Step("ry", (0,), (1.1,), when=((0, 0), (1, 1))),
    ),
    2,
)


def test_the_middle_of_a_circuit_as_text_and_as_a_distribution() -> None:
    device = LocalDevice("braket_sv")
    work = Work(MIDDLE, np.array([[1.3, 0.4]]), 20_000)
    exact = counts_of(sample(Simulator(), MIDDLE, work.angles, 1_000_000)[0]) / 1e6
    for bits in (device.submit((work,), 3).result()[0][0], device._run_text(work)[0]):
        statistic, freedom = chi(counts_of(bits), exact)
        assert statistic < freedom + 6 * (2 * freedom) ** 0.5


def test_the_text_has_flat_ifs_and_numbers() -> None:
    source = text(MIDDLE, np.array([1.3, 0.4]))
    assert "if (b[0] == 0 && b[1] == 1) {" in source
    assert "input" not in source and "ctrl" not in source
    assert source.count("measure") == 4


def test_noise_is_that_of_apply_gate_noise() -> None:
    from braket.circuits import Circuit, Noise
    from braket.devices import LocalSimulator

    template = turned()
    got = LocalDevice("braket_dm", gate_noise("0.03")).probabilities(template, ANGLES[:1])[0]
    bound = circuit(template).make_bound_circuit({f"a_{i}": x for i, x in enumerate(ANGLES[0])})
    noisy = Circuit(bound.instructions[:-3]).apply_gate_noise(Noise.Depolarizing(0.03))
    result = LocalSimulator("braket_dm").run(noisy.probability(range(3)), shots=0).result()
    np.testing.assert_allclose(got, result.values[0], atol=1e-9)


def test_every_kind_of_noise() -> None:
    names = "bit_flip phase_flip amplitude_damping phase_damping depolarizing depolarizing2 readout"
    clean = LocalDevice("braket_dm").probabilities(turned(), ANGLES[:1])
    for name in names.split():
        noise = gate_noise(f"{name}=0.1")
        got = LocalDevice("braket_dm", noise).probabilities(turned(), ANGLES[:1])
        assert np.abs(got - clean).max() > 1e-3
        assert got.sum() == pytest.approx(1)
        assert 0 < max(noise.errors.one, noise.errors.two, noise.errors.readout) < 0.3


def test_channels_of_a_program() -> None:
    steps = (Step("x", (0,)), Step("amplitude_damping", (0,), (0.3,)))
    template = Template(1, 0, steps, 0)
    got = LocalDevice("braket_dm").probabilities(template, np.zeros((1, 0)))
    np.testing.assert_allclose(got, [[0.3, 0.7]], atol=1e-12)
    with pytest.raises(DeviceError, match="amplitude_damping"):
        LocalDevice("braket_sv").probabilities(template, np.zeros((1, 0)))


# --- errors -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "noise", "said"),
    [
        ("braket_vs", "", "did you mean `braket_sv`"),
        ("arn:aws:nothing", "", "not the ARN"),
        ("braket_sv", "0.1", "has no noise"),
        ("braket_dm", "loud=0.1", "no noise of Braket"),
        ("braket_dm", "2", "no noise of Braket"),
    ],
)
def test_names_that_are_wrong(name: str, noise: str, said: str) -> None:
    with pytest.raises(DeviceError, match=said) as found:
        open_device(name, DeviceOptions(noise=noise))
    assert found.value.help


def test_too_many_qubits_and_angles_that_are_no_numbers() -> None:
    with pytest.raises(DeviceError, match="room for 24 qubits"):
        LocalDevice("braket_sv").probabilities(turned(30), np.zeros((1, 60)))
    bad = ANGLES.copy()
    bad[2, 1] = np.nan
    with pytest.raises(DeviceError, match="angle 1 of circuit 2 is nan: nothing was sent"):
        LocalDevice("braket_sv").submit((Work(turned(), bad, 10),), 0)


def test_without_the_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "braket.circuits", None)
    with pytest.raises(DeviceError) as found:
        open_device("braket_sv")
    assert "pip install" in found.value.help


def test_no_region_and_no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION", "AWS_PROFILE", "AWS_ACCESS_KEY_ID"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(DeviceError, match="no region") as found:  # it is in none
        open_device("arn:aws:braket:::device/quantum-simulator/amazon/sv1")
    assert "AWS_DEFAULT_REGION=us-east-1" in found.value.help
    with pytest.raises(DeviceError, match="no credentials") as found:
        open_device(ARN)
    assert "aws configure" in found.value.help


@pytest.mark.parametrize(
    ("kind", "said", "wanted"),
    [
        ("EndpointConnectionError", "could not connect", "network"),
        ("ClientError", "ExpiredTokenException: it is old", "expired"),
        ("ClientError", "AccessDeniedException", "may not use"),
        ("ValueError", "device not found", "knows no device"),
        ("ClientError", "something else", "something else"),
    ],
)
def test_what_aws_says(kind: str, said: str, wanted: str) -> None:
    error = type(kind, (Exception,), {})(said)
    assert wanted in str(explained(error, ARN))


# --- the cloud, by a stand-in -------------------------------------------------------------------


WORKS = (
    Work(turned(), ANGLES, 1000),
    Work(turned(basis=((0, "X"), (1, "Y"))), ANGLES[:2], 1000),
    Work(Template(3, 0, (Step("x", (1,)),), 0), np.zeros((2, 0)), 1000),
)


@pytest.mark.parametrize("sets", [True, False])
@pytest.mark.parametrize("operations", [(), ("h", "rx", "rz", "cnot")])
def test_a_job_in_the_cloud(sets: bool, operations: tuple[str, ...]) -> None:
    cloud = Cloud(sets, operations)
    device = AwsBraket(ARN, cloud)
    ticket = device.submit(WORKS, 0)
    found = ticket.result()
    assert len(cloud.sent) == len(ticket.id.split()) == (1 if sets else 8)
    statistic = freedom = 0.0
    for work, bits in zip(WORKS, found, strict=True):
        assert bits.shape == (work.circuits, 1000, 3)
        for row, likely in zip(
            bits, Simulator().probabilities(work.template, work.angles), strict=True
        ):
            one, k = chi(counts_of(row), likely)
            statistic, freedom = statistic + one, freedom + k
    assert statistic < freedom + 6 * (2 * freedom) ** 0.5


def test_the_counts_are_those_of_a_program_set() -> None:
    made = program_set(WORKS)
    assert made.total_executables == sum(w.circuits for w in WORKS)
    assert made.total_shots == sum(w.executions for w in WORKS)


def test_what_the_device_says_of_itself() -> None:
    device = AwsBraket(ARN, Cloud(True))
    assert (device.limits.qubits, device.limits.shots) == (11, 5000)
    assert (device.limits.circuits, device.limits.executions) == (100, 10_000)
    assert device.errors and device.errors.two == pytest.approx(0.01)
    assert device.errors.readout == pytest.approx(0.02)
    assert device.errors.chances == pytest.approx((0.0015, 0.0125))
    assert not device.capabilities.measure and not device.capabilities.exact
    assert AwsBraket(ARN, Cloud(False)).limits.circuits == 1
    assert device.footprint(turned()).two_qubit == 3


def test_properties_in_the_form_that_aws_sends_them() -> None:
    from braket.device_schema.ionq import IonqDeviceCapabilities, IonqDeviceParameters

    def header(name: str) -> dict[str, str]:
        return {"name": f"braket.device_schema.{name}", "version": "1"}

    program, program_set = "braket.ir.openqasm.program", "braket.ir.openqasm.program_set"
    service = {
        "braketSchemaHeader": header("device_service_properties"),
        "executionWindows": [],
        "shotsRange": [1, 5000],
        "deviceCost": {"price": 0.01, "unit": "shot"},
        "deviceDocumentation": {},
        "deviceLocation": "us-east-1",
    }
    page = {
        "braketSchemaHeader": header("ionq.ionq_device_capabilities"),
        "service": service,
        "action": {
            program: {
                "actionType": program,
                "version": ["1"],
                "supportedOperations": ["x", "rx", "ry", "rz", "h", "cnot", "zz", "swap"],
            },
            program_set: {
                "actionType": program_set,
                "version": ["1"],
                "maximumExecutables": 100,
                "maximumTotalShots": 200_000,
            },
        },
        "paradigm": {
            "braketSchemaHeader": header("gate_model_qpu_paradigm_properties"),
            "qubitCount": 36,
            "nativeGateSet": ["gpi"],
            "connectivity": {"fullyConnected": True, "connectivityGraph": {}},
        },
        "provider": {
            "braketSchemaHeader": header("ionq.ionq_provider_properties"),
            "fidelity": {"1Q": {"mean": 0.999}, "2Q": {"mean": 0.99}, "spam": {"mean": 0.995}},
            "timing": {},
        },
        "deviceParameters": IonqDeviceParameters.schema(),
    }
    cloud = Cloud(True)
    cloud.properties = IonqDeviceCapabilities.parse_obj(page)
    device = AwsBraket(ARN, cloud)
    assert device.sets and device.limits == Limits(36, 5000, 100, 200_000, True)
    assert device.native == {"x", "rx", "ry", "rz", "h", "cnot", "zz", "swap"}
    assert device.errors and device.errors.two == pytest.approx(0.01)
    assert device.errors.chances[1] == pytest.approx(0.0125)
    assert "0.01 a shot" in device.describe()["price"]


def test_a_job_that_failed_and_one_from_before(monkeypatch: pytest.MonkeyPatch) -> None:
    import braket.aws

    cloud = Cloud(True)
    device = AwsBraket(ARN, cloud)
    ticket = device.submit(WORKS[:1], 0)
    monkeypatch.setattr(braket.aws, "AwsQuantumTask", lambda arn, session: ticket.tasks[0])  # type: ignore[attr-defined]
    again = device.reopen(ticket.id, WORKS[:1])
    np.testing.assert_array_equal(again.result()[0], ticket.result()[0])
    assert len(cloud.sent) == 1
    cloud.state = "FAILED"
    with pytest.raises(DeviceError, match="the device was cold"):
        device.submit(WORKS[:1], 0).result()


def test_a_circuit_of_the_sdk_has_no_if() -> None:
    with pytest.raises(DeviceError, match="has no `measure`"):
        AwsBraket(ARN, Cloud(True)).submit((Work(MIDDLE, np.zeros((1, 2)), 10),), 0)
