"""From a program to a plan, or to the reason why there is none."""

from __future__ import annotations

from dataclasses import replace

from qrlang.engine.classical import lower_classical
from qrlang.engine.lower import Unsupported
from qrlang.engine.nodes import (
    Carry,
    Input,
    Loop,
    Plan,
    PlannedOutput,
    Refusal,
    View,
)
from qrlang.engine.quantum import Spaces
from qrlang.engine.resumable import left, without_beginning
from qrlang.engine.scope import Lowering
from qrlang.ir import program as ir
from qrlang.ir.walk import read_targets, walk

__all__ = ["Plan", "Refusal", "plan"]


def plan(program: ir.Program, segment: str = "") -> Plan | Refusal:
    """`segment`: the states that live from step to step are kept at the end ("first"), and given
    at the beginning too ("next")."""
    try:
        return _plan(program, segment)
    except Unsupported as why:
        return Refusal(str(why))


_REFUSED = {
    ir.Measure: "measurement in the middle",
    ir.Reset: "a reset of qubits in the middle",
    ir.Postselect: "post-selection",
    ir.Channel: "a noise channel",
    ir.If: "`if` on a measured bit",
    ir.ApplyMatrix: "a unitary that is a value",
    ir.Prepare: "a state that is a value",
    ir.CallExtern: "a layer in Python",
}


def _plan(program: ir.Program, segment: str) -> Plan:
    for op in walk(program.body):
        if type(op) in _REFUSED:
            raise Unsupported(_REFUSED[type(op)])
    for weight in program.weights:
        if weight.unitary_qubits:
            raise Unsupported("a trained unitary")
    low = Lowering(program)
    spaces = Spaces(low)
    inputs: list[Input] = []
    loads: list[tuple[int, int]] = []
    for value in (*program.inputs, *read_targets(program)):
        kind = value.type.kind
        if kind not in ("real", "token", "class", "bit"):
            raise Unsupported(f"an input of kind {kind}")
        number = len(inputs)
        rows = value.type.count
        token = kind in ("token", "class")
        inputs.append(Input(value.name, rows, token, value.type.seq, value.type.size))
        if value.type.seq:
            low.sequences[value.id] = View(number)
            low.clocks[number] = (rows, number, 0)
        else:
            slot = low.slot(rows)
            low.env[value.id] = slot
            loads.append((number, slot))
    _body(low, spaces, program.body)
    kept = left(low, spaces) if segment else ()
    if segment == "next":
        low.bodies[0] = list(without_beginning(tuple(low.bodies[0]), {k.space for k in kept}))
    spaces.close_all()
    outputs = []
    for out in program.outputs:
        rows = out.value.type.count
        if out.value.type.seq:
            view = low.sequences[out.value.id]
            if view.source >= 0 or view.reverse or view.shift:
                view = low.materialise(view)
            _, clock, extra = low.clocks[view.source]
            outputs.append(PlannedOutput(out.name, -1 - view.source, rows, True, clock, extra))
        else:
            outputs.append(PlannedOutput(out.name, low.env[out.value.id], rows, False))
    made = low.finish(
        program.name, tuple(inputs), tuple(loads), tuple(outputs),
        spaces.sizes, tuple(spaces.local), kept,
    )  # fmt: skip
    return replace(made, given=segment == "next")


def _body(low: Lowering, spaces: Spaces, ops: tuple[ir.Op, ...]) -> None:
    for op in ops:
        match op:
            case ir.Loop():
                _loop(low, spaces, op)
            case (
                ir.Alloc() | ir.Free() | ir.Unitary() | ir.Evolve() | ir.Expect()
                | ir.Probabilities()
            ):  # fmt: skip
                spaces.lower(op)
            case _:
                lower_classical(low, op)


def _loop(low: Lowering, spaces: Spaces, op: ir.Loop) -> None:
    if not op.items:
        raise Unsupported("a recurrence without a sequence")
    views = [low.sequences[item.sequence.id] for item in op.items]
    _, clock, grown = low.clocks[views[0].source]
    outside = spaces.used_from_outside(op.body)
    # First without anything waiting, to learn what is left over at the end of a step.
    mark = low.mark()
    kept = spaces.mark()
    spaces.enter({})
    _bind(low, op)
    _body(low, spaces, op.body)
    leftover = {s: spaces.leftover(s) for s in outside}
    low.rewind(mark)
    spaces.rewind(kept)
    crossing = {s: rest for s, rest in leftover.items() if rest is not None}
    for s in outside:
        spaces.hand_in(s, crossing.get(s))
    before = {
        s: (low.constants((0.0,) * len(rest.terms)), low.slot(len(rest.terms)))
        for s, rest in crossing.items()
        if rest.terms
    }
    carried = [(low.env[c.initial.id], low.slot(c.out.type.count)) for c in op.carries]
    low.enter()
    crossings = {
        s: (zero, low.slot(low.rows[zero]), out, tuple(crossing[s].terms))
        for s, (zero, out) in before.items()
    }
    spaces.enter({s: (crossing[s].map, crossings.get(s)) for s in crossing})
    items = _bind(low, op)
    flag = low.env[op.flag.id] if op.flag is not None else -1
    _body(low, spaces, op.body)
    carries = []
    for c, (initial, out) in zip(op.carries, carried, strict=True):
        carries.append(Carry(initial, low.env[c.arg.id], low.env[c.next.id], out))
    for s in outside:
        next_rows = spaces.leave(s, crossings.get(s), s in crossing)
        if s in crossings:
            zero, arg, out, _ = crossings[s]
            carries.append(Carry(zero, arg, next_rows, out))
    spaces.end_body()
    emits = []
    for e in op.emits:
        sequence = low.sequence(e.value.type.count, clock, grown + op.extra)
        emits.append((low.env[e.value.id], sequence))
        low.sequences[e.out.id] = View(-1 - sequence)
    body = low.leave()
    low.add(
        Loop(
            low.loop_id(), clock, grown,
            tuple(zip(views, items, strict=True)),
            tuple(carries), tuple(emits), body, op.extra, flag,
        )
    )  # fmt: skip
    for c, (_, out) in zip(op.carries, carried, strict=True):
        low.env[c.out.id] = out
    for s in outside:
        spaces.hand_out(s, crossing.get(s), crossings.get(s))


def _bind(low: Lowering, op: ir.Loop) -> list[int]:
    items = []
    for item in op.items:
        low.env[item.item.id] = low.slot(item.item.type.count)
        items.append(low.env[item.item.id])
    for c in op.carries:
        low.env[c.arg.id] = low.slot(c.arg.type.count)
    if op.flag is not None:
        low.env[op.flag.id] = low.slot(1)
    return items
