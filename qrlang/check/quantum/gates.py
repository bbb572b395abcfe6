"""Gate lines and noise channels: angles, operands, registers taken qubit by qubit."""

from __future__ import annotations

from qrlang.check.binding.parameters import within_limits
from qrlang.check.classical.tensors import as_tensor, element_of, numeric
from qrlang.check.core.elaborator import Elaborator
from qrlang.check.core.values import Pending, Poison, Qubits, Tensor, describe, together
from qrlang.check.quantum.modifiers import (
    PLAIN,
    change_of,
    inverted_gate,
    powered_gates,
    put,
    put_gate,
)
from qrlang.check.written.gates import gate_spec, gate_takes, operand_count
from qrlang.check.written.spans import name_span
from qrlang.diagnostics.words import did_you_mean
from qrlang.gates import CHANNELS, GATES, SUGAR
from qrlang.ir import program as ir
from qrlang.syntax import ast


def unknown_gate(e: Elaborator, node: ast.Gate) -> None:
    """No gate has this name (for the user's own file the resolver has said so)."""
    if (id(node.span.source), node.span.start) in e.report.reported_names:
        e.report.failed = True
        return
    help = did_you_mean(node.name, [*GATES, *SUGAR, *CHANNELS])
    e.error("E0209", name_span(node, node.name), f"there is no gate `{node.name}`", help=help)


def gate(e: Elaborator, node: ast.Gate) -> None:
    found = gate_spec(node.name)
    if found is None:
        if node.name in CHANNELS:
            channel(e, node)
            return
        unknown_gate(e, node)
        return
    spec, sugar = found
    change = PLAIN if not node.modifiers else change_of(e, node.modifiers)
    angles = angles_of(e, node, spec.angles)
    operands = operands_of(e, node.operands)
    if change is None or angles is None or operands is None:
        return
    total = len(change.pattern) + sugar + spec.qubits
    groups = broadcast(e, node, operands, total)
    if groups is None:
        return
    e.count_gates(node, len(groups))
    place = e.place_of(node)
    cut = len(change.pattern)
    for qubits in groups:
        ones = tuple(q for q, p in zip(qubits, change.pattern, strict=False) if p)
        zeros = tuple(q for q, p in zip(qubits, change.pattern, strict=False) if not p)
        built = ir.Gate(
            spec.name, qubits[cut + sugar :], angles, ones + qubits[cut : cut + sugar], zeros, place
        )
        if change is PLAIN:
            put_gate(e, built)
            continue
        if change.inverse:
            built = inverted_gate(built)
        for g in powered_gates(e, built, change.power, node):
            put_gate(e, g)


def angles_of(e: Elaborator, node: ast.Gate, count: int) -> tuple[ir.Angle, ...] | None:
    if len(node.args) != count:
        e.error(
            "E0301",
            node,
            f"{gate_takes(node.name, count)}, found {len(node.args)}",
            help=f"`{node.name}({', '.join('abcd'[:count])}) …`" if count else f"`{node.name} …`",
        )
        for arg in node.args:
            e.eval(arg.value)
        return None
    out: list[ir.Angle] = []
    good = True
    for arg in node.args:
        if arg.name is not None:
            e.error("E0302", arg, f"the angles of `{node.name}` have no names")
            good = False
            continue
        each = _one_each(e, node, arg.value) if count == 1 else ""
        angle = angle_of(e, arg.value, f"an angle of `{node.name}`", each)
        if angle is None:
            good = False
        else:
            out.append(angle)
    return tuple(out) if good else None


def _one_each(e: Elaborator, node: ast.Gate, angles: ast.Expr) -> str:
    """How a gate gets a number of a vector for each qubit of its register."""
    register = node.operands[0] if len(node.operands) == 1 and not node.modifiers else None
    if not isinstance(register, ast.Name) or not isinstance(angles, ast.Name):
        return ""
    qubits, vector = e.eval(register), e.eval(angles)
    if not isinstance(qubits, Qubits) or not isinstance(vector, Tensor):
        return ""
    n = len(qubits.qubits)
    if n < 2 or vector.type.shape != (n,):
        return ""
    line = f"{node.name}({angles.id}[i]) {register.id}[i]"
    return f"one for each qubit: `for i in 0..{n} {{ {line} }}`"


