"""Carry a step's last diagonal over the step boundary, into the first diagonal of the next step.

A recurrence is a loop, so its seams fuse too: `…, D, P | D', …` becomes `…, P | D'' D', …` with the
angles of D carried along as numbers (zeros at first). It is applied after the loop only if
something there can tell.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from qrlang.analysis.flow import touched
from qrlang.ir.program import (
    Angle,
    Channel,
    Concat,
    Const,
    Diagonal,
    Element,
    Evolve,
    Expect,
    Free,
    Gate,
    Gather,
    If,
    Loop,
    LoopCarry,
    Measure,
    Op,
    Permutation,
    Pointwise,
    Postselect,
    Probabilities,
    Program,
    Reset,
    Run,
    Term,
    Unitary,
    Value,
)
from qrlang.ir.types import real
from qrlang.ir.walk import next_id, qubits_of
from qrlang.passes.angles import add
from qrlang.passes.base import join
from qrlang.passes.families import letters
from qrlang.passes.layers import as_permutation, inverse_rows, is_map


@dataclass(frozen=True)
class Carry:
    name: str = "carry"
    doc: str = (
        "Moves the last diagonal of a recurrence's step into the first one of the next step, past "
        "readouts that commute with it, its angles carried along."
    )

    def run(self, program: Program) -> Program:
        program = join(program)
        mover = _Mover(program)
        return replace(program, body=mover.ops(program.body, last=bool(program.outputs)))


# A phase on its way: which parity, whether its sign has turned, which number of the vector it is.
@dataclass(frozen=True, slots=True)
class _Phase:
    mask: frozenset[int]
    sign: float
    index: int


_Place = tuple[int, int]  # of an op in a body, of an element in it


@dataclass(frozen=True, slots=True)
class _Move:
    space: int
    source: _Place
    diagonal: Diagonal
    leaving: list[_Phase]  # as they are at the end of the step
    target: _Place
    arriving: list[_Phase]  # … and where they join another diagonal


class _Mover:
    def __init__(self, program: Program) -> None:
        self.next = next_id(program)
        self.space = program.space_of

    def value(self, count: int, name: str) -> Value:
        self.next += 1
        return Value(self.next - 1, real(count), name)

    def ops(self, ops: tuple[Op, ...], last: bool) -> tuple[Op, ...]:
        """`last`: nothing comes after these ops, so what is left at their end is not missed."""
        out: list[Op] = []
        for i, op in enumerate(ops):
            if isinstance(op, If):
                op = replace(op, then=self.ops(op.then, False), orelse=self.ops(op.orelse, False))
            elif isinstance(op, Loop):
                op = replace(op, body=self.ops(op.body, False))
                before, op, after = self._loop(op, ops[i + 1 :], last)
                out.extend((*before, op, *after))
                continue
            out.append(op)
        return tuple(out)

    def _loop(
        self, loop: Loop, rest: tuple[Op, ...], last: bool
    ) -> tuple[list[Op], Loop, list[Op]]:
        """What comes before the loop, the loop, and what comes after it. Each space carries once:
        what has moved already would only go round again."""
        before: list[Op] = []
        after: list[Op] = []
        done: set[int] = set()
        while (move := self._move(loop.body, done)) is not None:
            done.add(move.space)
            angles = [angle for _, angle in move.diagonal.terms]
            vector, making = self._vector(angles)
            zeros, arg, out = (self.value(len(angles), name) for name in ("", "carried", "carried"))
            met = _at(loop.body, move.target)
            assert isinstance(met, Diagonal)
            body = _replaced(
                loop.body, {move.source: (), move.target: (_with(met, move.arriving, arg),)}
            )
            carry = LoopCarry(zeros, arg, vector, out)
            loop = replace(loop, body=(*body, *making), carries=(*loop.carries, carry))
            before.append(Const(zeros, (0.0,) * len(angles)))
            if not last or _missed(rest, move.leaving):
                after.append(Unitary((_with(Diagonal(()), move.leaving, out),)))
        return before, loop, after

    def _move(self, body: tuple[Op, ...], done: set[int]) -> _Move | None:
        """A diagonal that can move over the end of the body into another one, the last first."""
        for source, diagonal in _diagonals(body):
            space = self._space(diagonal)
            leaving = None if space in done else _leaving(body, source, diagonal)
            if leaving is None:
                continue
            found = self._arriving(body, leaving, space)
            if found is not None and found[0] < source:  # else it would meet itself
                return _Move(space, source, diagonal, leaving, *found)
        return None

    def _space(self, diagonal: Diagonal) -> int:
        return next((self.space[q] for mask, _ in diagonal.terms for q in mask), -1)

    def _arriving(
        self, body: tuple[Op, ...], phases: list[_Phase], space: int
    ) -> tuple[_Place, list[_Phase]] | None:
        """The first diagonal of the space that these phases, coming in, can join."""
        try:
            for i, op in enumerate(body):
                if not isinstance(op, Unitary):
                    phases = _past(op, phases)
                    continue
                for j, element in enumerate(op.elements):
                    if isinstance(element, Diagonal) and self._space(element) == space:
                        return (i, j), phases
                    phases = _past_element(element, phases)
        except _Blocked:
            pass
        return None

    def _vector(self, angles: list[Angle]) -> tuple[Value, tuple[Op, ...]]:
        """A value that holds these angles, and the ops that compute it."""
        count = len(angles)
        values: dict[int, Value] = {t.value.id: t.value for a in angles for t in a.terms}
        if not values:
            out = self.value(count, "")
            return out, (Const(out, tuple(a.constant for a in angles)),)
        ops: list[Op] = []
        start: dict[int, int] = {}
        total = 0
        for value in values.values():
            start[value.id] = total
            total += value.type.count
        (source, *more) = values.values()
        if more or source.type.kind != "real":
            whole = self.value(total, "")
            ops.append(Concat(whole, tuple(values.values())))
            source = whole
        rounds = max(len(a.terms) for a in angles)
        result: Value | None = None
        for r in range(rounds):
            picked = [a.terms[r] if r < len(a.terms) else None for a in angles]
            out = self.value(count, "")
            indices = tuple(start[t.value.id] + t.index if t else 0 for t in picked)
            ops.append(Gather(out, source, indices))
            factors = tuple(t.coefficient if t else 0.0 for t in picked)
            out = self._arithmetic("mul", out, factors, 1.0, ops)
            if result is not None:
                total_so_far = self.value(count, "")
                ops.append(Pointwise(total_so_far, "add", (result, out)))
                out = total_so_far
            result = out
        assert result is not None
        constants = tuple(a.constant for a in angles)
        return self._arithmetic("add", result, constants, 0.0, ops), tuple(ops)

    def _arithmetic(
        self, fn: str, x: Value, numbers: tuple[float, ...], neutral: float, ops: list[Op]
    ) -> Value:
        if all(n == neutral for n in numbers):
            return x
        constant, out = self.value(len(numbers), ""), self.value(len(numbers), "")
        ops.append(Const(constant, numbers))
        ops.append(Pointwise(out, fn, (x, constant)))
        return out


def _with(diagonal: Diagonal, phases: Iterable[_Phase], vector: Value) -> Diagonal:
    """The diagonal and the carried phases."""
    carried = (
        (tuple(sorted(p.mask)), Angle(0.0, (Term(p.sign, vector, p.index),))) for p in phases
    )
    terms: dict[tuple[int, ...], Angle] = {}
    for mask, angle in (*diagonal.terms, *carried):
        terms[mask] = add(terms[mask], angle) if mask in terms else angle
    return Diagonal(tuple(sorted(terms.items(), key=lambda term: (len(term[0]), term[0]))))


# --- where it comes from and where it goes ------------------------------------------------------


class _Blocked(Exception):
    """A phase does not commute with what it has to get past."""


def _diagonals(body: tuple[Op, ...]) -> Iterator[tuple[_Place, Diagonal]]:
    """All of a body, the last first."""
    for i in range(len(body) - 1, -1, -1):
        op = body[i]
        if isinstance(op, Unitary):
            for j in range(len(op.elements) - 1, -1, -1):
                element = op.elements[j]
                if isinstance(element, Diagonal) and element.terms:
                    yield (i, j), element


def _leaving(body: tuple[Op, ...], place: _Place, diagonal: Diagonal) -> list[_Phase] | None:
    """The phases of a diagonal as they arrive at the end of the body, if all of them do."""
    i, j = place
    segment = body[i]
    assert isinstance(segment, Unitary)
    phases = [_Phase(frozenset(mask), 1.0, k) for k, (mask, _) in enumerate(diagonal.terms)]
    try:
        for later in segment.elements[j + 1 :]:
            phases = _past_element(later, phases)
        for after in body[i + 1 :]:
            phases = _past(after, phases)
    except _Blocked:
        return None
    return phases


def _missed(ops: tuple[Op, ...], phases: list[_Phase]) -> bool:
    """Whether anything in these ops can tell that the phases are not there."""
    try:
        for op in ops:
            if isinstance(op, (Free, Reset)):
                gone = set(op.qubits)
                phases = [p for p in phases if not p.mask <= gone]
            phases = _past(op, phases)
    except _Blocked:
        return True
    return False


def _past(op: Op, phases: list[_Phase]) -> list[_Phase]:
    """The phases on the other side of an op."""
    if isinstance(op, Unitary):
        for element in op.elements:
            phases = _past_element(element, phases)
        return phases
    qubits = frozenset(touched((op,)))
    if not any(p.mask & qubits for p in phases):
        return phases
    match op:
        case Expect():
            words = [word for observable in op.observables for _, word in observable]
            free = all(_commutes(p.mask, word) for p in phases for word in words)
        case Evolve():
            free = all(_commutes(p.mask, word) for p in phases for _, word in op.terms)
        case Probabilities() | Measure() | Postselect():
            free = True
        case Channel():
            free = op.name in ("phase_flip", "phase_damping")
        case _:
            free = False
    if not free:
        raise _Blocked
    return phases


def _commutes(mask: frozenset[int], word: tuple[tuple[int, str], ...]) -> bool:
    return sum(q in mask and letter != "Z" for q, letter in word) % 2 == 0


def _past_element(element: Element, phases: list[_Phase]) -> list[_Phase]:
    qubits = frozenset(qubits_of(element))
    if isinstance(element, Diagonal) or not any(p.mask & qubits for p in phases):
        return phases
    if is_map(element):
        permutation = as_permutation(element)
        return [_mapped(p, permutation) for p in phases]
    for gate in element.gates if isinstance(element, Run) else (element,):
        assert isinstance(gate, Gate)
        axes = letters(gate)
        if any(axes.get(q, "Z") != "Z" for p in phases for q in p.mask):
            raise _Blocked
    return phases


def _mapped(phase: _Phase, permutation: Permutation) -> _Phase:
    """A parity of the bits that go in, in terms of those that come out."""
    inverse = inverse_rows(permutation)
    position = {q: i for i, q in enumerate(permutation.qubits)}
    row = 0
    rest = frozenset(q for q in phase.mask if q not in position)
    for q in phase.mask:
        if q in position:
            row ^= inverse[position[q]]
    minus = (row & permutation.flips).bit_count() & 1
    out = {q for q, i in position.items() if row >> i & 1}
    return _Phase(rest | out, -phase.sign if minus else phase.sign, phase.index)


# --- rebuilding ---------------------------------------------------------------------------------


def _at(body: tuple[Op, ...], place: _Place) -> Element:
    segment = body[place[0]]
    assert isinstance(segment, Unitary)
    return segment.elements[place[1]]


def _replaced(body: tuple[Op, ...], changes: dict[_Place, tuple[Element, ...]]) -> tuple[Op, ...]:
    out: list[Op] = []
    for i, op in enumerate(body):
        if not isinstance(op, Unitary):
            out.append(op)
            continue
        elements = tuple(
            e for j, old in enumerate(op.elements) for e in changes.get((i, j), (old,))
        )
        if elements:
            out.append(Unitary(elements))
    return tuple(out)
