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

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from qrlang.backends.torch import sweep
from qrlang.backends.torch.circuit import Circuit
from qrlang.backends.torch.fuse import (
    ControlledBlock,
    DiagonalBlock,
    MatrixBlock,
    PermutationBlock,
)
from qrlang.backends.torch.observables import Observables, diagonal, marginal
from qrlang.backends.torch.ops import first_order
from qrlang.backends.torch.segment import native
from qrlang.backends.torch.state import Qubits

if TYPE_CHECKING:
    from qrlang.backends.torch.run import Run


class GradientError(RuntimeError):
    """A gradient that one shared state can't give."""


class Move:
    """Something that was done to the state."""

    mask: Tensor | None = None
    normalised = False  # did the last `do` or `undo` see to the norm itself

    def do(self, psi: Tensor, spare: Tensor | None) -> Tensor:
        """The state after. `spare`: memory of another state that may be written to."""
        raise NotImplementedError

    def undo(self, psi: Tensor, g: Tensor | None) -> tuple[Tensor, Tensor | None, Any]:
        """The state and its cotangent before, and the gradients of the move's own numbers."""
        raise NotImplementedError


class Shared:
    """The state that all nodes of a run share, and the way back."""

    def __init__(self, psi: Tensor) -> None:
        self.psi: Tensor | None = psi
        self.g: Tensor | None = None
        self.spare: Tensor | None = None
        self.moves: list[Move] = []
        self.at = 0  # how many moves the state has behind it
        self.walking = False
        self.task = -1  # the backward pass that is walking

    def do(self, move: Move) -> None:
        if self.walking:
            raise GradientError("the qubits were used again after a backward pass through them")
        self._do(move)

    def _do(self, move: Move) -> None:
        assert self.psi is not None
        new = move.do(self.psi, self.spare)
        if not move.normalised:
            new = _renormalised(new)
        if move.mask is not None:
            new = torch.where(move.mask[..., None], new, self.psi)
        # The next move writes where this one read: fresh memory for each step, with the small
        # records in between, would leave a hole as large as a state for each.
        self.spare, self.psi = self.psi, new

    def begin_walk(self, at: int) -> None:
        """Back to where the state had `at` moves behind it; what lies after it had no gradient."""
        self.walking = True
        task = torch._C._current_graph_task_id()
        if task != self.task:
            self.task, self.g = task, None  # a new backward pass, perhaps over a kept graph
        if self.psi is None:
            self.psi, last, self.at = self.start(), self.at, 0
            self._forward(last)
        self._forward(at)
        while self.at > at:
            self.undo_last()

    def undo_last(self) -> Any:
        move = self.moves[self.at - 1]
        assert self.psi is not None
        mask = move.mask
        g = self.g if mask is None or self.g is None else self.g * mask[..., None]
        psi, back, gradients = move.undo(self.psi, g)
        if not move.normalised:
            psi = _renormalised(psi)
        if mask is not None:
            psi = torch.where(mask[..., None], psi, self.psi)
            if back is not None and self.g is not None:
                back = torch.where(mask[..., None], back, self.g)
        self.psi, self.g = psi, back
        self.at -= 1
        if self.at == 0:
            self.g = None  # nothing before it needs a gradient
        return gradients

    def add(self, g: Tensor) -> None:
        self.g = g if self.g is None else self.g + g

    def forget(self) -> None:
        """The qubits' life has ended: from |0…0⟩ and its moves the state can be had again."""
        self.psi = self.spare = None

    def _forward(self, at: int) -> None:
        """Moves that were undone before, or forgotten with the state, once more."""
        for move in self.moves[self.at : at]:
            self._do(move)
            self.at += 1

    def start(self) -> Tensor:
        raise AssertionError  # set by the qubits


def _renormalised(psi: Tensor) -> Tensor:
    """Rounding makes the norm drift; once a step brings it back."""
    parts = torch.view_as_real(psi).flatten(-2)  # the norm of complex numbers is far slower
    return psi / torch.linalg.vector_norm(parts, dim=-1, keepdim=True)


