"""The rules of qubits, gates, readouts and channels: one rule an op, yielding what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from math import isfinite, pi
from typing import Any

from qrlang.gates import CHANNELS, GATES
from qrlang.ir.program import (
    Alloc,
    Angle,
    ApplyMatrix,
    Channel,
    Diagonal,
    Element,
    Evolve,
    Expect,
    Free,
    Gate,
    Measure,
    Op,
    PauliString,
    Permutation,
    Postselect,
    Prepare,
    Probabilities,
    Reset,
    Run,
    Unitary,
)
from qrlang.ir.types import Type, real

_TOO_MANY = 24  # qubits whose 2^k amplitudes or probabilities are one value


@dataclass(slots=True)
class Qubits:
    """Every declared qubit's space, and which are alive at this point."""

    space: dict[int, int] = field(default_factory=dict)
    alive: set[int] = field(default_factory=set)


Rule = Callable[[Any, Qubits], Iterator[str]]
RULES: dict[type[Op], Rule] = {}


def _rule(op: type[Op]) -> Callable[[Rule], Rule]:
    def register(rule: Rule) -> Rule:
        RULES[op] = rule
        return rule

    return register


def _usable(qubits: Iterable[int], known: Qubits) -> Iterator[str]:
    """Qubits exist, are alive and differ."""
    seen: set[int] = set()
    for q in qubits:
        if q in seen:
            yield f"q{q} is there twice"
        elif q not in known.space:
            yield f"q{q} belongs to no register"
        elif q not in known.alive:
            yield f"q{q} is not alive here"
        seen.add(q)


def _together(qubits: tuple[int, ...], known: Qubits) -> Iterator[str]:
    """… and are of one space, where they can interact."""
    yield from _usable(qubits, known)
    spaces = {known.space[q] for q in qubits if q in known.space}
    if len(spaces) > 1:
        yield f"its qubits lie in the spaces {', '.join(map(str, sorted(spaces)))}"


def _some(qubits: tuple[int, ...]) -> Iterator[str]:
    if not qubits:
        yield "it has no qubits"


def _angle(angle: Angle) -> Iterator[str]:
    # Angles are finite sums of elements of real (or bit) values of one moment.
    if not isfinite(angle.constant):
        yield "an angle has to be finite"
    for term in angle.terms:
        kind = term.value.type
        if kind.seq or kind.kind not in ("real", "bit"):
            yield f"an angle can't come from %{term.value.id}, a {kind}"
        elif not 0 <= term.index < kind.count:
            yield f"there is no element {term.index} in %{term.value.id}, a {kind}"
        if not isfinite(term.coefficient):
            yield "an angle has to be finite"


def _pauli(string: PauliString, known: Qubits) -> Iterator[str]:
    # Sorted by qubit, one letter each.
    qubits = tuple(q for q, _ in string)
    if list(qubits) != sorted(set(qubits)):
        yield "a Pauli string has to be sorted, with each qubit once"
    if any(letter not in ("X", "Y", "Z") for _, letter in string):
        yield "the letters of a Pauli string are X, Y and Z"
    yield from _together(tuple(set(qubits)), known)


# --- life ---------------------------------------------------------------------------------------


@_rule(Alloc)
def _alloc(op: Alloc, known: Qubits) -> Iterator[str]:
    # Qubits of registers begin when they are not alive.
    yield from _some(op.qubits)
    for q in op.qubits:
        if q not in known.space:
            yield f"q{q} belongs to no register"
        elif q in known.alive:
            yield f"q{q} is alive already"
        known.alive.add(q)


@_rule(Free)
def _free(op: Free, known: Qubits) -> Iterator[str]:
    yield from _some(op.qubits)
    yield from _usable(op.qubits, known)
    known.alive.difference_update(op.qubits)


@_rule(Reset)
def _reset(op: Reset, known: Qubits) -> Iterator[str]:
    yield from _some(op.qubits)
    yield from _usable(op.qubits, known)


# --- what acts on the state ---------------------------------------------------------------------


@_rule(Unitary)
def _unitary(op: Unitary, known: Qubits) -> Iterator[str]:
    for element in op.elements:
        yield from _element(element, known)


def _element(element: Element, known: Qubits) -> Iterator[str]:
    match element:
        case Gate():
            yield from _gate(element, known)
        case Run():
            # Every gate of a run acts on its qubit alone.
            for gate in element.gates:
                if gate.all_qubits != (element.qubit,):
                    yield f"{gate.name} does not act on q{element.qubit} alone"
                yield from _gate(gate, known)
        case Diagonal():
            for qubits, angle in element.terms:
                if list(qubits) != sorted(set(qubits)):
                    yield "the qubits of a diagonal's term have to be sorted, each once"
                yield from _angle(angle)
            yield from _together(tuple({q for qs, _ in element.terms for q in qs}), known)
        case Permutation():
            yield from _together(element.qubits, known)
            yield from _invertible(element)


def _gate(gate: Gate, known: Qubits) -> Iterator[str]:
    spec = GATES.get(gate.name)
    if spec is None:
        yield f"no gate is called {gate.name!r}"
        return
    if len(gate.qubits) != spec.qubits:
        yield f"{gate.name} acts on {spec.qubits} qubits, not {len(gate.qubits)}"
    if len(gate.angles) != spec.angles:
        yield f"{gate.name} takes {spec.angles} angles, not {len(gate.angles)}"
    yield from _together(gate.all_qubits, known)
    for angle in gate.angles:
        yield from _angle(angle)


