"""Layers of diagonal gates as one diagonal, runs of gates on one qubit as one matrix."""

from __future__ import annotations

from dataclasses import dataclass

from qrlang.ir.program import Element, Gate, Program, Run
from qrlang.ir.walk import qubits_of
from qrlang.passes.base import Elements, rewrite
from qrlang.passes.layers import is_phase, layered


@dataclass(frozen=True)
class Fuse:
    name: str = "fuse"
    doc: str = (
        "Makes one diagonal of each layer of diagonal gates, and one matrix of gates that follow "
        "one another on a qubit."
    )

    def run(self, program: Program) -> Program:
        return rewrite(program, lambda e: runs(layered(e, is_phase)))


def runs(elements: list[Element]) -> Elements:
    out: list[Element] = []
    last: dict[int, int] = {}  # the last element on each qubit
    for element in elements:
        gates = _alone(element)
        if gates:
            (q,) = qubits_of(element)
            before = last.get(q)
            earlier = _alone(out[before]) if before is not None else ()
            if earlier:
                assert before is not None
                out[before] = Run(q, (*earlier, *gates))
                continue
        for q in qubits_of(element):
            last[q] = len(out)
        out.append(element)
    return tuple(out)


def _alone(element: Element) -> tuple[Gate, ...]:
    """The gates of an element that is all on one qubit."""
    if isinstance(element, Run):
        return element.gates
    if isinstance(element, Gate) and len(element.all_qubits) == 1:
        return (element,)
    return ()
