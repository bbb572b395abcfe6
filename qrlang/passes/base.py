"""What a pass is, and what most of them share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Protocol

from qrlang.analysis.flow import touched
from qrlang.ir.program import (
    Concat,
    Const,
    Element,
    Evolve,
    Expect,
    Gather,
    If,
    Loop,
    Op,
    Program,
    Reshape,
    Unitary,
    UseWeight,
)
from qrlang.ir.walk import map_bodies, qubits_of, regions

Elements = tuple[Element, ...]


class Pass(Protocol):
    """A program to a program that means the same. Options are fields of the pass."""

    @property
    def name(self) -> str: ...

    @property
    def doc(self) -> str: ...

    def run(self, program: Program) -> Program: ...


def map_ops(program: Program, change: Callable[[tuple[Op, ...]], tuple[Op, ...]]) -> Program:
    """Every body changed, inner ones first."""

    def deep(ops: tuple[Op, ...]) -> tuple[Op, ...]:
        return change(tuple(map_bodies(op, deep) if regions(op) else op for op in ops))

    body = deep(program.body)
    return program if body == program.body else replace(program, body=body)


def map_segments(program: Program, change: Callable[[Elements], Elements]) -> Program:
    """Every segment changed; a segment that is empty then is gone."""

    def ops(body: tuple[Op, ...]) -> tuple[Op, ...]:
        out: list[Op] = []
        for op in body:
            if isinstance(op, Unitary):
                elements = change(op.elements)
                if elements:
                    out.append(op if elements == op.elements else Unitary(elements))
            else:
                out.append(op)
        return tuple(out)

    return map_ops(program, ops)


def join(program: Program) -> Program:
    """Segments that nothing quantum on their qubits stands between become one, each space's own:
    a segment waits past classical ops and past what happens on other qubits."""
    space = program.space_of

    def ops(body: tuple[Op, ...]) -> tuple[Op, ...]:
        out: list[Op] = []
        waiting: dict[int, list[Element]] = {}
        busy: dict[int, set[int]] = {}

        def flush(qubits: set[int]) -> None:
            for s in [s for s, mine in busy.items() if mine & qubits]:
                out.append(Unitary(tuple(waiting.pop(s))))
                del busy[s]

        for op in body:
            if isinstance(op, Unitary):
                for element in op.elements:
                    qubits = qubits_of(element)
                    if not qubits:
                        continue  # a global phase
                    s = space.get(qubits[0], 0)
                    waiting.setdefault(s, []).append(element)
                    busy.setdefault(s, set()).update(qubits)
                continue
            if regions(op) or isinstance(op, (Expect, Evolve)) or hasattr(op, "qubits"):
                flush(touched((op,)))
            out.append(op)
        flush(set().union(*busy.values()))
        return tuple(out)

    return map_ops(program, ops)


def rewrite(program: Program, change: Callable[[Elements], Elements]) -> Program:
    """Segments joined and changed, until that leaves the program as it is: a gate that is gone may
    let a segment wait for the next one."""
    while True:
        before = join(program)
        program = map_segments(before, change)
        if program == before:
            return program


# --- the measure of a pass ----------------------------------------------------------------------

# Ops that move numbers without computing any.
_FREE = (Const, UseWeight, Gather, Reshape, Concat)


def size(program: Program, steps: int = 8) -> tuple[int, int]:
    """(elements of segments, classical ops that compute), as often as they run: a loop's body
    counts `steps` times. No pass makes the first larger, nor the second except where it says so."""

    def count(ops: Iterable[Op]) -> tuple[int, int]:
        elements = classical = 0
        for op in ops:
            if isinstance(op, Unitary):
                elements += len(op.elements)
            elif isinstance(op, Loop):
                inner = count(op.body)
                elements += (steps + op.extra) * inner[0]
                classical += (steps + op.extra) * inner[1]
            elif isinstance(op, If):
                for body in regions(op):
                    inner = count(body)
                    elements += inner[0]
                    classical += inner[1]
            elif isinstance(op, Evolve):
                elements += 1
            elif not isinstance(op, _FREE) and not hasattr(op, "qubits"):
                classical += 1
        return elements, classical

    return count(program.body)
