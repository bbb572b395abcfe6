"""Every gate as a product of Pauli rotations: the one form that all Pauli analyses work on.

`exp(-i angle/2 P)` with P a Pauli word. A Clifford gate is a product of quarter turns (angles that
are multiples of pi/2), so nothing is lost by writing `cx` or `h` this way. Global phases are
dropped at the end, but kept while controls are added, since a controlled phase is a real gate.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from qrlang.gates import GATES
from qrlang.ir.program import Angle, Diagonal, Element, Gate, PauliString, Permutation, Run

QUARTER = math.pi / 2
_CLOSE = 1e-12
_MOST_CONTROLS = 4  # 2^controls turns a gate; beyond, a gate is a `Block`


@dataclass(slots=True)
class Turn:
    """A rotation about `word`. `quarters` says how many quarter turns (mod 4) if that is known;
    None is any other angle. `angle` is the index of the gate's angle that turns it, -1 if none."""

    word: PauliString
    quarters: int | None
    angle: int


@dataclass(slots=True)
class Block:
    """Some unitary out of the algebra that the words generate."""

    words: tuple[PauliString, ...]


Action = Turn | Block


# A template names operands by position. Angles are `factor * angle[index] + constant`.
@dataclass(frozen=True, slots=True)
class _Slot:
    letters: tuple[tuple[int, str], ...]
    index: int  # -1: no angle, the constant alone
    factor: float


@dataclass(frozen=True, slots=True)
class _Phase:
    """A global phase exp(i (constant + sum factor * angle))."""

    constant: float = 0.0
    factors: tuple[tuple[int, float], ...] = ()


_Template = tuple[tuple[_Slot, ...], _Phase]


def _fixed(*turns: tuple[str, float], phase: float = 0.0) -> _Template:
    slots = tuple(_Slot(tuple(enumerate(word)), -1, angle) for word, angle in turns)
    return slots, _Phase(phase)


def _half_phase(*indices: int) -> _Phase:
    return _Phase(0.0, tuple((i, 0.5) for i in indices))


def _slot(word: str, index: int, factor: float = 1.0) -> _Slot:
    return _Slot(tuple(enumerate(word)), index, factor)


_BASE: dict[str, _Template] = {
    "id": ((), _Phase()),
    "x": _fixed(("X", math.pi), phase=QUARTER),
    "y": _fixed(("Y", math.pi), phase=QUARTER),
    "z": _fixed(("Z", math.pi), phase=QUARTER),
    "h": _fixed(("Z", QUARTER), ("X", QUARTER), ("Z", QUARTER), phase=QUARTER),
    "s": _fixed(("Z", QUARTER), phase=math.pi / 4),
    "sdg": _fixed(("Z", -QUARTER), phase=-math.pi / 4),
    "t": _fixed(("Z", math.pi / 4), phase=math.pi / 8),
    "tdg": _fixed(("Z", -math.pi / 4), phase=-math.pi / 8),
    "sx": _fixed(("X", QUARTER), phase=math.pi / 4),
    "sxdg": _fixed(("X", -QUARTER), phase=-math.pi / 4),
    "p": ((_slot("Z", 0),), _half_phase(0)),
    "u": ((_slot("Z", 2), _slot("Y", 0), _slot("Z", 1)), _half_phase(1, 2)),
    "r": ((_slot("Z", 1, -1.0), _slot("X", 0), _slot("Z", 1)), _Phase()),
    "swap": _fixed(("XX", QUARTER), ("YY", QUARTER), ("ZZ", QUARTER), phase=math.pi / 4),
    "iswap": _fixed(("XX", -QUARTER), ("YY", -QUARTER)),
    "iswapdg": _fixed(("XX", QUARTER), ("YY", QUARTER)),
    "xx_plus_yy": ((_slot("XX", 0, 0.5), _slot("YY", 0, 0.5)), _Phase()),
} | {g.name: ((_slot(g.pauli, 0),), _Phase()) for g in GATES.values() if g.pauli}


