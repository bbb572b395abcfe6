"""One moment of a sample again, gate by gate, at the weights of a step: by the interpreter that
defines what a program means."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from qrlang.backends.reference import RunError, run
from qrlang.ir.program import (
    Alloc,
    Free,
    If,
    Loop,
    Measure,
    Op,
    Program,
    Unitary,
)
from qrlang.ir.walk import defs, map_bodies, qubits_of, walk
from qrlang.trace.errors import TraceError
from qrlang.trace.layout import Array
from qrlang.trace.taps import exact

Shots = list[tuple[float, dict[int, Any]]]  # share and states of each branch


@dataclass
class Seen:
    """What happened at an op: states before and after, values, the share of shots."""

    before: Shots
    after: Shots
    values: Mapping[int, Array]
    bits: tuple[float, ...] = ()


@dataclass
class Played:
    program: Program  # gates one by one
    seen: dict[int, Seen]  # by key of the op
    values: dict[int, Array]
    outputs: dict[str, Array]
    times: dict[str, int]  # moments that each recurrence had
    place: dict[str, int] = field(default_factory=dict)  # which of them was looked at


def singly(program: Program) -> Program:
    """The same with every gate an op of its own."""

    def change(ops: tuple[Op, ...]) -> tuple[Op, ...]:
        return tuple(one for op in ops for one in split(op))

    def split(op: Op) -> Iterator[Op]:
        if isinstance(op, Unitary):
            yield from (Unitary((replace(e),)) for e in op.elements)  # each an object of its own
        else:
            yield map_bodies(op, change)

    return replace(program, body=change(program.body))


def play(
    program: Program,
    sample: Mapping[str, Any],
    weights: Mapping[str, Array],
    externs: Mapping[str, Callable[..., Any]] | None = None,
    at: int = -1,
) -> Played:
    """`at`: the moment of each recurrence that is looked at; -1: its last."""
    single = singly(exact(program))
    loops = {id(op): loop for loop in single.body if isinstance(loop, Loop)
             for op in walk(loop.body)}  # fmt: skip
    kept: dict[str, dict[int, Seen]] = {}
    fresh: dict[str, dict[int, Seen]] = {}
    values: dict[str, dict[int, Any]] = {}
    times: dict[str, int] = {}
    place: dict[str, int] = {}
    open_: dict[int, Shots] = {}
    last: dict[int, Any] = {}

    def look(op: Op, branches: Sequence[Any], done: bool) -> None:
        if isinstance(op, (Loop, Alloc, Free)) or not branches:
            pass
        elif not done:
            if qubits_of(op) or isinstance(op, If):
                open_[key(op)] = [(b.weight, dict(b.states)) for b in branches]
        elif key(op) in open_:
            name = loops[id(op)].name if id(op) in loops else ""
            first = max(branches, key=lambda b: b.weight)
            bits: tuple[float, ...] = ()
            if isinstance(op, Measure):
                total = sum(b.weight for b in branches)
                mean = sum(b.weight * np.ravel(b.values[op.out.id]) for b in branches) / total
                bits = tuple(float(x) for x in mean)
            after = [(b.weight, dict(b.states)) for b in branches]
            seen = Seen(open_.pop(key(op)), after, dict(first.values), bits)
            fresh.setdefault(name, {})[key(op)] = seen
        if done and branches:
            last.clear()
            last.update(max(branches, key=lambda b: b.weight).values)

    outer = {loop.name for loop in single.body if isinstance(loop, Loop)}

    def watch(name: str, t: int, branches: Sequence[Any]) -> None:
        if name not in outer:
            return  # attention inside a step: it belongs to the moment of that
        times[name] = t + 1
        found = fresh.pop(name, {})
        if at < 0 or t <= at:
            kept[name], place[name] = found, t
            heaviest = max(branches, key=lambda b: b.weight).values
            values[name] = dict(heaviest)

    try:
        result = run(
            single,
            {p.name: sample[p.name] for p in program.inputs},
            {p.name: sample[p.name] for p in program.targets if p.name in sample},
            {w.name: weights[w.name] for w in program.weights},
            externs=externs,
            watch=watch,
            look=look,
        )
    except RunError as error:
        raise TraceError(f"the sample cannot be run again: {error}") from None
    seen = {k: v for part in (*kept.values(), *fresh.values()) for k, v in part.items()}
    whole = dict(last)
    for name, part in values.items():
        inside = {v.id for op in walk(_loop(single, name).body) for v in defs(op)}
        bound = {i.item.id for i in _loop(single, name).items}
        bound |= {c.arg.id for c in _loop(single, name).carries}
        whole |= {k: v for k, v in part.items() if k in inside | bound}
    # Sequences that are still being collected are tuples of arrays: they are no values yet.
    plain = {k: np.asarray(v) for k, v in whole.items() if isinstance(v, (np.ndarray, np.generic))}
    return Played(single, seen, plain, dict(result.outputs), times, place)


def key(op: Op) -> int:
    """Of an op, also when it stands in a circuit of its own."""
    return id(op.elements[0]) if isinstance(op, Unitary) else id(op)


def _loop(program: Program, name: str) -> Loop:
    return next(op for op in program.body if isinstance(op, Loop) and op.name == name)
