"""`apply`: what is applied, and the modifiers in front of it."""

from __future__ import annotations

from qrlang.check.binding.arguments import evaluate
from qrlang.check.classical.tensors import numeric
from qrlang.check.core.elaborator import Elaborator
from qrlang.check.core.values import Definition, Poison, Qubits, Tensor, describe
from qrlang.check.quantum.evolution import evolve
from qrlang.check.quantum.gates import operands_of
from qrlang.check.quantum.inlining import ansatz
from qrlang.check.quantum.modifiers import PLAIN, change_of, changed, put, put_gate
from qrlang.check.written.gates import gate_spec
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
    ops: list[ir.Gate | ir.Op] = []
    with e.inside(e.here._replace(capture=ops)):
        _apply(e, node, base, thing, lists, operands)
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
        evolve(e, node, thing, lists, operands)
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
        ansatz(e, node, thing, lists, operands)
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


def _matrix(e: Elaborator, node: ast.Apply, t: Tensor, operands: list[Qubits]) -> None:
    qubits = tuple(q for o in operands for q in o.qubits)
    if len(qubits) != t.type.size:
        e.error(
            "E0503", node, f"{t.type} acts on {plural(t.type.size, 'qubit')}, found {len(qubits)}"
        )
        return
    if len(set(qubits)) != len(qubits):
        q = next(q for q in qubits if qubits.count(q) > 1)
        e.error("E0501", node, f"the same qubit twice: {e.qubits.called(q)}")
        return
    if t.type.seq or t.value is None:
        numeric(e, t, node)
        return
    e.count_gates(node, 1)
    put(e, ir.ApplyMatrix(qubits, t.value, place=e.place_of(node)), qubits, node)
