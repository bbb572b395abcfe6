"""Qubits in plain torch: a batch of state vectors, or of density matrices.

The objects change in place, as qubits do; each change makes a new tensor, so autograd sees
ordinary operations. `run` (see `lanes.py`) knows which sequences are still going, which shots a
condition selects, and how shots are averaged.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from qrlang.backends.torch.circuits import sweep
from qrlang.backends.torch.circuits.circuit import Circuit
from qrlang.backends.torch.circuits.fuse import subspace
from qrlang.backends.torch.circuits.matrices import Constants
from qrlang.backends.torch.ops import broadcast_shapes, may_look, stack
from qrlang.backends.torch.states.lanes import Lanes
from qrlang.backends.torch.states.noise import kraus
from qrlang.backends.torch.states.observables import Observables, diagonal, marginal
from qrlang.backends.torch.states.shots import sampled, sampled_distribution
from qrlang.diagnostics.words import plural
from qrlang.gates import pauli_matrix
from qrlang.ir import pauli
from qrlang.ir.program import PauliString
from qrlang.names import quantity
from qrlang.system import host

_constants = Constants()


class Qubits:
    """`n` qubits of each sequence, from |0…0⟩."""

    density = False

    def __init__(self, run: Lanes, n: int, name: str) -> None:
        self.run = run
        self.n = n
        self.name = name
        self.alive = True
        self.outside = not run.step  # of a recurrence: it lives from step to step
        size = 2**n
        self.tensor: Tensor = run.zeros(run.batch, *([size, size] if self.density else [size]))
        self.tensor[(..., *([0] * (2 if self.density else 1)))] = 1
        run.add(self)

    # --- segments of a longer time ---------------------------------------------------------------

    def now(self) -> Tensor:
        return self.tensor

    def begin_at(self, given: Tensor) -> None:
        """The state that a segment before has left, in place of the one here."""
        self.tensor = given.to(self.tensor)

    # --- what each kind of state does its own way ---------------------------------------------

    def _apply(self, circuit: Circuit, angles: Tensor) -> Tensor:
        return sweep.run(self.tensor, circuit, angles)

    def _times(self, u: Tensor, qubits: tuple[int, ...]) -> Tensor:
        """`u` (any matrix, [..., d, d]) on these qubits: U ψ, or U ρ U†."""
        return sweep.matrix(self.tensor, u, self.n, qubits)

    def _weights_of(self, state: Tensor) -> Tensor:
        """The squared norm, or the trace."""
        return (state.real**2 + state.imag**2).sum(-1)

    def _scaled(self, state: Tensor, weight: Tensor) -> Tensor:
        """Normalised, given its squared norm or trace; untouched where that is nothing."""
        safe = torch.where(weight > 0, weight, torch.ones_like(weight))
        return state / torch.sqrt(safe)[..., None]

    def _wide(self, x: Tensor) -> Tensor:
        """Something for each batch entry, ready to go with the tensor."""
        return x[..., None]

    # --- unitary evolution ----------------------------------------------------------------------

    def apply(self, circuit: Circuit, **vectors: Tensor) -> None:
        """All gates of a circuit, its angles from the vectors that its text names."""
        angles = self.angles(circuit, vectors)
        self.set(self._apply(circuit, angles))
        if self.run.gate_error:
            self._gate_noise(circuit)

    def angles(self, circuit: Circuit, vectors: dict[str, Tensor]) -> Tensor:
        if circuit.n != self.n:
            raise ValueError(f"a circuit on {circuit.n} qubits, and {self.name!r} has {self.n}")
        self.run.watch(self.name, vectors)
        return circuit.angles(vectors, self.run.like)

    def set(self, new: Tensor) -> None:
        mask = self.run.mask
        if mask is not None:
            new = torch.where(self._wide(mask), new, self.tensor)
        self.tensor = new

    def apply_matrix(
        self,
        u: Tensor,
        *qubits: int,
        adjoint: bool = False,
        controls: tuple[int, ...] = (),
        zeros: tuple[int, ...] = (),
    ) -> None:
        """A unitary that is a value, on qubits (the first the most significant)."""
        u = u.to(self.tensor.dtype)
        if adjoint:
            u = u.mH
        if controls or zeros:
            k = len(qubits) + len(controls) + len(zeros)
            own = range(k - len(qubits), k)
            rows = subspace(
                k,
                tuple(own),
                tuple(range(len(controls))),
                tuple(range(len(controls), k - len(qubits))),
            )
            index = torch.as_tensor(rows[:, 0], device=u.device)
            whole = torch.eye(2**k, dtype=u.dtype, device=u.device).expand(*u.shape[:-2], -1, -1)
            whole = whole.clone()
            whole[..., index[:, None], index[None, :]] = u
            u, qubits = whole, (*controls, *zeros, *qubits)
        self.set(self._times(u, qubits))

    def evolve(
        self,
        strings: tuple[PauliString, ...],
        coefficients: Tensor,
        time: Tensor,
        trotter: int = 0,
    ) -> None:
        """exp(-i time Σ coefficient * string); exact, or in `trotter` equal steps."""
        self.run.watch(self.name, {"coefficients": coefficients, "time": time[..., None]})
        angles = 2 * coefficients * time[..., None] / max(trotter, 1)
        if trotter or pauli.all_commute(strings):
            for _ in range(max(trotter, 1)):
                for j, string in enumerate(strings):
                    self.set(self._rotated(string, angles[..., j]))
            return
        qubits = tuple(sorted({q for s in strings for q, _ in s}))
        at = {q: i for i, q in enumerate(qubits)}
        words = tuple(tuple((at[q], letter) for q, letter in s) for s in strings)
        self.set(self._times(self.run.evolutions.of(len(qubits), words, angles / 2), qubits))

    def _rotated(self, string: PauliString, angle: Tensor) -> Tensor:
        """exp(-i angle/2 P)."""
        if not string:
            phase = torch.complex(torch.cos(angle / 2), -torch.sin(angle / 2))
            return self.tensor if self.density else self.tensor * phase[..., None]
        qubits = tuple(q for q, _ in string)
        word = tuple(enumerate(letter for _, letter in string))
        pauli = _pauli(len(qubits), word, self.tensor)
        half = angle[..., None, None] / 2
        one = torch.eye(len(pauli), dtype=pauli.dtype, device=pauli.device)
        return self._times(torch.cos(half) * one - 1j * torch.sin(half) * pauli, qubits)

    def prepare(self, amplitudes: Tensor, *qubits: int) -> None:
        """Amplitudes, normalised, on qubits that are |0…0⟩."""
        a = self.normalised(amplitudes)
        # As the first column of a matrix that takes |0…0⟩ to the amplitudes.
        u = torch.nn.functional.pad(a[..., None], (0, a.shape[-1] - 1))
        self.set(self._times(u, qubits))

    def normalised(self, amplitudes: Tensor) -> Tensor:
        self.run.watch(self.name, {"amplitudes": amplitudes})
        a = amplitudes.to(self.tensor.dtype)
        norm = torch.linalg.vector_norm(a, dim=-1, keepdim=True)
        if may_look(norm) and not bool((norm > 0).all()):
            raise ValueError(f"amplitudes for {self.name!r} are all zero{self.run.where()}")
        return a / norm

    # --- readouts -------------------------------------------------------------------------------

    def read(self, observables: Observables, shots: int = 0, weak: float = 0.0) -> Tensor:
        """⟨O_k⟩ for each observable, the average over all shots; [batch, k]."""
        if weak:
            return self.run.living(self._weak(observables, weak))
        shots = shots or self.run.shots
        return self.run.living(
            sampled(self, observables, shots) if shots else self.exact(observables)
        )

    def exact(self, observables: Observables) -> Tensor:
        """⟨O_k⟩ as infinitely many shots give it, wrongly read bits included."""
        if self.run.readout_error:
            observables = observables.misread(self.run.readout_error)
        return self.run.average(observables.of(self.tensor, self.density))

    def probabilities(self, *qubits: int, shots: int = 0) -> Tensor:
        """The distribution over the basis states of these qubits; [batch, 2^k]."""
        shots = shots or self.run.shots
        p = self._distribution(qubits)
        return self.run.living(sampled_distribution(self.run, p, shots) if shots else p)

    def _distribution(self, qubits: tuple[int, ...]) -> Tensor:
        return self.run.average(marginal(diagonal(self.tensor, self.density), self.n, qubits))

    def _weak(self, observables: Observables, strength: float) -> Tensor:
        """String by string; each then loses coherence between its two values by cos(strength)."""
        columns = []
        for observable in observables.observables:
            total: Any = self.run.like.new_zeros(self.run.batch)
            for factor, string in observable:
                one = Observables(self.n, (((1.0, string),),))
                value = self.run.average(one.of(self.tensor, self.density))[..., 0]
                total = total + factor * value
                if string:
                    self._dephase(string, math.cos(strength))
            columns.append(total)
        return torch.stack(columns, -1)

    def _dephase(self, string: PauliString, factor: float) -> None:
        """Coherence between the two values of a Pauli string is multiplied by `factor`."""
        word = tuple(enumerate(letter for _, letter in string))
        pauli = _pauli(len(string), word, self.tensor)
        one = torch.eye(len(pauli), dtype=pauli.dtype, device=pauli.device)
        stay, turn = math.sqrt((1 + factor) / 2), math.sqrt((1 - factor) / 2)
        self._kraus(torch.stack([stay * one, turn * pauli]), tuple(q for q, _ in string))

    # --- what is not unitary --------------------------------------------------------------------

    def measure(self, *qubits: int) -> Tensor:
        """A bit for each qubit, [..., batch, k]; the state collapses."""
        return stack(*[self._measure_one(q) for q in qubits])

    def _measure_one(self, qubit: int) -> Tensor:
        p = marginal(diagonal(self.tensor, self.density), self.n, (qubit,))
        if self.run.mask is not None:  # where nothing is measured the bit is 0
            none = p.new_tensor([1.0, 0.0])
            p = torch.where(self.run.mask[..., None], p, none)
        bit, weight = self.run.choose(p)
        zero, one = (
            _constants.get("P0", [[1, 0], [0, 0]], p),
            _constants.get("P1", [[0, 0], [0, 1]], p),
        )
        projector = torch.where(bit[..., None, None] > 0.5, one, zero).to(self.tensor.dtype)
        self.set(self._scaled(self._times(projector, (qubit,)), weight))
        error = self.run.readout_error
        return self.run.flipped(bit, error) if error else bit

    def reset(self, *qubits: int) -> None:
        """To |0⟩, whatever they were."""
        for q in qubits:
            self._kraus(_constants.get("reset", _RESET, self.tensor), (q,))

    def mix(self, *qubits: int) -> None:
        """Maximally mixed."""
        for q in qubits:
            self.channel("depolarizing", (q,), self.run.like.new_tensor([0.75]))

    def channel(self, name: str, qubits: tuple[int, ...], args: Tensor) -> None:
        """A noise channel of the table; `args` [..., numbers], each a probability."""
        self.run.watch(self.name, {name: args})
        if may_look(args) and not bool(((args >= 0) & (args <= 1)).all()):
            raise ValueError(f"{name}: its numbers have to be probabilities{self.run.where()}")
        self._noise(name, qubits, args)

    def _noise(self, name: str, qubits: tuple[int, ...], args: Tensor) -> None:
        self._kraus(kraus(name, args), qubits)

    def _kraus(self, operators: Tensor, qubits: tuple[int, ...]) -> None:
        """Σ K ρ K† for operators [..., k, d, d]; on state vectors one of them by lot."""
        if len(qubits) <= 2:  # their own state says how probable each is; only one is done
            front = sweep.to_front(self.tensor, self.n, qubits)
            effects = operators.mH @ operators
            p = (effects * (front @ front.mH).mT.unsqueeze(-3)).real.sum((-2, -1))
            chosen, weight = self.run.draw(p)
            size = (*chosen.shape, *operators.shape[-3:])
            index = chosen[..., None, None, None].expand(*size[:-3], 1, *size[-2:])
            own = operators.expand(size).gather(-3, index)[..., 0, :, :]
            self.set(self._scaled(self._times(own, qubits), weight))
            return
        tries = [self._times(k, qubits) for k in operators.unbind(-3)]
        p = torch.stack(torch.broadcast_tensors(*(self._weights_of(t) for t in tries)), -1)
        chosen, weight = self.run.draw(p)
        shape = broadcast_shapes(*(t.shape for t in tries), (*chosen.shape, 1))
        every = torch.stack([t.expand(shape) for t in tries], -2)
        index = chosen[..., None, None].expand(*shape[:-1], 1, shape[-1])
        self.set(self._scaled(every.gather(-2, index)[..., 0, :], weight))

    def postselect(self, qubits: tuple[int, ...], bits: tuple[int, ...]) -> Tensor:
        """Keeps the shots where the qubits have these bits; the result is how many those are."""
        keep = torch.zeros(2 ** len(qubits), dtype=self.tensor.dtype, device=self.tensor.device)
        keep[int("".join(map(str, bits)), 2)] = 1
        new = self._times(torch.diag(keep), qubits)
        weight = self._weights_of(new)
        if self.run.mask is not None:
            weight = torch.where(self.run.mask, weight, torch.ones_like(weight))
        self.set(self._scaled(new, weight))
        return self.run.keep_shots(weight, self.name)

    def free(self, *qubits: int) -> None:
        """The end of these qubits' life: traced out."""
        if len(qubits) == self.n:
            self.last_look()
            self.alive = False
        else:
            self.reset(*qubits)

    def last_look(self) -> None:
        if self.run.look is not None:
            self.run.look("free", [self])

    def _gate_noise(self, circuit: Circuit) -> None:
        """Depolarising noise on each qubit, once for each gate of the circuit that touched it."""
        p = self.run.like.new_tensor([self.run.gate_error])
        for qubit, times in circuit.touches.items():
            stay = 1 - 4 / 3 * self.run.gate_error
            self.channel("depolarizing", (qubit,), 0.75 * (1 - stay**times) * torch.ones_like(p))

    def rotated(self, circuit: Circuit) -> Tensor:
        """The distribution after a change of basis, averaged over shots: [batch, 2^n]."""
        turned = self._apply(circuit, circuit.angles({}, self.run.like))
        return self.run.average(diagonal(turned, self.density))


