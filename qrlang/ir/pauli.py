"""Products of Pauli operators: whether they commute, and as words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations

from qrlang.ir.program import PauliString


def commute(a: PauliString, b: PauliString) -> bool:
    """They do if they differ on an even number of shared qubits."""
    letters = dict(a)
    return sum(letters.get(q, p) != p for q, p in b) % 2 == 0


def all_commute(strings: Iterable[PauliString]) -> bool:
    return all(commute(a, b) for a, b in combinations(strings, 2))


def word(string: PauliString, qubits: Sequence[int]) -> str:
    """A letter for each of these qubits, `I` where the string leaves one alone."""
    letters = dict(string)
    return "".join(letters.get(q, "I") for q in qubits)
