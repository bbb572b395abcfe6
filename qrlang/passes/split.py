"""Give qubits that never interact spaces of their own: 2^(a+b) amplitudes become 2^a + 2^b.

Qubits stay together if a gate, a readout of a product, or a measured bit connects them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from qrlang.analysis.entangle import Components
from qrlang.analysis.flow import touched, used
from qrlang.analysis.purity import per_shot
from qrlang.ir.program import (
    Diagonal,
    Element,
    Evolve,
    If,
    Measure,
    Permutation,
    Postselect,
    Prepare,
    Probabilities,
    Program,
    Register,
)
from qrlang.ir.walk import qubits_of, walk
from qrlang.passes.base import Elements, join, map_segments


@dataclass(frozen=True)
class Split:
    name: str = "split"
    doc: str = "Gives qubits that never interact spaces of their own, so that states are smaller."

    def run(self, program: Program) -> Program:
        together = Components(program, correlated=True)
        _join_readouts(program, together)
        registers, part = _registers(program, together)
        if registers == program.registers:
            return program
        # An element that covers several parts falls into one for each.
        program = map_segments(
            program, lambda elements: tuple(e for old in elements for e in _parts(old, part))
        )
        return join(replace(program, registers=registers))


def _join_readouts(program: Program, together: Components) -> None:
    shots = per_shot(program)
    measured: set[int] = set()  # qubits of bits that steer something
    steered: set[int] = set()
    for op in walk(program.body):
        if isinstance(op, (Probabilities, Measure, Postselect, Prepare)):
            together.join(op.qubits)
        if isinstance(op, Evolve):
            together.join(qubits_of(op))
        if isinstance(op, If):
            steered |= touched((*op.then, *op.orelse))
        elif shots and qubits_of(op) and any(v.id in shots for v in used(op)):
            steered |= set(qubits_of(op))
        if isinstance(op, Measure):
            measured |= set(op.qubits)
    if steered:
        together.join(sorted(steered | measured))


def _registers(
    program: Program, together: Components
) -> tuple[tuple[Register, ...], dict[int, int]]:
    """The registers, cut where their qubits part, and the new space of each qubit."""
    spaces: dict[tuple[int, int], int] = {}
    part: dict[int, int] = {}
    taken = {r.name for r in program.registers}
    out: list[Register] = []
    for register in program.registers:
        qubits = register.qubits
        for q in qubits:
            key = (register.space, min(together.members(q)))
            part[q] = spaces.setdefault(key, len(spaces))
        starts = [q for q in qubits if q == register.start or part[q] != part[q - 1]]
        for start, end in zip(starts, [*starts[1:], qubits.stop], strict=True):
            name = register.name
            if len(starts) > 1:
                name = f"{register.name}_{start - register.start}"
                while name in taken:
                    name += "_"
                taken.add(name)
            out.append(Register(name, start, end - start, part[start]))
    return tuple(out), part


def _parts(element: Element, part: dict[int, int]) -> Elements:
    if len({part[q] for q in qubits_of(element)}) < 2:
        return (element,)
    if isinstance(element, Diagonal):
        terms: dict[int, list[int]] = {}
        for i, (mask, _) in enumerate(element.terms):
            if mask:
                terms.setdefault(part[mask[0]], []).append(i)
        return tuple(Diagonal(tuple(element.terms[i] for i in some)) for some in terms.values())
    assert isinstance(element, Permutation)
    places: dict[int, list[int]] = {}
    for i, q in enumerate(element.qubits):
        places.setdefault(part[q], []).append(i)
    out = []
    for some in places.values():
        rows = tuple(
            sum(1 << j for j, source in enumerate(some) if element.rows[i] >> source & 1)
            for i in some
        )
        flips = sum(1 << j for j, i in enumerate(some) if element.flips >> i & 1)
        out.append(Permutation(tuple(element.qubits[i] for i in some), rows, flips))
    return tuple(out)
