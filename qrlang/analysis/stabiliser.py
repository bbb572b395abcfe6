"""What is known of the state, whatever the angles: the Pauli words that leave it as it is.

Fresh qubits begin with Z on each. Clifford gates turn the words; any other rotation keeps those
that commute with it. A rotation about a word that is known only adds a phase: its angle is dead.
"""

from __future__ import annotations

from qrlang.analysis.heisenberg import qubit_count
from qrlang.analysis.span import Stabilisers
from qrlang.analysis.turns import Block, Turn, actions
from qrlang.ir.program import (
    Alloc,
    ApplyMatrix,
    Channel,
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
    Postselect,
    Prepare,
    Probabilities,
    Program,
    Reset,
    Run,
    Unitary,
)
from qrlang.ir.walk import qubits_of, walk

_ROUNDS = 6
# Linear systems solved a program: each costs up to (2 x qubits) steps; beyond, nothing is known.
_WORK = 400_000
# Words remembered at rotations, likewise.
_SNAPSHOTS = 60_000

# Words that commute with every error of a channel stay known through it.
ERRORS = {
    "depolarizing": "XZ",
    "depolarizing2": "XZ",
    "pauli_channel": "XZ",
    "bit_flip": "X",
    "phase_flip": "Z",
    "phase_damping": "Z",
}


