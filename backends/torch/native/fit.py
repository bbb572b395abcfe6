"""Whether a program fits the native kernel. Needs neither torch nor LLVM to say so."""

from __future__ import annotations

from dataclasses import replace

from qrlang.engine.plan import Refusal, plan
from qrlang.ir.program import Dropout, Op, Pointwise, Program
from qrlang.ir.walk import map_bodies, read_targets


def why_not(program: Program, segment: str = "") -> str:
    """What keeps a program from the native kernel; "" if nothing does. `segment`: see `plan`."""
    found = plan(with_targets(program), segment)
    return str(found.reason) if isinstance(found, Refusal) else ""


def with_targets(program: Program) -> Program:
    """Targets that the program itself reads, as inputs."""
    return replace(program, inputs=(*program.inputs, *read_targets(program)), targets=())


def without_dropout(program: Program) -> Program:
    """What it is when it is not being trained."""

    def change(ops: tuple[Op, ...]) -> tuple[Op, ...]:
        return tuple(
            Pointwise(op.out, "identity", (op.x,))
            if isinstance(op, Dropout)
            else map_bodies(op, change)
            for op in ops
        )

    return replace(program, body=change(program.body))
