"""Readouts that have the same value always, whatever the angles, inputs and weights.

A word is walked back through the circuit as long as every gate turns it into a single word again,
down to where the state is known: fresh qubits, or what the forward analysis knows at the head or
the end of a loop. With real amplitudes a word with an odd number of Y is zero.
"""

from __future__ import annotations

from collections.abc import Iterator

from qrlang.analysis.flow import touched
from qrlang.analysis.heisenberg import qubit_count
from qrlang.analysis.real import imaginary, real_spaces
from qrlang.analysis.span import Stabilisers
from qrlang.analysis.stabiliser import ERRORS, Forward
from qrlang.analysis.turns import Block, actions
from qrlang.ir.program import (
    Alloc,
    Channel,
    Element,
    Evolve,
    Expect,
    Free,
    If,
    Loop,
    Measure,
    Op,
    PauliString,
    Postselect,
    Probabilities,
    Program,
    Reset,
    Unitary,
)
from qrlang.ir.walk import qubits_of, regions

_STEPS = 60_000  # elements walked over, all readouts together; beyond, nothing is claimed

# Where an op stands: its body, its place there, and the op around it (None: the program).
_Around = tuple[tuple[Op, ...], int, Op | None, "_Around | None"]


def constant_readouts(
    program: Program, forward: Forward
) -> list[tuple[Expect, list[float | None]]]:
    """For each expectation, the value of every observable that has one."""
    space = program.space_of
    real = real_spaces(program)
    walker = _Walker(program, forward)
    found: list[tuple[Expect, list[float | None]]] = []
    for op, around in _expectations(program.body, None, None):
        known = forward.words.get(id(op), [])
        out: list[float | None] = []
        for i, observable in enumerate(op.observables):
            total: float | None = 0.0
            for j, (coefficient, word) in enumerate(observable):
                value = known[i][j] if known else None
                if value is None and space.get(word[0][0]) in real and imaginary(word):
                    value = 0.0
                if value is None:
                    value = walker.value(word, around)
                total = None if value is None or total is None else total + coefficient * value
            out.append(total)
        found.append((op, out))
    return found


def _expectations(
    ops: tuple[Op, ...], parent: Op | None, outer: _Around | None
) -> Iterator[tuple[Expect, _Around]]:
    for i, op in enumerate(ops):
        here: _Around = (ops, i, parent, outer)
        if isinstance(op, Expect):
            yield op, here
        for body in regions(op):
            yield from _expectations(body, op, here)


class _Unknown(Exception):
    pass


class _Walker:
    def __init__(self, program: Program, forward: Forward) -> None:
        self.forward = forward
        self.qubits = qubit_count(program)
        self.steps = _STEPS
        self.touched: dict[int, set[int]] = {}  # by loop

    def value(self, word: PauliString, around: _Around) -> float | None:
        row = Stabilisers(self.qubits)  # one row: the word with its sign
        row.add(word)
        try:
            return self._walk(row, around)
        except _Unknown:
            return None

    def _walk(self, row: Stabilisers, around: _Around) -> float:
        ops, index, parent, outer = around
        for op in reversed(ops[:index]):
            if isinstance(op, Loop):
                if id(op) not in self.touched:
                    self.touched[id(op)] = touched(op.body)
                if row.touches(self.touched[id(op)]):
                    return self._end(row, self.forward.tails[id(op)])
            elif not self._back(op, row):
                return 0.0
        if isinstance(parent, Loop):
            return self._end(row, self.forward.heads[id(parent)])
        if outer is not None:
            return self._walk(row, outer)
        return self._end(row, Stabilisers(self.qubits))

    def _end(self, row: Stabilisers, known: Stabilisers) -> float:
        value = self.forward.value(row.word(0), known)
        if value is None:
            raise _Unknown
        return -value if row.signs & 1 else value

    def _back(self, op: Op, row: Stabilisers) -> bool:
        """One op back in time; False if the word averages to zero there."""
        match op:
            case Unitary():
                for element in reversed(op.elements):
                    self._element(element, row)
            case Alloc():
                return all(_fresh(q, row, op.mixed) for q in op.qubits)
            case Reset():
                return all(_fresh(q, row, False) for q in op.qubits)
            case Measure():
                return not any(row.against(((q, "Z"),)) for q in op.qubits)
            case Expect():
                words = [word for o in op.observables for _, word in o] if op.weak else []
                if any(row.against(word) for word in words):
                    raise _Unknown
            case Channel():
                for q in op.qubits:
                    letters = ERRORS.get(op.name)
                    if row.touches([q]) and (
                        letters is None or any(row.against(((q, x),)) for x in letters)
                    ):
                        raise _Unknown
            case Evolve():
                if any(row.against(word) for _, word in op.terms):
                    raise _Unknown
            case If():
                if row.touches(touched((op,))):
                    raise _Unknown
            case Postselect():
                raise _Unknown
            case Free() | Probabilities():
                pass
            case _:
                if row.touches(qubits_of(op)):
                    raise _Unknown
        return True

    def _element(self, element: Element, row: Stabilisers) -> None:
        self.steps -= 1
        if self.steps < 0:
            raise _Unknown
        if not row.touches(qubits_of(element)):
            return
        for step in reversed(list(actions(element))):
            if isinstance(step, Block):
                if any(row.against(word) for word in step.words):
                    raise _Unknown
            elif step.quarters != 0 and row.against(step.word):
                if step.quarters is None:
                    raise _Unknown
                row.turn(step.word, -step.quarters % 4)


def _fresh(q: int, row: Stabilisers, mixed: bool) -> bool:
    if row.x[q] or (mixed and row.z[q]):
        return False
    row.z[q] = 0
    return True
