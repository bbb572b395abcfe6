"""Our own device: exact probabilities in NumPy, and shots drawn from them with a seed.

It says what a run will be like before one is paid for, and gives the angles of an open loop. A
circuit that goes on where the last one ended is not begun again. Where a program has noise of its
own, the state is a density matrix: its axes twice, those of the bras behind those of the kets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qrlang.gates import CHANNELS, GATES, PAULI, pauli_matrix
from qrlang.hardware.device import (
    Bits,
    Capabilities,
    DeviceError,
    Done,
    ErrorRates,
    Floats,
    Footprint,
    Limits,
    Slot,
    Step,
    Template,
    Ticket,
    Work,
)
from qrlang.hardware.footprint import logical
from qrlang.hardware.pure import pure

Complex = NDArray[np.complex128]
_TURN = {"X": (Step("h", (0,)),), "Y": (Step("sdg", (0,)), Step("h", (0,)))}


class Simulator:
    name = "simulator"
    limits = Limits(qubits=22)
    capabilities = Capabilities(True, True, True, True, local=True)
    errors: ErrorRates | None = None

    largest = 1 << 22  # amplitudes at a time

    def __init__(self) -> None:
        self.at = 0  # which step it is at
        self._last: dict[Any, tuple[int, tuple[Step, ...], Floats, Complex]] = {}

    def submit(self, works: Sequence[Work], seed: int) -> Ticket:
        rng = np.random.default_rng(seed)
        return Done([self._sample(w, rng) for w in works])

    def reopen(self, ticket: str, works: Sequence[Work]) -> Ticket:
        raise DeviceError(f"the simulator keeps no jobs: {ticket}")

    def footprint(self, template: Template) -> Footprint:
        return logical(template)

    def describe(self) -> Mapping[str, Any]:
        return {"device": "our own simulator"}

    def _sample(self, work: Work, rng: np.random.Generator) -> Bits:
        changed = pure(work.template)
        chances = self.probabilities(changed.template, work.angles)
        n = changed.template.qubits
        columns = (*changed.qubits, *changed.bits)
        out = np.empty((len(chances), work.shots, len(columns)), np.uint8)
        for r, row in enumerate(chances):
            drawn = draw(row, work.shots, rng)
            for c, q in enumerate(columns):
                out[r, :, c] = drawn >> (n - 1 - q) & 1
        return out

    def probabilities(self, template: Template, angles: Floats) -> Floats:
        n, rows, mixed = template.qubits, len(angles), self.mixed(template)
        if rows << (2 * n if mixed else n) > self.largest:
            if rows == 1:
                raise DeviceError(
                    f"a circuit of {n} qubits is too large to simulate here",
                    "measured and reset qubits count once each time in exact mode: take shots, or "
                    "shorter sequences",
                )
            half = rows // 2
            parts = (angles[:half], angles[half:])
            return np.concatenate([self.probabilities(template, p) for p in parts])
        state = self._state(template, angles, mixed)
        for q, letter in template.basis:
            for step in _TURN[letter] if letter != "Z" else ():
                state = self.advanced(state, Step(step.name, (q,)), angles, mixed)
        if mixed:
            square = state.reshape(rows, 1 << n, 1 << n)
            found: Floats = np.clip(np.einsum("rii->ri", square).real, 0.0, None)
        else:
            found = np.abs(state.reshape(rows, -1)) ** 2
        found /= found.sum(axis=1, keepdims=True)
        return found

    def mixed(self, template: Template) -> bool:
        return any(s.name in CHANNELS for s in template.steps)

    def advanced(self, state: Complex, step: Step, angles: Floats, mixed: bool) -> Complex:
        return both(state, step, angles) if mixed else apply(state, step, angles)

    def _state(self, template: Template, angles: Floats, mixed: bool) -> Complex:
        n, rows, first = template.qubits, len(angles), 0
        axes = 2 * n if mixed else n
        state = np.zeros((rows,) + (2,) * axes, complex)
        state[(slice(None),) + (0,) * axes] = 1
        last = self._last.get((rows, template.fold))
        if last is not None:
            width, steps, known, before = last
            same = width == axes and len(steps) <= len(template.steps)
            if (
                same
                and known.shape[1] <= angles.shape[1]
                and template.steps[: len(steps)] == steps
                and np.array_equal(angles[:, : known.shape[1]], known)
            ):
                state, first = before, len(steps)
        for self.at, step in enumerate(template.steps[first:], first):
            state = self.advanced(state, step, angles, mixed)
        self._last[rows, template.fold] = (axes, template.steps, angles, state)
        return state


def draw(chances: Floats, shots: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Basis states, one for each shot."""
    edges = np.cumsum(chances)
    found = np.searchsorted(edges, rng.random(shots) * edges[-1], side="right")
    return np.asarray(np.minimum(found, len(chances) - 1), np.int64)


