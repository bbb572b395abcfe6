"""What is measured, and where each number goes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from qrlang.analysis.settings import measurement_settings
from qrlang.draw.labels import number
from qrlang.ir.program import Concat, Expect, Loop, Observable, Op, Probabilities, Program
from qrlang.ir.walk import uses, walk
from qrlang.names import qubit_names
from qrlang.report.gates import Gates


def reads(program: Program) -> Iterator[tuple[str, Expect | Probabilities]]:
    """Every readout with when it happens."""
    inside: set[int] = set()
    for loop in (op for op in walk(program.body) if isinstance(op, Loop)):
        for op in walk(loop.body):
            if isinstance(op, (Expect, Probabilities)):
                inside.add(id(op))
                yield f"at every step of {loop.name}" if loop.name != "step" else "every step", op
    for op in walk(program.body):
        if isinstance(op, (Expect, Probabilities)) and id(op) not in inside:
            yield "once, outside of all recurrences", op


def observables(program: Program, op: Expect | Probabilities) -> list[str]:
    """In the order in which they are packed."""
    names = qubit_names(program.registers)
    if isinstance(op, Probabilities):
        at = ", ".join(names.get(q, f"q{q}") for q in op.qubits)
        return [f"p({k:0{len(op.qubits)}b}) of {at}" for k in range(1 << len(op.qubits))]
    return [_observable(o, names) for o in op.observables]


def _observable(observable: Observable, names: dict[int, str]) -> str:
    parts = []
    for coefficient, string in observable:
        word = " ".join(f"{p}({names.get(q, f'q{q}')})" for q, p in string) or "1"
        factor = "" if coefficient == 1 else f"{number(coefficient)} "
        parts.append(factor + word)
    return " + ".join(parts)


def settings(op: Expect | Probabilities) -> int:
    return len(measurement_settings(op)) if isinstance(op, Expect) else 1


def how(op: Expect | Probabilities) -> str:
    if op.shots:
        return f"from {op.shots} shots"
    weak = op.weak if isinstance(op, Expect) else 0.0
    return f"weakly, strength {weak:g}" if weak else "exact expectation value"


def packings(program: Program, gates: Gates) -> list[str]:
    """Vectors that readouts are put into, piece by piece with the places of each."""
    read = {op.out.id for _, op in reads(program)}
    found = []
    for op in walk(program.body):
        if isinstance(op, Concat) and any(a.id in read for a in op.args):
            pieces, at = [], 0
            for a in op.args:
                pieces.append(f"{at}–{at + a.type.count - 1}: {gates.source(a)}")
                at += a.type.count
            into = ", ".join(users(program.body, op.out.id))
            found.append(f"{at} numbers ({'; '.join(pieces)}) → {into or 'the output'}")
    return found


def users(body: Sequence[Op], value: int) -> list[str]:
    found = []
    for op in walk(tuple(body)):
        if not isinstance(op, Loop) and any(v.id == value for v in uses(op)):
            weight = getattr(op, "weight", "") or getattr(op, "layer", "")
            found.append(weight or type(op).__name__.lower())
    return list(dict.fromkeys(found))
