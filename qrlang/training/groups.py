"""Which weights are a circuit's own: angles and unitaries that no layer computes."""

from __future__ import annotations

from qrlang.analysis.flow import Flow
from qrlang.ir.program import (
    ApplyMatrix,
    CallExtern,
    Embed,
    Evolve,
    LayerNorm,
    Linear,
    Program,
    Unitary,
    UseWeight,
)
from qrlang.ir.walk import uses, walk

_LAYERS = (Linear, Embed, LayerNorm, CallExtern)


def quantum(program: Program) -> tuple[str, ...]:
    """The names of trained weights that angles are made of without a layer in between."""
    flow = Flow(program)
    waiting = [
        v
        for op in walk(program.body)
        if isinstance(op, (Unitary, Evolve, ApplyMatrix))
        for v in uses(op)
    ]
    seen: set[int] = set()
    found: set[str] = set()
    while waiting:
        v = waiting.pop()
        if v.id in seen:
            continue
        seen.add(v.id)
        op = flow.maker.get(v.id)
        if isinstance(op, UseWeight):
            found.add(op.weight)
        elif not isinstance(op, _LAYERS):
            waiting.extend(flow.sources(v))
    return tuple(w.name for w in program.weights if w.trained and w.name in found)
