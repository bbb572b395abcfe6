"""The circuits of a program: what lies between two moments, one for each set of qubits that meet.

A recurrence gives the circuit of its step; what stands outside one, the circuits before and after
it; qubits that never meet are circuits of their own. Emitters, drawings and `inspect` share this.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from qrlang.ir.program import (
    Alloc,
    Angle,
    Diagonal,
    Element,
    Evolve,
    Expect,
    Free,
    Gate,
    If,
    Loop,
    Measure,
    Op,
    PauliString,
    Permutation,
    Probabilities,
    Program,
    Register,
    Run,
    Term,
    Unitary,
)
from qrlang.ir.walk import qubits_of, regions, walk

MIXED = "I/2"  # what qubits hold that begin maximally mixed
_SEES = (Alloc, Free, Expect, Probabilities)  # leave the state as it is


@dataclass(frozen=True, slots=True)
class Circuit:
    """`name` is unique in its program; "" if it is all there is."""

    name: str
    loop: Loop | None  # the recurrence whose step it is
    registers: tuple[Register, ...]
    ops: tuple[Op, ...]  # quantum ops only, in order
    # For each qubit what it holds at first: "" for |0⟩, `MIXED`, or the circuit that acted on it.
    holds: tuple[str, ...] = ()

    @property
    def qubits(self) -> tuple[int, ...]:
        return tuple(q for r in self.registers for q in r.qubits)

    @property
    def begins(self) -> list[str]:
        """What is drawn at the left end of each qubit's wire; "" where it goes on."""
        begun = self.begun if self.loop is not None else set(self.qubits)
        return [
            "" if before not in ("", MIXED) or q not in begun else before or "|0⟩"
            for q, before in zip(self.qubits, self.holds, strict=True)
        ]

    def renamed(self, names: Mapping[tuple[str, str], str]) -> Circuit:
        """With the registers called as its recurrence calls them, by both names."""
        block = self.loop.name if self.loop else ""
        own = tuple(replace(r, name=names.get((block, r.name), r.name)) for r in self.registers)
        return replace(self, registers=own)

    @property
    def begun(self) -> frozenset[int]:
        """Qubits that begin in it."""
        return frozenset(q for op in self.ops if isinstance(op, Alloc) for q in op.qubits)

    @property
    def fresh(self) -> bool:
        """Every qubit begins in it, so it is a layer's: called, and over."""
        return self.begun >= set(self.qubits)


def circuits(program: Program) -> tuple[Circuit, ...]:
    """Every circuit in which something happens or is read, in order."""
    idle = (Alloc, Free)
    found: list[Circuit] = []
    for name, loop, ops in _moments(program):
        groups = _groups(program, ops)
        for registers in groups:
            mine = {q for r in registers for q in r.qubits}
            kept = _only(ops, mine)
            if any(not isinstance(op, idle) for op in walk(kept)):
                made = Circuit(name, loop, registers, kept)
                if made.fresh and (loop or len(groups) > 1):  # a layer: its own name is enough
                    made = replace(made, name=registers[0].name.rsplit(".", 1)[0])
                elif len(groups) > 1:
                    made = replace(made, name=".".join(x for x in (name, registers[0].name) if x))
                found.append(made)
    return tuple(_holding(program, _unique(found)))


def _holding(program: Program, found: Iterable[Circuit]) -> Iterator[Circuit]:
    """Each circuit with what its qubits hold when it first runs."""
    allocated = [op for op in walk(program.body) if isinstance(op, Alloc)]
    begin = {q: MIXED if op.mixed else "" for op in allocated for q in op.qubits}
    last = dict(begin)
    for circuit in found:
        last |= {q: begin[q] for q in circuit.begun}
        yield replace(circuit, holds=tuple(last.get(q, "") for q in circuit.qubits))
        for op in walk(circuit.ops):
            if not isinstance(op, _SEES):
                last |= dict.fromkeys(qubits_of(op), circuit.name)


