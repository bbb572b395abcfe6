"""Road 2: one state for all steps, walked back while gradients are taken.

The evolution is unitary, so no state is stored for a step: the backward pass undoes each move on
the state ψ and on its cotangent g together, and collects the gradient on the way. What is kept
is ψ, g and the angles of each step, whatever the number of steps; and what a post-selection has
thrown away.

Each move and each readout is an autograd node of its own. A token (a tensor without content)
goes through all of them, so that autograd calls them in strict reverse order. Moves after the
last readout that a loss uses are never called; they are undone when the first node is. A second
pass over a graph that was kept does the moves again first.

Cotangents are as autograd has them: g = dL/dRe ψ + i dL/dIm ψ, and dL = Re⟨g|dψ⟩.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from qrlang.backends.torch.circuits import sweep
from qrlang.backends.torch.circuits.circuit import Circuit
from qrlang.backends.torch.reversible.gates import Gates
from qrlang.backends.torch.reversible.moves import Matrix, Prepare, Select
from qrlang.backends.torch.reversible.nodes import Node, Readout
from qrlang.backends.torch.reversible.readings import Distribution, Expectations, Reading
from qrlang.backends.torch.reversible.shared import Move, Shared
from qrlang.backends.torch.states.lanes import Lanes
from qrlang.backends.torch.states.observables import Observables, diagonal
from qrlang.backends.torch.states.state import Qubits


class ReversibleQubits(Qubits):
    """Qubits whose state is shared by all steps."""

    def __init__(self, run: Lanes, n: int, name: str) -> None:
        super().__init__(run, n, name)
        shape = run.batch, 2**n
        kind, device = self.tensor.dtype, self.tensor.device
        self.shared = Shared(self.tensor)

        # Without the run: a graph holds this, and the run holds the token, which holds the graph.
        def start() -> Tensor:
            psi = torch.zeros(shape, dtype=kind, device=device)
            psi[:, 0] = 1
            return psi

        self.shared.start = start  # type: ignore[method-assign]
        self.token = run.like.new_zeros(())
        self.moved = False  # without a record

    def now(self) -> Tensor:
        return self.psi

    def begin_at(self, given: Tensor) -> None:
        psi = given.to(self.psi).clone()  # moves write where they have read
        start = psi.clone()
        self.shared = Shared(psi)
        self.shared.start = start.clone  # type: ignore[method-assign]
        self.token = self.run.like.new_zeros(())
        self.moved = False

    def _move(self, move: Move, *numbers: Tensor) -> None:
        """Does it, and records it where a gradient will walk back over it."""
        move.mask = self.run.mask
        wanted = self.token.requires_grad or any(x.requires_grad for x in numbers)
        if not wanted:
            with torch.no_grad():
                self.shared.do(move)
            if self.shared.moves:
                self._record(move)
            else:
                self.moved = True
            return
        if self.moved and not self.shared.moves:
            self._settle()
        self._record(move)
        self.token = Node.apply(self.shared, move, self.token, *numbers)

    def _settle(self) -> None:
        """Moves without a gradient before any with one: the walk back ends after them."""
        assert self.shared.psi is not None
        psi = self.shared.psi.clone()
        self.shared.start = psi.clone  # type: ignore[method-assign]

    def _record(self, move: Move) -> None:
        self.shared.moves.append(move)
        self.shared.at += 1

    # --- unitary evolution ----------------------------------------------------------------------

    def apply(self, circuit: Circuit, **vectors: Tensor) -> None:
        angles = self.angles(circuit, vectors)
        try:
            self._move(Gates(circuit, angles.detach()), angles)
        except ValueError as error:  # the engine's, of angles
            self.run.watch(self.name, vectors, always=True)
            raise FloatingPointError(f"{error}{self.run.where()}") from None

    def _times(self, u: Tensor, qubits: tuple[int, ...]) -> Tensor:
        self._move(Matrix(self.n, u.detach(), qubits), u)
        return self.tensor

    def set(self, new: Tensor) -> None:
        """`_times` has done it."""

    def _rotated(self, string: Any, angle: Tensor) -> Tensor:
        return self.tensor if not string else super()._rotated(string, angle)

    def prepare(self, amplitudes: Tensor, *qubits: int) -> None:
        a = self.normalised(amplitudes)
        self._move(Prepare(self.n, a.detach(), qubits), a)

    def postselect(self, qubits: tuple[int, ...], bits: tuple[int, ...]) -> Tensor:
        outcome = int("".join(map(str, bits)), 2)
        weight = self._read(Distribution(self.n, qubits))[..., outcome]
        if self.run.mask is not None:
            weight = torch.where(self.run.mask, weight, torch.ones_like(weight))
        kept = self.run.keep_shots(weight, self.name)
        self._move(Select(self.n, qubits, outcome))
        return kept

    def _measure_one(self, qubit: int) -> Tensor:
        raise self._not_pure()

    def _kraus(self, operators: Tensor, qubits: tuple[int, ...]) -> None:
        raise self._not_pure()

    def _not_pure(self) -> RuntimeError:
        return RuntimeError(
            f"the state of {self.name!r} does not stay pure{self.run.where()}: say so where it "
            f"begins, `run.qubits({self.n}, {self.name!r}, mixed=True)`"
        )

    def free(self, *qubits: int) -> None:
        self.last_look()
        self.alive = False
        if self.shared.moves:
            self.shared.forget()

    # --- readouts -------------------------------------------------------------------------------

    @property
    def psi(self) -> Tensor:
        assert self.shared.psi is not None
        return self.shared.psi

    def _read(self, reading: Reading) -> Tensor:
        if not (self.token.requires_grad and torch.is_grad_enabled()):
            with torch.no_grad():
                return reading.of(self.psi)
        value, self.token = Readout.apply(self.shared, reading, self.token)
        return value

    def exact(self, observables: Observables) -> Tensor:
        if self.run.readout_error:
            observables = observables.misread(self.run.readout_error)
        return self._read(Expectations(observables))

    def _distribution(self, qubits: tuple[int, ...]) -> Tensor:
        return self._read(Distribution(self.n, qubits))

    def rotated(self, circuit: Circuit) -> Tensor:
        with torch.no_grad():
            return diagonal(sweep.run(self.psi, circuit, circuit.angles({}, self.run.like)), False)
