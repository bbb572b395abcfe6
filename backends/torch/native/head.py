"""A large last layer of a recurrence, outside the kernel: one matrix product for all moments.

The kernel goes through its layers moment by moment, a few sequences at a time, and through all the
weights of a vocabulary for each of these. Nothing in the recurrence waits for what such a layer
says, so it is left to torch, with all moments of all sequences at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from qrlang.ir.program import Linear, Loop, LoopEmit, Output, Program, Value, Weight
from qrlang.ir.types import seq
from qrlang.ir.walk import next_id, uses, walk

LARGE = 1 << 16  # weights from which on it pays


@dataclass(frozen=True)
class Head:
    output: int  # which one of the program's
    shape: tuple[int, ...]  # of that output at a moment
    weights: tuple[Weight, ...]  # and the bias, if it has one
    gain: float


def split(program: Program) -> tuple[Program, Head | None]:
    """The program without such a layer, whose input is its output instead; and that layer."""
    for number, output in enumerate(program.outputs):
        for at, loop in enumerate(program.body):
            if not isinstance(loop, Loop) or loop.extra:
                continue
            for emit in loop.emits:
                layer = _layer(program, loop, emit, output)
                if layer is not None:
                    weights = _of(program, layer)
                    rest = _without(program, at, loop, emit, layer, number)
                    return rest, Head(number, output.value.type.shape, weights, layer.gain)
    return program, None


def _of(program: Program, layer: Linear) -> tuple[Weight, ...]:
    found = {w.name: w for w in program.weights}
    return tuple(found[n] for n in (layer.weight, layer.bias) if n is not None)


def _without(
    program: Program, at: int, loop: Loop, emit: LoopEmit, layer: Linear, number: int
) -> Program:
    before = Value(next_id(program), seq(layer.x.type), "")
    emits = tuple(replace(e, value=layer.x, out=before) if e is emit else e for e in loop.emits)
    body, outputs = list(program.body), list(program.outputs)
    body[at] = replace(loop, body=tuple(op for op in loop.body if op is not layer), emits=emits)
    outputs[number] = replace(outputs[number], value=before)
    gone = _of(program, layer)
    return replace(
        program,
        weights=tuple(w for w in program.weights if w not in gone),
        body=tuple(body),
        outputs=tuple(outputs),
    )


def _layer(program: Program, loop: Loop, emit: LoopEmit, output: Output) -> Linear | None:
    """What makes an output, if it is large and nothing else needs it or its weights."""
    if emit.out.id != output.value.id:
        return None
    found = [op for op in loop.body if isinstance(op, Linear) and op.out.id == emit.value.id]
    if not found:
        return None
    layer = found[0]
    if math.prod(_of(program, layer)[0].shape) < LARGE:
        return None
    ops = list(walk(program.body))
    asked = [v.id for op in ops for v in uses(op)] + [o.value.id for o in program.outputs]
    if asked.count(emit.value.id) > 1 or asked.count(emit.out.id) > 1:
        return None
    mine = {layer.weight, layer.bias} - {None}
    for op in ops:
        if op is not layer and mine & weights_of(op):
            return None
    return layer


def weights_of(op: object) -> set[str]:
    """By name, those that an op itself reads; not its bodies."""
    several = getattr(op, "weights", ())
    names = several if isinstance(several, tuple) else ()
    found = (getattr(op, "weight", None), getattr(op, "bias", None), *names)
    return {n for n in found if isinstance(n, str)}
