"""Spaces whose amplitudes stay real through the whole program (up to a global phase): half the
work for an engine."""

from __future__ import annotations

import math
from itertools import combinations

from qrlang.analysis.turns import QUARTER
from qrlang.gates import GATES
from qrlang.ir.program import (
    ApplyMatrix,
    Channel,
    Diagonal,
    Element,
    Evolve,
    Expect,
    Gate,
    PauliString,
    Prepare,
    Program,
    Run,
    Unitary,
)
from qrlang.ir.walk import qubits_of, walk

_CLOSE = 1e-9
_LARGEST_MASK = 6  # 2^k conditions a term
_REAL_CHANNELS = frozenset(
    {
        "depolarizing",
        "depolarizing2",
        "bit_flip",
        "phase_flip",
        "pauli_channel",
        "amplitude_damping",
        "phase_damping",
    }
)


def real_spaces(program: Program) -> frozenset[int]:
    """The spaces that nothing makes complex. Noise keeps a real density matrix real."""
    space = program.space_of
    real = {r.space for r in program.registers}

    def lose(qubits: tuple[int, ...]) -> None:
        real.difference_update(space.get(q, 0) for q in qubits)

    for op in walk(program.body):
        if isinstance(op, Unitary):
            for element in op.elements:
                if not is_real(element):
                    lose(qubits_of(element))
        elif (
            (isinstance(op, Evolve) and not all(imaginary(word) for _, word in op.terms if word))
            or isinstance(op, ApplyMatrix)
            or (isinstance(op, Prepare) and op.amplitudes.type.kind != "real")
            or (isinstance(op, Channel) and op.name not in _REAL_CHANNELS)
            or (
                isinstance(op, Expect)
                and op.weak
                and any(imaginary(word) for o in op.observables for _, word in o)
            )
        ):
            lose(qubits_of(op))
    return frozenset(real)


def is_real(element: Element) -> bool:
    """A real matrix, up to a global phase."""
    match element:
        case Gate():
            return _real_gate(element)
        case Run():
            return all(_real_gate(gate) for gate in element.gates)
        case Diagonal():
            return _real_diagonal(element)
    return True  # a permutation


def imaginary(word: PauliString) -> bool:
    """Its matrix has only imaginary numbers."""
    return sum(letter == "Y" for _, letter in word) % 2 == 1


def _real_gate(gate: Gate) -> bool:
    spec = GATES[gate.name]
    if spec.real:
        return True
    controlled = bool(gate.controls or gate.zeros)
    if gate.name == "y":
        return not controlled  # i times a real matrix
    if any(angle.terms for angle in gate.angles):
        return False
    if gate.name == "p" or (gate.name == "rz" and not controlled):
        return _multiple(gate.angles[0].constant, math.pi)
    if spec.pauli and not controlled:
        # exp(-i a/2 P) for a real P is real at whole turns, and i times real at half turns.
        return _multiple(gate.angles[0].constant, math.pi)
    if spec.pauli or gate.name == "xx_plus_yy":
        return _multiple(gate.angles[0].constant, 2 * math.pi)
    return False


def _multiple(angle: float, of: float) -> bool:
    return abs(angle / of - round(angle / of)) < _CLOSE


def _real_diagonal(diagonal: Diagonal) -> bool:
    """The phase is -1/2 sum of angle * prod(1 - 2 x); as a polynomial in the bits x, every
    coefficient but the constant one has to be a multiple of pi."""
    polynomial: dict[tuple[int, ...], float] = {}
    for mask, angle in diagonal.terms:
        if angle.terms or len(mask) > _LARGEST_MASK:
            return False
        for size in range(1, len(mask) + 1):
            factor = -0.5 * angle.constant * (-2.0) ** size
            for part in combinations(mask, size):
                polynomial[part] = polynomial.get(part, 0.0) + factor
    return all(_multiple(c, 2 * QUARTER) for c in polynomial.values())
