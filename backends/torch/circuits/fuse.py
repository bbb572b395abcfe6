"""Gates into few passes over a state: small matrices, one diagonal, one permutation.

Works on circuits of one state of `n` qubits (big-endian) and knows nothing of torch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from qrlang.gates import GATES
from qrlang.ir.program import Angle, Diagonal, Element, Gate, Permutation, Run
from qrlang.ir.walk import qubits_of

Array = np.ndarray[Any, np.dtype[Any]]
WIDEST = 5  # qubits of one matrix


@dataclass
class Placed:
    """A gate and where its angles stand among the circuit's angles."""

    gate: Gate
    angles: tuple[int, ...]


@dataclass
class MatrixBlock:
    """Gates on a few qubits, done as one matrix."""

    qubits: tuple[int, ...]
    gates: list[Placed] = field(default_factory=list)


@dataclass
class DiagonalBlock:
    """The phase of basis state x is `constant[x] + Σ_j angle[index[j]] * slopes[j, x]`."""

    qubits: tuple[int, ...]
    index: list[int]
    slopes: list[Array]
    constant: Array


@dataclass
class PermutationBlock:
    """`new[x] = old[source[x]]`."""

    qubits: tuple[int, ...]
    source: Array


@dataclass
class ControlledBlock:
    """One gate with more controls than a matrix should hold: it acts on `rows[2^k, …]` only."""

    qubits: tuple[int, ...]
    gate: Placed
    rows: Array


Block = MatrixBlock | DiagonalBlock | PermutationBlock | ControlledBlock


@dataclass
class Fused:
    n: int
    angles: list[Angle]
    blocks: list[Block]


def bit(n: int, qubit: int) -> Array:
    """The value of a qubit in each basis state."""
    return (np.arange(2**n) >> (n - 1 - qubit)) & 1


