"""Which weights are a circuit's own: angles, unitaries and amplitudes that no layer computes."""

from __future__ import annotations

from qrlang.analysis.flow import Flow, used
from qrlang.ir.program import (
    ApplyMatrix,
    Attend,
    CallExtern,
    Embed,
    Evolve,
    LayerNorm,
    Linear,
    Prepare,
    Program,
    Unitary,
    UseWeight,
)
from qrlang.ir.walk import walk

_ACTS = (Unitary, Evolve, ApplyMatrix, Prepare)
_LAYERS = (Linear, Embed, CallExtern, LayerNorm, Attend)


def own_weights(program: Program, flow: Flow | None = None) -> set[str]:
    """Trained weights whose numbers reach gates through nothing but arithmetic."""
    flow = flow or Flow(program)
    steering = [v for op in walk(program.body) if isinstance(op, _ACTS) for v in used(op)]
    # Readouts have no sources.
    behind = flow.behind(steering, until=_LAYERS)
    found = {op.weight for op in behind if isinstance(op, UseWeight)}
    return found & {w.name for w in program.weights if w.trained}
