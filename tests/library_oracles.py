"""What the standard library's circuits must be, built by hand with Qiskit and independently of them.

Each function appends gates to a circuit; `a` hands out the angles in order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import acos, asin, atan, pi, sqrt
from typing import Any

from qiskit import QuantumCircuit
from qiskit.circuit.library import (
    QFTGate,
    efficient_su2,
    n_local,
    real_amplitudes,
    z_feature_map,
    zz_feature_map,
)

Angles = Iterator[float]
Builder = Callable[..., None]


def _columns(qc: QuantumCircuit, a: Angles, *gates: str) -> None:
    for gate in gates:
        for i in range(qc.num_qubits):
            getattr(qc, gate)(next(a), i)


def _each(qc: QuantumCircuit, a: Angles, *gates: str) -> None:
    for i in range(qc.num_qubits):
        for gate in gates:
            getattr(qc, gate)(next(a), i)


PATTERNS: dict[str, Callable[[int], list[tuple[int, int]]]] = {
    "line": lambda n: [(i, i + 1) for i in range(n - 1)],
    "reverse_line": lambda n: [(i, i + 1) for i in reversed(range(n - 1))],
    "ring": lambda n: [(i, (i + 1) % n) for i in range(n)],
    "brick": lambda n: [(i, i + 1) for s in (0, 1) for i in range(s, n - 1, 2)],
    "all": lambda n: [(i, j) for i in range(n) for j in range(i + 1, n)],
}
ROTATIONS = {
    "ry": ("ry",),
    "ry_rz": ("ry", "rz"),
    "rx_ry_rz": ("rx", "ry", "rz"),
    "su2": ("rz", "ry", "rz"),
}


def entangler(pattern: str) -> Builder:
    def build(qc: QuantumCircuit, a: Angles, gate: str = "cx") -> None:
        for i, j in PATTERNS[pattern](qc.num_qubits):
            getattr(qc, gate)(i, j)

    return build


def layered(rotation: str, pattern: str) -> Builder:
    def build(qc: QuantumCircuit, a: Angles, layers: int = 1, gate: str = "cx") -> None:
        for _ in range(layers):
            _each(qc, a, *ROTATIONS[rotation])
            entangler(pattern)(qc, a, gate)

    return build


def rotations(*gates: str) -> Builder:
    return lambda qc, a: _each(qc, a, *gates)


# --- as other libraries have them -------------------------------------------------------------


def strongly_entangling(qc: QuantumCircuit, a: Angles, layers: int = 1) -> None:
    """PennyLane: Rot(φ, θ, ω) is RZ(φ), RY(θ), RZ(ω); ranges 1 … n-1, again and again."""
    n = qc.num_qubits
    for layer in range(layers):
        _each(qc, a, "rz", "ry", "rz")
        for i in range(n):
            qc.cx(i, (i + layer % (n - 1) + 1) % n)


def basic_entangler(qc: QuantumCircuit, a: Angles, layers: int = 1) -> None:
    n = qc.num_qubits
    for _ in range(layers):
        _each(qc, a, "rx")
        if n == 2:
            qc.cx(0, 1)
        elif n > 2:
            for i in range(n):
                qc.cx(i, (i + 1) % n)


def _bound(qc: QuantumCircuit, circuit: QuantumCircuit, a: Angles) -> None:
    circuit = circuit.assign_parameters([next(a) for _ in circuit.parameters])
    qc.compose(circuit, inplace=True)


def qiskit_real_amplitudes(qc: QuantumCircuit, a: Angles, layers: int = 3) -> None:
    _bound(qc, real_amplitudes(qc.num_qubits, reps=layers), a)


def qiskit_efficient_su2(qc: QuantumCircuit, a: Angles, layers: int = 3) -> None:
    _bound(qc, efficient_su2(qc.num_qubits, reps=layers), a)


def qiskit_two_local(
    qc: QuantumCircuit,
    a: Angles,
    layers: int = 3,
    rotation: str = "ry",
    gate: str = "cz",
    pattern: str = "all",
) -> None:
    pairs = [list(PATTERNS[pattern](qc.num_qubits))]
    _bound(qc, n_local(qc.num_qubits, rotation, gate, pairs, reps=layers), a)


# --- Sim et al. ----------------------------------------------------------------------------------


def _up(n: int) -> list[tuple[int, int]]:
    """Control, target: from the last qubit up."""
    return [(i, i - 1) for i in reversed(range(1, n))]


def _ring_down(n: int) -> list[tuple[int, int]]:
    return [(c, (c + 1) % n) for c in reversed(range(n))]


def _ring_up(n: int) -> list[tuple[int, int]]:
    return [(k % n, (k - 1) % n) for k in range(n - 1, 2 * n - 1)]


def _pairs(n: int, start: int) -> list[tuple[int, int]]:
    return [(i + 1, i) for i in range(start, n - 1, 2)]


def _others(n: int) -> list[tuple[int, int]]:
    return [(c, t) for c in reversed(range(n)) for t in range(n) if t != c]


# A part is gate names over all qubits, (name, pairs) or "inner", gate names without the two ends.
SIM: dict[int, list[Any]] = {
    1: ["rx rz"],
    2: ["rx rz", ("cx", _up)],
    3: ["rx rz", ("crz", _up)],
    4: ["rx rz", ("crx", _up)],
    5: ["rx rz", ("crz", _others), "rx rz"],
    6: ["rx rz", ("crx", _others), "rx rz"],
    7: ["rx rz", ("crz", 0), "rx rz", ("crz", 1)],
    8: ["rx rz", ("crx", 0), "rx rz", ("crx", 1)],
    9: ["h", ("cz", _up), "rx"],
    11: ["ry rz", ("cx", 0), "inner ry rz", ("cx", 1)],
    12: ["ry rz", ("cz", 0), "inner ry rz", ("cz", 1)],
    13: ["ry", ("crz", _ring_down), "ry", ("crz", _ring_up)],
    14: ["ry", ("crx", _ring_down), "ry", ("crx", _ring_up)],
    15: ["ry", ("cx", _ring_down), "ry", ("cx", _ring_up)],
    16: ["rx rz", ("crz", 0), ("crz", 1)],
    17: ["rx rz", ("crx", 0), ("crx", 1)],
    18: ["rx rz", ("crz", _ring_down)],
    19: ["rx rz", ("crx", _ring_down)],
}


def sim(number: int) -> Builder:
    def build(qc: QuantumCircuit, a: Angles, layers: int = 1) -> None:
        n = qc.num_qubits
        for _ in range(layers):
            for part in SIM[number]:
                if isinstance(part, str):
                    ends = 1 if part.startswith("inner") else 0
                    for gate in part.removeprefix("inner ").split():
                        for i in range(ends, n - ends):
                            getattr(qc, gate)(*([] if gate == "h" else [next(a)]), i)
                else:
                    gate, where = part
                    for c, t in where(n) if callable(where) else _pairs(n, where):
                        getattr(qc, gate)(*([next(a)] if gate.startswith("cr") else []), c, t)

    return build


def sim_10(qc: QuantumCircuit, a: Angles, layers: int = 1) -> None:
    n = qc.num_qubits
    _columns(qc, a, "ry")
    for _ in range(layers):
        for i in reversed(range(n)):
            qc.cz(i, (i - 1) % n)
        _columns(qc, a, "ry")


# Circuits as drawn in the paper, for four qubits: control before target, angles in order.
DRAWN: dict[int, str] = {
    2: "rx0 rx1 rx2 rx3 rz0 rz1 rz2 rz3 cx32 cx21 cx10",
    3: "rx0 rx1 rx2 rx3 rz0 rz1 rz2 rz3 crz32 crz21 crz10",
    7: "rx0 rx1 rx2 rx3 rz0 rz1 rz2 rz3 crz10 crz32 rx0 rx1 rx2 rx3 rz0 rz1 rz2 rz3 crz21",
    9: "h0 h1 h2 h3 cz32 cz21 cz10 rx0 rx1 rx2 rx3",
    10: "ry0 ry1 ry2 ry3 cz32 cz21 cz10 cz30 ry0 ry1 ry2 ry3",
    11: "ry0 ry1 ry2 ry3 rz0 rz1 rz2 rz3 cx10 cx32 ry1 ry2 rz1 rz2 cx21",
    14: "ry0 ry1 ry2 ry3 crx30 crx23 crx12 crx01 ry0 ry1 ry2 ry3 crx32 crx03 crx10 crx21",
    15: "ry0 ry1 ry2 ry3 cx30 cx23 cx12 cx01 ry0 ry1 ry2 ry3 cx32 cx03 cx10 cx21",
    19: "rx0 rx1 rx2 rx3 rz0 rz1 rz2 rz3 crx30 crx23 crx12 crx01",
}


def drawn(number: int) -> Builder:
    def build(qc: QuantumCircuit, a: Angles) -> None:
        for word in DRAWN[number].split():
            gate, qubits = word.rstrip("0123"), [int(c) for c in word if c.isdigit()]
            getattr(qc, gate)(*([next(a)] if "r" in gate else []), *qubits)

    return build


# --- spins, QAOA, encodings, states, cells ---------------------------------------------------------


def ising(qc: QuantumCircuit, a: Angles, layers: int = 1) -> None:
    for _ in range(layers):
        _columns(qc, a, "rx")
        for i, j in PATTERNS["all"](qc.num_qubits):
            qc.rzz(next(a), i, j)


def ising_line(qc: QuantumCircuit, a: Angles, layers: int = 1) -> None:
    for _ in range(layers):
        _columns(qc, a, "rx")
        for i, j in PATTERNS["line"](qc.num_qubits):
            qc.rzz(next(a), i, j)


def ising_ring(qc: QuantumCircuit, a: Angles, layers: int = 1) -> None:
    for _ in range(layers):
        _columns(qc, a, "rx")
        for i, j in PATTERNS["ring"](qc.num_qubits):
            qc.rzz(next(a), i, j)


def _bricks(n: int) -> list[int]:
    return [i for i, _ in PATTERNS["brick"](n)]


def xy_brick(qc: QuantumCircuit, a: Angles, layers: int = 1) -> None:
    n = qc.num_qubits
    for _ in range(layers):
        _columns(qc, a, "rz")
        angles = [next(a) for _ in range(n - 1)]
        for i in _bricks(n):
            qc.rxx(angles[i] / 2, i, i + 1)  # exp(-i a/4 (XX + YY))
            qc.ryy(angles[i] / 2, i, i + 1)


def matchgate(qc: QuantumCircuit, a: Angles, layers: int = 1) -> None:
    n = qc.num_qubits
    for _ in range(layers):
        _columns(qc, a, "rz")
        angles = [(next(a), next(a)) for _ in range(n - 1)]
        for i in _bricks(n):
            qc.rxx(angles[i][0], i, i + 1)
            qc.ryy(angles[i][1], i, i + 1)


def heisenberg_brick(qc: QuantumCircuit, a: Angles, layers: int = 1) -> None:
    n = qc.num_qubits
    for _ in range(layers):
        angles = [(next(a), next(a), next(a)) for _ in range(n - 1)]
        for i in _bricks(n):
            qc.rxx(angles[i][0], i, i + 1)
            qc.ryy(angles[i][1], i, i + 1)
            qc.rzz(angles[i][2], i, i + 1)


def hadamards(qc: QuantumCircuit, a: Angles) -> None:
    qc.h(range(qc.num_qubits))


def x_mixer(qc: QuantumCircuit, a: Angles) -> None:
    beta = next(a)
    for i in range(qc.num_qubits):
        qc.rx(2 * beta, i)


def xy_mixer(qc: QuantumCircuit, a: Angles) -> None:
    n, beta = qc.num_qubits, next(a)
    for i, j in [*PATTERNS["brick"](n), *([(n - 1, 0)] if n > 2 else [])]:
        qc.rxx(2 * beta, i, j)
        qc.ryy(2 * beta, i, j)


def ring_cost(qc: QuantumCircuit, a: Angles) -> None:
    gamma = next(a)
    for i, j in PATTERNS["ring"](qc.num_qubits):
        qc.rzz(2 * gamma, i, j)


def qaoa_ring(qc: QuantumCircuit, a: Angles, layers: int = 1) -> None:
    hadamards(qc, a)
    for _ in range(layers):
        ring_cost(qc, a)
        x_mixer(qc, a)


def angle_z(qc: QuantumCircuit, a: Angles) -> None:
    for i in range(qc.num_qubits):
        qc.h(i)
        qc.rz(next(a), i)


def iqp(qc: QuantumCircuit, a: Angles, layers: int = 1) -> None:
    n = qc.num_qubits
    x = [next(a) for _ in range(n)]
    for _ in range(layers):
        angle_z(qc, iter(x))
        for i, j in PATTERNS["all"](n):
            qc.rzz(x[i] * x[j], i, j)


def qiskit_z_feature_map(qc: QuantumCircuit, a: Angles, layers: int = 2) -> None:
    _bound(qc, z_feature_map(qc.num_qubits, reps=layers), a)


def qiskit_zz_feature_map(qc: QuantumCircuit, a: Angles, layers: int = 2) -> None:
    _bound(qc, zz_feature_map(qc.num_qubits, reps=layers, entanglement="full"), a)


def _clamped(x: float) -> float:
    return min(1.0, max(-1.0, x))


def expectation(qc: QuantumCircuit, a: Angles) -> None:
    for i in range(qc.num_qubits):
        qc.ry(acos(_clamped(next(a))), i)


def circuit_learning(qc: QuantumCircuit, a: Angles) -> None:
    for i in range(qc.num_qubits):
        x = next(a)
        qc.ry(asin(_clamped(x)), i)
        qc.rz(acos(_clamped(x * x)), i)


def arctangent(qc: QuantumCircuit, a: Angles) -> None:
    for i in range(qc.num_qubits):
        x = next(a)
        qc.h(i)
        qc.ry(atan(x), i)
        qc.rz(atan(x * x), i)


def basis(qc: QuantumCircuit, a: Angles) -> None:
    for i in range(qc.num_qubits):
        qc.rx(pi * next(a), i)


def ghz(qc: QuantumCircuit, a: Angles) -> None:
    qc.h(0)
    for i in range(1, qc.num_qubits):
        qc.cx(i - 1, i)


def w_state(qc: QuantumCircuit, a: Angles) -> None:
    n = qc.num_qubits
    qc.x(0)
    for i in range(n - 1):
        qc.cry(2 * acos(sqrt(1 / (n - i))), i, i + 1)
        qc.cx(i + 1, i)


def cluster(qc: QuantumCircuit, a: Angles) -> None:
    hadamards(qc, a)
    for i in range(qc.num_qubits - 1):
        qc.cz(i, i + 1)


def qft(qc: QuantumCircuit, a: Angles) -> None:
    n = qc.num_qubits
    qc.append(QFTGate(n), list(reversed(range(n))))  # Qiskit's first qubit is the least


def mirror(qc: QuantumCircuit, a: Angles) -> None:
    n = qc.num_qubits
    for i in range(n // 2):
        qc.swap(i, n - 1 - i)


def roll(qc: QuantumCircuit, a: Angles) -> None:
    for i in range(qc.num_qubits - 1):
        qc.swap(i, i + 1)


def _u(qc: QuantumCircuit, a: Angles, i: int) -> None:
    qc.u(next(a), next(a), next(a), i)


def su4(qc: QuantumCircuit, a: Angles, i: int = 0, j: int = 1) -> None:
    _u(qc, a, i)
    _u(qc, a, j)
    qc.rxx(next(a), i, j)
    qc.ryy(next(a), i, j)
    qc.rzz(next(a), i, j)
    _u(qc, a, i)
    _u(qc, a, j)


def convolution(qc: QuantumCircuit, a: Angles) -> None:
    theta = [next(a) for _ in range(15)]
    for i, j in PATTERNS["brick"](qc.num_qubits):
        su4(qc, iter(theta), i, j)


def pooling(qc: QuantumCircuit, a: Angles) -> None:
    qc.crz(next(a), 0, 1)
    qc.x(0)
    qc.crx(next(a), 0, 1)
    qc.x(0)


def li_block(qc: QuantumCircuit, a: Angles) -> None:
    n = qc.num_qubits
    ring = []
    for i in range(n):
        qc.rx(next(a), i)
        qc.rz(next(a), i)
        qc.rx(next(a), i)
        ring.append(next(a))
    for i in range(n):
        qc.cx(i, (i + 1) % n)
        qc.rz(ring[i], (i + 1) % n)
        qc.cx(i, (i + 1) % n)


def neuron(qc: QuantumCircuit, a: Angles, lane: int) -> None:
    """The ancilla is the last qubit."""
    n = qc.num_qubits
    theta = [next(a) for _ in range(n - 1)]
    fed = [i for i in range(n - 1) if i != lane]
    qc.ry(theta[-1], n - 1)
    for angle, i in zip(theta, fed, strict=False):
        qc.cry(angle, i, n - 1)
    qc.cry(pi, n - 1, lane)
    for angle, i in reversed(list(zip(theta, fed, strict=False))):
        qc.cry(-angle, i, n - 1)
    qc.ry(-theta[-1], n - 1)


def feed(qc: QuantumCircuit, a: Angles, lane: int) -> None:
    n = qc.num_qubits
    theta = [next(a) for _ in range(n - 1)]
    qc.ry(theta.pop(), n - 1)
    for i in [i for i in range(n - 1) if i != lane]:
        qc.cry(theta.pop(0), i, n - 1)


def rx_rz_rx(qc: QuantumCircuit, a: Angles) -> None:
    _each(qc, a, "rx", "rz", "rx")


def emcz_ladder(e: int) -> Builder:
    def build(qc: QuantumCircuit, a: Angles, layers: int = 1) -> None:
        for _ in range(layers):
            _each(qc, a, "rx", "rz")
            for i in range(qc.num_qubits - 1):
                qc.cz(i, i + 1)
        for i in range(e):
            qc.rx(next(a), i)

    return build


def emcz_cross(e: int) -> Builder:
    def build(qc: QuantumCircuit, a: Angles, layers: int = 1) -> None:
        for _ in range(layers):
            _each(qc, a, "rx", "rz", "rx")
            for i in range(e):
                for j in range(e, qc.num_qubits):
                    qc.cz(i, j)
        for i in range(e):
            for gate in ("rx", "rz", "rx"):
                getattr(qc, gate)(next(a), i)

    return build
