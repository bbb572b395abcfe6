"""Branches: what differs from shot to shot after a measurement, and when it no longer does."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from qrlang.backends.reference.state import Array, State
from qrlang.ir.program import If, Loop, Measure, Op, Postselect, Program
from qrlang.ir.walk import defs, regions, used_values, uses, walk

_SAME = 1e-12
Live = frozenset[int]


@dataclass(slots=True)
class Branch:
    """Shots with the same measured bits. `weight` is their share (of what is left after
    post-selection it is relative), `states` by space, `values` by number."""

    weight: float = 1.0
    states: dict[int, State] = field(default_factory=dict)
    values: dict[int, Any] = field(default_factory=dict)

    def copy(self) -> Branch:
        return Branch(self.weight, dict(self.states), dict(self.values))


def average(branches: Iterable[Branch], number: Callable[[Branch], Any]) -> Any:
    """Over all shots."""
    total, result = 0.0, 0.0
    for b in branches:
        total += b.weight
        result = result + b.weight * number(b)
    return result / total


# --- which values still matter ------------------------------------------------------------------


class Liveness:
    """For each op, the values that are needed after it. Empty for programs that never branch."""

    def __init__(self, program: Program) -> None:
        self.after: dict[int, Live] = {}
        self.outputs_only: Live = frozenset()
        if not any(isinstance(op, Measure) for op in walk(program.body)):
            return
        self._free: dict[int, Live] = {}
        outputs = frozenset(o.value.id for o in program.outputs)
        self._scan(program.body, outputs)
        # A value that only outputs need is averaged at once, and its branches end there.
        # Not if a later post-selection could change their shares.
        if not any(isinstance(op, Postselect) for op in walk(program.body)):
            used = used_values(program.body)
            numbers = {o.value.id for o in program.outputs if o.value.type.kind in ("real", "bit")}
            self.outputs_only = frozenset(numbers - used)

    def _scan(self, ops: tuple[Op, ...], live: Live) -> None:
        for op in reversed(ops):
            self.after[id(op)] = self.after.get(id(op), frozenset()) | live
            for body in regions(op):
                self._scan(body, live | self._at_end_of_body(op))
            live = (live - {v.id for v in defs(op)}) | self._free_in(op)

    def _at_end_of_body(self, op: Op) -> Live:
        """What the end of a loop's body needs: what leaves it, and what the next step uses."""
        if not isinstance(op, Loop):
            return frozenset()
        leaving = {k.next.id for k in op.carries} | {e.value.id for e in op.emits}
        return self._free_in(op) | leaving | {e.out.id for e in op.emits}

    def between_steps(self, op: Loop) -> Live:
        bound = {k.arg.id for k in op.carries} | {e.out.id for e in op.emits}
        return self.after[id(op)] | self._free_in(op) | bound

    def _free_in(self, op: Op) -> Live:
        """Values from outside that an op needs, its bodies included."""
        if id(op) not in self._free:
            needed = {v.id for v in uses(op)}
            inside: set[int] = {v.id for v in defs(op)}
            for body in regions(op):
                for inner in body:
                    needed |= self._free_in(inner)
                    inside |= {v.id for v in defs(inner)}
            self._free[id(op)] = frozenset(needed - inside)
        return self._free[id(op)]


# --- fewer branches -----------------------------------------------------------------------------


def merge(branches: list[Branch], live: Live, settled: Live, mix: bool) -> list[Branch]:
    """Branches that agree on all live values become one, its state the mixture of theirs.

    `settled` values are replaced by their average over all branches first. A mixture is one state
    a space only if the branches differ in one space at most: else they stay apart, as what they
    have in common is a correlation. Without `mix` only equal states are joined.
    """
    if len(branches) < 2:
        return branches
    for key in settled & live:
        if key in branches[0].values:
            _settle(branches, key)
    groups: dict[Any, list[Branch]] = {}
    for b in branches:
        groups.setdefault(_key(b, branches[0], live), []).append(b)
    merged: list[Branch] = []
    for group in groups.values():
        merged.extend(_merge_group(group, mix))
    return merged


def _settle(branches: list[Branch], key: int) -> None:
    """An array, or the list of those that a loop has emitted so far."""
    first = branches[0].values[key]
    if all(b.values[key] is first for b in branches):
        return
    mean: Any
    if isinstance(first, tuple):
        # Only the newest is not settled yet.
        mean = (*first[:-1], average(branches, lambda b: b.values[key][-1]))
    else:
        mean = average(branches, lambda b: b.values[key])
    for b in branches:
        b.values[key] = mean


def _key(b: Branch, reference: Branch, live: Live) -> Any:
    """Equal for branches that agree on what is live."""
    parts: list[tuple[int, Any]] = []
    for number in sorted(live):
        value: Any = b.values.get(number)
        first: Any = reference.values.get(number)
        if value is first:
            continue
        if isinstance(value, tuple):
            parts.append((number, tuple(array.tobytes() for array in value)))
        elif value is None or first is None or value.tobytes() != first.tobytes():
            parts.append((number, None if value is None else value.tobytes()))
    return tuple(parts)


def _merge_group(group: list[Branch], mix: bool) -> list[Branch]:
    while True:
        kept: list[Branch] = []
        for b in group:
            for i, other in enumerate(kept):
                joined = _join(other, b, mix)
                if joined is not None:
                    kept[i] = joined
                    break
            else:
                kept.append(b)
        if len(kept) == len(group):
            return kept
        group = kept


def _join(a: Branch, b: Branch, mix: bool) -> Branch | None:
    differ = [s for s in a.states if not _same(a.states[s], b.states[s])]
    if len(differ) > (1 if mix else 0):
        return None
    weight = a.weight + b.weight
    joined = Branch(weight, dict(a.states), a.values)
    for s in differ:
        if not a.states[s].can_mix():
            return None
        x, y = a.states[s].mixed(), b.states[s].mixed()
        array = (a.weight * x.array + b.weight * y.array) / weight
        joined.states[s] = State(x.qubits, array, False)
    return joined


def _same(a: State, b: State) -> bool:
    """The same state, up to a phase."""
    if a is b:
        return True
    if a.pure != b.pure or a.qubits != b.qubits:
        return False
    x, y = a.array, b.array
    if a.pure:
        overlap = complex(np.vdot(x, y))
        if abs(overlap) < 0.5:
            return False
        x = x * (overlap / abs(overlap))
    return bool(np.max(np.abs(x - y)) < _SAME)


def condition(op: If, b: Branch) -> bool:
    value: Array = b.values[op.condition.id]
    return bool(value.flat[op.index] > 0.5)
