"""The one table of gates and channels. Parser, checker, IR, docs, targets and tests read it.

Names and angle conventions are those of OpenQASM 3: `rz(a) = exp(-i a/2 Z)`. Matrices are
big-endian in the gate's own operands: the first operand is the most significant bit.
A controlled gate is its base gate plus controls: `cx` is sugar for `ctrl @ x` (`SUGAR`).
No numpy here: the front end reads this table too.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable
from dataclasses import dataclass

Matrix = tuple[tuple[complex, ...], ...]

_I2: Matrix = ((1, 0), (0, 1))
_X: Matrix = ((0, 1), (1, 0))
_Y: Matrix = ((0, -1j), (1j, 0))
_Z: Matrix = ((1, 0), (0, -1))
PAULI: dict[str, Matrix] = {"I": _I2, "X": _X, "Y": _Y, "Z": _Z}


def kron(a: Matrix, b: Matrix) -> Matrix:
    return tuple(tuple(x * y for x in row_a for y in row_b) for row_a in a for row_b in b)


def pauli_matrix(word: str) -> Matrix:
    """`"XZ"` is X on the first operand, Z on the second."""
    out: Matrix = ((1,),)
    for letter in word:
        out = kron(out, PAULI[letter])
    return out


def _rotation(word: str) -> Callable[..., Matrix]:
    pauli = pauli_matrix(word)

    def matrix(angle: float) -> Matrix:
        c, s = math.cos(angle / 2), -1j * math.sin(angle / 2)
        return tuple(
            tuple(s * p + (c if i == j else 0) for j, p in enumerate(row))
            for i, row in enumerate(pauli)
        )

    return matrix


def _fixed(matrix: Matrix) -> Callable[..., Matrix]:
    return lambda: matrix


def _diag(*phases: complex) -> Matrix:
    return tuple(
        tuple(p if i == j else 0 for j in range(len(phases))) for i, p in enumerate(phases)
    )


def _u(theta: float, phi: float, lam: float) -> Matrix:
    c, s = math.cos(theta / 2), math.sin(theta / 2)
    return (
        (c, -cmath.exp(1j * lam) * s),
        (cmath.exp(1j * phi) * s, cmath.exp(1j * (phi + lam)) * c),
    )


def _r(theta: float, phi: float) -> Matrix:
    c, s = math.cos(theta / 2), math.sin(theta / 2)
    return ((c, -1j * cmath.exp(-1j * phi) * s), (-1j * cmath.exp(1j * phi) * s, c))


def _xx_plus_yy(theta: float) -> Matrix:
    c, s = math.cos(theta / 2), -1j * math.sin(theta / 2)
    return ((1, 0, 0, 0), (0, c, s, 0), (0, s, c, 0), (0, 0, 0, 1))


_H = 1 / math.sqrt(2)
_SX: Matrix = ((0.5 + 0.5j, 0.5 - 0.5j), (0.5 - 0.5j, 0.5 + 0.5j))
_SXDG: Matrix = ((0.5 - 0.5j, 0.5 + 0.5j), (0.5 + 0.5j, 0.5 - 0.5j))
_SWAP: Matrix = ((1, 0, 0, 0), (0, 0, 1, 0), (0, 1, 0, 0), (0, 0, 0, 1))
_ISWAP: Matrix = ((1, 0, 0, 0), (0, 0, 1j, 0), (0, 1j, 0, 0), (0, 0, 0, 1))
_ISWAPDG: Matrix = ((1, 0, 0, 0), (0, 0, -1j, 0), (0, -1j, 0, 0), (0, 0, 0, 1))


@dataclass(frozen=True, slots=True)
class GateSpec:
    """One gate: what it is, how it undoes itself, what others call it."""

    name: str
    qubits: int
    angles: int
    matrix: Callable[..., Matrix]
    doc: str
    inverse: str = ""  # the gate that undoes it; "" = itself
    # The angles of the inverse: (sign, index of the angle here) for each. None = negate each.
    inverse_angles: tuple[tuple[int, int], ...] | None = None
    pauli: str = ""  # a rotation exp(-i a/2 P): the word P
    diagonal: bool = False
    real: bool = False  # a real matrix at every angle
    permutation: bool = False  # permutes basis states without phases
    controlled: tuple[str, ...] = ()  # its names with 1, 2, … controls
    braket: str = ""  # method of braket.circuits.Circuit; with one control: `braket_controlled`
    braket_controlled: str = ""


_TABLE = (
    GateSpec("id", 1, 0, _fixed(_I2), "identity", diagonal=True, real=True, permutation=True,
             braket="i"),
    GateSpec("x", 1, 0, _fixed(_X), "bit flip", real=True, permutation=True,
             controlled=("cx", "ccx"), braket="x", braket_controlled="cnot"),
    GateSpec("y", 1, 0, _fixed(_Y), "bit and phase flip", controlled=("cy",), braket="y",
             braket_controlled="cy"),
    GateSpec("z", 1, 0, _fixed(_Z), "phase flip", diagonal=True, real=True,
             controlled=("cz", "ccz"), braket="z", braket_controlled="cz"),
    GateSpec("h", 1, 0, _fixed(((_H, _H), (_H, -_H))), "Hadamard", real=True, controlled=("ch",),
             braket="h"),
    GateSpec("s", 1, 0, _fixed(_diag(1, 1j)), "quarter phase", inverse="sdg", diagonal=True,
             braket="s"),
    GateSpec("sdg", 1, 0, _fixed(_diag(1, -1j)), "inverse of s", inverse="s", diagonal=True,
             braket="si"),
    GateSpec("t", 1, 0, _fixed(_diag(1, cmath.exp(0.25j * math.pi))), "eighth phase", inverse="tdg",
             diagonal=True, braket="t"),
    GateSpec("tdg", 1, 0, _fixed(_diag(1, cmath.exp(-0.25j * math.pi))), "inverse of t",
             inverse="t", diagonal=True, braket="ti"),
    GateSpec("sx", 1, 0, _fixed(_SX), "square root of x", inverse="sxdg", controlled=("csx",),
             braket="v", braket_controlled="cv"),
    GateSpec("sxdg", 1, 0, _fixed(_SXDG), "inverse of sx", inverse="sx", braket="vi"),
    GateSpec("rx", 1, 1, _rotation("X"), "rotation about X", pauli="X", controlled=("crx",),
             braket="rx"),
    GateSpec("ry", 1, 1, _rotation("Y"), "rotation about Y", pauli="Y", real=True,
             controlled=("cry",), braket="ry"),
    GateSpec("rz", 1, 1, _rotation("Z"), "rotation about Z", pauli="Z", diagonal=True,
             controlled=("crz",), braket="rz"),
    GateSpec("p", 1, 1, lambda a: _diag(1, cmath.exp(1j * a)), "phase of |1⟩", diagonal=True,
             controlled=("cp",), braket="phaseshift", braket_controlled="cphaseshift"),
    GateSpec("u", 1, 3, _u, "any rotation: u(θ, φ, λ)", inverse_angles=((-1, 0), (-1, 2), (-1, 1)),
             braket="u"),
    GateSpec("r", 1, 2, _r, "rotation by θ about an axis at φ in the XY plane",
             inverse_angles=((-1, 0), (1, 1)), braket="prx"),
    GateSpec("swap", 2, 0, _fixed(_SWAP), "exchange of two qubits", real=True, permutation=True,
             controlled=("cswap",), braket="swap", braket_controlled="cswap"),
    GateSpec("iswap", 2, 0, _fixed(_ISWAP), "exchange with a phase i", inverse="iswapdg",
             braket="iswap"),
    GateSpec("iswapdg", 2, 0, _fixed(_ISWAPDG), "inverse of iswap", inverse="iswap"),
    GateSpec("rxx", 2, 1, _rotation("XX"), "rotation about XX", pauli="XX", braket="xx"),
    GateSpec("ryy", 2, 1, _rotation("YY"), "rotation about YY", pauli="YY", braket="yy"),
    GateSpec("rzz", 2, 1, _rotation("ZZ"), "rotation about ZZ", pauli="ZZ", diagonal=True,
             braket="zz"),
    GateSpec("rzx", 2, 1, _rotation("ZX"), "rotation about ZX", pauli="ZX"),
    GateSpec("xx_plus_yy", 2, 1, _xx_plus_yy,
             "partial exchange exp(-i a/4 (XX + YY)): keeps the number of ones"),
)  # fmt: skip

GATES: dict[str, GateSpec] = {g.name: g for g in _TABLE}

# Written name -> (base gate, number of controls): `cx` is `x` with one control.
SUGAR: dict[str, tuple[str, int]] = {
    name: (g.name, k) for g in _TABLE for k, name in enumerate(g.controlled, start=1)
} | {"cnot": ("x", 1)}


def inverse(name: str) -> tuple[str, tuple[tuple[int, int], ...]]:
    """The gate that undoes `name`, and its angles as (sign, index of the angle here)."""
    g = GATES[name]
    angles = g.inverse_angles
    if angles is None:
        angles = tuple((-1, i) for i in range(g.angles))
    return g.inverse or name, angles


def written_name(base: str, controls: int) -> str | None:
    """`("x", 1)` -> `"cx"`; None if only `ctrl @` can write it."""
    if controls == 0:
        return base
    names = GATES[base].controlled
    return names[controls - 1] if controls <= len(names) else None


@dataclass(frozen=True, slots=True)
class ChannelSpec:
    """A noise channel: its Kraus operators as a function of its numbers (each in [0, 1])."""

    name: str
    qubits: int
    args: int
    kraus: Callable[..., tuple[Matrix, ...]]
    doc: str
    braket: str = ""


def _scaled(matrix: Matrix, factor: float) -> Matrix:
    return tuple(tuple(factor * x for x in row) for row in matrix)


def _pauli_channel(px: float, py: float, pz: float) -> tuple[Matrix, ...]:
    weights = (max(0.0, 1 - px - py - pz), px, py, pz)
    return tuple(_scaled(PAULI[w], math.sqrt(p)) for w, p in zip("IXYZ", weights, strict=True))


def _depolarizing(p: float) -> tuple[Matrix, ...]:
    return _pauli_channel(p / 3, p / 3, p / 3)


def _depolarizing2(p: float) -> tuple[Matrix, ...]:
    words = [a + b for a in "IXYZ" for b in "IXYZ"]
    return tuple(_scaled(pauli_matrix(w), math.sqrt(1 - p if w == "II" else p / 15)) for w in words)


def _amplitude_damping(g: float) -> tuple[Matrix, ...]:
    return ((1, 0), (0, math.sqrt(1 - g))), ((0, math.sqrt(g)), (0, 0))


def _phase_damping(g: float) -> tuple[Matrix, ...]:
    return ((1, 0), (0, math.sqrt(1 - g))), ((0, 0), (0, math.sqrt(g)))


CHANNELS: dict[str, ChannelSpec] = {
    c.name: c
    for c in (
        ChannelSpec("depolarizing", 1, 1, _depolarizing,
                    "X, Y or Z with probability p/3 each", braket="depolarizing"),
        ChannelSpec("depolarizing2", 2, 1, _depolarizing2,
                    "each of the 15 two-qubit Paulis with probability p/15",
                    braket="two_qubit_depolarizing"),
        ChannelSpec("bit_flip", 1, 1, lambda p: _pauli_channel(p, 0, 0), "X with probability p",
                    braket="bit_flip"),
        ChannelSpec("phase_flip", 1, 1, lambda p: _pauli_channel(0, 0, p), "Z with probability p",
                    braket="phase_flip"),
        ChannelSpec("pauli_channel", 1, 3, _pauli_channel,
                    "X, Y, Z with probabilities px, py, pz", braket="pauli_channel"),
        ChannelSpec("amplitude_damping", 1, 1, _amplitude_damping,
                    "decay of |1⟩ to |0⟩ with probability g", braket="amplitude_damping"),
        ChannelSpec("phase_damping", 1, 1, _phase_damping,
                    "loss of phase with probability g", braket="phase_damping"),
    )
}  # fmt: skip
