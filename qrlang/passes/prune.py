"""Drop what no output can notice: gates outside the causal cone of every later readout, gates that
only add a phase to a known state, readouts and classical ops that reach no output.

A weight that reaches no output stays declared, so that checkpoints fit; nothing reads it then.
A program without outputs is a circuit by itself: there everything counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from qrlang.analysis.flow import Reach
from qrlang.analysis.stabiliser import Forward
from qrlang.ir.program import (
    ApplyMatrix,
    Channel,
    Diagonal,
    Element,
    Evolve,
    If,
    Loop,
    Measure,
    Op,
    Prepare,
    Program,
    Reset,
    Run,
    Unitary,
)
from qrlang.ir.walk import used_values
from qrlang.passes.base import join
from qrlang.passes.sweep import sweep

_Acts = set[int]
_Alive = set[tuple[int, int]]
_ROUNDS = 8


@dataclass(frozen=True)
class Prune:
    name: str = "prune"
    doc: str = (
        "Drops gates that no later readout can notice, readouts and classical ops that reach no "
        "output. Weights stay declared."
    )

    def run(self, program: Program) -> Program:
        if not program.outputs:
            return program
        program = join(program)
        for _ in range(_ROUNDS):
            before = program
            program = self._ahead(program)
            program = self._behind(program)
            if program == before:
                break
        return join(program)

    def _ahead(self, program: Program) -> Program:
        """By what is read later."""
        program = sweep(program, readouts=True)
        backward = Reach(program).backward
        wanted = used_values(program.body) | {o.value.id for o in program.outputs}

        def drops(op: Op) -> bool:
            if id(op) in backward.acts:
                return False
            if isinstance(op, Measure):
                return op.out.id not in wanted
            return isinstance(op, (ApplyMatrix, Prepare, Channel, Reset))

        return sweep(_without(program, backward.acts, backward.alive, drops), readouts=True)

    def _behind(self, program: Program) -> Program:
        """By what is known of the state."""
        forward = Forward(program)
        return _without(program, forward.acts, forward.alive, lambda op: False)


def _without(program: Program, acts: _Acts, alive: _Alive, drops: Callable[[Op], bool]) -> Program:
    # `acts` knows ops by id, so bodies are changed from the outside in.
    def ops(body: tuple[Op, ...]) -> tuple[Op, ...]:
        out: list[Op] = []
        for op in body:
            if isinstance(op, Unitary):
                left = tuple(e for old in op.elements for e in _left(old, acts, alive))
                if left:
                    out.append(op if left == op.elements else Unitary(left))
            elif isinstance(op, Evolve):
                terms = tuple(t for i, t in enumerate(op.terms) if (id(op), i) in alive)
                if terms:
                    out.append(op if terms == op.terms else replace(op, terms=terms))
            elif isinstance(op, If):
                then, orelse = ops(op.then), ops(op.orelse)
                if then or orelse:
                    out.append(replace(op, then=then, orelse=orelse))
            elif isinstance(op, Loop):
                out.append(replace(op, body=ops(op.body)))
            elif not drops(op):
                out.append(op)
        return tuple(out)

    return replace(program, body=ops(program.body))


def _left(element: Element, acts: _Acts, alive: _Alive) -> tuple[Element, ...]:
    if isinstance(element, Run):
        gates = tuple(g for g in element.gates if id(g) in acts)
        if len(gates) == len(element.gates):
            return (element,)
        return (Run(element.qubit, gates),) if len(gates) > 1 else gates
    if id(element) not in acts:
        return ()
    if isinstance(element, Diagonal):
        terms = tuple(t for i, t in enumerate(element.terms) if (id(element), i) in alive)
        return (element if terms == element.terms else Diagonal(terms),)
    return (element,)
