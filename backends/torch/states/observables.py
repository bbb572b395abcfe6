"""Pauli sums as the emitted module writes them, and how states are read with them."""

from __future__ import annotations

import re
import threading
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from qrlang.backends.torch.circuits.fuse import bit
from qrlang.backends.torch.circuits.matrices import Constants, complex_of
from qrlang.ir.program import Observable, PauliString

_TERM = re.compile(
    r"\s*(?P<sign>[+-])?\s*(?:(?P<factor>[\d.]+(?:e[+-]?\d+)?)\s*\*?\s*)?(?P<word>I|(?:[XYZ]\d+\s*)*)"
)


def parse_observable(text: str) -> Observable:
    """`"0.5 X0 X1 - Z2"`: letters with qubit numbers; `"I"` or a bare number is the identity."""
    out: list[tuple[float, PauliString]] = []
    at = 0
    while at < len(text.rstrip()):
        match = _TERM.match(text, at)
        if match is None or match.end() == at or not (match["factor"] or match["word"].strip()):
            raise ValueError(f"not a sum of Pauli products: {text!r}")
        factor = float(match["factor"] or 1) * (-1 if match["sign"] == "-" else 1)
        letters = re.findall(r"([XYZ])(\d+)", match["word"])
        string = tuple(sorted((int(q), letter) for letter, q in letters))
        if len({q for q, _ in string}) != len(string):
            raise ValueError(f"the same qubit twice in one product: {text!r}")
        out.append((factor, string))
        at = match.end()
    return tuple(out)


def flips_and_phase(n: int, string: PauliString) -> tuple[int, Any]:
    """`(P ψ)[x] = phase[x] * ψ[x ^ flips]`."""
    flips, phase = 0, np.ones(2**n, dtype=complex)
    for q, letter in string:
        if letter != "Z":
            flips |= 1 << (n - 1 - q)
        if letter != "X":
            phase = phase * (1 - 2 * bit(n, q))
        if letter == "Y":
            phase = phase * -1j
    return flips, phase