def _unique(found: list[Circuit]) -> Iterator[Circuit]:
    taken: set[str] = set()
    for circuit in found:
        name, k = circuit.name, 1
        while name in taken:
            k += 1
            name = f"{circuit.name}_{k}"
        taken.add(name)
        yield replace(circuit, name=name)


def _moments(program: Program) -> Iterator[tuple[str, Loop | None, tuple[Op, ...]]]:
    """The bodies of the loops, and what stands around them."""
    loops = [op for op in program.body if isinstance(op, Loop)]
    pending: list[Op] = []
    for op in program.body:
        if not isinstance(op, Loop):
            pending.append(op)
            continue
        yield f"before_{op.name}", None, tuple(pending)
        pending.clear()
        yield op.name, op, op.body
    yield f"after_{loops[-1].name}" if loops else "", None, tuple(pending)


def _groups(program: Program, ops: tuple[Op, ...]) -> list[tuple[Register, ...]]:
    """The registers that these ops use, those together that meet or steer one another."""
    parent = list(range(len(program.registers)))
    owner = {q: i for i, r in enumerate(program.registers) for q in r.qubits}
    used: set[int] = set()

    def root(i: int) -> int:
        while parent[i] != i:
            i = parent[i]
        return i

    first_of_space: dict[int, int] = {}
    for i, r in enumerate(program.registers):
        parent[root(i)] = root(first_of_space.setdefault(r.space, i))
    measured: dict[int, tuple[int, ...]] = {}
    for op in walk(ops):
        used.update(owner[q] for q in qubits_of(op) if q in owner)
        if isinstance(op, Measure):
            measured[op.out.id] = op.qubits
        if isinstance(op, If):
            inside = tuple(q for part in walk((*op.then, *op.orelse)) for q in qubits_of(part))
            steered = (*measured.get(op.condition.id, ())[:1], *inside)
            together = [owner[q] for q in steered if q in owner]
            used.update(together)
            for i in together[1:]:
                parent[root(i)] = root(together[0])
    groups: dict[int, list[Register]] = {}
    for i in sorted(used):
        groups.setdefault(root(i), []).append(program.registers[i])
    return [tuple(group) for group in groups.values()]


def _only(ops: tuple[Op, ...], mine: set[int]) -> tuple[Op, ...]:
    """The quantum ops on these qubits."""
    kept: list[Op] = []
    for op in ops:
        if isinstance(op, If):
            inner = replace(op, then=_only(op.then, mine), orelse=_only(op.orelse, mine))
            if inner.then or inner.orelse:
                kept.append(inner)
        elif isinstance(op, Unitary):
            elements = tuple(e for e in op.elements if set(qubits_of(e)) & mine)
            if elements:
                kept.append(Unitary(elements))
        elif isinstance(op, Expect):
            if (set(qubits_of(op)) or mine) & mine:
                kept.append(_seen_by(op, mine))
        elif not regions(op) and set(qubits_of(op)) & mine:
            kept.append(op)
    return tuple(kept)


def _seen_by(op: Expect, mine: set[int]) -> Expect:
    """A readout as far as it is of these qubits: one line may read several states."""
    if set(qubits_of(op)) <= mine:
        return op
    parts = [tuple((c, s) for c, s in o if {q for q, _ in s} <= mine) for o in op.observables]
    return replace(op, observables=tuple(o for o in parts if any(s for _, s in o)))


# --- as gates -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Product:
    """`factor * a * b`: an angle that no affine sum can say (a Hamiltonian's term times time)."""

    factor: float
    a: Angle
    b: Angle


AnyAngle = Angle | Product


@dataclass(frozen=True, slots=True)
class FlatGate:
    """A gate of the table, and nothing but: what fused elements and evolution come down to."""

    name: str
    qubits: tuple[int, ...]
    angles: tuple[AnyAngle, ...] = ()
    controls: tuple[int, ...] = ()
    zeros: tuple[int, ...] = ()
    place: int = -1


