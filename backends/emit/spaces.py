"""Sets of qubits that meet, and whether their qubits keep their wires."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from qrlang.ir.program import Alloc, Expect, Free, Loop, Measure, Postselect, Program, Reset
from qrlang.ir.walk import walk


@dataclass
class Space:
    """Qubits that meet: one growing circuit."""

    name: str
    first: int
    fixed: bool  # qubit k of it is always wire k
    live: set[int] = field(default_factory=set)

    def key(self, qubit: int) -> int:
        """A qubit within its circuit."""
        return qubit - self.first


def spaces_of(program: Program, free: Callable[[str], str]) -> dict[int, Space]:
    """By qubit. `free` gives names."""
    floating = _floating(program)
    several = len({r.space for r in program.registers}) > 1
    spaces: dict[int, Space] = {}
    of_qubit: dict[int, Space] = {}
    for r in program.registers:
        if r.space not in spaces:
            wish = r.name.rsplit(".", 1)[0] if several else "circuit"
            first = min(x.start for x in program.registers if x.space == r.space)
            spaces[r.space] = Space(free(wish), first, r.space not in floating)
        of_qubit.update(dict.fromkeys(r.qubits, spaces[r.space]))
    return of_qubit


def _floating(program: Program) -> set[int]:
    """Spaces whose qubits move to other wires: by a reset, a measurement, or a life that ends
    while others go on."""
    space = program.space_of
    first = {
        s: min(r.start for r in program.registers if r.space == s) for s in set(space.values())
    }
    found: set[int] = set()
    live: dict[int, int] = {}  # how many wires a space has used
    alive: dict[int, set[int]] = {}
    for op in walk(program.body):
        match op:
            case Alloc():
                for q in op.qubits:
                    s = space[q]
                    if not alive.get(s):
                        live[s] = 0
                    if live[s] != q - first[s] or op.mixed:
                        found.add(s)
                    live[s] += 1
                    alive.setdefault(s, set()).add(q)
            case Free():
                for q in op.qubits:
                    alive[space[q]].discard(q)
            case Expect() if op.weak:
                found.update(space[q] for o in op.observables for _, s in o for q, _ in s)
            case Reset() | Measure() | Postselect():
                found.update(space[q] for q in op.qubits)
    # What begins in a loop and outlives it would begin a second time.
    for loop in walk(program.body):
        if isinstance(loop, Loop):
            for op in walk(loop.body):
                if isinstance(op, Alloc) and any(
                    _alive_outside(program, loop, space, space[q]) for q in op.qubits
                ):
                    found.update(space[q] for q in op.qubits)
    return found


def _alive_outside(program: Program, loop: Loop, space: dict[int, int], wanted: int) -> bool:
    """Whether a space has qubits that begin outside a loop."""
    inside = {id(op) for op in walk(loop.body)}
    return any(
        isinstance(op, Alloc)
        and id(op) not in inside
        and any(space[q] == wanted for q in op.qubits)
        for op in walk(program.body)
    )
