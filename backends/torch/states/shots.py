"""Readouts from a number of shots, with a gradient.

The value is that of `shots` samples of each measurement setting, drawn with the run's
generator. The gradient is that of the exact expectation (straight-through): the sampling error
is a constant for autograd. For a loss that is linear in the readout this is unbiased. Where
what follows is curved, the gradient leaves out how the *variance* of the samples depends on the
angles: a bias of the order of (second derivative of the loss) / shots. Score-function and
parameter-shift estimators have no such bias, but need either far larger variance or two more
circuits for every angle, in a recurrence for every step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from qrlang.backends.torch.circuits.circuit import Circuit
from qrlang.backends.torch.circuits.fuse import bit
from qrlang.backends.torch.states.lanes import Lanes
from qrlang.backends.torch.states.observables import Observables
from qrlang.ir.program import PauliString

if TYPE_CHECKING:
    from qrlang.backends.torch.states.state import Qubits


def counts(run: Lanes, p: Tensor, shots: int) -> Tensor:
    """How often each outcome came, [batch, outcomes]."""
    flat = p.detach().reshape(-1, p.shape[-1]).clamp_min(0)
    flat = torch.nan_to_num(flat) + (flat.sum(-1, keepdim=True) == 0)
    drawn = torch.multinomial(flat, shots, replacement=True, generator=run.generator)
    ones = torch.ones_like(drawn, dtype=p.dtype)
    return torch.zeros_like(flat).scatter_add_(-1, drawn, ones).reshape(p.shape)


def sampled_distribution(run: Lanes, p: Tensor, shots: int) -> Tensor:
    frequency = counts(run, p, shots) / shots
    return p + (frequency - p).detach()


def sampled(state: Qubits, observables: Observables, shots: int) -> Tensor:
    """⟨O_k⟩ from `shots` samples of each setting; [batch, k]."""
    run, error = state.run, state.run.readout_error
    mean = state.exact(observables)
    found = torch.zeros_like(mean)
    with torch.no_grad():
        for setting in _settings(observables):
            if setting.circuit is None:  # one string: a coin with this mean
                up = (state.exact(setting.strings)[..., 0].clamp(-1, 1) + 1) / 2
                heads = torch.binomial(torch.full_like(up, shots), up, generator=run.generator)
                values = (2 * heads / shots - 1)[..., None]
            else:
                p = state.rotated(setting.circuit)
                p = _misread(p, state.n, error) if error else p
                table = torch.as_tensor(setting.signs, dtype=p.dtype, device=p.device)
                values = (counts(run, p, shots) / shots) @ table
            factor = torch.as_tensor(setting.factors, dtype=mean.dtype, device=mean.device)
            found = found + values @ factor
        found = found + torch.as_tensor(
            [sum(f for f, s in o if not s) for o in observables.observables],
            dtype=mean.dtype, device=mean.device,
        )  # fmt: skip
    return mean + (found - mean).detach()


def _misread(p: Tensor, n: int, error: float) -> Tensor:
    """The distribution of bits that are each read wrongly with this probability."""
    flip = p.new_tensor([[1 - error, error], [error, 1 - error]])
    for q in range(n):
        p = (flip @ p.unflatten(-1, (2**q, 2, -1))).flatten(-3)
    return p


@dataclass
class _Setting:
    """Strings that are measured together, in one change of basis."""

    circuit: Circuit | None  # None for a single string
    strings: Observables
    signs: Any  # of each string in each basis state
    factors: Any  # [strings, observables]


def _settings(observables: Observables) -> list[_Setting]:
    if observables.prepared is None:
        groups = observables.settings or tuple((k,) for k in range(len(observables)))
        observables.prepared = [
            _setting(observables, members, strings)
            for members in groups
            for strings in _agreeing(observables, members)
        ]
    return observables.prepared


def _agreeing(observables: Observables, members: tuple[int, ...]) -> list[list[PauliString]]:
    """The strings of these observables, each into the first group that it agrees with."""
    groups: list[tuple[dict[int, str], list[PauliString]]] = []
    for k in members:
        for _, string in observables.observables[k]:
            if not string:
                continue
            for basis, strings in groups:
                if all(basis.get(q, letter) == letter for q, letter in string):
                    basis.update(string)
                    if string not in strings:
                        strings.append(string)
                    break
            else:
                groups.append((dict(string), [string]))
    return [strings for _, strings in groups]


def _setting(
    observables: Observables, members: tuple[int, ...], strings: list[PauliString]
) -> _Setting:
    n = observables.n
    factors = np.zeros((len(strings), len(observables)))
    for k in members:
        for factor, string in observables.observables[k]:
            if string in strings:
                factors[strings.index(string), k] += factor
    each = Observables(n, tuple(((1.0, s),) for s in strings))
    if len(strings) == 1:
        return _Setting(None, each, None, factors)
    turns = {"X": "h q[{0}];", "Y": "sdg q[{0}]; h q[{0}];", "Z": ""}
    basis = {q: letter for s in strings for q, letter in s}
    text = " ".join(turns[letter].format(q) for q, letter in sorted(basis.items()))
    signs = [np.prod([1 - 2 * bit(n, q) for q, _ in s], axis=0) for s in strings]
    return _Setting(Circuit(n, text), each, np.stack(signs, 1), factors)
