"""Random Paulis around every gate on two qubits, which leave the circuit what it is.

An error that a gate makes in the same way each time adds up along a circuit; between random Paulis
it turns this way and that, and over many choices of them it is an error by chance, which shrinks
what is read and does nothing else. Which Paulis may stand before a gate, and what stands behind it
then, follows from its matrix: all of them for a Clifford gate, for one with an angle those that
commute with it.

What stands behind a gate is not done there. It is carried along through the gates on one qubit,
whose angles it may turn round, and is done together with the Pauli of the next gate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import product
from typing import Any

import numpy as np

from qrlang.gates import PAULI

LETTERS = "IXZY"  # by number: the product of two has the number a ^ b
MOST = 3  # qubits of a gate that is looked at
_ANGLES = ((0.7, 1.9, 0.4), (2.3, 0.8, 1.1))  # what holds at both holds at all

Word = tuple[int, ...]
Matrix = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Gate:
    """`item`: as the vendor has it. `matrix`: of its angles, the first qubit the most significant;
    None for what no Pauli is carried through."""

    item: Any
    name: str
    qubits: Sequence[int]
    angles: int = 0
    matrix: Matrix | None = None


class Rules:
    """What Paulis do at each kind of gate, found out once."""

    def __init__(self) -> None:
        self._around: dict[tuple[str, int, int], list[tuple[Word, Word]]] = {}
        self._through: dict[tuple[str, int], dict[int, tuple[int, bool]]] = {}

    def around(self, gate: Gate) -> list[tuple[Word, Word]]:
        """Before the gate, and behind it."""
        key = (gate.name, len(gate.qubits), gate.angles)
        if key not in self._around:
            self._around[key] = _around(gate)
        return self._around[key]

    def through(self, gate: Gate) -> dict[int, tuple[int, bool]]:
        """Of each Pauli that can be carried through: what it is then, whether the angle turns."""
        if gate.matrix is None:
            return {}
        key = (gate.name, gate.angles)
        if key not in self._through:
            self._through[key] = _through(gate)
        return self._through[key]


def _around(gate: Gate) -> list[tuple[Word, Word]]:
    n = len(gate.qubits)
    nothing = ((0,) * n, (0,) * n)
    if gate.matrix is None or n > MOST or gate.angles > 3:
        return [nothing]
    at = [gate.matrix(*a[: gate.angles]) for a in _ANGLES[: 2 if gate.angles else 1]]
    found = []
    for before in product(range(4), repeat=n):
        behind = {_word(u @ _pauli(before) @ u.conj().T, n) for u in at}
        if len(behind) == 1 and (only := behind.pop()) is not None:
            found.append((before, only))
    return found


def _through(gate: Gate) -> dict[int, tuple[int, bool]]:
    found = {before[0]: (behind[0], False) for before, behind in _around(gate)}
    if gate.angles == 1 and gate.matrix:
        a = _ANGLES[0][0]
        there, back = gate.matrix(a), gate.matrix(-a)
        for p in range(4):
            turned = _pauli((p,)) @ there @ _pauli((p,))
            if p not in found and abs(np.trace(turned @ back.conj().T)) > 2 - 1e-9:
                found[p] = (p, True)
    return found


def _pauli(word: Word) -> Any:
    return reduce(np.kron, (np.array(PAULI[LETTERS[p]], complex) for p in word))


def _word(matrix: Any, n: int) -> Word | None:
    """Which Pauli word it is, up to a phase."""
    for word in product(range(4), repeat=n):
        if abs(np.trace(_pauli(word) @ matrix)) > 2**n - 1e-9:
            return word
    return None


def twirl(
    gates: Iterable[Gate], rng: np.random.Generator, rules: Rules,
    put: Callable[[Any, bool], None], pauli: Callable[[str, int], None],
) -> None:  # fmt: skip
    """`put` is given each item, and whether its angle is turned round; `pauli` a letter and its
    qubit, in between."""
    carried: dict[int, int] = {}

    def done(q: int, more: int = 0) -> None:
        if p := carried.pop(q, 0) ^ more:
            pauli(LETTERS[p], q)

    for gate in gates:
        if len(gate.qubits) == 1:
            (q,) = gate.qubits
            known = rules.through(gate)
            if carried.get(q, 0) not in known:
                done(q)
            carried[q], turned = known.get(carried.get(q, 0), (0, False))
            put(gate.item, turned)
            continue
        choices = rules.around(gate) if gate.matrix else [((), ())]
        before, behind = choices[int(rng.integers(len(choices)))]
        for i, q in enumerate(gate.qubits):
            done(q, before[i] if before else 0)
        put(gate.item, False)
        carried.update(zip(gate.qubits, behind, strict=False))
    for q in list(carried):
        done(q)