_RESET = [[[1, 0], [0, 0]], [[0, 1], [0, 0]]]


def _pauli(n: int, string: PauliString, like: Tensor) -> Tensor:
    word = pauli.word(string, range(n))
    return _constants.get(("pauli", word), lambda: pauli_matrix(word), like)


def qubits_limit(n: int, density: bool, batch: int, like: Tensor) -> None:
    """Refuses what no machine holds, or not this one, with the number."""
    if torch.compiler.is_exporting():  # for batches of any size, perhaps on another machine
        return
    amplitudes = batch * 2 ** (2 * n if density else n)
    what = "density matrices" if density else "states"
    size, there = 2 * amplitudes * like.element_size(), host.memory()
    if like.device.type == "cpu" and 0 < there < size:
        raise MemoryError(
            f"{what} of {n} qubits for {plural(batch, 'sequence')} take "
            f"{quantity(size, 'B', 1024)}, and there are {quantity(there, 'B', 1024)} of memory: "
            "take fewer qubits, or fewer sequences at once"
            + (", or noise by lot: `model.trajectories`" if density else "")
        )
    if amplitudes > 2**34:
        raise MemoryError(
            f"{what} of {n} qubits for {batch} sequences are {math.log2(amplitudes):.0f} bits of "
            "numbers; the limit is 2^34 of them"
        )