def angle_of(e: Elaborator, node: ast.Expr, what: str, help: str = "") -> ir.Angle | None:
    """One real number as an affine sum. `help`: where it is none, instead of the usual."""
    thing = e.eval(node)
    if isinstance(thing, (int, float)) and not isinstance(thing, bool):
        if not within_limits(thing):
            e.error("E0309", node, f"{what} is too large for a real number")
            return None
        return ir.Angle(float(thing))
    if isinstance(thing, Poison):
        return None
    if isinstance(thing, Pending):
        e.widths.want(thing, (), node.span)
        return None
    t = as_tensor(e, thing, node, "an angle")
    if not isinstance(t, Tensor) or not numeric(e, t, node):
        return None
    if t.type.shape:
        taken = element_of(node, t)
        help = help or (f"take one element: {taken}" if taken else "")
        e.error("E0401", node, f"{what} is one number, found {t.type}", help=help)
        return None
    return e.builder.angle(t)


def operands_of(
    e: Elaborator, nodes: tuple[ast.Expr, ...], many: bool = False
) -> list[Qubits] | None:
    out: list[Qubits] = []
    good = True
    for node in nodes:
        thing = together(e.eval(node))
        if isinstance(thing, Qubits) and (thing.qubits or many):
            out.append(thing)  # an empty slice is no qubits, where several are put together
            continue
        good = False
        if isinstance(thing, Qubits):
            e.error("E0311", node, "this slice has no qubits")
            continue
        if not isinstance(thing, Poison):
            e.error("E0208", node, f"expected a qubit or a register, found {describe(thing)}")
    return out if good else None


def broadcast(
    e: Elaborator, node: ast.Gate, operands: list[Qubits], total: int
) -> list[tuple[int, ...]] | None:
    """The qubits of each gate: a register stands for all its qubits, one by one."""
    if len(operands) != total:
        help = ""
        if len(operands) == 1 and len(operands[0].qubits) == total:
            name = node.operands[0].span.text
            help = "name each qubit: " + ", ".join(f"`{name}[{i}]`" for i in range(total))
        e.error("E0502", node, operand_count(node, total), help=help)
        return None
    widths = {len(o.qubits) for o in operands}
    if widths == {1}:
        qubits = tuple(o.qubits[0] for o in operands)
        if total > 1 and len(set(qubits)) != total:
            _twice(e, node, qubits)
            return None
        return [qubits]
    for given, at in zip(operands, node.operands, strict=True):
        if len(set(given.qubits)) != len(given.qubits):
            e.error("E0501", at, "this list has the same qubit twice")
            return None
    widths.discard(1)
    if len(widths) > 1:
        one, other = sorted(widths)[:2]
        e.error(
            "E0503",
            node,
            f"registers of {one} and {other} qubits can't go side by side in one gate",
            help="a gate goes through registers of one width, or has the same qubit each time",
        )
        return None
    width = widths.pop()
    groups = []
    for i in range(width):
        qubits = tuple(o.qubits[i] if len(o.qubits) > 1 else o.qubits[0] for o in operands)
        if len(set(qubits)) != total:
            _twice(e, node, qubits)
            return None
        groups.append(qubits)
    return groups


def _twice(e: Elaborator, node: ast.Gate, qubits: tuple[int, ...]) -> None:
    q = next(q for q in qubits if qubits.count(q) > 1)
    e.error(
        "E0501",
        node,
        f"the same qubit twice in one gate: {e.qubits.called(q)}",
        help="the operands of a gate must differ; a ring needs `require n >= 2`",
    )


def channel(e: Elaborator, node: ast.Gate) -> None:
    spec = CHANNELS[node.name]
    if node.modifiers:
        e.error(
            "E0507",
            node,
            f"`{node.name}` is a noise channel: it can't be inverted or controlled",
            help="leave the modifier out",
        )
        return
    args = angles_of(e, node, spec.args)
    operands = operands_of(e, node.operands)
    if args is None or operands is None:
        return
    fixed = [a.constant for a in args if not a.terms]
    for arg, angle in zip(node.args, args, strict=True):
        if not angle.terms and not 0 <= angle.constant <= 1:
            e.error("E0510", arg, f"a probability lies between 0 and 1, found {angle.constant:g}")
            return
    if node.name == "pauli_channel" and len(fixed) == len(args) and sum(fixed) > 1 + 1e-12:
        e.error("E0510", node, f"the probabilities of `{node.name}` add up to {sum(fixed):g}")
        return
    groups = broadcast(e, node, operands, spec.qubits)
    for qubits in groups or ():
        e.count_gates(node, 1)
        put(e, ir.Channel(node.name, qubits, args, e.place_of(node)), qubits, node)
