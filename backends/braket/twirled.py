"""Gates of Braket between random Paulis."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import numpy as np

from qrlang.backends.braket.gates import Call, matrix
from qrlang.gates import CHANNELS
from qrlang.hardware.twirl import Gate, Rules, twirl

NOISY = frozenset(c.braket for c in CHANNELS.values())
Sent = tuple[Call, bool]  # whether it is a gate of the circuit: only around those


def twirled(gates: Iterable[Sent], lot: np.random.Generator, rules: Rules) -> list[Sent]:
    found: list[Sent] = []

    def put(item: Sent, turned: bool) -> None:
        call, own = item
        angles = tuple(-a for a in call.angles) if turned else call.angles
        found.append((call._replace(angles=angles), own))

    def pauli(letter: str, qubit: int) -> None:
        found.append((Call(letter.lower(), (qubit,)), True))

    def gate(item: Sent) -> Gate:
        call, own = item
        made = partial(matrix, call.name) if own else None
        return Gate(item, call.name, call.qubits, len(call.angles), made)

    twirl(map(gate, gates), lot, rules, put, pauli)
    return found
