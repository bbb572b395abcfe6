"""Networks of X, CNOT and SWAP as one map of basis states, phases pushed through them."""

from __future__ import annotations

from dataclasses import dataclass

from qrlang.ir.program import Element, Program
from qrlang.passes.base import rewrite
from qrlang.passes.layers import is_map, is_phase, layered


@dataclass(frozen=True)
class Permute:
    name: str = "permute"
    doc: str = (
        "Makes one index map of each network of x, cx and swap, and pushes diagonal gates through "
        "it, so that diagonals on both sides become one."
    )

    def run(self, program: Program) -> Program:
        return rewrite(program, lambda e: tuple(layered(e, _flows)))


def _flows(element: Element) -> bool:
    return is_map(element) or is_phase(element)
