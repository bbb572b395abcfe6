"""Every gate of the table as index maps, parity phases and real rotations, up to a global phase.

`exp(-i a/2 P)` is a parity phase between constant rotations that turn P into Z…Z; a controlled
phase is a sum of parity phases; a control on anything else goes through its eigenbasis.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Protocol

from qrlang.engine.gf2 import Affine as IndexMap
from qrlang.engine.gf2 import cnot, flip, swap
from qrlang.gates import GATES
from qrlang.ir.program import Diagonal, Element, Gate, Permutation, Run

PI = math.pi
MAX_CONTROLS = 8


class Unsupported(Exception):
    """Why the engine cannot run something."""


@dataclass(frozen=True, slots=True)
class Sum:
    """An affine angle: a constant and terms keyed by (slot, row)."""

    constant: float = 0.0
    terms: tuple[tuple[tuple[int, int], float], ...] = ()

    def __add__(self, other: Sum) -> Sum:
        found = dict(self.terms)
        for key, c in other.terms:
            found[key] = found.get(key, 0.0) + c
        return Sum(self.constant + other.constant, tuple(found.items()))

    def __mul__(self, factor: float) -> Sum:
        return Sum(self.constant * factor, tuple((k, c * factor) for k, c in self.terms))

    def __neg__(self) -> Sum:
        return self * -1.0

    @property
    def zero(self) -> bool:
        return self.constant == 0 and not self.terms


def number(x: float) -> Sum:
    return Sum(x)


class Sink(Protocol):
    """Where lowered gates go. Qubits are index bits."""

    n: int

    def phase(self, mask: int, angle: Sum) -> None:
        """exp(-i angle/2 Z_mask)"""

    def rotate(self, bit: int, angle: Sum) -> None:
        """exp(-i angle/2 Y)"""

    def move(self, index_map: IndexMap) -> None: ...


def lower_element(sink: Sink, element: Element, bit: dict[int, int], angle: AngleOf) -> None:
    match element:
        case Gate():
            lower_gate(sink, element, bit, angle)
        case Run():
            for gate in element.gates:
                lower_gate(sink, gate, bit, angle)
        case Diagonal():
            for qubits, a in element.terms:
                sink.phase(sum(1 << bit[q] for q in qubits), angle(a))
        case Permutation():
            bits = [bit[q] for q in element.qubits]
            cols = [1 << j for j in range(sink.n)]
            for j, b in enumerate(bits):
                cols[b] = sum(1 << bits[i] for i, row in enumerate(element.rows) if row >> j & 1)
            shift = sum(1 << b for i, b in enumerate(bits) if element.flips >> i & 1)
            sink.move(IndexMap(tuple(cols), shift))


class AngleOf(Protocol):
    def __call__(self, angle: object, /) -> Sum: ...


def pauli_rotation(
    sink: Sink,
    string: Sequence[tuple[int, str]],
    a: Sum,
    ones: Sequence[int] = (),
    zeros: Sequence[int] = (),
) -> None:
    """exp(-i a/2 P), where `ones` are 1 and `zeros` are 0."""
    to_z(sink, string)
    support = sum(1 << b for b, _ in string)
    for mask, factor in _projector(ones, zeros):
        if mask | support:
            sink.phase(mask | support, a * factor)
    from_z(sink, string)


def to_z(sink: Sink, string: Iterable[tuple[int, str]]) -> None:
    """The rotations after which the string reads Z…Z."""
    for b, letter in string:
        if letter == "X":
            sink.rotate(b, number(-PI / 2))
        elif letter == "Y":
            sink.phase(1 << b, number(PI / 2))
            sink.rotate(b, number(PI / 2))
            sink.phase(1 << b, number(-PI / 2))


def from_z(sink: Sink, string: Iterable[tuple[int, str]]) -> None:
    for b, letter in string:
        if letter == "X":
            sink.rotate(b, number(PI / 2))
        elif letter == "Y":
            sink.phase(1 << b, number(PI / 2))
            sink.rotate(b, number(-PI / 2))
            sink.phase(1 << b, number(-PI / 2))


def _projector(ones: Sequence[int], zeros: Sequence[int]) -> list[tuple[int, float]]:
    """The projector on `ones` = 1, `zeros` = 0 as a sum of parities: (mask, factor)."""
    bits = [*ones, *zeros]
    if len(bits) > MAX_CONTROLS:
        raise Unsupported(f"a gate with more than {MAX_CONTROLS} controls")
    on = sum(1 << b for b in ones)
    out = []
    for k in range(len(bits) + 1):
        for chosen in combinations(bits, k):
            mask = sum(1 << b for b in chosen)
            sign = -1.0 if (mask & on).bit_count() & 1 else 1.0
            out.append((mask, sign / 2 ** len(bits)))
    return out


def controlled_phase(sink: Sink, ones: Sequence[int], zeros: Sequence[int], a: Sum) -> None:
    """e^{ia} where `ones` are 1 and `zeros` are 0; e^{ia P} is exp(-i(-2a)/2 P) term by term."""
    for mask, factor in _projector(ones, zeros):
        if mask:
            sink.phase(mask, a * (-2.0 * factor))


_PHASES = {"z": PI, "s": PI / 2, "sdg": -PI / 2, "t": PI / 4, "tdg": -PI / 4}


def lower_gate(sink: Sink, gate: Gate, bit: dict[int, int], angle: AngleOf) -> None:
    ones = [bit[q] for q in gate.controls]
    zeros = [bit[q] for q in gate.zeros]
    q = [bit[x] for x in gate.qubits]
    a = [angle(x) for x in gate.angles]
    controlled = bool(ones or zeros)
    name = gate.name

    def hadamard(b: int) -> None:
        sink.phase(1 << b, number(PI))
        sink.rotate(b, number(PI / 2))

    if name == "id":
        return
    if name in _PHASES or name == "p":
        controlled_phase(sink, [*ones, q[0]], zeros, a[0] if name == "p" else number(_PHASES[name]))
    elif GATES[name].pauli:
        word = GATES[name].pauli
        if word == "Y" and not controlled:
            sink.rotate(q[0], a[0])
        elif word == "X" and not controlled:
            sink.phase(1 << q[0], number(PI / 2))
            sink.rotate(q[0], a[0])
            sink.phase(1 << q[0], number(-PI / 2))
        else:
            pauli_rotation(sink, list(zip(q, word, strict=True)), a[0], ones, zeros)
    elif name == "x":
        if not controlled:
            sink.move(flip(sink.n, q[0]))
        elif len(ones) + len(zeros) == 1:
            sink.move(cnot(sink.n, (ones + zeros)[0], q[0]))
            if zeros:
                sink.move(flip(sink.n, q[0]))
        else:
            hadamard(q[0])
            controlled_phase(sink, [*ones, q[0]], zeros, number(PI))
            hadamard(q[0])
    elif name == "y":
        sink.phase(1 << q[0], number(-PI / 2))
        lower_gate(sink, Gate("x", gate.qubits, (), gate.controls, gate.zeros), bit, angle)
        sink.phase(1 << q[0], number(PI / 2))
    elif name == "h":
        if controlled:
            sink.rotate(q[0], number(-PI / 4))
            controlled_phase(sink, [*ones, q[0]], zeros, number(PI))
            sink.rotate(q[0], number(PI / 4))
        else:
            hadamard(q[0])
    elif name in ("sx", "sxdg"):
        hadamard(q[0])
        controlled_phase(sink, [*ones, q[0]], zeros, number(PI / 2 if name == "sx" else -PI / 2))
        hadamard(q[0])
    elif name == "u":
        theta, phi, lam = a
        pauli_rotation(sink, [(q[0], "Z")], lam, ones, zeros)
        if controlled:
            pauli_rotation(sink, [(q[0], "Y")], theta, ones, zeros)
        else:
            sink.rotate(q[0], theta)
        pauli_rotation(sink, [(q[0], "Z")], phi, ones, zeros)
        if controlled:
            controlled_phase(sink, ones, zeros, (phi + lam) * 0.5)
    elif name == "r":
        theta, phi = a
        sink.phase(1 << q[0], -phi)
        lower_gate(
            sink, Gate("rx", gate.qubits, (gate.angles[0],), gate.controls, gate.zeros), bit, angle
        )
        sink.phase(1 << q[0], phi)
    elif name == "swap":
        if controlled:
            sink.move(cnot(sink.n, q[1], q[0]))
            toffoli = Gate("x", (gate.qubits[1],), (), (*gate.controls, gate.qubits[0]), gate.zeros)
            lower_gate(sink, toffoli, bit, angle)
            sink.move(cnot(sink.n, q[1], q[0]))
        else:
            sink.move(swap(sink.n, q[0], q[1]))
    elif name in ("iswap", "iswapdg"):
        sign = 1.0 if name == "iswap" else -1.0
        lower_gate(sink, Gate("swap", gate.qubits, (), gate.controls, gate.zeros), bit, angle)
        pauli_rotation(sink, [(q[0], "Z"), (q[1], "Z")], number(sign * PI / 2), ones, zeros)
        if controlled:
            controlled_phase(sink, ones, zeros, number(sign * PI / 4))
    elif name == "xx_plus_yy":
        for letter in "XY":
            pauli_rotation(sink, [(q[0], letter), (q[1], letter)], a[0] * 0.5, ones, zeros)
    else:
        raise Unsupported(f"the gate `{name}`")
