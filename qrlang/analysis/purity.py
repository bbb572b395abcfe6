"""Which spaces keep a pure state, what makes the others mixed, and which values differ by shot.

"Pure" is what an engine needs to know: one state vector for each sequence is enough, whatever the
inputs and angles. Post-selection is not unitary, but a vector stays a vector.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from qrlang.analysis.entangle import Components
from qrlang.analysis.flow import Flow, used
from qrlang.ir.program import (
    Alloc,
    ApplyMatrix,
    Channel,
    Expect,
    Free,
    If,
    Loop,
    Measure,
    Op,
    Postselect,
    Prepare,
    Program,
    Reset,
)
from qrlang.ir.walk import defs, qubits_of, regions


@dataclass(frozen=True, slots=True)
class Cause:
    """An op that makes a space mixed: `op` is how the language calls it."""

    op: Op
    what: str
    qubits: tuple[int, ...]
    loop: str = ""  # the recurrence it stands in

    @property
    def place(self) -> int:
        return getattr(self.op, "place", -1)


@dataclass(slots=True)
class Purity:
    """`causes` by space; a space that is missing is pure."""

    causes: dict[int, list[Cause]] = field(default_factory=dict)
    spaces: tuple[int, ...] = ()

    def pure(self, space: int) -> bool:
        return space not in self.causes

    @property
    def all_pure(self) -> bool:
        return not self.causes


def purity(program: Program) -> Purity:
    space = program.space_of
    result = Purity(spaces=tuple(sorted({r.space for r in program.registers})))
    components = Components(program)
    alive: set[int] = set()
    fresh: set[int] = set()  # alive, and certainly |0…0⟩: discarding them mixes nothing

    def discards(qubits: tuple[int, ...], gone: bool) -> bool:
        """Whether throwing these away can leave something entangled behind."""
        for q in qubits:
            if q in fresh:
                continue
            others = (components.members(q) & alive) - (set(qubits) if gone else {q})
            if others - fresh:
                return True
        return False

    def visit(ops: tuple[Op, ...], loop: str, repeated: bool) -> None:
        for op in ops:
            by_space: dict[int, list[int]] = {}
            for q in qubits_of(op):
                by_space.setdefault(space.get(q, 0), []).append(q)
            for s, own in sorted(by_space.items()):
                for what in _mixes(op, tuple(own), discards):
                    result.causes.setdefault(s, []).append(Cause(op, what, tuple(own), loop))
            if isinstance(op, Alloc):
                alive.update(op.qubits)
                if not op.mixed:
                    fresh.update(op.qubits)
            elif isinstance(op, Free):
                alive.difference_update(op.qubits)
                fresh.difference_update(op.qubits)
            elif isinstance(op, Expect):
                pass
            elif isinstance(op, Loop):
                inside = {q for inner in _flat(op.body) for q in qubits_of(inner)}
                fresh.difference_update(inside)
                visit(op.body, op.name, True)
            elif isinstance(op, If):
                for body in regions(op):
                    visit(body, loop, repeated)
            else:
                fresh.difference_update(qubits_of(op))

    visit(program.body, "", False)
    return result


def _flat(ops: tuple[Op, ...]) -> Iterator[Op]:
    for op in ops:
        yield op
        for body in regions(op):
            yield from _flat(body)


def _mixes(op: Op, qubits: tuple[int, ...], discards: object) -> Iterator[str]:
    assert callable(discards)
    match op:
        case Alloc(mixed=True):
            yield "mixed"
        case Measure():
            yield "measure"
        case Channel():
            yield op.name
        case Reset():
            if discards(qubits, False):
                yield "reset"
        case Free():
            if discards(qubits, True):
                yield "end"
        case Expect():
            if op.weak:
                yield "weak"


def per_shot(program: Program) -> set[int]:
    """Ids of the values that differ from shot to shot: measured bits, and what is computed from
    them. An expectation is an average over all shots, so it is not one."""
    flow = Flow(program)
    found: set[int] = set()
    grown = True
    ops = list(_flat(program.body))
    while grown:
        grown = False
        for op in ops:
            if isinstance(op, Measure):
                new = [op.out]
            elif isinstance(op, Loop):
                new = [
                    out
                    for out in (*(c.arg for c in op.carries), *(c.out for c in op.carries),
                                *(e.out for e in op.emits), *(i.item for i in op.items))
                    if any(s.id in found for s in flow.sources(out))
                ]  # fmt: skip
            elif isinstance(op, (If, Expect, Postselect, Prepare, ApplyMatrix)):
                continue
            elif not qubits_of(op) and any(v.id in found for v in used(op)):
                new = defs(op)
            else:
                continue
            for value in new:
                if value.id not in found:
                    found.add(value.id)
                    grown = True
    return found