class ReversibleQubits(Qubits):
    """Qubits whose state is shared by all steps."""

    def __init__(self, run: Run, n: int, name: str) -> None:
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
        self.token = _Node.apply(self.shared, move, self.token, *numbers)

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
            self._move(_Gates(circuit, angles.detach()), angles)
        except ValueError as error:  # the engine's, of angles
            self.run.watch(self.name, vectors, always=True)
            raise FloatingPointError(f"{error}{self.run.where()}") from None

    def _times(self, u: Tensor, qubits: tuple[int, ...]) -> Tensor:
        self._move(_Matrix(self.n, u.detach(), qubits), u)
        return self.tensor

    def set(self, new: Tensor) -> None:
        """`_times` has done it."""

    def _rotated(self, string: Any, angle: Tensor) -> Tensor:
        return self.tensor if not string else super()._rotated(string, angle)

    def prepare(self, amplitudes: Tensor, *qubits: int) -> None:
        a = self.normalised(amplitudes)
        self._move(_Prepare(self.n, a.detach(), qubits), a)

    def postselect(self, qubits: tuple[int, ...], bits: tuple[int, ...]) -> Tensor:
        outcome = int("".join(map(str, bits)), 2)
        weight = self._read(_Distribution(self.n, qubits))[..., outcome]
        if self.run.mask is not None:
            weight = torch.where(self.run.mask, weight, torch.ones_like(weight))
        kept = self.run.keep_shots(weight, self.name)
        self._move(_Select(self.n, qubits, outcome))
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

    def _read(self, reading: _Reading) -> Tensor:
        if not (self.token.requires_grad and torch.is_grad_enabled()):
            with torch.no_grad():
                return reading.of(self.psi)
        value, self.token = _Readout.apply(self.shared, reading, self.token)
        return value

    def exact(self, observables: Observables) -> Tensor:
        if self.run.readout_error:
            observables = observables.misread(self.run.readout_error)
        return self._read(_Expectations(observables))

    def _distribution(self, qubits: tuple[int, ...]) -> Tensor:
        return self._read(_Distribution(self.n, qubits))

    def rotated(self, circuit: Circuit) -> Tensor:
        with torch.no_grad():
            return diagonal(sweep.run(self.psi, circuit, circuit.angles({}, self.run.like)), False)


class _Node(torch.autograd.Function):
    """A move: (token, its numbers) -> token."""

    @staticmethod
    def forward(ctx: Any, shared: Shared, move: Move, token: Tensor, *numbers: Tensor) -> Tensor:
        shared.do(move)
        ctx.shared, ctx.place = shared, shared.at
        ctx.save_for_backward(*numbers)
        return token.clone()

    @staticmethod
    @first_order
    def backward(ctx: Any, token: Tensor) -> tuple[Tensor | None, ...]:
        numbers = ctx.saved_tensors  # raises if they were changed in place
        shared: Shared = ctx.shared
        shared.begin_walk(ctx.place)
        gradients = shared.undo_last()
        if gradients is None:
            gradients = [torch.zeros_like(x) for x in numbers]
        return (None, None, torch.zeros_like(token), *gradients)


class _Readout(torch.autograd.Function):
    """A readout: token -> (values, token)."""

    @staticmethod
    def forward(
        ctx: Any, shared: Shared, reading: _Reading, token: Tensor
    ) -> tuple[Tensor, Tensor]:
        ctx.shared, ctx.reading, ctx.place = shared, reading, shared.at
        assert shared.psi is not None
        return reading.of(shared.psi), token.clone()

    @staticmethod
    @first_order
    def backward(ctx: Any, values: Tensor, token: Tensor) -> tuple[None, None, Tensor]:
        shared: Shared = ctx.shared
        shared.begin_walk(ctx.place)
        assert shared.psi is not None
        shared.add(ctx.reading.cotangent(shared.psi, values))
        return None, None, torch.zeros_like(token)


# --- readings -------------------------------------------------------------------------------------


class _Reading:
    def of(self, psi: Tensor) -> Tensor:
        raise NotImplementedError

    def cotangent(self, psi: Tensor, values: Tensor) -> Tensor:
        raise NotImplementedError


class _Expectations(_Reading):
    def __init__(self, observables: Observables) -> None:
        self.observables = observables

    def of(self, psi: Tensor) -> Tensor:
        return self.observables.of(psi, False, reuse=psi.device.type == "cpu")

    def cotangent(self, psi: Tensor, values: Tensor) -> Tensor:
        return self.observables.weigh(psi, 2 * values)


class _Distribution(_Reading):
    def __init__(self, n: int, qubits: tuple[int, ...]) -> None:
        self.n = n
        self.qubits = qubits

    def of(self, psi: Tensor) -> Tensor:
        return marginal(diagonal(psi, False), self.n, self.qubits)

    def cotangent(self, psi: Tensor, values: Tensor) -> Tensor:
        front = sweep.to_front(psi, self.n, self.qubits)
        return sweep.from_front(2 * values[..., None] * front, self.n, self.qubits)


# --- moves ----------------------------------------------------------------------------------------


