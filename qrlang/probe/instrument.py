"""Programs with taps: readouts that come out and take noise, angles that can be turned.

What a diagnostic needs is written into the program, so that every road computes it, and its
gradient, by the same means as the model itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from qrlang.analysis.cost import Roles, gate_name
from qrlang.ir.program import (
    Angle,
    Concat,
    Evolve,
    Gate,
    Gather,
    Loop,
    LoopEmit,
    LoopItem,
    Op,
    Output,
    Pointwise,
    Program,
    Term,
    Unitary,
    Value,
)
from qrlang.ir.types import real, seq
from qrlang.ir.walk import map_bodies, next_id, substitute
from qrlang.probe.errors import ProbeError
from qrlang.probe.subject import reads

READOUTS, AFTER, NOISE, TURNS = "probe_readouts", "probe_after", "probe_noise", "probe_turns"


def with_readouts(program: Program, loop: Loop | None, noise: bool = False) -> Program:
    """The readouts of every step as the output `probe_readouts`, those after the recurrence as
    `probe_after`; with `noise`, what the input `probe_noise` holds is added to them at once."""
    fresh = count(next_id(program))
    if loop is None:
        return _read_late(program, program.body, fresh)
    width = sum(op.out.type.count for op in reads(loop.body))
    if noise and not width:
        raise ProbeError(f"the recurrence {loop.name} reads nothing", "it has no readouts to probe")
    item = Value(next(fresh), real(width))
    body, found = _tapped(loop.body, item if noise else None, fresh)
    outputs, inputs, changed = list(program.outputs), program.inputs, loop
    if width:
        together = Value(next(fresh), real(width))
        out = Value(next(fresh), seq(real(width)))
        emits = (*loop.emits, LoopEmit(READOUTS, together, out))
        changed = replace(loop, body=(*body, Concat(together, tuple(found))), emits=emits)
        outputs.append(Output(READOUTS, out))
    if noise:
        changed, inputs = _driven(program, changed, item, NOISE, fresh)
    at = _at(program, loop)
    whole = (*program.body[:at], changed, *program.body[at + 1 :])
    made = replace(program, inputs=inputs, body=whole, outputs=tuple(outputs))
    return _read_late(made, program.body[at + 1 :], fresh)


def _read_late(program: Program, ops: tuple[Op, ...], fresh: Iterator[int]) -> Program:
    """With the readouts of these ops as an output."""
    late = reads(ops)
    if not late:
        return program
    value = Value(next(fresh), real(sum(op.out.type.count for op in late)))
    body = (*program.body, Concat(value, tuple(op.out for op in late)))
    return replace(program, body=body, outputs=(*program.outputs, Output(AFTER, value)))


def _tapped(
    body: tuple[Op, ...], item: Value | None, fresh: Iterator[int]
) -> tuple[tuple[Op, ...], list[Value]]:
    out: list[Op] = []
    found: list[Value] = []
    start = 0
    tapped = reads(body)
    for op in body:
        mine = next((r for r in tapped if r is op), None)
        if mine is None:
            out.append(op)
            continue
        value, size = mine.out, mine.out.type.count
        found.append(value)
        if item is None:
            out.append(mine)
        else:
            raw, part = Value(next(fresh), value.type), Value(next(fresh), value.type)
            out.append(replace(mine, out=raw))
            out.append(Gather(part, item, tuple(range(start, start + size))))
            out.append(Pointwise(value, "add", (raw, part)))
        start += size
    return tuple(out), found


def _driven(
    program: Program, loop: Loop, item: Value, name: str, fresh: Iterator[int]
) -> tuple[Loop, tuple[Value, ...]]:
    """The recurrence with one more sequence, which is an input of the program."""
    if not loop.items:
        raise ProbeError(f"the recurrence {loop.name} goes over no sequence")
    given = Value(next(fresh), replace(item.type, seq=True), name)
    items = (*loop.items, LoopItem(given, item))
    return replace(loop, items=items), (*program.inputs, given)


def _at(program: Program, loop: Loop) -> int:
    return next(k for k, op in enumerate(program.body) if op is loop)


def last(out: Mapping[str, Any]) -> Any:
    """What is read last: after the recurrence; else at its last step; else, where nothing is read
    but by measuring, what the model answers. [batch, …]"""
    if AFTER in out:
        return out[AFTER]
    if READOUTS in out:
        return out[READOUTS][:, -1]
    return next(iter(out.values()))


# --- angles -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Turned:
    program: Program
    loop: Loop | None
    roles: tuple[str, ...]  # of each number of the input `probe_turns`
    gates: tuple[str, ...]


def with_turns(program: Program, loop: Loop | None) -> Turned:
    """A small turn, a number of the input `probe_turns`, added to every angle of a step (without a
    recurrence: of the program) that is not constant: the gradient by it is the gradient by the
    angle."""
    fresh = count(next_id(program))
    origin = Roles(program)
    roles: list[str] = []
    gates: list[str] = []
    item = Value(next(fresh), real())

    def turned(angle: Angle, gate: str) -> Angle:
        if not angle.terms:
            return angle
        roles.append(origin.angle(angle))
        gates.append(gate)
        return replace(angle, terms=(*angle.terms, Term(1.0, item, len(roles) - 1)))

    def one(op: Op) -> Op:
        if isinstance(op, Unitary):
            return Unitary(tuple(
                replace(e, angles=tuple(turned(a, gate_name(e)) for a in e.angles))
                if isinstance(e, Gate) else e
                for e in op.elements
            ))  # fmt: skip
        if isinstance(op, Evolve):
            return replace(op, time=turned(op.time, "evolve"))
        return map_bodies(op, lambda ops: tuple(map(one, ops)))

    body = tuple(map(one, program.body if loop is None else loop.body))
    if not roles:
        raise ProbeError(f"no angle of {program.name} can change", "a gradient needs one that does")
    wide = Value(item.id, real(len(roles)))
    body = tuple(_rewidened(op, item, wide) for op in body)
    if loop is None:
        given = replace(wide, name=TURNS)
        body = tuple(_rewidened(op, wide, given) for op in body)
        made = replace(program, inputs=(*program.inputs, given), body=body)
        return Turned(made, None, tuple(roles), tuple(gates))
    changed, inputs = _driven(program, replace(loop, body=body), wide, TURNS, fresh)
    at = _at(program, loop)
    whole = (*program.body[:at], changed, *program.body[at + 1 :])
    made = replace(program, inputs=inputs, body=whole)
    return Turned(made, changed, tuple(roles), tuple(gates))


def _rewidened(op: Op, old: Value, new: Value) -> Op:
    """The value's width is known only when all angles have been counted."""
    return substitute(op, lambda v: new if v.id == old.id else v)
