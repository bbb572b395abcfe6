"""The spaces of a program, and which of them torch keeps as density matrices. (More than those that
`analysis.purity` finds mixed: in a vector, torch cannot reset or drop a qubit.)"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from qrlang.analysis.purity import per_shot
from qrlang.ir.program import (
    Alloc,
    ApplyMatrix,
    Channel,
    Evolve,
    Expect,
    Free,
    If,
    Measure,
    Op,
    Prepare,
    Program,
    Reset,
    Unitary,
)
from qrlang.ir.walk import qubits_of, regions, uses

_REASONS = {
    Measure: "a measurement collapses it",
    Reset: "a reset discards part of it",
    Channel: "noise acts on it",
}


def density_spaces(program: Program) -> dict[int, str]:
    """Those that one vector a sequence is not enough for, each with the reason in words."""
    space_of = program.space_of
    size = Counter(space_of.values())
    tainted = per_shot(program)
    found: dict[int, str] = {}
    for op, conditional in _with_conditions(program.body, False):
        if isinstance(op, Free):
            ending = Counter(space_of[q] for q in op.qubits)
            for space in (s for s, n in ending.items() if n < size[s]):
                found.setdefault(space, "some of its qubits end before the others")
            continue
        reason = _reason(op, tainted)
        if not reason and conditional:
            reason = "a measured bit decides about its gates"
        if reason:
            for q in qubits_of(op):
                found.setdefault(space_of[q], reason)
    return found


def why_not_reversible(program: Program) -> str:
    """What keeps the states of a program from being walked backwards; "" if nothing does."""
    reasons = sorted(set(density_spaces(program).values()))
    return f"a state does not stay pure: {', '.join(reasons)}" if reasons else ""


def _with_conditions(ops: tuple[Op, ...], conditional: bool) -> Iterator[tuple[Op, bool]]:
    for op in ops:
        yield op, conditional
        for body in regions(op):
            yield from _with_conditions(body, conditional or isinstance(op, If))


def _reason(op: Op, tainted: set[int]) -> str:
    if type(op) in _REASONS:
        return _REASONS[type(op)]
    match op:
        case Alloc(mixed=True):
            return "it begins maximally mixed"
        case Expect(weak=weak) if weak:
            return "a weak readout disturbs it"
        case Unitary() | Evolve() | ApplyMatrix() | Prepare():
            if any(v.id in tainted for v in uses(op)):
                return "a measured bit enters its angles"
    return ""