class _Gates(Move):
    """A circuit, block by block."""

    def __init__(self, circuit: Circuit, angles: Tensor) -> None:
        self.circuit = circuit
        self.angles = angles

    def do(self, psi: Tensor, spare: Tensor | None) -> Tensor:
        made = native(self.circuit, psi)
        self.normalised = made is not None
        if made is not None:
            return made.do(psi, self.angles, spare)
        return sweep.run(psi, self.circuit, self.angles)

    def undo(self, psi: Tensor, g: Tensor | None) -> tuple[Tensor, Tensor | None, Any]:
        made = native(self.circuit, psi) if g is not None else None
        self.normalised = made is not None
        if made is not None and g is not None:
            before, back, gradient = made.undo(psi, g, self.angles)
            return before, back, [gradient]
        way = _Back(self.circuit, self.angles, psi, g)
        for place in reversed(range(len(self.circuit.blocks))):
            way.block(place)
        state = way.state
        return state[0], None if g is None else state[1], way.gradients()


class _Back:
    """A circuit undone on ψ and g together ([1 or 2, batch, 2^n]), with the gradient of its angles.

    For a product of one-qubit gates the gradient needs no matrix of the block: with
    `M = g ψ†` after the block, traced over all other qubits, the cotangent of U on a qubit is M U.
    """

    def __init__(self, circuit: Circuit, angles: Tensor, psi: Tensor, g: Tensor | None) -> None:
        self.circuit = circuit
        self.wanted = g is not None and circuit.count > 0
        self.state = psi[None] if g is None else torch.stack([psi, g])
        with torch.set_grad_enabled(self.wanted):
            self.angles = angles.detach().requires_grad_(self.wanted)
            self.singles = circuit.singles(self.angles)
        self.adjoint = self.singles.detach().mH.resolve_conj()
        self.products = circuit.products(self.adjoint)
        self.traced: dict[int, Tensor] = {}  # by run: M
        self.ends: list[Tensor] = []
        self.cotangents: list[Tensor] = []

    def block(self, place: int) -> None:
        block = self.circuit.blocks[place]
        match block:
            case MatrixBlock():
                self._matrix(place, block)
            case DiagonalBlock():
                with torch.set_grad_enabled(self.wanted):
                    phase = self.circuit.phase(block, self.angles)
                if self.wanted:
                    self._found(phase, (self.state[1] * self.state[0].conj()).imag)
                turned = phase.detach()
                self.state = self.state * torch.complex(torch.cos(turned), -torch.sin(turned))
            case PermutationBlock():
                source = self.circuit.source(block, self.angles, inverse=True)
                self.state = self.state.index_select(-1, source)
            case ControlledBlock(gate=gate):
                with torch.set_grad_enabled(self.wanted):
                    u = self.circuit.gate_matrix(gate, self.angles)
                rows = self.circuit.rows(block, self.angles)
                after = self.state
                self.state = sweep.on_rows(after, u.detach().mH, rows)
                if self.wanted:
                    self._found(u, after[1][..., rows] @ self.state[0][..., rows].mH)

    def _matrix(self, place: int, block: MatrixBlock) -> None:
        n, qubits = self.circuit.n, block.qubits
        runs = self.circuit.runs_of(block)
        if runs is not None:
            if self.wanted:
                whole = _outer(self.state[1], self.state[0], n, qubits)
                traces = whole.flatten(-2) @ self.circuit.traces(len(qubits), whole)
                parts = traces.unflatten(-1, (len(qubits), 2, 2)).unbind(-3)
                for q, m in zip(qubits, parts, strict=True):
                    if q in runs:
                        self.traced[runs[q]] = m
            self.state = sweep.matrix(self.state, self.products[place], n, qubits)
            return
        with torch.set_grad_enabled(self.wanted):
            u = self.circuit.matrix(block, self.angles, self.singles)
        after = self.state
        self.state = sweep.matrix(after, u.detach().mH, n, qubits)
        if self.wanted:
            self._found(u, _outer(after[1], self.state[0], n, qubits))

    def _found(self, end: Tensor, cotangent: Tensor) -> None:
        if end.requires_grad:
            self.ends.append(end)
            self.cotangents.append(cotangent.sum_to_size(end.shape))

    def gradients(self) -> list[Tensor] | None:
        if self.traced and self.singles.requires_grad:
            zero = torch.zeros_like(next(iter(self.traced.values())))
            m = torch.stack([self.traced.get(r, zero) for r in range(self.singles.shape[-3])], -3)
            self._found(self.singles, m @ self.singles.detach())
        if not self.ends:
            return None
        return list(torch.autograd.grad(self.ends, self.angles, self.cotangents))


