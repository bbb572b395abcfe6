"""What is read of a state, and the cotangent that comes back for it."""

from __future__ import annotations

from torch import Tensor

from qrlang.backends.torch.circuits import sweep
from qrlang.backends.torch.states.observables import Observables, diagonal, marginal


class Reading:
    def of(self, psi: Tensor) -> Tensor:
        raise NotImplementedError

    def cotangent(self, psi: Tensor, values: Tensor) -> Tensor:
        raise NotImplementedError


class Expectations(Reading):
    def __init__(self, observables: Observables) -> None:
        self.observables = observables

    def of(self, psi: Tensor) -> Tensor:
        return self.observables.of(psi, False, reuse=psi.device.type == "cpu")

    def cotangent(self, psi: Tensor, values: Tensor) -> Tensor:
        return self.observables.weigh(psi, 2 * values)


class Distribution(Reading):
    def __init__(self, n: int, qubits: tuple[int, ...]) -> None:
        self.n = n
        self.qubits = qubits

    def of(self, psi: Tensor) -> Tensor:
        return marginal(diagonal(psi, False), self.n, self.qubits)

    def cotangent(self, psi: Tensor, values: Tensor) -> Tensor:
        front = sweep.to_front(psi, self.n, self.qubits)
        return sweep.from_front(2 * values[..., None] * front, self.n, self.qubits)


# --- moves ----------------------------------------------------------------------------------------