def _invertible(p: Permutation) -> Iterator[str]:
    n = len(p.qubits)
    if len(p.rows) != n or any(not 0 <= row < 1 << n for row in (*p.rows, p.flips)):
        yield "a permutation has a row and a flip for each of its qubits, over those qubits"
        return
    # Over bits, by elimination: every row has to bring a new leading bit.
    basis: dict[int, int] = {}
    for row in p.rows:
        while row and row.bit_length() in basis:
            row ^= basis[row.bit_length()]
        if not row:
            yield "the permutation sends two states to one"
            return
        basis[row.bit_length()] = row


@_rule(Evolve)
def _evolve(op: Evolve, known: Qubits) -> Iterator[str]:
    if op.trotter < 0:
        yield "the number of steps can't be negative"
    yield from _angle(op.time)
    for angle, string in op.terms:
        yield from _angle(angle)
        yield from _pauli(string, known)
    yield from _together(tuple({q for _, string in op.terms for q, _ in string}), known)


@_rule(ApplyMatrix)
def _apply_matrix(op: ApplyMatrix, known: Qubits) -> Iterator[str]:
    yield from _some(op.qubits)
    yield from _together(op.controls + op.zeros + op.qubits, known)
    if op.matrix.type != Type("unitary", (), len(op.qubits)):
        yield f"%{op.matrix.id} is {op.matrix.type}; it has to be unitary[{len(op.qubits)}]"


@_rule(Prepare)
def _prepare(op: Prepare, known: Qubits) -> Iterator[str]:
    yield from _some(op.qubits)
    yield from _together(op.qubits, known)
    k = len(op.qubits)
    kind = op.amplitudes.type
    if kind != Type("state", (), k) and (k > _TOO_MANY or kind != real(1 << k)):
        yield f"%{op.amplitudes.id} is {kind}; it has to be real[2^{k}] or state[{k}]"


@_rule(Channel)
def _channel(op: Channel, known: Qubits) -> Iterator[str]:
    spec = CHANNELS.get(op.name)
    if spec is None:
        yield f"no channel is called {op.name!r}"
        return
    if len(op.qubits) != spec.qubits:
        yield f"{op.name} acts on {spec.qubits} qubits, not {len(op.qubits)}"
    if len(op.args) != spec.args:
        yield f"{op.name} takes {spec.args} numbers, not {len(op.args)}"
    yield from _together(op.qubits, known)
    for angle in op.args:
        yield from _angle(angle)
    # What is known now to be a probability is one; the rest is known only in a run.
    known_now = [angle.constant for angle in op.args if not angle.terms]
    if any(not 0 <= x <= 1 for x in known_now) or sum(known_now) > 1 + 1e-12:
        yield "its numbers have to be probabilities, together at most 1"


# --- readouts -----------------------------------------------------------------------------------


@_rule(Expect)
def _expect(op: Expect, known: Qubits) -> Iterator[str]:
    for string in chain.from_iterable(op.observables):
        if not isfinite(string[0]):
            yield "the coefficients of an observable have to be finite"
        yield from _pauli(string[1], known)
    if op.out.type != real(len(op.observables)):
        yield f"%{op.out.id} is {op.out.type}; it has to be real[{len(op.observables)}]"
    # Exact, with shots, or weak; one of them.
    if op.shots < 0 or (op.weak and not 0 < op.weak <= pi / 2) or (op.shots and op.weak):
        yield "shots are above 0, weak is an angle above 0 and at most pi/2, and not both"
    if op.settings:
        yield from _settings(op)


def _settings(op: Expect) -> Iterator[str]:
    # Every observable belongs to one setting, and all strings of a setting agree on every qubit.
    members = sorted(chain.from_iterable(op.settings))
    if members != list(range(len(op.observables))):
        yield "every observable has to be in one setting"
        return
    for setting in op.settings:
        basis: dict[int, str] = {}
        for index in setting:
            for _, string in op.observables[index]:
                for q, letter in string:
                    if basis.setdefault(q, letter) != letter:
                        yield f"a setting measures both {basis[q]} and {letter} of q{q}"
                        return


@_rule(Probabilities)
def _probabilities(op: Probabilities, known: Qubits) -> Iterator[str]:
    yield from _some(op.qubits)
    yield from _together(op.qubits, known)
    k = len(op.qubits)
    if k > _TOO_MANY or op.out.type != real(1 << k):
        yield f"%{op.out.id} is {op.out.type}; it has to be real[2^{k}]"
    if op.shots < 0:
        yield "shots can't be negative"


@_rule(Measure)
def _measure(op: Measure, known: Qubits) -> Iterator[str]:
    # One qubit gives a bit, several a bit each.
    yield from _some(op.qubits)
    yield from _together(op.qubits, known)
    shapes = [(len(op.qubits),)] + ([()] if len(op.qubits) == 1 else [])
    if op.out.type not in [Type("bit", shape) for shape in shapes]:
        yield f"%{op.out.id} is {op.out.type}; it has to be bit[{len(op.qubits)}]"


@_rule(Postselect)
def _postselect(op: Postselect, known: Qubits) -> Iterator[str]:
    yield from _some(op.qubits)
    yield from _together(op.qubits, known)
    if len(op.bits) != len(op.qubits) or any(b not in (0, 1) for b in op.bits):
        yield "it has to have a bit for each qubit"
    if op.out.type != real():
        yield f"%{op.out.id} is {op.out.type}; it has to be real"
