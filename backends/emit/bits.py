"""Measured bits that a module has no form for: numbers that differ from shot to shot."""

from __future__ import annotations

from qrlang.analysis.purity import per_shot
from qrlang.ir.program import If, Loop, Measure, Program
from qrlang.ir.walk import uses, walk


def refuse_bits(program: Program) -> None:
    """A bit may decide on gates and leave the model, as its average. ValueError for all else."""
    tainted = per_shot(program)
    if not tainted:
        return
    measured = {op.out.id for op in walk(program.body) if isinstance(op, Measure)}
    for op in walk(program.body):
        if isinstance(op, Loop):
            found = [c.next for c in op.carries if c.next.id in tainted]
        elif isinstance(op, If):
            found = [] if op.condition.id in measured else [op.condition]
        else:
            found = [v for v in uses(op) if v.id in tainted]
        for value in found:
            name = value.name or f"%{value.id}"
            raise ValueError(f"a module cannot say what depends on a measured bit as a number, "
                             f"and `{name}` does; `qrlc run` can")  # fmt: skip