def fuse(n: int, elements: tuple[Element, ...], widest: int = WIDEST) -> Fused:
    if n > 0:
        widest = -(-n // -(-n // widest))  # equal shares: 6 qubits are 3 + 3, not 5 + 1
    fused = Fused(n, [], [])
    for element in elements:
        for part in _parts(element):
            _place(fused, part, widest)
    return fused


def _parts(element: Element) -> list[Gate | Diagonal | Permutation]:
    match element:
        case Run(gates=gates):
            return list(gates)
        case Diagonal(terms=terms) if all(len(q) == 1 for q, _ in terms):
            return [Gate("rz", q, (a,)) for q, a in terms]
    return [element]


def _place(fused: Fused, part: Gate | Diagonal | Permutation, widest: int) -> None:
    qubits = set(qubits_of(part))
    if not qubits or (isinstance(part, Gate) and part.name == "id"):
        return
    # It may move left past everything that shares no qubit with it.
    first = len(fused.blocks)
    while first > 0 and not qubits & set(fused.blocks[first - 1].qubits):
        first -= 1
    last_shared = max(first - 1, 0)
    new = _block(fused, part, widest)
    for i in range(last_shared, len(fused.blocks)):
        if _merge(fused.blocks[i], new, widest):
            return
    fused.blocks.append(new)


def _block(fused: Fused, part: Gate | Diagonal | Permutation, widest: int) -> Block:
    n, qubits = fused.n, tuple(sorted(qubits_of(part)))
    if isinstance(part, Permutation):
        return PermutationBlock(qubits, _linear_map(n, part))
    if isinstance(part, Diagonal):
        signs = [np.prod([1 - 2 * bit(n, q) for q in qs], axis=0) for qs, _ in part.terms]
        index = [_angle(fused, angle) for _, angle in part.terms]
        return DiagonalBlock(qubits, index, [-0.5 * s for s in signs], np.zeros(2**n))
    spec = GATES[part.name]
    if spec.permutation:
        return PermutationBlock(qubits, _gate_map(n, part))
    index = [_angle(fused, angle) for angle in part.angles]
    if spec.diagonal and len(qubits) > 1:
        return _diagonal(n, part, index, qubits)
    placed = Placed(part, tuple(index))
    if len(qubits) <= max(widest, spec.qubits):
        return MatrixBlock(qubits, [placed])
    return ControlledBlock(qubits, placed, subspace(n, part.qubits, part.controls, part.zeros))


def _angle(fused: Fused, angle: Angle) -> int:
    fused.angles.append(angle)
    return len(fused.angles) - 1


def _merge(block: Block, new: Block, widest: int) -> bool:
    union = tuple(sorted({*block.qubits, *new.qubits}))
    match block, new:
        case MatrixBlock(), MatrixBlock() if len(union) <= widest:
            block.gates += new.gates
        case DiagonalBlock(), DiagonalBlock():
            block.index += new.index
            block.slopes += new.slopes
            block.constant = block.constant + new.constant
        case DiagonalBlock(), MatrixBlock(gates=[Placed(gate=gate, angles=index)]) if GATES[
            gate.name
        ].diagonal:
            phases = _diagonal(int(np.log2(len(block.constant))), gate, list(index), new.qubits)
            return _merge(block, phases, widest)
        case PermutationBlock(), PermutationBlock():
            block.source = block.source[new.source]
        case _:
            return False
    block.qubits = union
    return True


def _active(n: int, gate: Gate) -> Array:
    on = np.ones(2**n, dtype=bool)
    for q in gate.controls:
        on &= bit(n, q) == 1
    for q in gate.zeros:
        on &= bit(n, q) == 0
    return on


def _diagonal(n: int, gate: Gate, index: list[int], qubits: tuple[int, ...]) -> DiagonalBlock:
    """Every diagonal gate of the table has phases that are affine in its angle."""
    spec, on = GATES[gate.name], _active(n, gate)
    here = sum(bit(n, q) << (len(gate.qubits) - 1 - i) for i, q in enumerate(gate.qubits))
    at = [0.0] * spec.angles
    zero = np.angle(np.diagonal(np.array(spec.matrix(*at), dtype=complex)))
    slopes = []
    for k in range(spec.angles):
        at[k] = 0.5
        moved = np.angle(np.diagonal(np.array(spec.matrix(*at), dtype=complex)))
        slopes.append(np.where(on, ((moved - zero) / 0.5)[here], 0.0))
        at[k] = 0.0
    return DiagonalBlock(qubits, index, slopes, np.where(on, zero[here], 0.0))


def _gate_map(n: int, gate: Gate) -> Array:
    x = np.arange(2**n)
    if gate.name == "x":
        moved = x ^ (1 << (n - 1 - gate.qubits[0]))
    elif gate.name == "swap":
        a, b = gate.qubits
        differ = bit(n, a) ^ bit(n, b)
        moved = x ^ (differ << (n - 1 - a)) ^ (differ << (n - 1 - b))
    else:
        moved = x
    return np.where(_active(n, gate), moved, x)  # each of them undoes itself


def _linear_map(n: int, part: Permutation) -> Array:
    x = np.arange(2**n)
    new = x.copy()
    for i, q in enumerate(part.qubits):
        value = np.full(2**n, (part.flips >> i) & 1)
        for j, other in enumerate(part.qubits):
            if (part.rows[i] >> j) & 1:
                value = value ^ bit(n, other)
        new = (new & ~(1 << (n - 1 - q))) | (value << (n - 1 - q))
    source = np.empty_like(x)
    source[new] = x
    return source


def subspace(
    n: int, qubits: tuple[int, ...], controls: tuple[int, ...] = (), zeros: tuple[int, ...] = ()
) -> Array:
    """`rows[j]`: the basis states where `qubits` (big-endian) hold j and the controls are met."""
    on = np.ones(2**n, dtype=bool)
    for q in controls:
        on &= bit(n, q) == 1
    for q in (*zeros, *qubits):
        on &= bit(n, q) == 0
    base = np.nonzero(on)[0]
    k = len(qubits)
    offset = np.zeros(2**k, dtype=np.int64)
    for i, q in enumerate(qubits):
        offset += ((np.arange(2**k) >> (k - 1 - i)) & 1) << (n - 1 - q)
    return base[None, :] + offset[:, None]
