"""One pass over amplitudes: a matrix, a diagonal or a permutation on some of `n` qubits.

States are [..., 2^n], big-endian; everything in front is batch. A density matrix is the same
thing on 2n qubits, rows first.
"""

from __future__ import annotations

from torch import Tensor

from qrlang.backends.torch.circuits.circuit import Circuit
from qrlang.backends.torch.circuits.fuse import (
    Block,
    ControlledBlock,
    DiagonalBlock,
    MatrixBlock,
    PermutationBlock,
)


def matrix(state: Tensor, u: Tensor, n: int, qubits: tuple[int, ...]) -> Tensor:
    """`u` [..., d, d] on `qubits` (first the most significant)."""
    first, k = qubits[0], len(qubits)
    if qubits == tuple(range(first, first + k)):
        left, right = 2**first, 2 ** (n - first - k)
        if right == 1:
            out = state.unflatten(-1, (left, 2**k)) @ u.transpose(-1, -2)
            return out.flatten(-2)
        if left == 1:
            return (u @ state.unflatten(-1, (2**k, right))).flatten(-2)
    front = to_front(state, n, qubits)
    return from_front(u @ front, n, qubits)


def to_front(state: Tensor, n: int, qubits: tuple[int, ...]) -> Tensor:
    """[..., 2^n] -> [..., 2^k, 2^(n-k)]: the index of `qubits` first."""
    lead = state.dim() - 1
    bits = state.reshape(*state.shape[:-1], *(2,) * n)
    rest = sorted({*range(n)} - {*qubits})
    moved = bits.permute(*range(lead), *(lead + q for q in (*qubits, *rest)))
    return moved.reshape(*state.shape[:-1], 2 ** len(qubits), -1)


def from_front(front: Tensor, n: int, qubits: tuple[int, ...]) -> Tensor:
    lead = front.dim() - 2
    order = [*qubits, *sorted({*range(n)} - {*qubits})]
    back = [order.index(q) for q in range(n)]
    bits = front.reshape(*front.shape[:-2], *(2,) * n)
    return bits.permute(*range(lead), *(lead + q for q in back)).reshape(*front.shape[:-2], -1)


def on_rows(state: Tensor, u: Tensor, rows: Tensor) -> Tensor:
    """`u` on the amplitudes `rows` [2^k, m] only; the others stay."""
    new = u @ state[..., rows]
    state = state.expand(*new.shape[:-2], state.shape[-1])
    return state.index_copy(-1, rows.flatten(), new.flatten(-2))


def run(state: Tensor, circuit: Circuit, angles: Tensor) -> Tensor:
    """All gates of a circuit on a pure state."""
    singles = circuit.singles(angles)
    products = circuit.products(singles)
    for place, block in enumerate(circuit.blocks):
        state = one(state, circuit, block, angles, singles, products.get(place))
    return state


def one(
    state: Tensor,
    circuit: Circuit,
    block: Block,
    angles: Tensor,
    singles: Tensor,
    product: Tensor | None = None,
) -> Tensor:
    """One block of a circuit."""
    match block:
        case MatrixBlock(qubits=qubits):
            u = circuit.matrix(block, angles, singles) if product is None else product
            return matrix(state, u, circuit.n, qubits)
        case DiagonalBlock():
            return state * circuit.phases(block, angles)
        case PermutationBlock():
            return state.index_select(-1, circuit.source(block, angles))
        case ControlledBlock(gate=gate):
            u = circuit.gate_matrix(gate, angles)
            return on_rows(state, u, circuit.rows(block, angles))


def both_sides(
    rho: Tensor, circuit: Circuit, block: Block, angles: Tensor, singles: Tensor
) -> Tensor:
    """One block of a circuit on a density matrix [..., 2^n, 2^n]."""
    wide, each = angles.unsqueeze(-2), singles.unsqueeze(-4)
    columns = one(rho.mT, circuit, block, wide, each)  # U ρ, column by column
    return one(columns.mT.conj(), circuit, block, wide, each).conj()  # (U (Uρ)†)† row by row
