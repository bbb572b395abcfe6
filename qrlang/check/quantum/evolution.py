"""Evolution under a Hamiltonian, exact or in Trotter steps."""

from __future__ import annotations

from dataclasses import replace

from qrlang.check.binding.parameters import default_params
from qrlang.check.binding.values import match_values
from qrlang.check.classical.whole import integer
from qrlang.check.core.elaborator import Elaborator
from qrlang.check.core.values import Definition, Observable, Poison, Qubits
from qrlang.check.quantum.gates import angle_of
from qrlang.check.quantum.inlining import split_lists
from qrlang.check.quantum.modifiers import MOST_EXACT, put
from qrlang.check.quantum.observed import observed
from qrlang.ir import program as ir
from qrlang.syntax import ast


def evolve(
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
        found = split_lists(e, node, d, lists)
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
