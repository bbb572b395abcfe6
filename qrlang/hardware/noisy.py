"""What a device's errors will do to readouts, before it is asked.

Small circuits are density matrices. Larger ones are many states each: after a gate, some of them
get a random Pauli word on the gate's qubits, and a readout is the mean over all. Bits are read
wrongly at the device's rate. Qubits are all alike, gates too, but as likely to go wrong together as
those that the device's transpiler makes of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from qrlang.gates import CHANNELS
from qrlang.hardware.device import Device, Floats, Footprint, Step, Template
from qrlang.hardware.footprint import logical
from qrlang.hardware.simulator import Complex, Simulator, both


class Noisy(Simulator):
    """`one`, `two`: the chance that a gate does something else. `read`: that each qubit is read
    wrongly, for circuits of so many steps; `times`: how many gates of the device a gate counts
    for, up to so many steps. `rows`: how many states stand for one."""

    name = "simulator with a device's errors"

    def __init__(
        self, one: float, two: float, read: Mapping[int, Sequence[float]], rows: int,
        seed: int = 0, times: Mapping[int, float] | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.one, self.two, self.read, self.rows = _log(one), _log(two), read, rows
        self.times = sorted((times or {}).items())
        self.rng = np.random.default_rng(seed)
        self._fold = 1
        rates = [e for found in read.values() for e in found]
        self._misread = float(np.mean(rates)) if rates else 0.0  # of a bit of the middle

    def _chance(self, touched: int) -> float:
        times = next((x for steps, x in self.times if self.at < steps), 1.0)
        fold = self._fold if touched > 1 else 1
        return -math.expm1(-(self.one if touched == 1 else self.two) * times * fold)

    def probabilities(self, template: Template, angles: Floats) -> Floats:
        self._fold = template.fold
        many = 1 if self.mixed(template) else self.rows
        found = super().probabilities(template, np.repeat(angles, many, axis=0))
        found = found.reshape(len(angles), many, -1).mean(axis=1)
        shape = found.shape
        steps = min(self.read, key=lambda n: abs(n - len(template.steps)))
        bits = {s.qubits[0] for s in template.steps if s.bit >= 0}  # that was done when it was read
        for q in (q for q in range(template.qubits) if q not in bits):
            e = self.read[steps][q] if q < len(self.read[steps]) else self._misread
            found = found.reshape(shape[0], 1 << q, 2, -1)
            found = (1 - e) * found + e * np.flip(found, 2)
        whole: Floats = found.reshape(shape)
        return whole

    def mixed(self, template: Template) -> bool:
        return 1 << template.qubits <= self.rows  # then it is no larger

    def advanced(self, state: Complex, step: Step, angles: Floats, mixed: bool) -> Complex:
        if step.name == "barrier" and step.bit < 0:
            return state
        if step.name in CHANNELS:
            return both(state, step, angles) if mixed else self._channel(state, step)
        state = super().advanced(state, step, angles, mixed)
        if step.bit >= 0:  # read in the middle, and perhaps wrongly
            return self._read(state, step.qubits[0], mixed)
        touched = (*step.qubits, *step.controls, *step.zeros)
        p = self._chance(len(touched))
        return self._worse(state, touched, p) if mixed else self._wrong(state, touched, p)

    def _read(self, state: Complex, qubit: int, mixed: bool) -> Complex:
        if mixed:
            axes = (qubit + 1, qubit + 1 + (state.ndim - 1) // 2)
            return (1 - self._misread) * state + self._misread * np.flip(state, axes)
        out, rows = state.copy(), self.rng.random(len(state)) < self._misread
        out[rows] = np.flip(out[rows], qubit + 1)
        return out

    def _worse(self, state: Complex, touched: tuple[int, ...], p: float) -> Complex:
        """On a density matrix: with some probability nothing is known of these qubits."""
        k, n = len(touched), (state.ndim - 1) // 2
        p *= 4**k / (4**k - 1)
        axes = [q + 1 for q in touched] + [q + 1 + n for q in touched]
        moved = np.moveaxis(state, axes, range(1, 2 * k + 1))
        square = moved.reshape(len(state), 1 << k, 1 << k, -1)
        rest = np.einsum("riix->rx", square) * (p / (1 << k))
        out = (1 - p) * square
        for i in range(1 << k):
            out[:, i, i] += rest
        return np.moveaxis(out.reshape(moved.shape), range(1, 2 * k + 1), axes)

    def _wrong(self, state: Complex, touched: tuple[int, ...], p: float) -> Complex:
        rows = np.flatnonzero(self.rng.random(len(state)) < p)
        if not len(rows):
            return state
        words = self.rng.integers(1, 4 ** len(touched), len(rows))
        part = state[rows]
        for q in touched:
            letter, words = words % 4, words // 4
            flips, signs = (letter == 1) | (letter == 2), letter >= 2  # X, Y; Y, Z
            part[flips] = np.flip(part[flips], axis=q + 1)
            view = np.moveaxis(part, q + 1, 1)
            view[signs, 1] *= -1
        out = state.copy()
        out[rows] = part
        return out

    def _channel(self, state: Complex, step: Step) -> Complex:
        """One of its operators for each row, by lot."""
        tries = []
        for k in CHANNELS[step.name].kraus(*step.angles):
            tries.append(_times(state, np.array(k, complex), step.qubits))
        norms = np.stack([(np.abs(t.reshape(len(t), -1)) ** 2).sum(1) for t in tries])
        edges = np.cumsum(norms / norms.sum(0), axis=0)
        chosen = (self.rng.random(len(state)) > edges).sum(0).clip(0, len(tries) - 1)
        out = np.stack(tries)[chosen, np.arange(len(state))]
        size = norms[chosen, np.arange(len(state))]
        return np.asarray(out / np.sqrt(size).reshape(-1, *(1,) * (state.ndim - 1)))


def _times(state: Complex, matrix: Complex, qubits: tuple[int, ...]) -> Complex:
    k = len(qubits)
    moved = np.moveaxis(state, [q + 1 for q in qubits], range(1, k + 1))
    flat = moved.reshape(len(state), 1 << k, -1)
    return np.moveaxis(
        (matrix @ flat).reshape(moved.shape), range(1, k + 1), [q + 1 for q in qubits]
    )


def like(
    device: Device, templates: Sequence[Template], found: Sequence[Footprint], rows: int, seed: int
) -> Noisy | None:
    """With errors as those of a device; None if it is not said to have any. `found`: the templates
    as the device runs them. What their gates do wrong together, those of the templates do."""
    e = device.errors
    if e is None:
        return None
    one, two = e.chances
    asked = getattr(device, "misread", None)  # of each qubit, where the device says it
    reads: dict[int, tuple[float, ...]] = {}
    times: dict[int, float] = {}
    known, mine = 0.0, 0.0
    for template, size in sorted(zip(templates, found, strict=True), key=lambda x: len(x[0].steps)):
        read = tuple(asked(template) if asked else ()) or (e.readout,) * template.qubits
        wanted = size.one_qubit * _log(one) + size.two_qubit * _log(two)
        if size.expected is not None:
            # Gate by gate, as vendors state it: the typical ratio leads from there to chances.
            gates = -math.log(max(size.expected, 1e-300)) - sum(map(_log, read))
            stated = size.one_qubit * _log(e.one) + size.two_qubit * _log(e.two)
            wanted *= max(gates, 0.0) / stated if stated else 1.0
        plain = logical(template)
        own = plain.one_qubit * _log(one) + plain.two_qubit * _log(two)
        if own > mine:
            times[len(template.steps)] = max(wanted - known, 0.0) / (own - mine)
            known, mine = wanted, own
        reads[len(template.steps)] = read
    return Noisy(one, two, reads, rows, seed, times)


def _log(chance: float) -> float:
    return -math.log1p(-min(chance, 0.999))
