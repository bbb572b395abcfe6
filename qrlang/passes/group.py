"""Group the observables of each expectation into the fewest settings that measure them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from qrlang.analysis.settings import observable_settings
from qrlang.ir.program import Expect, Op, Program
from qrlang.passes.base import map_ops


@dataclass(frozen=True)
class Group:
    name: str = "group"
    doc: str = (
        "Groups the observables of each readout into the fewest settings in which they can be "
        "measured together, qubit by qubit."
    )

    def run(self, program: Program) -> Program:
        def ops(body: tuple[Op, ...]) -> tuple[Op, ...]:
            return tuple(
                replace(op, settings=observable_settings(op)) if isinstance(op, Expect) else op
                for op in body
            )

        return map_ops(program, ops)
