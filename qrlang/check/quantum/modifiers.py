"""What is written goes through here, so that `inv @`, `ctrl @` and `pow @` can change it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from qrlang.check.algebra.angles import scale_angle
from qrlang.check.algebra.numbers import is_number
from qrlang.check.classical.whole import integer
from qrlang.check.core.elaborator import Elaborator
from qrlang.check.core.values import Poison, describe
from qrlang.gates import GATES, inverse
from qrlang.ir import program as ir
from qrlang.syntax import ast


def put_gate(e: Elaborator, gate: ir.Gate) -> None:
    e.qubits.touch(gate.all_qubits)
    if e.here.capture is not None:
        e.here.capture.append(gate)
    else:
        e.builder.gate(gate)


def put(e: Elaborator, op: ir.Op, qubits: tuple[int, ...], node: ast.Node) -> None:
    """A quantum op other than a gate."""
    if e.here.capture is not None:
        if not isinstance(op, (ir.Evolve, ir.ApplyMatrix)):
            e.error(
                "E0507",
                node,
                "this can't be inverted, controlled or repeated: it is not unitary",
                help="only gates, evolutions and unitaries go under `ctrl @`, `inv @`, `pow(k) @`",
            )
            return
        e.here.capture.append(op)
    else:
        e.builder.quantum(op)
    e.qubits.touch(qubits)


@dataclass(frozen=True, slots=True)
class Change:
    """What modifiers do to a gate; `pattern` has 1 for `ctrl`, 0 for `negctrl`, in order."""

    inverse: bool
    power: float
    pattern: tuple[int, ...]


MAX_POWER = 10_000
MOST_EXACT = 14  # qubits of an exact evolution
PLAIN = Change(False, 1, ())


def change_of(e: Elaborator, modifiers: tuple[ast.Modifier, ...]) -> Change | None:
    if not modifiers:
        return PLAIN
    inverted, power, pattern = False, 1.0, []
    for m in modifiers:
        if m.kind == "inv":
            inverted = not inverted
        elif m.kind == "pow":
            value = e.eval(m.arg) if m.arg is not None else 1
            if isinstance(value, Poison):
                return None
            if not is_number(value):
                e.error(
                    "E0303",
                    m,
                    f"`pow` needs a number known at compile time, found {describe(value)}",
                )
                return None
            power *= value
        else:
            count = 1 if m.arg is None else integer(e, m.arg, f"`{m.kind}`")
            if count is None:
                return None
            if not 1 <= count <= 64:
                e.error("E0311", m, f"`{m.kind}` takes 1 to 64 controls, found {count}")
                return None
            pattern += [1 if m.kind == "ctrl" else 0] * count
    if power < 0:
        inverted, power = not inverted, -power
    if power > MAX_POWER:
        e.error("E0307", modifiers[0], f"a power above {MAX_POWER}")
        return None
    return Change(inverted, power, tuple(pattern))


def inverted_gate(gate: ir.Gate) -> ir.Gate:
    name, angles = inverse(gate.name)
    return replace(gate, name=name, angles=tuple(scale_angle(gate.angles[i], s) for s, i in angles))


def powered_gates(e: Elaborator, gate: ir.Gate, power: float, node: ast.Node) -> list[ir.Gate]:
    """The gate so many times; a rotation by a multiple of its angle."""
    g = GATES[gate.name]
    if power == 1:
        return [gate]
    if g.pauli or g.name in ("p", "xx_plus_yy"):
        return [replace(gate, angles=tuple(scale_angle(a, power) for a in gate.angles))]
    if power != int(power):
        e.error(
            "E0507",
            node,
            f"`{gate.name}` has no power {power:g}: only rotations have real powers",
            help="use rx, ry, rz or p with a multiple of the angle",
        )
        return []
    e.count_gates(node, int(power))
    return [gate] * int(power)


MOST_CONTROLS = 6  # of an evolution: each doubles its terms


def controlled_evolution(
    e: Elaborator, op: ir.Evolve, ones: tuple[int, ...], zeros: tuple[int, ...], node: ast.Node
) -> ir.Evolve | None:
    """The evolution under |1⟩⟨1| H, with |1⟩⟨1| = (1 - Z) / 2: each term becomes two that commute,
    one after the other, so that it holds for Trotter steps too."""
    controls = [*((q, -1.0) for q in ones), *((q, 1.0) for q in zeros)]
    if len(controls) > MOST_CONTROLS:
        e.error("E0307", node, f"an evolution with more than {MOST_CONTROLS} controls")
        return None
    clash = {q for _, word in op.terms for q, _ in word} & {q for q, _ in controls}
    if clash:
        e.error("E0501", node, f"{e.qubits.called(clash.pop())} controls an evolution of itself")
        return None
    terms = list(op.terms)
    for q, sign in controls:
        terms = [
            (scale_angle(c, factor / 2), tuple(sorted((*word, *extra))))
            for c, word in terms
            for factor, extra in ((1.0, ()), (sign, ((q, "Z"),)))
        ]
    width = len({q for _, word in terms for q, _ in word})
    if not op.trotter and width > MOST_EXACT:
        e.error(
            "E0307",
            node,
            f"an exact evolution of {width} qubits needs a matrix of 2^{width} rows",
            help="say how many Trotter steps: `… for t trotter 8 to …`; one is exact where all "
            "terms commute",
        )
        return None
    e.count_gates(node, (len(terms) - len(op.terms)) * max(op.trotter, 1))
    return replace(op, terms=tuple(terms))


def changed(
    e: Elaborator,
    ops: list[ir.Gate | ir.Op],
    change: Change,
    controls: tuple[int, ...],
    node: ast.Node,
) -> list[ir.Gate | ir.Op]:
    """A whole circuit inverted, repeated and controlled."""
    ones = tuple(q for q, p in zip(controls, change.pattern, strict=True) if p)
    zeros = tuple(q for q, p in zip(controls, change.pattern, strict=True) if not p)
    out: list[ir.Gate | ir.Op] = []
    for op in reversed(ops) if change.inverse else ops:
        if isinstance(op, ir.Gate):
            gate = inverted_gate(op) if change.inverse else op
            clash = set(gate.all_qubits) & set(controls)
            if clash:
                e.error("E0501", node, f"{e.qubits.called(clash.pop())} controls a gate on itself")
                return []
            out.append(replace(gate, controls=ones + gate.controls, zeros=zeros + gate.zeros))
        elif isinstance(op, ir.ApplyMatrix):
            out.append(
                replace(
                    op,
                    adjoint=op.adjoint != change.inverse,
                    controls=ones + op.controls,
                    zeros=zeros + op.zeros,
                )
            )
        elif isinstance(op, ir.Evolve):
            if controls:
                controlled = controlled_evolution(e, op, ones, zeros, node)
                if controlled is None:
                    return []
                op = controlled
            if change.inverse:
                if op.trotter and len(op.terms) > 1:
                    op = replace(op, terms=tuple(reversed(op.terms)))
                op = replace(op, time=scale_angle(op.time, -1.0))
            out.append(op)
    if change.power != int(change.power):
        if len(out) == 1 and isinstance(out[0], ir.Evolve) and not out[0].trotter:
            return [replace(out[0], time=scale_angle(out[0].time, change.power))]
        e.error(
            "E0507",
            node,
            f"a circuit can't be applied {change.power:g} times",
            help="only a rotation (by a part of its angle) and an exact evolution (for a part of "
            "its time) have real powers",
        )
        return []
    e.count_gates(node, len(out) * max(int(change.power) - 1, 0))
    return out * int(change.power)
