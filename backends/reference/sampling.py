"""Readouts from a number of shots: every setting is measured that many times."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qrlang.backends.reference.gates import gate_matrix
from qrlang.backends.reference.state import Array, State
from qrlang.ir.program import Expect, Observable, PauliString

# A weighted branch: its probability, and the state of each space.
Ensemble = Sequence[tuple[float, dict[int, State]]]


def sample_expectations(
    op: Expect, ensemble: Ensemble, space_of: dict[int, int], rng: np.random.Generator
) -> Array:
    estimates = np.zeros(len(op.observables))
    for indices, strings in _settings(op):
        measured = _measure(strings, op.shots, ensemble, space_of, rng)
        found = dict(zip(strings, measured, strict=True))
        for i in indices:
            for coefficient, string in op.observables[i]:
                if string in found:
                    estimates[i] += coefficient * found[string]
    return estimates


def _settings(op: Expect) -> list[tuple[tuple[int, ...], list[PauliString]]]:
    """Observables and the strings of theirs that are measured together."""
    if op.settings:
        return [
            (group, list(dict.fromkeys(s for i in group for _, s in op.observables[i])))
            for group in op.settings
        ]
    return [((i,), group) for i, o in enumerate(op.observables) for group in _commuting_groups(o)]


def _commuting_groups(observable: Observable) -> list[list[PauliString]]:
    """The strings of one observable, each into the first group that it agrees with."""
    groups: list[tuple[dict[int, str], list[PauliString]]] = []
    for _, string in observable:
        agree = (g for g in groups if all(g[0].get(q, letter) == letter for q, letter in string))
        found = next(agree, None)
        if found is None:
            found = ({}, [])
            groups.append(found)
        basis, members = found
        basis.update(string)
        if string not in members:
            members.append(string)
    return [members for _, members in groups]


def _measure(
    strings: list[PauliString],
    shots: int,
    ensemble: Ensemble,
    space_of: dict[int, int],
    rng: np.random.Generator,
) -> list[float]:
    basis = {q: letter for string in strings for q, letter in string}
    totals = np.zeros(len(strings))
    weights = np.array([w for w, _ in ensemble])
    for (_, states), count in zip(
        ensemble, rng.multinomial(shots, weights / weights.sum()), strict=True
    ):
        for space in sorted({space_of[q] for q in basis}):
            qubits = [q for q in sorted(basis) if space_of[q] == space]
            state = states[space]
            for q in qubits:
                state = _rotate(state, q, basis[q])
            counts = rng.multinomial(count, state.probabilities(qubits))
            outcomes = np.arange(1 << len(qubits))
            for i, string in enumerate(strings):
                if string and space_of[string[0][0]] == space:
                    bits = [len(qubits) - 1 - qubits.index(q) for q, _ in string]
                    parity = sum((outcomes >> b) & 1 for b in bits) % 2
                    totals[i] += np.sum(counts * (1 - 2 * parity))
    return [total / shots if string else 1.0 for string, total in zip(strings, totals, strict=True)]


def _rotate(state: State, qubit: int, letter: str) -> State:
    """So that measuring Z measures this letter."""
    if letter == "Y":
        state = state.apply(gate_matrix("sdg", ()), (qubit,))
    return state if letter == "Z" else state.apply(gate_matrix("h", ()), (qubit,))
