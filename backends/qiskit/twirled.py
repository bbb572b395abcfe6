"""A transpiled circuit between random Paulis, made of gates that the device has."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

import numpy as np

from qrlang.hardware.twirl import Gate, Rules, twirl


def flips(names: Collection[str]) -> dict[str, Any]:
    """X and Z in gates of the device, the second one without taking time."""
    from qiskit.circuit.library import RZGate, U1Gate, U3Gate, XGate

    if "x" in names and "rz" in names:
        return {"X": XGate(), "Z": RZGate(math.pi)}
    return {"X": U3Gate(math.pi, 0, math.pi), "Z": U1Gate(math.pi)}  # of the first devices


def twirled(
    circuit: Any, lot: np.random.Generator, rules: Rules, gates_of: Mapping[str, Any]
) -> Any:
    """Blocks under an `if` by themselves: no Pauli is carried into them, or out."""
    from qiskit.circuit import ControlFlowOp

    made = circuit.copy_empty_like()
    gates = []
    for item in circuit.data:
        gate = item.operation
        if isinstance(gate, ControlFlowOp):
            blocks = [twirled(block, lot, rules, gates_of) for block in gate.blocks]
            item = item.replace(operation=gate.replace_blocks(blocks))
        # Qiskit's first qubit is the least significant.
        qubits = [circuit.find_bit(q).index for q in reversed(item.qubits)]
        gates.append(_gate(item, qubits))

    def put(item: Any, turned: bool) -> None:
        if turned:
            gate = item.operation.to_mutable()
            gate.params = [-gate.params[0]]
            item = item.replace(operation=gate)
        made.append(item)

    def pauli(letter: str, qubit: int) -> None:
        for each in "ZX" if letter == "Y" else letter:
            made.append(gates_of[each], [qubit])

    twirl(gates, lot, rules, put, pauli)
    return made


def _gate(item: Any, qubits: list[int]) -> Gate:
    from qiskit.circuit import ControlFlowOp
    from qiskit.circuit import Gate as AnyGate

    gate = item.operation
    if isinstance(gate, ControlFlowOp) or not isinstance(gate, AnyGate):
        return Gate(item, gate.name, qubits)
    return Gate(item, gate.name, qubits, len(gate.params), partial(_matrix, gate))


def _matrix(gate: Any, *angles: float) -> Any:
    if angles:
        gate = gate.to_mutable()
        gate.params = list(angles)
    return np.asarray(gate.to_matrix())
