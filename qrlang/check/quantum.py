"""Gates, applications, readouts and measurements."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import takewhile

from qrlang.check.arithmetic import as_tensor, numeric, of_value, scalar, want
from qrlang.check.builder import scale_angle
from qrlang.check.calls import (
    bind_params,
    bind_registers,
    bind_values,
    default_params,
    evaluate,
    header,
    observed,
    qubit_name,
    readable,
)
from qrlang.check.constants import is_number
from qrlang.check.core import EXPR, STMT, Elaborator, Rejected, Scope
from qrlang.check.expressions import integer
from qrlang.check.functions import last_of
from qrlang.check.report import did_you_mean, plural
from qrlang.check.values import (
    POISON,
    Definition,
    Mixed,
    Observable,
    Pending,
    Poison,
    Probs,
    Qubits,
    Readout,
    Register,
    Tensor,
    describe,
    release,
)
from qrlang.diagnostics import Note
from qrlang.gates import CHANNELS, GATES, SUGAR, GateSpec, inverse
from qrlang.ir import program as ir
from qrlang.ir.types import Type, real
from qrlang.syntax import ast

# --- what is written goes through here, so that modifiers can hold it back ---


def touch(e: Elaborator, qubits: tuple[int, ...]) -> None:
    """These qubits meet here: they are no longer fresh, and share one space."""
    if e.fresh:
        e.fresh.difference_update(qubits)
    if len(qubits) > 1:
        of = e.register_of
        first = of[qubits[0]]
        for q in qubits:
            if of[q] != first:
                e.join(first, of[q])


def put_gate(e: Elaborator, gate: ir.Gate) -> None:
    touch(e, gate.all_qubits)
    if e.capture is not None:
        e.capture.append(gate)
    else:
        e.builder.gate(gate)


def put(e: Elaborator, op: ir.Op, qubits: tuple[int, ...], node: ast.Node) -> None:
    """A quantum op other than a gate."""
    if e.capture is not None:
        if not isinstance(op, (ir.Evolve, ir.ApplyMatrix)):
            e.error(
                "E0507",
                node,
                "this can't be inverted, controlled or repeated: it is not unitary",
                help="only gates, evolutions and unitaries go under `ctrl @`, `inv @` and `pow @`",
            )
            return
        e.capture.append(op)
    else:
        e.builder.quantum(op)
    touch(e, qubits)


# --- modifiers ---


@dataclass(frozen=True, slots=True)
class Change:
    """What modifiers do to a gate; `pattern` has 1 for `ctrl`, 0 for `negctrl`, in order."""

    inverse: bool
    power: float
    pattern: tuple[int, ...]


MAX_POWER = 10_000
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


def _inverted(gate: ir.Gate) -> ir.Gate:
    name, angles = inverse(gate.name)
    return replace(gate, name=name, angles=tuple(scale_angle(gate.angles[i], s) for s, i in angles))


def _powered(e: Elaborator, gate: ir.Gate, power: float, node: ast.Node) -> list[ir.Gate]:
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
            gate = _inverted(op) if change.inverse else op
            clash = set(gate.all_qubits) & set(controls)
            if clash:
                e.error("E0501", node, f"{qubit_name(e, clash.pop())} controls a gate on itself")
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
                e.error(
                    "E0507",
                    node,
                    "a Hamiltonian evolution can't be controlled",
                    help="write its gates: `ctrl @ rzz(…)`",
                )
                return []
            if change.inverse:
                if op.trotter and len(op.terms) > 1:
                    op = replace(op, terms=tuple(reversed(op.terms)))
                op = replace(op, time=scale_angle(op.time, -1.0))
            out.append(op)
    if change.power != int(change.power):
        e.error("E0507", node, f"a circuit can't be applied {change.power:g} times")
        return []
    e.count_gates(node, len(out) * max(int(change.power) - 1, 0))
    return out * int(change.power)


# --- gates ---


def gate_spec(name: str) -> tuple[GateSpec, int] | None:
    """A written gate name: its base and the controls the name has."""
    if name in GATES:
        return GATES[name], 0
    found = SUGAR.get(name)
    return (GATES[found[0]], found[1]) if found else None


def unknown_gate(e: Elaborator, node: ast.Gate) -> None:
    """No gate has this name (for the user's own file the resolver has said so)."""
    from qrlang.check.resolve import name_span

    if (id(node.span.source), node.span.start) in e.report.reported_names:
        e.report.failed = True
        return
    help = did_you_mean(node.name, [*GATES, *SUGAR, *CHANNELS])
    e.error("E0209", name_span(node, node.name), f"there is no gate `{node.name}`", help=help)


def operand_count(node: ast.Gate, total: int) -> str:
    return f"`{_written(node)}` acts on {plural(total, 'qubit')}, found {len(node.operands)}"


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
            built = _inverted(built)
        for g in _powered(e, built, change.power, node):
            put_gate(e, g)


def gate_takes(name: str, angles: int) -> str:
    return f"`{name}` takes {plural(angles, 'angle')}"


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
        angle = angle_of(e, arg.value, f"an angle of `{node.name}`")
        if angle is None:
            good = False
        else:
            out.append(angle)
    return tuple(out) if good else None


def angle_of(e: Elaborator, node: ast.Expr, what: str) -> ir.Angle | None:
    """One real number as an affine sum."""
    thing = e.eval(node)
    if isinstance(thing, (int, float)) and not isinstance(thing, bool):
        return ir.Angle(float(thing)) if abs(thing) < 1e300 else None
    if isinstance(thing, Poison):
        return None
    if isinstance(thing, Pending):
        want(e, thing, (), node)
        return None
    t = as_tensor(e, thing, node, "an angle")
    if not isinstance(t, Tensor) or not numeric(e, t, node):
        return None
    if t.type.shape:
        help = (
            f"take one element: `{node.span.text}[0]`"
            if isinstance(node, (ast.Name, ast.Index))
            else ""
        )
        e.error("E0401", node, f"{what} is one number, found {t.type}", help=help)
        return None
    return e.builder.angle(t)


def operands_of(
    e: Elaborator, nodes: tuple[ast.Expr, ...], many: bool = False
) -> list[Qubits] | None:
    out: list[Qubits] = []
    good = True
    for node in nodes:
        thing = e.eval(node)
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
    widths.discard(1)
    if len(widths) > 1:
        one, other = sorted(widths)[:2]
        e.error(
            "E0503",
            node,
            f"registers of {one} and {other} qubits can't go side by side in one gate",
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


def _written(node: ast.Gate) -> str:
    return " ".join([*(f"{m.kind} @" for m in node.modifiers), node.name])


def _twice(e: Elaborator, node: ast.Gate, qubits: tuple[int, ...]) -> None:
    q = next(q for q in qubits if qubits.count(q) > 1)
    e.error(
        "E0501",
        node,
        f"the same qubit twice in one gate: {qubit_name(e, q)}",
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


# --- apply ---


def apply(e: Elaborator, node: ast.Apply) -> None:
    base: ast.Expr = node.callee
    lists: list[ast.Call] = []
    while isinstance(base, ast.Call):
        lists.insert(0, base)
        base = base.func
    thing = e.eval(base)
    change = change_of(e, node.modifiers)
    operands = operands_of(e, node.operands, many=True)
    if change is None or isinstance(thing, Poison):
        for call in lists:
            evaluate(e, call)
        return
    if operands is None:
        for call in lists:
            evaluate(e, call)
        return
    controls: tuple[int, ...] = ()
    if change.pattern:
        needed = len(change.pattern)
        taken = operands[:needed]
        if len(operands) <= needed or any(len(o.qubits) != 1 for o in taken):
            e.error(
                "E0502",
                node,
                f"`ctrl @` needs {plural(needed, 'control qubit')} before the registers",
                help="`apply ctrl @ block(…) to control[0], q`",
            )
            return
        controls = tuple(o.qubits[0] for o in taken)
        operands = operands[needed:]
    if change is PLAIN:
        _apply(e, node, base, thing, lists, operands)
        return
    outer, e.capture = e.capture, []
    try:
        _apply(e, node, base, thing, lists, operands)
        ops = e.capture
    finally:
        e.capture = outer
    for op in changed(e, ops, change, controls, node):
        if isinstance(op, ir.Gate):
            put_gate(e, op)
        else:
            from qrlang.ir.walk import qubits_of

            put(e, op, qubits_of(op), node)


def _apply(
    e: Elaborator,
    node: ast.Apply,
    base: ast.Expr,
    thing: object,
    lists: list[ast.Call],
    operands: list[Qubits],
) -> None:
    if isinstance(thing, Definition) and thing.kind == "Hamiltonian":
        _evolve(e, node, thing, lists, operands)
        return
    if node.time is not None:
        e.error(
            "E0208",
            base,
            f"only a Hamiltonian evolves for a time; this is {describe(thing)}",
            help="leave `for …` out, or apply a `hamiltonian`",
        )
        return
    if isinstance(thing, Definition) and thing.kind == "ansatz":
        _ansatz(e, node, thing, lists, operands)
        return
    if lists and not (isinstance(thing, Definition) and thing.kind == "circuit"):
        thing = e.eval(node.callee)
        if isinstance(thing, Poison):
            return
    if isinstance(thing, Tensor) and thing.type.kind == "unitary":
        _matrix(e, node, thing, operands)
        return
    help = ""
    if isinstance(thing, Definition) and thing.kind == "circuit":
        help = "a circuit has qubits of its own: call it, `let y = f(x)`; an `ansatz` acts on yours"
    elif isinstance(thing, Tensor):
        help = "give the value to an ansatz: `apply evolve(value) to q`"
    elif not isinstance(thing, Definition) and isinstance(base, ast.Name) and gate_spec(base.id):
        help = f"a gate stands alone: `{base.id} {node.operands[0].span.text}`"
    e.error("E0208", base, f"expected an ansatz, found {describe(thing)}", help=help)


def _split_lists(
    e: Elaborator, node: ast.Apply, d: Definition, lists: list[ast.Call]
) -> tuple[dict[str, object], tuple[ast.Arg, ...] | None] | None:
    """Parameters and values: matched from the last list."""
    item = d.item
    assert isinstance(item, (ast.Ansatz, ast.Hamiltonian))
    lists = list(lists)
    values: tuple[ast.Arg, ...] | None = None
    if item.values:
        if not lists:
            shown = ", ".join(f"{p.name}: {p.type.span.text}" for p in item.values)
            e.error(
                "E0403",
                node,
                f"`{item.name}` needs its "
                f"{'angles' if item.values[0].type.name == 'angle' else 'values'}: {shown}",
                help=f"`apply {node.callee.span.text}(…) to …`",
                notes=[Note(f"`{item.name}` is declared here", item.values[0].span)],
            )
            return None
        values = lists.pop().args
    params: dict[str, object] | None
    if len(lists) > 1 or (lists and d.params is not None):
        e.error(
            "E0301",
            lists[0],
            f"too many lists of arguments for `{item.name}`",
            help="parameters come first, then values: `block(2)(angles)`",
        )
        return None
    if lists:
        args = evaluate(e, lists[0])
        if args is None or args.poisoned:
            return None
        if not item.params and args.positional:
            e.error(
                "E0301",
                lists[0],
                f"`{item.name}` takes no " + ("values" if not item.values else "parameters"),
                notes=[Note(f"`{item.name}` is declared here", header(d.item))],
            )
            return None
        params = bind_params(e, item.params, d, lists[0], args)
    else:
        params = default_params(e, d, node)
    return None if params is None else (params, values)


def _ansatz(
    e: Elaborator, node: ast.Apply, d: Definition, lists: list[ast.Call], operands: list[Qubits]
) -> None:
    found = _split_lists(e, node, d, lists)
    if found is None:
        return
    params, values = found
    scope = Scope(d.module)
    scope.names.update(params)
    if not bind_registers(e, d, scope, operands, node):
        if values:
            for arg in values:
                e.eval(arg.value)
        return
    item = d.item
    assert isinstance(item, ast.Ansatz)
    if not inline(e, d, item, scope, node, leading_requires(item)):
        return
    if values is not None and not bind_values(e, d, scope, node.callee, values):
        return
    inline(e, d, item, scope, node)


def leading_requires(item: ast.Ansatz) -> tuple[ast.Stmt, ...]:
    """They hold before the shapes of the angles are looked at, which may make no sense without."""
    return tuple(takewhile(lambda s: isinstance(s, ast.Require), item.body))


def inline(
    e: Elaborator,
    d: Definition,
    item: ast.Ansatz,
    scope: Scope,
    node: ast.Node,
    body: tuple[ast.Stmt, ...] | None = None,
) -> bool:
    """Writes an ansatz's gates (or only some of its statements) here; False if it is refused."""
    if body == ():
        return True
    if not e.enter(node, d):
        return False
    frame = e.frame(node, item.name)
    saved = (e.scope, e.region, e.place, e.in_for, e.in_if)
    e.place = e.place_of(node)
    e.scope, e.region, e.in_for, e.in_if = scope, "ansatz", 0, 0
    e.report.frames.append(frame)
    try:
        e.block(item.body if body is None else body)
    except Rejected:
        return False
    finally:
        e.report.frames.pop()
        e.scope, e.region, e.place, e.in_for, e.in_if = saved
        e.active.pop()
    return True


def _matrix(e: Elaborator, node: ast.Apply, t: Tensor, operands: list[Qubits]) -> None:
    qubits = tuple(q for o in operands for q in o.qubits)
    if len(qubits) != t.type.size:
        e.error(
            "E0503", node, f"{t.type} acts on {plural(t.type.size, 'qubit')}, found {len(qubits)}"
        )
        return
    if len(set(qubits)) != len(qubits):
        q = next(q for q in qubits if qubits.count(q) > 1)
        e.error("E0501", node, f"the same qubit twice: {qubit_name(e, q)}")
        return
    if t.type.seq or t.value is None:
        numeric(e, t, node)
        return
    e.count_gates(node, 1)
    put(e, ir.ApplyMatrix(qubits, t.value, place=e.place_of(node)), qubits, node)


def _evolve(
    e: Elaborator, node: ast.Apply, d: Definition, lists: list[ast.Call], operands: list[Qubits]
) -> None:
    if node.time is None:
        e.error(
            "E0208",
            node.callee,
            f"`{d.item.name}` is a Hamiltonian: say for how long it acts",
            help=f"`apply {node.callee.span.text} for 0.1 to …`, `… for t trotter 8 to …`",
        )
        return
    assert isinstance(d.item, ast.Hamiltonian)
    h_item = d.item
    if d.values is None:
        found = _split_lists(e, node, d, lists)
        if found is None:
            return
        params, values = found
        if values is not None:
            from qrlang.check.calls import match_values

            given = match_values(e, d, node.callee, values)
            if given is None:
                return
            things = tuple(e.eval(given[p.name]) for p in d.item.values)
            if any(isinstance(t, Poison) for t in things):
                return
            d = replace(d, values=things)
    else:
        bound = default_params(e, d, node)
        if bound is None:
            return
        params = bound
    time = angle_of(e, node.time, "a time")
    trotter = 0
    if node.trotter is not None:
        steps = integer(e, node.trotter, "the number of Trotter steps")
        if steps is None:
            return
        if not 1 <= steps <= 10_000:
            e.error(
                "E0311", node.trotter, f"the number of Trotter steps is 1 to 10000, found {steps}"
            )
            return
        trotter = steps
    if len(h_item.registers) == 1 and len(operands) > 1:
        operands = [
            Qubits(
                tuple(q for o in operands for q in o.qubits),
                tuple(r for o in operands for r in o.registers),
            )
        ]
    h = observed(e, d, params, operands, node)
    if not isinstance(h, Observable) or time is None:
        return
    qubits = tuple(sorted({q for _, p in h.terms for q, _ in p}))
    if not trotter and len(qubits) > 14:
        e.error(
            "E0307",
            node,
            f"an exact evolution of {len(qubits)} qubits needs a matrix of 2^{len(qubits)} rows",
            help="say how many Trotter steps: `… for t trotter 8 to …`",
        )
        return
    e.count_gates(node, len(h.terms) * max(trotter, 1))
    put(e, ir.Evolve(h.terms, time, trotter, e.place_of(node)), qubits, node)


# --- read ---


def _may_read(e: Elaborator, node: ast.Node, word: str) -> bool:
    if e.region in ("model", "recurrent", "step", "circuit") and not e.in_if:
        return True
    if e.in_if:
        e.error(
            "E0609",
            node,
            f"`{word}` can't stand inside `if` on a measured bit",
            help="`read` before or after it: it is the average over all shots",
        )
    elif e.region == "ansatz":
        e.error(
            "E0506",
            node,
            f"`{word}` can't stand in an ansatz: an ansatz is made of gates",
            help=f"`{word}` in the model, or in a circuit",
        )
    else:
        e.error("E0601", node, f"`{word}` can't stand here")
    return False


def read(e: Elaborator, node: ast.Read) -> object:
    thing = e.eval(node.target)
    if isinstance(thing, Poison) or not _may_read(e, node, "read"):
        return POISON
    shots, weak = 0, 0.0
    if isinstance(thing, Readout):
        shots, weak = thing.shots, thing.weak
    what = readable(e, thing, node.target)
    if isinstance(what, Poison):
        return what
    if node.last is not None:
        return _read_last(e, node, what, shots, weak)
    if isinstance(what, Probs):
        return _read_probs(e, node, what, shots)
    e.count_op(node)
    if isinstance(what, Observable):
        return _read_sum(e, node, what, shots, weak)
    assert isinstance(what, tuple)
    if any(c.terms for o in what for c, _ in o.terms):
        parts = [_read_sum(e, node, o, shots, weak) for o in what]
        return as_tensor(e, tuple(parts), node)
    out = e.builder.value(real(len(what)), _said(node))
    _expect(e, out, what, shots, weak)
    return of_value(out)


def _said(node: ast.Node) -> str:
    """What a reader calls this readout: `z`, or `each_z` of `each_z(memory)`."""
    target = node.target if isinstance(node, ast.Read) else node
    while isinstance(target, ast.Call):
        target = target.func
    return target.id if isinstance(target, ast.Name) else ""


def _expect(
    e: Elaborator, out: ir.Value, observables: tuple[Observable, ...], shots: int, weak: float
) -> None:
    e.builder.readouts.add(out.id)
    e.builder.quantum(ir.Expect(out, plain(observables), shots, weak))
    for o in observables:
        for _, p in o.terms:
            if len(p) > 1:
                first = e.register_of[p[0][0]]
                for q, _ in p[1:]:
                    e.join(first, e.register_of[q])


def plain(observables: tuple[Observable, ...]) -> tuple[ir.Observable, ...]:
    return tuple(tuple((c.constant, p) for c, p in o.terms) for o in observables)


def _read_probs(e: Elaborator, node: ast.Read, what: Probs, shots: int) -> Tensor:
    qubits = what.qubits.qubits
    out = e.builder.value(real(2 ** len(qubits)), _said(node))
    e.builder.readouts.add(out.id)
    e.builder.quantum(ir.Probabilities(out, qubits, shots))
    for q in qubits[1:]:
        e.join(e.register_of[qubits[0]], e.register_of[q])
    return of_value(out)


def _read_sum(e: Elaborator, node: ast.Node, o: Observable, shots: int, weak: float) -> Tensor:
    """One number; coefficients that are values are multiplied in afterwards."""
    b = e.builder
    if not any(c.terms for c, _ in o.terms):
        out = b.value(real(1), _said(node))
        _expect(e, out, (o,), shots, weak)
        return scalar(ir.Angle(0.0, (ir.Term(1.0, out, 0),)))
    coefficients = Tensor(real(len(o.terms)), None, tuple(c for c, _ in o.terms))
    c = b.real_whole(coefficients)
    out = b.value(real(len(o.terms)), _said(node))
    _expect(e, out, tuple(Observable(((ir.Angle(1.0), p),)) for _, p in o.terms), shots, weak)
    return of_value(b.matmul(c, out))


def _read_last(e: Elaborator, node: ast.Read, what: object, shots: int, weak: float) -> object:
    assert node.last is not None
    count = integer(e, node.last, "`over last`")
    if count is None:
        return POISON
    if not 1 <= count <= 10_000:
        return e.error("E0311", node.last, f"`over last` takes 1 to 10000 moments, found {count}")
    loop = e.last_loop
    if loop is None:
        return e.error(
            "E0601",
            node,
            "`over last` looks back at the moments of a step that has ended",
            help="use it after the `step { … }` of the same block",
        )
    observables: tuple[Observable, ...] = ()
    if isinstance(what, Probs):
        key: object = ("probs", what.qubits.qubits, shots)
        width = 2 ** len(what.qubits.qubits)
    else:
        observables = (what,) if isinstance(what, Observable) else what  # type: ignore[assignment]
        if any(c.terms for o in observables for c, _ in o.terms):
            return e.error(
                "E0303", node, "`over last` needs observables whose coefficients are constants"
            )
        key = (plain(observables), shots, weak)
        width = len(observables)
    emitted = loop.reads.get(key)
    if emitted is None:
        value = e.builder.value(real(width), _said(node))
        e.builder.readouts.add(value.id)
        loop.body.flush()
        if isinstance(what, Probs):
            loop.body.ops.append(ir.Probabilities(value, what.qubits.qubits, shots))
        else:
            loop.body.ops.append(ir.Expect(value, plain(observables), shots, weak))
        emitted = e.builder.value(Type("real", (width,), seq=True))
        e.builder.readouts.add(emitted.id)
        loop.emits.append(ir.LoopEmit(f"read_{len(loop.reads) + 1}", value, emitted))
        loop.reads[key] = emitted
    found = last_of(e, emitted, count, node)
    return POISON if found is None else of_value(e.builder.reshape(found, (count * width,)))


# --- measurement, reset, preparation ---


def measure(e: Elaborator, node: ast.Measure) -> object:
    thing = e.eval(node.target)
    if isinstance(thing, Poison) or not _may_measure(e, node):
        return POISON
    if not isinstance(thing, Qubits):
        return e.error(
            "E0208",
            node.target,
            f"expected qubits to measure, found {describe(thing)}",
            help="`measure q[0]`",
        )
    # One qubit by index is a bit; a register or a slice is a bit for each qubit.
    single = len(thing.qubits) == 1
    out = e.builder.value(Type("bit", () if single else (len(thing.qubits),)))
    e.measures = True
    put(e, ir.Measure(out, thing.qubits), thing.qubits, node)
    return of_value(out)


def _may_measure(e: Elaborator, node: ast.Node) -> bool:
    if e.region in ("model", "recurrent", "step", "circuit"):
        return True
    if e.region == "ansatz":
        e.error(
            "E0506",
            node,
            "`measure` can't stand in an ansatz: an ansatz is made of gates",
            help="measure in the model's step, or in a circuit",
        )
    else:
        e.error("E0601", node, "`measure` can't stand here")
    return False


def discard(e: Elaborator, node: ast.Discard) -> None:
    e.eval(node.value)


def reset(e: Elaborator, node: ast.Reset) -> None:
    operands = operands_of(e, node.operands)
    if operands is None:
        return
    qubits = tuple(q for o in operands for q in o.qubits)
    if len(set(qubits)) != len(qubits):
        e.error("E0501", node, "the same qubit is reset twice")
        return
    before = e.capture
    put(e, ir.Reset(qubits, e.place_of(node)), (), node)
    if before is None and not e.in_if:
        e.fresh.update(qubits)


def postselect(e: Elaborator, node: ast.Postselect) -> None:
    thing = e.eval(node.target)
    outcome = e.eval(node.outcome)
    if isinstance(thing, Poison) or isinstance(outcome, Poison):
        return
    if e.region not in ("model", "recurrent", "step", "circuit", "ansatz") or e.in_if:
        e.error("E0609", node, "`postselect` can't stand inside `if` on a measured bit")
        return
    if not isinstance(thing, Qubits):
        e.error("E0208", node.target, f"expected qubits, found {describe(thing)}")
        return
    k = len(thing.qubits)
    bits: tuple[int, ...]
    if isinstance(outcome, tuple) and len(outcome) == k and all(b in (0, 1) for b in outcome):
        bits = tuple(int(b) for b in outcome)
    elif isinstance(outcome, int) and not isinstance(outcome, bool) and 0 <= outcome < 2**k:
        bits = tuple((outcome >> (k - 1 - i)) & 1 for i in range(k))
    elif isinstance(outcome, (Tensor, Pending)):
        e.error(
            "E0303",
            node.outcome,
            "the outcome must be known at compile time, found " + describe(outcome),
        )
        return
    else:
        shown = "0 or 1" if k == 1 else f"0 to {2**k - 1}, or a list of {k} bits"
        e.error(
            "E0306",
            node.outcome,
            f"the outcome of {plural(k, 'qubit')} is {shown}, found " + describe(outcome),
        )
        return
    out = e.builder.value(real())
    put(e, ir.Postselect(out, thing.qubits, bits), thing.qubits, node)


def prepare(e: Elaborator, node: ast.Prepare) -> None:
    operands = operands_of(e, node.operands)
    if operands is None:
        e.eval(node.value)
        return
    qubits = tuple(q for o in operands for q in o.qubits)
    if len(set(qubits)) != len(qubits):
        e.error("E0501", node, "the same qubit is prepared twice")
        return
    from qrlang.check.calls import wanting

    k = len(qubits)
    if k > 24:
        e.error("E0307", node, f"a state of {k} qubits has more than 2^24 amplitudes")
        return
    thing = wanting(e, node.value, 2**k)
    if isinstance(thing, Poison):
        return
    if isinstance(thing, Pending):
        want(e, thing, (2**k,), node)
        return
    if isinstance(thing, Tensor) and thing.type.kind == "state":
        if thing.type.size != k or thing.type.seq:
            e.error("E0410", node, f"{thing.type} needs {thing.type.size} qubits, found {k}")
            return
        assert thing.value is not None
        amplitudes = thing.value
    else:
        t = as_tensor(e, thing, node.value, "amplitudes")
        if not isinstance(t, Tensor) or not numeric(e, t, node.value):
            return
        count = t.type.count
        if count != 2**k:
            power = count > 0 and count & (count - 1) == 0
            e.error(
                "E0410",
                node.value,
                f"{plural(k, 'qubit')} {'has' if k == 1 else 'have'} {2**k} amplitudes, "
                f"found {count} numbers",
                help=f"use {count.bit_length() - 1} qubits"
                if power
                else "their number is a power of two: pad with zeros, `concat(v, zeros(…))`",
            )
            return
        if t.value is None and all(not a.terms and not a.constant for a in t.elements):
            e.error("E0410", node.value, "all amplitudes are zero: this is not a state")
            return
        amplitudes = e.builder.reshape(e.builder.real_whole(t), (count,))
    stale = [q for q in qubits if q not in e.fresh]
    if stale:
        e.error(
            "E0508",
            node,
            f"`prepare` needs fresh qubits, but {qubit_name(e, stale[0])} may not be |0⟩ here",
            help=f"`reset {node.operands[0].span.text}` first",
        )
        return
    put(e, ir.Prepare(qubits, amplitudes, e.place_of(node)), qubits, node)


# --- declaring qubits ---


def qubits(e: Elaborator, node: ast.Qubits) -> None:
    sizes: list[int | None] = []
    for r in node.registers:
        size = integer(e, r.size, f"the size of `{r.name}`")
        if size is not None and size < 1:
            e.error("E0311", r.size, f"a register needs at least one qubit, found {size}")
            size = None
        sizes.append(size)
    source: object = None
    if node.initial is not None:
        source = e.eval(node.initial)
    if any(s is None for s in sizes) or isinstance(source, Poison):
        for r in node.registers:
            e.scope.names[r.name] = POISON
        return
    widths = [s for s in sizes if s is not None]
    if isinstance(source, Qubits):
        _move(e, node, source, widths)
        return
    if source is not None and not isinstance(source, Mixed):
        e.error(
            "E0208",
            node.initial or node,
            f"qubits start from another register or `mixed`, found {describe(source)}",
            help="for amplitudes use `prepare v on q`",
        )
    for r, size in zip(node.registers, widths, strict=True):
        start = len(e.register_of)
        if start + size > 1024:
            from qrlang.check.core import MAX_QUBITS

            e.error("E0307", r, f"the program has more than {MAX_QUBITS} qubits")
            raise Rejected
        name = e.register_prefix + r.name
        register = Register(name, start, size, r.span)
        number = len(e.registers)
        e.registers.append(register)
        e.space_of.append(number)
        if e.region == "circuit":
            e.own_space.add(number)
        e.register_of.extend([number] * size)
        e.names[name] = r.span
        all_qubits = tuple(range(start, start + size))
        e.builder.quantum(ir.Alloc(all_qubits, isinstance(source, Mixed)))
        if source is None:
            e.fresh.update(all_qubits)
        if e.endings:
            e.endings[-1].qubits.extend(all_qubits)
            register.free = e.endings[-1]
        e.scope.names[r.name] = Qubits(all_qubits, (register,))
        e.fact(r.span, r.name, f"qubit[{size}]")


def _move(e: Elaborator, node: ast.Qubits, source: Qubits, widths: list[int]) -> None:
    assert node.initial is not None
    for r in node.registers:
        e.scope.names[r.name] = POISON
    if e.region == "step":
        e.error(
            "E0505",
            node,
            "qubits can't be moved inside a step: it runs many times",
            help="move them before the step",
        )
        return
    whole = sum(r.size for r in source.registers)
    if len(source.qubits) != whole:
        e.error("E0505", node.initial, "only whole registers can be moved")
        return
    if sum(widths) != whole:
        e.error(
            "E0505",
            node,
            f"{plural(whole, 'qubit')} can't be moved into {sum(widths)}",
            label=f"{sum(widths)} declared",
            notes=[
                Note(f"`{r.name}` is declared here with {plural(r.size, 'qubit')}", r.span)
                for r in source.registers
            ],
        )
        return
    for moved_register in source.registers:
        release(moved_register)
        moved_register.ended = f"they moved to `{node.registers[0].name}`"
        moved_register.ended_at = node.span
    at = 0
    for r, size in zip(node.registers, widths, strict=True):
        moved = source.qubits[at : at + size]
        at += size
        register = Register(e.register_prefix + r.name, moved[0], size, r.span)
        if e.endings:
            e.endings[-1].qubits.extend(moved)
            register.free = e.endings[-1]
        e.scope.names[r.name] = Qubits(moved, (register,))
        e.fact(r.span, r.name, f"qubit[{size}], moved")


EXPR.update({ast.Read: read, ast.Measure: measure})
STMT.update(
    {
        ast.Gate: gate,
        ast.Apply: apply,
        ast.Discard: discard,
        ast.Reset: reset,
        ast.Postselect: postselect,
        ast.Prepare: prepare,
        ast.Qubits: qubits,
    }
)
