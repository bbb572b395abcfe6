"""Which qubits ever meet: the parts that a space falls into."""

from __future__ import annotations

from collections.abc import Iterable

from qrlang.ir.program import (
    ApplyMatrix,
    Channel,
    Diagonal,
    Element,
    Evolve,
    Expect,
    Gate,
    Permutation,
    Prepare,
    Program,
    Unitary,
)
from qrlang.ir.walk import walk


class Components:
    """Sets of qubits that gates connect. `correlated`: also those that a readout multiplies."""

    def __init__(self, program: Program, correlated: bool = False) -> None:
        self.parent: dict[int, int] = {}
        self.sets: dict[int, set[int]] = {}
        for register in program.registers:
            for q in register.qubits:
                self._root(q)
        for op in walk(program.body):
            if isinstance(op, Unitary):
                for element in op.elements:
                    self._element(element)
            elif isinstance(op, (ApplyMatrix, Channel)):
                self._join((*op.qubits, *getattr(op, "controls", ()), *getattr(op, "zeros", ())))
            elif isinstance(op, Prepare):
                self._join(op.qubits)
            elif isinstance(op, Evolve):
                for _, word in op.terms:
                    self._join(q for q, _ in word)
            elif isinstance(op, Expect) and (op.weak or correlated):
                for observable in op.observables:
                    for _, word in observable:
                        self._join(q for q, _ in word)
        self.program = program

    def _element(self, element: Element) -> None:
        if isinstance(element, Gate):
            if len(element.qubits) > 1 or element.controls or element.zeros:
                self._join(element.all_qubits)
        elif isinstance(element, Diagonal):
            for mask, _ in element.terms:
                self._join(mask)
        elif isinstance(element, Permutation):
            for i, row in enumerate(element.rows):
                self._join(
                    [element.qubits[i]] + [q for j, q in enumerate(element.qubits) if row >> j & 1]
                )

    def _root(self, q: int) -> int:
        if q not in self.parent:
            self.parent[q] = q
            self.sets[q] = {q}
        while self.parent[q] != q:
            self.parent[q] = self.parent[self.parent[q]]
            q = self.parent[q]
        return q

    def _join(self, qubits: Iterable[int]) -> None:
        first = -1
        for q in qubits:
            root = self._root(q)
            if first < 0:
                first = root
            elif root != first:
                if len(self.sets[root]) > len(self.sets[first]):
                    root, first = first, root
                self.parent[root] = first
                self.sets[first] |= self.sets.pop(root)

    def join(self, qubits: Iterable[int]) -> None:
        self._join(qubits)

    def members(self, q: int) -> set[int]:
        return self.sets[self._root(q)]

    def all(self) -> list[tuple[int, ...]]:
        """Every part, sorted."""
        return sorted(tuple(sorted(part)) for part in self.sets.values())


def separate_parts(program: Program) -> list[tuple[int, list[tuple[int, ...]]]]:
    """(space, parts) of every space that falls into several parts which never meet."""
    space = program.space_of
    parts: dict[int, list[tuple[int, ...]]] = {}
    for part in Components(program).all():
        parts.setdefault(space.get(part[0], 0), []).append(part)
    return [(s, found) for s, found in sorted(parts.items()) if len(found) > 1]
