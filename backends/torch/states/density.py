"""Qubits whose state is mixed, as density matrices: exact with noise, resets and measured bits."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from qrlang.backends.torch.circuits import sweep
from qrlang.backends.torch.circuits.circuit import Circuit
from qrlang.backends.torch.ops import may_look
from qrlang.backends.torch.states.lanes import Lanes
from qrlang.backends.torch.states.noise import on_density, paulis
from qrlang.backends.torch.states.state import Qubits


class MixedQubits(Qubits):
    """Channels on single qubits wait, each qubit's as one map, until somebody looks at the state:
    noise after each gate of a layer is then a pass over it, and not a dozen."""

    density = True
    _rho: Tensor

    def __init__(self, run: Lanes, n: int, name: str) -> None:
        self._waiting: dict[int, Tensor] = {}  # by qubit: [..., 4, 4], row and column of it
        super().__init__(run, n, name)

    @property
    def tensor(self) -> Tensor:
        if self._waiting:
            self._rho = self._done(self._rho)
        return self._rho

    @tensor.setter
    def tensor(self, new: Tensor) -> None:
        self._waiting.clear()
        self._rho = new

    def _done(self, rho: Tensor) -> Tensor:
        """After what waits."""
        flat = rho.flatten(-2)
        order = sorted(self._waiting)
        for k in range(0, len(order), 2):  # two in one pass
            rows = order[k : k + 2]
            maps = [self._waiting[q] for q in rows]
            one = _maps(*maps) if len(maps) > 1 else maps[0]
            flat = sweep.matrix(flat, one, 2 * self.n, (*rows, *(self.n + q for q in rows)))
        self._waiting.clear()
        return flat.unflatten(-1, rho.shape[-2:])

    def apply(self, circuit: Circuit, **vectors: Tensor) -> None:
        angles = self.angles(circuit, vectors)
        singles = circuit.singles(angles)
        maps = _kron(singles, singles.conj())
        for block in circuit.blocks:
            runs = circuit.runs_of(block)
            if runs is None:
                self.set(sweep.both_sides(self.tensor, circuit, block, angles, singles))
            else:
                for q, run in runs.items():
                    self._wait(q, maps[..., run, :, :])
        if self.run.gate_error:
            self._gate_noise(circuit)

    def _apply(self, circuit: Circuit, angles: Tensor) -> Tensor:
        rho, singles = self.tensor, circuit.singles(angles)
        for block in circuit.blocks:
            rho = sweep.both_sides(rho, circuit, block, angles, singles)
        return rho

    def _times(self, u: Tensor, qubits: tuple[int, ...]) -> Tensor:
        if qubits == tuple(range(self.n)):
            return u @ self.tensor @ u.mH
        wide = u.unsqueeze(-3)
        columns = sweep.matrix(self.tensor.mT, wide, self.n, qubits)
        return sweep.matrix(columns.mT.conj(), wide, self.n, qubits).conj()

    def _weights_of(self, state: Tensor) -> Tensor:
        return state.diagonal(dim1=-2, dim2=-1).real.sum(-1)

    def _scaled(self, state: Tensor, weight: Tensor) -> Tensor:
        safe = torch.where(weight > 0, weight, torch.ones_like(weight))
        root = torch.sqrt(safe)[..., None, None]
        return state / root / root  # a complex number over a subnormal one would be NaN

    def _wide(self, x: Tensor) -> Tensor:
        return x[..., None, None]

    def _kraus(self, operators: Tensor, qubits: tuple[int, ...]) -> None:
        if len(qubits) > 1:
            total: Any = 0
            for k in operators.unbind(-3):
                total = total + self._times(k, qubits)
            self.set(total)
            return
        self._wait(qubits[0], _map_of(operators))

    def _noise(self, name: str, qubits: tuple[int, ...], args: Tensor) -> None:
        if len(qubits) == 1:
            same = args.dim() == 1 and _is_constant(args)  # each time
            if same:
                one = _constant(name, tuple(args.tolist()), args.dtype, args.device)
            else:
                one = on_density(name, args)
            self._wait(qubits[0], one)
            return
        total: Any = 0
        operators, p = paulis(name, args)
        for operator, share in zip(operators, p.unbind(-1), strict=True):
            total = total + self._wide(share) * self._times(operator, qubits)
        self.set(total)

    def _wait(self, q: int, one: Tensor) -> None:
        if self.run.mask is not None:
            same = torch.eye(4, dtype=one.dtype, device=one.device)
            one = torch.where(self._wide(self.run.mask), one, same)
        before = self._waiting.get(q)
        self._waiting[q] = one if before is None else one @ before


def _map_of(operators: Tensor) -> Tensor:
    """Σ K · K†, on rows and columns of one qubit: [..., 4, 4]."""
    return _kron(operators, operators.conj()).sum(-3)


def _is_constant(args: Tensor) -> bool:
    """Whether its numbers can be asked for, and nobody asks for slopes, backward or forward."""
    if args.requires_grad or torch.compiler.is_compiling() or not may_look(args):
        return False
    return forward_ad.unpack_dual(args).tangent is None


@functools.lru_cache(maxsize=256)
def _constant(
    name: str, args: tuple[float, ...], dtype: torch.dtype, device: torch.device
) -> Tensor:
    with torch.inference_mode(False):  # it is kept for calls that train, too
        return on_density(name, torch.tensor(args, dtype=dtype, device=device))


def _maps(a: Tensor, b: Tensor) -> Tensor:
    """Two qubits' maps as one: their rows first, then their columns."""
    a = a.unflatten(-1, (2, 2)).unflatten(-3, (2, 2))
    b = b.unflatten(-1, (2, 2)).unflatten(-3, (2, 2))
    both = a[..., :, None, :, None, :, None, :, None] * b[..., None, :, None, :, None, :, None, :]
    return both.flatten(-4).flatten(-5, -2)


def _kron(a: Tensor, b: Tensor) -> Tensor:
    """Of the last two axes."""
    both = a[..., :, None, :, None] * b[..., None, :, None, :]
    return both.flatten(-4, -3).flatten(-2, -1)