def apply(state: Complex, step: Step, angles: Floats) -> Complex:
    """A gate on the state of each row."""
    if step.name == "barrier":
        return state
    return _controlled(state, step, _matrix(step, angles))


def both(state: Complex, step: Step, angles: Floats) -> Complex:
    """A gate or a channel on the density matrix of each row."""
    if step.name == "barrier":
        return state
    n = (state.ndim - 1) // 2
    if step.name in CHANNELS:
        kraus = [np.array(k, complex) for k in CHANNELS[step.name].kraus(*step.angles)]
        axes = [q + 1 for q in step.qubits]
        whole = np.array([np.kron(k, k.conj()) for k in kraus]).sum(axis=0)
        return _act(state, whole, [*axes, *(a + n for a in axes)])
    matrix = _matrix(step, angles)
    state = _controlled(state, step, matrix)
    bra = replace(
        step,
        qubits=tuple(q + n for q in step.qubits),
        controls=tuple(q + n for q in step.controls),
        zeros=tuple(q + n for q in step.zeros),
    )
    return _controlled(state, bra, matrix.conj())


def _controlled(state: Complex, step: Step, matrix: Complex) -> Complex:
    if step.controls or step.zeros:
        where: list[Any] = [slice(None)] * state.ndim
        for q in step.controls:
            where[q + 1] = 1
        for q in step.zeros:
            where[q + 1] = 0
        fixed = sorted((*step.controls, *step.zeros))
        axes = [q + 1 - sum(f < q for f in fixed) for q in step.qubits]
        out = state.copy()
        out[tuple(where)] = _act(state[tuple(where)], matrix, axes)
        return out
    return _act(state, matrix, [q + 1 for q in step.qubits])


def _act(state: Complex, matrix: Complex, axes: list[int]) -> Complex:
    k = len(axes)
    moved = np.moveaxis(state, axes, range(1, k + 1))
    flat = moved.reshape(len(state), 1 << k, -1)
    return np.moveaxis((matrix @ flat).reshape(moved.shape), range(1, k + 1), axes)


def _matrix(step: Step, angles: Floats) -> Complex:
    """[2^k, 2^k], or one for each row."""
    spec = GATES[step.name]
    if not any(isinstance(a, Slot) for a in step.angles):
        return np.array(spec.matrix(*step.angles), complex)
    columns = [angles[:, a.index] if isinstance(a, Slot) else np.full(len(angles), a)
               for a in step.angles]  # fmt: skip
    if spec.pauli:
        word = np.array(PAULI[spec.pauli] if len(spec.pauli) == 1 else pauli_matrix(spec.pauli))
        c = np.cos(columns[0] / 2)[:, None, None]
        s = np.sin(columns[0] / 2)[:, None, None]
        return np.asarray(c * np.eye(len(word)) - 1j * s * word)
    return np.array([spec.matrix(*map(float, row)) for row in zip(*columns, strict=True)], complex)
