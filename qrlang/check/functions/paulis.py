"""Observables of qubits, and distributions over them."""

from __future__ import annotations

from collections.abc import Callable

from qrlang.check.algebra.observables import pauli
from qrlang.check.core.elaborator import Elaborator
from qrlang.check.core.values import Probs, Qubits, Register, describe, together
from qrlang.check.functions.table import MANY, Functions, Given
from qrlang.diagnostics.words import plural
from qrlang.syntax import ast

FUNCTIONS = Functions()


def _pauli(letter: str) -> Callable[..., object]:
    def handler(e: Elaborator, node: ast.Call, given: Given) -> object:
        at, q = given[0]
        if not isinstance(q, Qubits):
            return e.error("E0208", at, f"`{letter}` needs a qubit, found {describe(q)}")
        if len(q.qubits) != 1:
            return e.error(
                "E0503",
                at,
                f"`{letter}` is of one qubit, found {len(q.qubits)}",
                help=f"one for each: `[{letter}({at.span.text}[i]) for i in 0..{len(q.qubits)}]`",
            )
        return pauli(letter, q.qubits[0])

    return handler


for _name in "XYZ":
    FUNCTIONS.define(_name, 1, 1, f"{_name}(q): the Pauli matrix {_name} on a qubit", _pauli(_name))


@FUNCTIONS.function(
    "probs", 1, MANY, doc="probs(q): the distribution over the basis states of a register"
)
def _probs(e: Elaborator, node: ast.Call, given: Given) -> object:
    qubits: list[int] = []
    registers: list[Register] = []
    for at, thing in given:
        q = together(thing)
        if not isinstance(q, Qubits):
            return e.error("E0208", at, f"`probs` needs qubits, found {describe(q)}")
        qubits.extend(q.qubits)
        registers.extend(q.registers)
    if len(set(qubits)) != len(qubits):
        return e.error("E0501", node, "`probs` is given the same qubit twice")
    if len(qubits) > 24:
        return e.error(
            "E0307",
            node,
            f"a distribution over {plural(len(qubits), 'qubit')} has more than 2^24 numbers",
        )
    return Probs(Qubits(tuple(qubits), tuple(registers)))
