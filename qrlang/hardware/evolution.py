"""Evolution under terms that do not commute: which of them have to go together."""

from __future__ import annotations

from dataclasses import replace

from qrlang.ir import pauli
from qrlang.ir.program import Evolve
from qrlang.ir.walk import qubits_of


def parts_of(op: Evolve) -> tuple[list[Evolve], list[Evolve]]:
    """Evolutions that make up this one, in any order: those that are rotations, and those that
    have to be done as one unitary. Terms of different parts commute."""
    if op.trotter:
        return [op], []
    groups: list[list[int]] = []
    for i, (_, word) in enumerate(op.terms):
        met = [g for g in groups if any(not pauli.commute(word, op.terms[j][1]) for j in g)]
        groups = [g for g in groups if g not in met]
        groups.append(sorted([i, *(j for g in met for j in g)]))
    simple = sorted(g[0] for g in groups if len(g) == 1)
    wide = [replace(op, terms=tuple(op.terms[i] for i in g)) for g in groups if len(g) > 1]
    if not simple:
        return [], wide
    return [replace(op, terms=tuple(op.terms[i] for i in simple))], wide


def words_of(op: Evolve) -> list[str]:
    """Its terms as Pauli words on its qubits, in order."""
    qubits = qubits_of(op)
    return [pauli.word(string, qubits) for _, string in op.terms]
