"""`apply`: ansätze inlined, unitaries that are values, evolution under a Hamiltonian."""

from __future__ import annotations

from dataclasses import replace
from itertools import takewhile

from qrlang.check.arithmetic import numeric
from qrlang.check.calls import (
    bind_params,
    bind_registers,
    bind_values,
    default_params,
    evaluate,
    match_values,
    qubit_name,
)
from qrlang.check.core import STMT, Elaborator, Rejected, Scope
from qrlang.check.expressions import integer
from qrlang.check.gates import angle_of, gate_spec, operands_of
from qrlang.check.modifiers import MOST_EXACT, PLAIN, change_of, changed, put, put_gate
from qrlang.check.observed import observed
from qrlang.check.spans import header
from qrlang.check.values import Definition, Observable, Poison, Qubits, Tensor, describe
from qrlang.diagnostics import Note
from qrlang.diagnostics.words import plural
from qrlang.ir import program as ir
from qrlang.syntax import ast


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
            help="leave `for …` out, or apply a `hamiltonian`"
            if isinstance(thing, Definition)
            else "a sum of observables gets a name first: `hamiltonian h on q: qubit[n] = …`, "
            "then `apply h for 1 to q`",
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
    if not trotter and len(qubits) > MOST_EXACT:
        e.error(
            "E0307",
            node,
            f"an exact evolution of {len(qubits)} qubits needs a matrix of 2^{len(qubits)} rows",
            help="say how many Trotter steps: `… for t trotter 8 to …`; one is exact where all "
            "terms commute",
        )
        return
    e.count_gates(node, len(h.terms) * max(trotter, 1))
    put(e, ir.Evolve(h.terms, time, trotter, e.place_of(node)), qubits, node)


STMT[ast.Apply] = apply
