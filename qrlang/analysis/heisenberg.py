"""Readouts carried backwards through a program: what can still change any of them?

The state of the analysis is a group of Pauli words that holds every word of every readout ahead,
as it looks from here. A rotation that commutes with the whole group does nothing to any readout.
One that does not brings its own word into the group (O becomes cos O + sin i P O); that loses
nothing, since a word commutes with a group exactly if it does with what generates the group.
Joint statistics of measured bits are products of words, so the group holds them too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from qrlang.analysis.span import Span, reduced
from qrlang.analysis.turns import Block, Turn, actions
from qrlang.gates import CHANNELS
from qrlang.ir.program import (
    Alloc,
    ApplyMatrix,
    Channel,
    Diagonal,
    Element,
    Evolve,
    Expect,
    If,
    Loop,
    Measure,
    Op,
    PauliString,
    Postselect,
    Prepare,
    Probabilities,
    Program,
    Reset,
    Run,
    Unitary,
)
from qrlang.ir.walk import qubits_of, walk

_DAMPING = frozenset({"amplitude_damping"})
_ROUNDS = 12


def qubit_count(program: Program) -> int:
    highest = max((r.start + r.size for r in program.registers), default=0)
    for op in walk(program.body):
        highest = max(highest, *(q + 1 for q in qubits_of(op)), 0)
    return highest


class Backward:
    """One run over a program.

    `known` has, for rotations, words that leave the state there as it is (`Forward.known`): what
    averages to zero in any case does not matter. Afterwards `alive` holds (id of an element or op,
    index of the angle or term) for whatever can change a readout, and `acts` the ids of elements
    and ops that do. `heads` has, for each loop, what later readouts see of the state as it was
    when a step began.
    """

    def __init__(
        self,
        program: Program,
        counts: Callable[[Op], bool] = lambda op: True,
        known: Mapping[tuple[int, int], list[PauliString]] | None = None,
    ) -> None:
        self.counts = counts  # readouts that matter
        self.known = known or {}
        self.alive: set[tuple[int, int]] = set()
        self.acts: set[int] = set()
        self.heads: dict[int, Span] = {}
        self._actions: dict[int, list[Turn | Block]] = {}
        self.start = self._ops(program.body, Span(qubit_count(program)))

    # --- ops, latest first ---

    def _ops(self, ops: tuple[Op, ...], seen: Span) -> Span:
        for op in reversed(ops):
            seen = self._op(op, seen)
        return seen

    def _op(self, op: Op, seen: Span) -> Span:
        match op:
            case Unitary():
                for element in reversed(op.elements):
                    self._element(element, seen)
            case Expect():
                if self.counts(op):
                    words = [word for observable in op.observables for c, word in observable if c]
                    for word in words:  # a weak one only damps words, which stay what they are
                        seen.add(word)
            case Probabilities():
                if self.counts(op):
                    _add_all(op.qubits, "Z", seen)
            case Measure() | Postselect():
                if self.counts(op) or any(seen.against(((q, "Z"),)) for q in op.qubits):
                    self.acts.add(id(op))  # it is read, or disturbs what is read later
                for q in op.qubits:
                    # What would notice a phase here averages to zero, whatever the outcome does.
                    seen.keep_commuting(((q, "Z"),))
                if self.counts(op):
                    _add_all(op.qubits, "Z", seen)
            case Alloc():
                for q in op.qubits:
                    seen.clear(q, "" if op.mixed else "Z")
            case Reset():
                if seen.touches(op.qubits):
                    self.acts.add(id(op))
                for q in op.qubits:
                    seen.clear(q, "Z")
            case Prepare():
                if seen.touches(op.qubits):
                    self.acts.add(id(op))
                    _add_all(op.qubits, "XZ", seen)
            case ApplyMatrix():
                words = [((q, letter),) for q in op.qubits for letter in "XZ"]
                words += [((q, "Z"),) for q in op.controls + op.zeros]
                if self._block(words, seen):
                    self.acts.add(id(op))
            case Evolve():
                self._evolve(op, seen)
            case Channel():
                if seen.touches(op.qubits):
                    self.acts.add(id(op))
                    if op.name in _DAMPING or op.name not in CHANNELS:
                        _add_all(op.qubits, "Z", seen)
            case If():
                other = self._ops(op.orelse, seen.copy())
                seen = self._ops(op.then, seen)
                seen.join(other)
                seen.reduce()
            case Loop():
                return self._loop(op, seen)
        return seen

    def _loop(self, loop: Loop, after: Span) -> Span:
        end = after.copy()
        rank = end.reduce()
        for _ in range(_ROUNDS):
            head = self._ops(loop.body, end.copy())
            end.join(head)
            grown = end.reduce()
            if grown == rank:
                break
            rank = grown
        else:  # give up: every qubit that the loop touches may matter in every way
            inside = {q for op in walk(loop.body) for q in qubits_of(op)}
            _add_all(sorted(inside), "XZ", end)
            end.reduce()
            head = self._ops(loop.body, end.copy())
        self.heads[id(loop)] = head.copy()
        head.join(after)
        head.reduce()
        return head

    # --- parts of a segment ---

    def _element(self, element: Element, seen: Span) -> None:
        if isinstance(element, Run):
            for gate in reversed(element.gates):
                self._element(gate, seen)
            return
        key = id(element)
        steps = self._actions.get(key)
        if steps is None:
            steps = self._actions[key] = list(actions(element))[::-1]
        by_term = isinstance(element, Diagonal)
        position = len(steps)
        for step in steps:
            position -= 1
            if isinstance(step, Block):
                if self._block(step.words, seen):
                    self.acts.add(key)
                    self.alive.update((key, i) for i in range(8))
                continue
            mask = seen.against(step.word)
            if not mask or step.quarters == 0:
                continue
            known = self.known.get((key, position)) if step.quarters is None else None
            if known is not None and _vanishes(step.word, mask, known, seen):
                continue
            self.acts.add(key)
            index = position if by_term else step.angle
            if index >= 0:
                self.alive.add((key, index))
            if step.quarters is None:
                seen.add(step.word)
            elif step.quarters != 2:
                seen.multiply(mask, step.word)

    def _block(self, words: Iterable[PauliString], seen: Span) -> bool:
        if not any(seen.against(word) for word in words):
            return False
        for word in words:
            seen.add(word)
        return True

    def _evolve(self, op: Evolve, seen: Span) -> None:
        waiting = [(i, word) for i, (_, word) in enumerate(op.terms)]
        grown = True
        while grown:
            grown = False
            for i, word in waiting.copy():
                if seen.against(word):
                    seen.add(word)
                    self.alive.add((id(op), i))
                    self.acts.add(id(op))
                    waiting.remove((i, word))
                    grown = True


def _add_all(qubits: Iterable[int], letters: str, seen: Span) -> None:
    for q in qubits:
        for letter in letters:
            seen.add(((q, letter),))


def _vanishes(word: PauliString, against: int, known: list[PauliString], seen: Span) -> bool:
    """Whether a rotation turns only words that average to zero into words that do.

    A word does if it anticommutes with one that is known. So: is there a product O of rows that
    anticommutes with the rotation, while O, or O times the rotation's word, commutes with all
    that is known? Two systems of linear equations over bits, solved together.
    """
    rows = seen.rows
    mine = dict(word)
    equations = [against | 3 << rows]
    for other in known:
        clash = sum(mine.get(q, letter) != letter for q, letter in other) & 1
        equations.append(seen.against(other) | clash << rows + 1)
    pivots, open_systems = 0, 3
    basis: dict[int, int] = {}
    unknowns = (1 << rows) - 1
    for equation in equations:
        equation = reduced(equation, pivots, basis)
        if equation & unknowns:
            low = equation & -equation
            pivots |= low
            basis[low] = equation
        else:
            open_systems &= ~(equation >> rows)
    return not open_systems
