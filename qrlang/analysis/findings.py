"""What a whole program lets one warn of. Never a false alarm: what is said here is certain.

Kinds, and what a finding of each holds (`places` lead to gates, `values` are value numbers):

dead-angle        an angle that cannot change any readout, here or at another gate that shares
                  its number. detail: gate, qubits, angle (index),
                  why: "behind" (on the state at that point it is only a phase) or "ahead" (nothing
                  that is read later notices it)
product           qubits of a space that can never be entangled with the rest. names: registers;
                  detail: parts, a tuple of parts, each a tuple of (register, index)
constant-readout  observables whose value is the same always. values: the readout; detail:
                  indices (of the observables) and their constants
unused-weight     weights, unused-layer: extern layers, that reach no output. names
memory-unread     what a recurrence keeps and no later readout sees. names: loop, then registers
                  and carries (detail carries; values); detail whole: it keeps nothing else
memory-unwritten  a recurrence whose input never gets into anything that it keeps. names as above
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from qrlang.analysis.constants import constant_readouts
from qrlang.analysis.entangle import Components, separate_parts
from qrlang.analysis.flow import READOUTS, Reach, touched, used
from qrlang.analysis.heisenberg import Backward
from qrlang.analysis.stabiliser import Forward
from qrlang.ir.program import (
    Alloc,
    Angle,
    Diagonal,
    Element,
    Evolve,
    Gate,
    If,
    Loop,
    Op,
    Program,
    Run,
    Unitary,
)
from qrlang.ir.walk import angles_of, defs, qubits_of, walk


@dataclass(frozen=True)
class Finding:
    kind: str
    places: tuple[int, ...] = ()
    values: tuple[int, ...] = ()
    names: tuple[str, ...] = ()
    detail: Mapping[str, Any] = field(default_factory=dict)


def findings(program: Program) -> list[Finding]:
    """All of them, in the order of the program within each kind."""
    found: list[Finding] = []
    forward = Forward(program)
    found.extend(_dead_angles(program, Backward(program, known=forward.known), forward))
    found.extend(_products(program))
    found.extend(_constants(program, forward))
    if program.outputs:
        reach = Reach(program)
        found.extend(_unused(program, reach))
        found.extend(_memories(program, reach))
    return found


# --- angles -------------------------------------------------------------------------------------


def _dead_angles(program: Program, backward: Backward, forward: Forward) -> list[Finding]:
    ops = list(walk(program.body))
    if not any(isinstance(op, READOUTS) for op in ops):
        return []  # nothing is read at all: every angle would be dead
    dead: list[tuple[Angle, Finding]] = []
    used: set[tuple[int, int]] = set()  # elements of values that some other angle makes felt

    def report(
        key: tuple[int, int], angle: Angle, gate: str, qubits: tuple[int, ...], place: int
    ) -> None:
        behind = key not in forward.alive
        if behind or key not in backward.alive:
            detail = {
                "gate": gate,
                "qubits": qubits,
                "angle": key[1],
                "why": "behind" if behind else "ahead",
            }
            dead.append((angle, Finding("dead-angle", (place,), detail=detail)))
        else:
            used.update((t.value.id, t.index) for t in angle.terms)

    for op in ops:
        if isinstance(op, Evolve):
            for i, (angle, word) in enumerate(op.terms):
                if word and angle.terms:
                    report((id(op), i), angle, "evolve", tuple(q for q, _ in word), op.place)
        elif isinstance(op, Unitary):
            for element in op.elements:
                _dead_in(element, report)
    # A number that drives several gates is felt if one of them is: its gradient is not zero.
    return [
        finding
        for angle, finding in dead
        if any((t.value.id, t.index) not in used for t in angle.terms)
    ]


def _dead_in(element: Element, report: Any) -> None:
    if isinstance(element, Gate):
        for i, angle in enumerate(element.angles):
            if angle.terms:
                report((id(element), i), angle, element.name, element.all_qubits, element.place)
    elif isinstance(element, Run):
        for gate in element.gates:
            _dead_in(gate, report)
    elif isinstance(element, Diagonal):
        for i, (mask, angle) in enumerate(element.terms):
            if angle.terms:
                report((id(element), i), angle, "diagonal", mask, -1)


# --- structure ----------------------------------------------------------------------------------


def _products(program: Program) -> list[Finding]:
    names: dict[int, tuple[str, int]] = {}
    for register in program.registers:
        for i in range(register.size):
            names[register.start + i] = (register.name, i)
    # Qubits that nothing acts on or reads say nothing about a product.
    active = touched(op for op in walk(program.body) if not isinstance(op, Alloc))
    found: list[Finding] = []
    for _, parts in separate_parts(program):
        parts = [part for part in parts if any(q in active for q in part)]
        if len(parts) > 1:
            named = tuple(tuple(names[q] for q in part) for part in parts)
            registers = dict.fromkeys(name for part in named for name, _ in part)
            found.append(Finding("product", names=tuple(registers), detail={"parts": named}))
    return found


def _constants(program: Program, forward: Forward) -> list[Finding]:
    found: list[Finding] = []
    for op, constants in constant_readouts(program, forward):
        indices = tuple(i for i, value in enumerate(constants) if value is not None)
        if indices:
            detail = {"indices": indices, "constants": tuple(constants[i] for i in indices)}
            found.append(Finding("constant-readout", values=(op.out.id,), detail=detail))
    return found


# --- what reaches an output ---------------------------------------------------------------------


def _unused(program: Program, reach: Reach) -> list[Finding]:
    weights = tuple(w.name for w in program.weights if w.name not in reach.weights)
    externs = tuple(e.name for e in program.externs if e.name not in reach.externs)
    found = [Finding("unused-weight", names=(name,)) for name in weights]
    return found + [Finding("unused-layer", names=(name,)) for name in externs]


def _memories(program: Program, reach: Reach) -> list[Finding]:
    found: list[Finding] = []
    registers = [(r.name, set(r.qubits)) for r in program.registers]
    components: Components | None = None
    for op in walk(program.body):
        if not isinstance(op, Loop):
            continue
        begun = {q for inner in walk(op.body) if isinstance(inner, Alloc) for q in inner.qubits}
        memory = touched(op.body) - begun
        held = tuple(name for name, qubits in registers if qubits & memory)
        head = reach.backward.heads.get(id(op))
        unseen = bool(memory) and head is not None and not head.touches(memory)
        lost = [c for c in op.carries if not {c.arg.id, c.out.id} & reach.values]
        if unseen or lost:
            # A later step or an output may still see the rest of what is kept.
            whole = (unseen or not memory) and len(lost) == len(op.carries)
            kept = (*(held if unseen else ()), *(c.arg.name for c in lost))
            values = tuple(c.arg.id for c in lost)
            detail = {"carries": tuple(c.arg.name for c in lost), "whole": whole}
            found.append(Finding("memory-unread", (), values, (op.name, *kept), detail))
        if op.items and (memory or op.carries):
            components = components or Components(program)
            values_in, qubits_in = _written(op, components)
            # What goes on by itself is a clock, as long as something else takes the input in.
            if not memory & qubits_in and not any(c.next.id in values_in for c in op.carries):
                carries = tuple(c.arg.name for c in op.carries)
                values = tuple(c.arg.id for c in op.carries)
                names = (op.name, *held, *carries)
                found.append(Finding("memory-unwritten", (), values, names, {"carries": carries}))
    return found


def _written(loop: Loop, components: Components) -> tuple[set[int], set[int]]:
    """Values and qubits that the loop's items can get into."""
    values = {item.item.id for item in loop.items}
    qubits: set[int] = set()
    inside = list(walk(loop.body))
    pieces: list[tuple[tuple[int, ...], set[int], tuple[int, ...]]] = []
    for op in inside:
        pieces.extend(_effects(op))
    for carry in loop.carries:
        pieces.append(((carry.next.id,), set(), (carry.arg.id,)))
    grown = True
    while grown:
        size = len(values), len(qubits)
        for sources, acted, results in pieces:
            wet = any(s in values for s in sources) or (bool(results) and bool(acted & qubits))
            if wet:
                values.update(results)
                for q in acted - qubits:
                    qubits |= components.members(q)
        grown = size != (len(values), len(qubits))
    return values, qubits


def _effects(op: Op) -> list[tuple[tuple[int, ...], set[int], tuple[int, ...]]]:
    """(values read, qubits acted on or read, values defined) of an op."""
    results = tuple(v.id for v in defs(op))
    if isinstance(op, If):
        return [((op.condition.id,), touched((*op.then, *op.orelse)), ())]
    if isinstance(op, Loop):
        return [
            *(((i.sequence.id,), set(), (i.item.id,)) for i in op.items),
            *(((c.initial.id, c.next.id), set(), (c.arg.id, c.out.id)) for c in op.carries),
            *(((e.value.id,), set(), (e.out.id,)) for e in op.emits),
        ]
    if isinstance(op, Unitary):
        return [
            (
                tuple(t.value.id for a in angles_of(e) for t in a.terms),
                set(qubits_of(e)),
                (),
            )
            for e in op.elements
        ]
    return [(tuple(v.id for v in used(op)), set(qubits_of(op)), results)]