def scaled(angle: Angle, factor: float) -> Angle:
    terms = tuple(Term(factor * t.coefficient, t.value, t.index) for t in angle.terms)
    return Angle(factor * angle.constant, terms)


def product(factor: float, a: Angle, b: Angle) -> AnyAngle:
    if not a.terms:
        return scaled(b, factor * a.constant)
    if not b.terms:
        return scaled(a, factor * b.constant)
    return Product(factor, a, b)


def flat(op: Unitary | Evolve) -> Iterator[FlatGate]:
    """The gates that an op comes down to, in order."""
    if isinstance(op, Unitary):
        for element in op.elements:
            yield from flat_element(element)
        return
    for _ in range(max(1, op.trotter)):
        for coefficient, string in op.terms:
            angle = product(2 / max(1, op.trotter), coefficient, op.time)
            yield from pauli_rotation(string, angle, op.place)


def flat_element(element: Element) -> Iterator[FlatGate]:
    match element:
        case Gate():
            yield FlatGate(element.name, element.qubits, element.angles, element.controls,
                           element.zeros, element.place)  # fmt: skip
        case Run():
            for gate in element.gates:
                yield from flat_element(gate)
        case Diagonal():
            for qubits, angle in element.terms:
                yield from pauli_rotation(tuple((q, "Z") for q in qubits), angle)
        case Permutation():
            yield from _network(element)


_TWO = {"XX": "rxx", "YY": "ryy", "ZZ": "rzz", "ZX": "rzx"}


def pauli_rotation(string: PauliString, angle: AnyAngle, place: int = -1) -> Iterator[FlatGate]:
    """`exp(-i angle/2 P)`. The identity is a global phase: no gate."""
    if not string:
        return
    qubits, word = tuple(q for q, _ in string), "".join(p for _, p in string)
    if len(word) == 1:
        yield FlatGate(f"r{word.lower()}", qubits, (angle,), place=place)
        return
    if word in _TWO:
        yield FlatGate(_TWO[word], qubits, (angle,), place=place)
        return
    if word == "XZ":
        yield FlatGate("rzx", (qubits[1], qubits[0]), (angle,), place=place)
        return
    for q, p in string:
        if p == "X":
            yield FlatGate("h", (q,), place=place)
        if p == "Y":
            yield FlatGate("rx", (q,), (Angle(math.pi / 2),), place=place)
    for control, target in itertools.pairwise(qubits):
        yield FlatGate("x", (target,), controls=(control,), place=place)
    yield FlatGate("rz", (qubits[-1],), (angle,), place=place)
    for control, target in reversed(list(itertools.pairwise(qubits))):
        yield FlatGate("x", (target,), controls=(control,), place=place)
    for q, p in string:
        if p == "X":
            yield FlatGate("h", (q,), place=place)
        if p == "Y":
            yield FlatGate("rx", (q,), (Angle(-math.pi / 2),), place=place)


def _network(p: Permutation) -> Iterator[FlatGate]:
    """CNOTs by Gaussian elimination, then the flips."""
    rows, k = list(p.rows), len(p.qubits)
    steps: list[tuple[int, int]] = []  # (control, target) that undo the map, in order

    def add(control: int, target: int) -> None:
        rows[target] ^= rows[control]
        steps.append((control, target))

    for i in range(k):
        if not rows[i] >> i & 1:
            add(next(j for j in range(i + 1, k) if rows[j] >> i & 1), i)
        for j in range(k):
            if j != i and rows[j] >> i & 1:
                add(i, j)
    for control, target in reversed(steps):
        yield FlatGate("x", (p.qubits[target],), controls=(p.qubits[control],))
    for i, q in enumerate(p.qubits):
        if p.flips >> i & 1:
            yield FlatGate("x", (q,))