class Forward:
    """One run over a program. `alive` and `acts` as in `Backward`, seen from the other side:
    what is not in them leaves the state as it is. `words` holds, for each expectation, the value of
    each word of each observable (None: not known to be constant)."""

    def __init__(self, program: Program) -> None:
        self.heads: dict[int, Stabilisers] = {}  # known at the head of each loop
        self.tails: dict[int, Stabilisers] = {}  # … and after it
        # For rotations at any angle: what is known where they stand.
        self.known: dict[tuple[int, int], list[PauliString]] = {}
        self.qubits = qubit_count(program)
        self._shared = _shared_elements(program)
        self.alive: set[tuple[int, int]] = set()
        self.acts: set[int] = set()
        self.words: dict[int, list[list[float | None]]] = {}
        self._work = _WORK
        self._snapshots = _SNAPSHOTS
        self._actions: dict[int, list[Turn | Block]] = {}
        self._ops(program.body, Stabilisers(self.qubits))

    def _ops(self, ops: tuple[Op, ...], known: Stabilisers) -> Stabilisers:
        for op in ops:
            known = self._op(op, known)
        return known

    def _op(self, op: Op, known: Stabilisers) -> Stabilisers:
        match op:
            case Unitary():
                for element in op.elements:
                    self._element(element, known)
            case Alloc():
                for q in op.qubits:
                    known.forget(q)
                    if not op.mixed:
                        known.fresh(q)
            case Reset():
                for q in op.qubits:
                    known.forget(q)
                    known.fresh(q)
            case Free() | Prepare():
                for q in op.qubits:
                    known.forget(q)
            case Measure():
                for q in op.qubits:
                    known.commuting(((q, "Z"),))
            case Postselect():
                for q, bit in zip(op.qubits, op.bits, strict=True):
                    known.commuting(((q, "Z"),))
                    known.forget(q)
                    known.fresh(q, minus=bool(bit))
            case Expect():
                self.words[id(op)] = [
                    [self.value(word, known) for _, word in o] for o in op.observables
                ]
                if op.weak:
                    for observable in op.observables:
                        for _, word in observable:
                            known.commuting(word)
            case Probabilities():
                pass
            case Channel():
                for q in op.qubits:
                    if op.name not in ERRORS:
                        known.forget(q)
                        continue
                    for letter in ERRORS[op.name]:
                        known.commuting(((q, letter),))
            case ApplyMatrix():
                for q in op.qubits:
                    known.forget(q)
                for q in op.controls + op.zeros:
                    known.commuting(((q, "Z"),))
            case Evolve():
                for _, word in op.terms:
                    known.commuting(word)
                for index, (_, word) in enumerate(op.terms):
                    if not self._phase(word, known):
                        self.alive.add((id(op), index))
                        self.acts.add(id(op))
            case If():
                other = self._ops(op.orelse, known.copy())
                known = self._ops(op.then, known)
                if op.then or op.orelse:
                    known = self._common(known, other)
            case Loop():
                known = self._loop(op, known)
        return known

    def _loop(self, loop: Loop, known: Stabilisers) -> Stabilisers:
        for _ in range(_ROUNDS):
            known.compact()
            before = known.rows
            after = self._ops(loop.body, known.copy())
            known = self._common(known, after)
            if known.rows == before:
                return self._settled(loop, known, after)
        for q in {q for op in walk(loop.body) for q in qubits_of(op)}:
            known.forget(q)
        return self._settled(loop, known, self._ops(loop.body, known.copy()))

    def _settled(self, loop: Loop, head: Stabilisers, after: Stabilisers) -> Stabilisers:
        self.heads[id(loop)] = head
        # A sequence may be empty: then nothing but what is known at the head is certain.
        tail = after if loop.extra else head
        self.tails[id(loop)] = tail.copy()
        return tail.copy()

    def _common(self, a: Stabilisers, b: Stabilisers) -> Stabilisers:
        a.compact()
        b.compact()
        if not a.rows or not b.rows:
            return Stabilisers(self.qubits)
        return a.common(b)

    def _element(self, element: Element, known: Stabilisers) -> None:
        if isinstance(element, Run):
            for gate in element.gates:
                self._element(gate, known)
            return
        if isinstance(element, Gate) and self._never(element, known):
            return
        key = id(element)
        steps = self._actions.get(key)
        if steps is None:
            steps = self._actions[key] = list(actions(element))
        by_term = isinstance(element, Diagonal)
        for position, step in enumerate(steps):
            if isinstance(step, Block):
                self.acts.add(key)
                self.alive.update((key, i) for i in range(8))
                for word in step.words:
                    known.commuting(word)
                continue
            if step.quarters == 0:
                continue
            index = position if by_term else step.angle
            if step.quarters is None:
                self._remember(key, position, known)
            if known.against(step.word) or not self._phase(step.word, known):
                self.acts.add(key)
                if index >= 0:
                    self.alive.add((key, index))
                known.turn(step.word, step.quarters)

    def _never(self, gate: Gate, known: Stabilisers) -> bool:
        """Whether a control is known to be on the side where the gate does nothing."""
        return any(
            self.value(((q, "Z"),), known) == off
            for qubits, off in ((gate.controls, 1.0), (gate.zeros, -1.0))
            for q in qubits
        )

    def _remember(self, key: int, position: int, known: Stabilisers) -> None:
        """The last visit counts: in a loop, that is when nothing changes any more."""
        self.known.pop((key, position), None)
        if not known.rows or key in self._shared:
            return
        self._snapshots -= self.qubits + known.rows
        if self._snapshots > 0:
            self.known[key, position] = known.words()

    def _solvable(self) -> bool:
        self._work -= 2 * self.qubits
        return self._work > 0

    def _phase(self, word: PauliString, known: Stabilisers) -> bool:
        """Whether a rotation about a word is only a phase here."""
        if known.against(word) or not known.rows:
            return False
        return self._solvable() and known.solve(word) is not None

    def value(self, word: PauliString, known: Stabilisers) -> float | None:
        """The expectation of a word, if it is the same whatever the angles."""
        if not word:
            return 1.0
        if known.against(word):
            return 0.0
        sign = known.sign(word) if known.rows and self._solvable() else None
        return None if sign is None else 1.0 - 2.0 * sign


def _shared_elements(program: Program) -> set[int]:
    """Elements that stand at more than one place: what is known differs from place to place."""
    seen: set[int] = set()
    shared: set[int] = set()
    for op in walk(program.body):
        if isinstance(op, Unitary):
            for element in op.elements:
                for one in element.gates if isinstance(element, Run) else (element,):
                    if id(one) in seen:
                        shared.add(id(one))
                    seen.add(id(one))
    return shared