def _outer(g: Tensor, psi: Tensor, n: int, qubits: tuple[int, ...]) -> Tensor:
    """The cotangent of a matrix on these qubits: Σ over the rest of g ψ†, [batch, d, d]."""
    first, k = qubits[0], len(qubits)
    if qubits == tuple(range(first, first + k)) and first == 0:
        shape = (2**k, -1)
        return g.unflatten(-1, shape) @ psi.unflatten(-1, shape).mH
    if qubits == tuple(range(first, first + k)) and first + k == n:
        shape = (-1, 2**k)
        return g.unflatten(-1, shape).mT @ psi.unflatten(-1, shape).conj()
    return sweep.to_front(g, n, qubits) @ sweep.to_front(psi, n, qubits).mH


class _Matrix(Move):
    """A unitary that is a value."""

    def __init__(self, n: int, u: Tensor, qubits: tuple[int, ...]) -> None:
        self.n = n
        self.u = u
        self.qubits = qubits

    def do(self, psi: Tensor, spare: Tensor | None) -> Tensor:
        return sweep.matrix(psi, self.u, self.n, self.qubits)

    def undo(self, psi: Tensor, g: Tensor | None) -> tuple[Tensor, Tensor | None, Any]:
        before = sweep.matrix(psi, self.u.mH, self.n, self.qubits)
        if g is None:
            return before, None, None
        front = sweep.to_front(g, self.n, self.qubits)
        own = front @ sweep.to_front(before, self.n, self.qubits).mH
        back = sweep.matrix(g, self.u.mH, self.n, self.qubits)
        return before, back, [own.sum_to_size(self.u.shape)]


class _Prepare(Move):
    """Amplitudes on qubits that were |0…0⟩."""

    def __init__(self, n: int, amplitudes: Tensor, qubits: tuple[int, ...]) -> None:
        self.n = n
        self.amplitudes = amplitudes
        self.qubits = qubits

    def do(self, psi: Tensor, spare: Tensor | None) -> Tensor:
        rest = sweep.to_front(psi, self.n, self.qubits)[..., :1, :]
        return sweep.from_front(self.amplitudes[..., None] * rest, self.n, self.qubits)

    def undo(self, psi: Tensor, g: Tensor | None) -> tuple[Tensor, Tensor | None, Any]:
        rest = self._without(psi)
        if g is None:
            return self._with_zero(rest), None, None
        front = sweep.to_front(g, self.n, self.qubits)
        own = (front @ rest.mH)[..., 0]
        return (
            self._with_zero(rest),
            self._with_zero(self._without(g)),
            [own.sum_to_size(self.amplitudes.shape)],
        )

    def _without(self, psi: Tensor) -> Tensor:
        return self.amplitudes.conj()[..., None, :] @ sweep.to_front(psi, self.n, self.qubits)

    def _with_zero(self, rest: Tensor) -> Tensor:
        rows = torch.nn.functional.pad(rest, (0, 0, 0, 2 ** len(self.qubits) - 1))
        return sweep.from_front(rows, self.n, self.qubits)


class _Select(Move):
    """Only the amplitudes where the qubits have one outcome. The others can't be had back, so they
    are kept."""

    def __init__(self, n: int, qubits: tuple[int, ...], outcome: int) -> None:
        self.n = n
        self.qubits = qubits
        self.outcome = outcome

    def do(self, psi: Tensor, spare: Tensor | None) -> Tensor:
        front = sweep.to_front(psi, self.n, self.qubits)
        kept = front[..., self.outcome, :]
        size = torch.linalg.vector_norm(kept, dim=-1, keepdim=True)
        self.size = torch.where(size > 0, size, torch.ones_like(size))
        self.lost = front.clone()
        self.lost[..., self.outcome, :] = 0
        return self._alone(kept / self.size)

    def undo(self, psi: Tensor, g: Tensor | None) -> tuple[Tensor, Tensor | None, Any]:
        kept = sweep.to_front(psi, self.n, self.qubits)[..., self.outcome, :]
        whole = self.lost.clone()
        whole[..., self.outcome, :] = kept * self.size
        before = sweep.from_front(whole, self.n, self.qubits)
        if g is None:
            return before, None, None
        own = sweep.to_front(g, self.n, self.qubits)[..., self.outcome, :]
        along = (kept.conj() * own).real.sum(-1, keepdim=True)
        return before, self._alone((own - along * kept) / self.size), None

    def _alone(self, kept: Tensor) -> Tensor:
        rows = kept.new_zeros(*kept.shape[:-1], 2 ** len(self.qubits), kept.shape[-1])
        rows[..., self.outcome, :] = kept
        return sweep.from_front(rows, self.n, self.qubits)