class Observables:
    """A list of observables on `n` qubits, grouped by the bits that their strings flip: the
    value of a string is `Σ_x phase[x] * ρ[x ^ flips, x]`."""

    def __init__(
        self,
        n: int,
        observables: tuple[Observable, ...],
        settings: tuple[tuple[int, ...], ...] = (),
    ) -> None:
        self.n = n
        self.observables = observables
        self.settings = settings  # observables that are measured together
        self.prepared: Any = None  # by `shots`
        self._misread: dict[float, Observables] = {}
        self.strings = sorted({s for o in observables for _, s in o})
        column = {s: j for j, s in enumerate(self.strings)}
        self.coefficients = np.zeros((len(self.strings), len(observables)))
        for k, observable in enumerate(observables):
            for factor, string in observable:
                self.coefficients[column[string], k] += factor
        self._memory = threading.local()  # a model may be called by several threads
        self._constants = Constants()

    # Tables of 2^n: made when they are asked for, as the native kernel has its own.

    @cached_property
    def groups(self) -> dict[int, tuple[list[int], list[Any]]]:
        """For each set of flipped bits its strings, and the phases of each."""
        found: dict[int, tuple[list[int], list[Any]]] = {}
        for j, string in enumerate(self.strings):
            flips, phase = flips_and_phase(self.n, string)
            places, phases = found.setdefault(flips, ([], []))
            places.append(j)
            phases.append(phase)
        return found

    @cached_property
    def weighted(self) -> dict[int, Any]:
        """The phases of its strings, weighted, [2^n, observables]."""
        return {
            flips: np.stack(phases, 1) @ self.coefficients[places]
            for flips, (places, phases) in self.groups.items()
        }

    @cached_property
    def squares(self) -> Any:
        return np.repeat(self.weighted[0].real, 2, 0) if 0 in self.weighted else None

    def __len__(self) -> int:
        return len(self.observables)

    def of(self, state: Tensor, density: bool, reuse: bool = False) -> Tensor:
        """Expectation values [..., len(observables)]. `reuse`: work in memory that is kept, on the
        CPU and without autograd."""
        total: Tensor | None = None
        for flips, weighted in self.weighted.items():
            if flips == 0 and not density:
                # |ψ|² as the squares of both parts, each with the weights of its amplitude.
                parts = torch.view_as_real(state).flatten(-2)
                table = self._constants.get((flips, "2r"), self.squares, parts)
                part = (self._squared(parts) if reuse else parts.square()) @ table
            elif flips == 0:
                p = diagonal(state, density)
                part = p @ self._constants.get((flips, "r"), weighted.real, p)
            else:
                pair = self._pairs(state, flips, density)
                part = (pair @ self._constants.get((flips, "c"), weighted, pair)).real
            total = part if total is None else total + part
        if total is None:
            real = state.real
            return real.new_zeros(*real.shape[: -2 if density else -1], len(self))
        return total

    def _squared(self, parts: Tensor) -> Tensor:
        """In the same memory every time; only where autograd does not look."""
        known = getattr(self._memory, "parts", None)
        if known is None or known.shape != parts.shape or known.dtype != parts.dtype:
            with torch.inference_mode(False):  # it is kept for calls that train, too
                known = self._memory.parts = torch.empty_like(parts)
        return torch.square(parts, out=known)

    def misread(self, error: float) -> Observables:
        """When each bit is read wrongly with this probability, each letter counts 1 - 2 error."""
        if error not in self._misread:
            shrunk = tuple(
                tuple((factor * (1 - 2 * error) ** len(string), string) for factor, string in o)
                for o in self.observables
            )
            self._misread[error] = Observables(self.n, shrunk, self.settings)
        return self._misread[error]

    def _pairs(self, state: Tensor, flips: int, density: bool) -> Tensor:
        """`ρ[x ^ flips, x]` for each x."""
        x = self._constants.get(("x", flips), np.arange(2**self.n) ^ flips, state, torch.int64)
        if not density:
            return state.index_select(-1, x) * state.conj()
        own = self._constants.get("x", np.arange(2**self.n), state, torch.int64)
        return state[..., x, own]

    def weigh(self, state: Tensor, cotangent: Tensor) -> Tensor:
        """`Σ_k cotangent[k] O_k |ψ⟩`: how a gradient enters a pure state."""
        out: Tensor | None = None
        for flips, weighted in self.weighted.items():
            if flips == 0:
                factor = cotangent @ self._constants.get((flips, "w"), weighted.real.T, cotangent)
                part = state * factor
            else:
                dtype = complex_of(cotangent.dtype)
                table = self._constants.get((flips, "w"), weighted.T, cotangent, dtype)
                x = self._constants.get(
                    ("x", flips), np.arange(2**self.n) ^ flips, state, torch.int64
                )
                part = (cotangent.to(dtype) @ table) * state.index_select(-1, x)
            out = part if out is None else out + part
        return torch.zeros_like(state) if out is None else out


def diagonal(state: Tensor, density: bool) -> Tensor:
    """The probability of each basis state."""
    if density:
        return state.diagonal(dim1=-2, dim2=-1).real
    return state.real**2 + state.imag**2


def observables(n: int, *texts: str, settings: tuple[tuple[int, ...], ...] = ()) -> Observables:
    """Observables on `n` qubits, from text: `observables(3, "Z0", "Z0 Z1", "0.5 X0 - Y2")`.

    `settings`: which of them are measured together, when they are measured with shots.
    """
    return Observables(n, tuple(parse_observable(t) for t in texts), settings)


def marginal(p: Tensor, n: int, qubits: tuple[int, ...]) -> Tensor:
    """The distribution over `qubits` (big-endian) from that over all `n`."""
    lead = p.dim() - 1
    bits = p.reshape(*p.shape[:-1], *(2,) * n)
    rest = tuple(lead + q for q in range(n) if q not in qubits)
    if rest:
        bits = bits.sum(rest)
    order = sorted(qubits)
    return bits.permute(*range(lead), *(lead + order.index(q) for q in qubits)).flatten(
        -len(qubits)
    )


def paulis(*texts: str) -> tuple[PauliString, ...]:
    """Pauli products from text, the terms of a Hamiltonian: `paulis("X0 X1", "Z2")`."""
    return tuple(parse_observable(t)[0][1] for t in texts)
