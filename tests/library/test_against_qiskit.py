"""Every ansatz of the standard library is the circuit that it says it is: against Qiskit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from zlib import crc32

import library_oracles as oracle
import numpy as np
import pytest
from library_tools import angle_count, elaborate, matrix, same_up_to_phase, std_items
from qiskit import QuantumCircuit
from qiskit.quantum_info import Operator

from qrlang.syntax import ast

ANSAETZE = std_items(ast.Ansatz)


@dataclass(frozen=True)
class Case:
    """An ansatz, and how to build it otherwise. `registers`: widths as functions of n."""

    name: str
    build: oracle.Builder
    registers: Mapping[str, int] = field(default_factory=lambda: {"q": 0})  # added to n; -n: fixed
    least: int = 2
    settings: tuple[dict[str, object], ...] = ({},)


def _layered() -> list[Case]:
    cases = []
    for rotation in oracle.ROTATIONS:
        for pattern in ("line", "ring", "brick", "all"):
            settings: tuple[dict[str, object], ...] = (
                {},
                {"layers": 2},
                {"layers": 2, "gate": "cz"},
            )
            name = f"ansatz.{rotation}_{pattern}"
            cases.append(Case(name, oracle.layered(rotation, pattern), settings=settings))
    return cases


LAYERS = ({}, {"layers": 3})
CASES = [
    *_layered(),
    *(Case(f"sim.sim_{k}", oracle.sim(k), settings=LAYERS) for k in range(1, 20) if k != 10),
    Case("sim.sim_10", oracle.sim_10, least=3, settings=LAYERS),
    Case("sim.columns", lambda qc, a: oracle._columns(qc, a, "rx", "rz"), least=1),
    *(
        Case(f"entangle.{name}", oracle.entangler(pattern), settings=({}, {"gate": "cz"}))
        for name, pattern in [
            ("line", "line"), ("reverse_line", "reverse_line"), ("ring", "ring"),
            ("brick", "brick"), ("all_pairs", "all"),
        ]
    ),
    *(
        Case(f"rotate.each_{name}", oracle.rotations(*gates), least=1)
        for name, gates in [*oracle.ROTATIONS.items(), ("rx", ("rx",)), ("rz", ("rz",))]
    ),
    Case("ansatz.strongly_entangling", oracle.strongly_entangling, settings=({}, {"layers": 6})),
    Case("ansatz.basic_entangler", oracle.basic_entangler, settings=LAYERS),
    Case("ansatz.real_amplitudes", oracle.qiskit_real_amplitudes, settings=({}, {"layers": 1})),
    Case("ansatz.efficient_su2", oracle.qiskit_efficient_su2, settings=({}, {"layers": 1})),
    Case(
        "ansatz.two_local",
        oracle.qiskit_two_local,
        settings=(
            {},
            *({"layers": 2, "rotation": r, "gate": g, "pattern": p}
              for r, g, p in [("rx", "cx", "line"), ("rz", "cx", "ring"), ("ry", "cz", "brick")]),
        ),
    ),
    Case("spin.ising", oracle.ising, least=1, settings=LAYERS),
    Case("spin.ising_line", oracle.ising_line, least=1, settings=LAYERS),
    Case("spin.ising_ring", oracle.ising_ring, least=3, settings=LAYERS),
    Case("spin.xy_brick", oracle.xy_brick, least=1, settings=LAYERS),
    Case("spin.matchgate", oracle.matchgate, least=1, settings=LAYERS),
    Case("spin.heisenberg_brick", oracle.heisenberg_brick, settings=LAYERS),
    Case("qaoa.plus", oracle.hadamards, least=1),
    Case("qaoa.x_mixer", oracle.x_mixer, least=1),
    Case("qaoa.xy_mixer", oracle.xy_mixer),
    Case("qaoa.ring_cost", oracle.ring_cost, least=3),
    Case("qaoa.qaoa_ring", oracle.qaoa_ring, least=3, settings=LAYERS),
    Case("encode.angle_x", oracle.rotations("rx"), least=1),
    Case("encode.angle_y", oracle.rotations("ry"), least=1),
    Case("encode.angle_z", oracle.angle_z, least=1),
    Case("encode.dense_angle", oracle.rotations("ry", "rz"), least=1),
    Case("encode.expectation", oracle.expectation, least=1),
    Case("encode.circuit_learning", oracle.circuit_learning, least=1),
    Case("encode.arctangent", oracle.arctangent, least=1),
    Case("encode.iqp", oracle.iqp, least=1, settings=LAYERS),
    Case("encode.z_feature_map", oracle.qiskit_z_feature_map, settings=({}, {"layers": 1})),
    Case("encode.zz_feature_map", oracle.qiskit_zz_feature_map, settings=({}, {"layers": 1})),
    Case("encode.basis", oracle.basis, least=1),
    Case("state.uniform_state", oracle.hadamards, least=1),
    Case("state.ghz", oracle.ghz),
    Case("state.w_state", oracle.w_state),
    Case("state.cluster", oracle.cluster),
    Case("transform.qft", oracle.qft, least=1),
    Case("transform.mirror", oracle.mirror),
    Case("transform.roll", oracle.roll),
    Case("qcnn.convolution", oracle.convolution),
    Case("cell.li_block", oracle.li_block, least=3),
    Case("cell.neuron", oracle.neuron, least=3, settings=({"lane": 0}, {"lane": 1})),
    Case("cell.feed", oracle.feed, least=3, settings=({"lane": 0}, {"lane": 1})),
    Case("cell.emcz_ladder", oracle.emcz_ladder(2), {"e": -2, "m": 0}, 1, LAYERS),
    Case("cell.emcz_cross", oracle.emcz_cross(2), {"e": -2, "m": 0}, 1, LAYERS),
]  # fmt: skip
# Of a width of their own.
FIXED = [
    Case(
        "entangle.link", oracle.entangler("line"), {"a": -1, "b": -1}, settings=({}, {"gate": "cz"})
    ),
    Case("qcnn.su4", oracle.su4, {"a": -1, "b": -1}),
    Case("qcnn.pooling", oracle.pooling, {"drop": -1, "keep": -1}),
    Case("cell.rx_rz_rx", oracle.rx_rz_rx, {"q": -1}),
]
# Held against something else: tests below.
ELSEWHERE = {"cell.emc_encoder", "state.bell_pairs", "transform.swap_test"}


def _numbers(name: str, count: int) -> np.ndarray:
    return np.random.default_rng(crc32(name.encode())).uniform(-1.2, 1.2, count)


def _skip(case: Case, n: int, setting: Mapping[str, object]) -> bool:
    undone = "ring" in case.name or setting.get("pattern") == "ring"
    return n == 2 and undone and setting.get("gate") == "cz"


def _hold(case: Case, n: int, setting: dict[str, object]) -> None:
    widths = {r: -w if w < 0 else n + w for r, w in case.registers.items()}
    item = ANSAETZE[case.name]
    defaults = {p.name: p.default.value for p in item.params if isinstance(p.default, ast.Int)}
    count = angle_count(item, {"n": n, **widths, **defaults, **setting})  # type: ignore[arg-type]
    shown = ", ".join(
        f'{k}: "{v}"' if isinstance(v, str) else f"{k}: {v}" for k, v in setting.items()
    )
    program = elaborate(case.name, widths, [count], shown).program
    angles = _numbers(case.name, count)
    ours = matrix(program, [angles] if count else [])

    circuit = QuantumCircuit(sum(widths.values()))
    rest = iter(angles.tolist())
    case.build(circuit, rest, **setting)
    assert next(rest, None) is None, "the documented number of angles is too large"
    assert same_up_to_phase(ours, Operator(circuit.reverse_bits()).data)


def _id(case: Case) -> str:
    return case.name


@pytest.mark.parametrize("case", CASES, ids=_id)
def test_is_the_circuit_it_says(case: Case) -> None:
    for setting in case.settings:
        for n in range(case.least, 7 if len(case.registers) == 1 else 5):
            if not _skip(case, n, setting):
                _hold(case, n, setting)


@pytest.mark.parametrize("case", FIXED, ids=_id)
def test_is_the_circuit_it_says_at_its_own_width(case: Case) -> None:
    for setting in case.settings:
        _hold(case, 0, setting)


@pytest.mark.parametrize("number", oracle.DRAWN)
def test_sim_circuits_are_as_drawn_for_four_qubits(number: int) -> None:
    _hold(Case(f"sim.sim_{number}", oracle.drawn(number)), 4, {})


def test_every_ansatz_is_held_against_something() -> None:
    held = {case.name for case in [*CASES, *FIXED]} | ELSEWHERE
    assert held == set(ANSAETZE)


def test_emc_encoder() -> None:
    for e, layers in [(1, 1), (2, 3)]:
        x, theta = _numbers("x", e), _numbers("theta", 2 * e * layers)
        program = elaborate("cell.emc_encoder", {"q": e}, [e, len(theta)], f"{layers}").program
        circuit = QuantumCircuit(e)
        rest = iter(theta.tolist())
        for _ in range(layers):
            for i in range(e):
                circuit.ry(x[i], i)
                circuit.rx(next(rest), i)
                circuit.rz(next(rest), i)
        for i in range(e):
            circuit.ry(x[i], i)
        ours = matrix(program, [x, theta])
        assert same_up_to_phase(ours, Operator(circuit.reverse_bits()).data)


def test_states_are_what_they_are_called() -> None:
    for n in range(2, 6):
        ghz = matrix(elaborate("state.ghz", {"q": n}, []).program, [])[:, 0]
        expected = np.zeros(2**n)
        expected[[0, -1]] = 2**-0.5
        assert np.allclose(ghz, expected)
        w = matrix(elaborate("state.w_state", {"q": n}, []).program, [])[:, 0]
        expected = np.zeros(2**n)
        expected[[1 << k for k in range(n)]] = n**-0.5
        assert np.allclose(w, expected)


def test_bell_pairs_leave_a_half_maximally_mixed() -> None:
    program = elaborate("state.bell_pairs", {"a": 2, "b": 2}, []).program
    state = matrix(program, [])[:, 0].reshape(4, 4)
    assert np.allclose(state @ state.conj().T, np.eye(4) / 4)
    assert np.allclose(state, np.eye(4) / 2)


def test_qft_is_the_fourier_matrix() -> None:
    for n in range(1, 5):
        size = 2**n
        k = np.arange(size)
        dft = np.exp(2j * np.pi * np.outer(k, k) / size) / size**0.5
        assert np.allclose(matrix(elaborate("transform.qft", {"q": n}, []).program, []), dft)


def test_swap_test_reads_the_overlap() -> None:
    rng = np.random.default_rng(5)
    a, b = (v / np.linalg.norm(v) for v in rng.normal(size=(2, 4)) + 1j * rng.normal(size=(2, 4)))
    program = elaborate("transform.swap_test", {"anc": 1, "a": 2, "b": 2}, []).program
    out = matrix(program, []) @ np.kron([1, 0], np.kron(a, b))
    z = np.sum(abs(out[:16]) ** 2) - np.sum(abs(out[16:]) ** 2)
    assert abs(z - abs(np.vdot(a, b)) ** 2) < 1e-12


def test_neuron_rotates_by_a_steep_function() -> None:
    """Post-selected, it turns |0⟩ by 2 atan(tan² φ/2): Cao et al., arXiv 1711.11240."""
    theta = np.array([0.7, -0.4, 0.9])
    program = elaborate("cell.neuron", {"q": 4}, [3], "lane: 2").program
    u = matrix(program, [theta])
    for bits in range(4):
        column = u[:, bits << 2].reshape(4, 2, 2)[bits]  # lane, ancilla
        kept = column[:, 0] / np.linalg.norm(column[:, 0])
        angle = theta[2] + theta[0] * (bits >> 1) + theta[1] * (bits & 1)
        q = np.arctan(np.tan(angle / 2) ** 2)
        assert np.allclose(abs(kept), [abs(np.cos(q)), abs(np.sin(q))])
