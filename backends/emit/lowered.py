"""A program whose states and unitaries are gates, for the texts of its circuits. Their angles are
values that nobody computes here: called by the functions of `synthesis` that give them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

from qrlang.hardware import synthesis
from qrlang.hardware.evolution import parts_of, words_of
from qrlang.ir.program import (
    Angle,
    ApplyMatrix,
    CallExtern,
    Evolve,
    Gate,
    Op,
    Prepare,
    Program,
    Term,
    Unitary,
    Value,
)
from qrlang.ir.types import real
from qrlang.ir.walk import map_bodies, qubits_of, uses
from qrlang.names import value_names


def as_gates(program: Program) -> Program:
    names, count = value_names(program), itertools.count(1_000_000)

    def ops(body: tuple[Op, ...]) -> tuple[Op, ...]:
        return tuple(new for op in body for new in one(map_bodies(op, ops)))

    def one(op: Op) -> Iterator[Op]:
        if isinstance(op, Evolve):
            simple, wide = parts_of(op)
            yield from simple
            for part in wide:
                size = synthesis.unitary_size(len(qubits_of(part)))
                said = f"unitary_angles(evolved({' '.join(words_of(part))}))"
                yield from made(part, said, size, synthesis.unitary(qubits_of(part), range(size)))
        elif isinstance(op, Prepare):
            complex_ = op.amplitudes.type.kind == "state"
            size = (2 if complex_ else 1) * ((1 << len(op.qubits)) - 1)
            said = f"state_angles({names[op.amplitudes.id]})"
            yield from made(op, said, size, synthesis.prepare(op.qubits, range(size)))
        elif isinstance(op, ApplyMatrix):
            size = synthesis.unitary_size(len(op.qubits))
            said = names[op.matrix.id] + " inverted" * op.adjoint
            if op.controls or op.zeros:
                size = 2 * size + (1 << len(op.qubits + op.controls + op.zeros)) - 1
                gates = synthesis.controlled(op.controls, op.zeros, op.qubits, range(size))
                yield from made(op, f"controlled_angles({said})", size, gates)
            else:
                gates = synthesis.unitary(op.qubits, range(size))
                yield from made(op, f"unitary_angles({said})", size, gates)
        else:
            yield op

    def made(op: Op, said: str, size: int, gates: synthesis.Made) -> Iterator[Op]:
        value = Value(next(count), real(size), said)
        yield CallExtern(value, said, tuple(uses(op)))
        place: int = getattr(op, "place", -1)
        elements = [
            Gate("x", on[1:], (), on[:1], place=place)
            if name == "cx"
            else Gate(name, on, (Angle(0.0, (Term(1.0, value, angle[0]),)),), place=place)
            for name, on, *angle in gates
        ]
        yield Unitary(tuple(elements))

    return replace(program, body=ops(program.body))