def _controlled(template: _Template, zero: bool) -> _Template:
    """One more control, as operand 0; `zero`: it acts where the control is 0."""
    slots, phase = template
    side = 1.0 if zero else -1.0
    out: list[_Slot] = []
    for slot in slots:
        letters = tuple((i + 1, letter) for i, letter in slot.letters)
        out.append(_Slot(letters, slot.index, slot.factor / 2))
        out.append(_Slot(((0, "Z"), *letters), slot.index, side * slot.factor / 2))
    if phase.constant:
        out.append(_Slot(((0, "Z"),), -1, -side * phase.constant))
    out.extend(_Slot(((0, "Z"),), i, -side * f) for i, f in phase.factors)
    half = _Phase(phase.constant / 2, tuple((i, f / 2) for i, f in phase.factors))
    return tuple(out), half


@lru_cache(maxsize=1024)
def _template(name: str, controls: int, zeros: int) -> tuple[_Slot, ...]:
    template = _BASE[name]
    for _ in range(zeros):
        template = _controlled(template, zero=True)
    for _ in range(controls):
        template = _controlled(template, zero=False)
    return template[0]


def quarters(angle: float) -> int | None:
    """How many quarter turns an angle is, mod 4 (a whole turn is a phase); None if it is not."""
    turns = angle / QUARTER
    nearest = round(turns)
    return nearest % 4 if abs(turns - nearest) < _CLOSE * max(1.0, abs(turns)) else None


def gate_rotations(gate: Gate) -> Iterator[tuple[PauliString, Angle, int]]:
    """The gate as (word, angle, index of the gate's angle or -1), up to a global phase."""
    operands = gate.all_qubits
    for slot in _template(gate.name, len(gate.controls), len(gate.zeros)):
        word = tuple(sorted((operands[i], letter) for i, letter in slot.letters))
        if slot.index < 0:
            yield word, Angle(slot.factor), -1
        else:
            yield word, scaled(gate.angles[slot.index], slot.factor), slot.index


def scaled(angle: Angle, factor: float) -> Angle:
    if factor == 1.0:
        return angle
    terms = tuple(type(t)(factor * t.coefficient, t.value, t.index) for t in angle.terms)
    return Angle(factor * angle.constant, terms)


def actions(element: Element) -> Iterator[Action]:
    """What an element of a segment does, in order of time."""
    if isinstance(element, Gate):
        yield from gate_actions(element)
    elif isinstance(element, Run):
        for gate in element.gates:
            yield from gate_actions(gate)
    elif isinstance(element, Diagonal):
        for index, (mask, angle) in enumerate(element.terms):
            known = None if angle.terms else quarters(angle.constant)
            yield Turn(tuple((q, "Z") for q in mask), known, index if angle.terms else -1)
    else:
        for gate in network(element):
            yield from gate_actions(gate)


def gate_actions(gate: Gate) -> Iterator[Action]:
    controls = len(gate.controls) + len(gate.zeros)
    operands = gate.all_qubits
    if controls > _MOST_CONTROLS:
        words: list[PauliString] = [((q, "Z"),) for q in gate.controls + gate.zeros]
        for slot in _template(gate.name, 0, 0):
            words.append(tuple((gate.qubits[i], letter) for i, letter in slot.letters))
        yield Block(tuple(words))
        return
    for slot in _template(gate.name, len(gate.controls), len(gate.zeros)):
        word = tuple([(operands[i], letter) for i, letter in slot.letters])
        if slot.index < 0:
            yield Turn(word, quarters(slot.factor), -1)
            continue
        angle = gate.angles[slot.index]
        if angle.terms:
            yield Turn(word, None, slot.index)
        else:
            yield Turn(word, quarters(slot.factor * angle.constant), -1)


def network(permutation: Permutation) -> list[Gate]:
    """X and CNOT gates that do the permutation (by elimination over bits)."""
    qubits, rows = permutation.qubits, list(permutation.rows)
    undone: list[Gate] = []  # gates that bring `rows` to the identity, from the output side

    def add(target: int, source: int) -> None:
        rows[target] ^= rows[source]
        undone.append(Gate("x", (qubits[target],), controls=(qubits[source],)))

    for column in range(len(rows)):
        if not rows[column] >> column & 1:
            pivot = next(r for r in range(column + 1, len(rows)) if rows[r] >> column & 1)
            add(column, pivot)
        for r in range(len(rows)):
            if r != column and rows[r] >> column & 1:
                add(r, column)
    flips = [Gate("x", (q,)) for i, q in enumerate(qubits) if permutation.flips >> i & 1]
    return undone[::-1] + flips
