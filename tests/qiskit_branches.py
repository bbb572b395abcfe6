"""A Qiskit circuit that measures, exactly: every outcome as a branch, by Qiskit's own matrices."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit.classical import expr
from qiskit.circuit.library import XGate
from qiskit.quantum_info import DensityMatrix, SuperOp

Branch = tuple[float, DensityMatrix, dict[Any, int]]


def outcomes(circuit: QuantumCircuit) -> tuple[Any, Any]:
    """Bits [k, qubits then clbits], and the share of each."""
    rows, shares = [], []
    start = (
        1.0,
        DensityMatrix.from_int(0, 2**circuit.num_qubits),
        dict.fromkeys(circuit.clbits, 0),
    )
    for weight, state, bits in _run(circuit, [start]):
        for index, likely in enumerate(state.probabilities()):
            if weight * likely > 1e-14:
                qubits = [index >> q & 1 for q in range(circuit.num_qubits)]
                rows.append([*qubits, *(bits[b] for b in circuit.clbits)])
                shares.append(weight * likely)
    return np.array(rows), np.array(shares)


def _run(circuit: QuantumCircuit, branches: list[Branch]) -> list[Branch]:
    for item in circuit.data:
        at = [circuit.find_bit(q).index for q in item.qubits]
        branches = [new for b in branches for new in _one(item, at, b, circuit)]
    return branches


def _one(item: Any, at: list[int], branch: Branch, circuit: QuantumCircuit) -> Iterator[Branch]:
    weight, state, bits = branch
    name = item.operation.name
    if name == "barrier":
        yield branch
    elif name in ("measure", "reset"):
        for value in (0, 1):
            kept = np.arange(len(state.data)) >> at[0] & 1 == value
            likely = float(np.real(np.diag(state.data)[kept].sum()))
            if likely > 1e-15:
                after = DensityMatrix(np.where(np.outer(kept, kept), state.data, 0) / likely)
                if name == "reset" and value:
                    after = after.evolve(XGate(), at)
                seen = bits | {item.clbits[0]: value} if name == "measure" else bits
                yield weight * likely, after, seen
    elif name == "if_else":
        then, orelse, *_ = (*item.operation.blocks, None)
        body = then if _true(item.operation.condition, bits) else orelse
        branches = [branch]
        for inner in body.data if body is not None else ():
            on = [at[body.find_bit(q).index] for q in inner.qubits]
            branches = [new for b in branches for new in _one(inner, on, b, circuit)]
        yield from branches
    elif name == "quantum_channel":
        yield weight, state.evolve(SuperOp(item.operation), at), bits
    else:
        yield weight, state.evolve(item.operation, at), bits


def _true(condition: Any, bits: dict[Any, int]) -> bool:
    match condition:
        case (bit, value):
            return bits[bit] == int(value)
        case expr.Var():
            return bool(bits[condition.var])
        case expr.Unary():
            return not _true(condition.operand, bits)
        case expr.Binary():
            return _true(condition.left, bits) and _true(condition.right, bits)
    raise AssertionError(condition)
