"""A long time in segments: the state that a model leaves, and goes on from.

    scores, state = model(words[:, :64], state=None)
    scores, state = model(words[:, 64:128], state=state)

Gradients stay within a segment: truncated back-propagation through time.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from qrlang.backends.torch.circuits.matrices import complex_of
from qrlang.engine.resumable import why_not
from qrlang.ir.text import parse_program


@dataclass(frozen=True)
class State:
    """What goes on after a segment, for each sequence of the batch: quantum states (vectors, or
    density matrices), and what the model carries."""

    qubits: tuple[Tensor, ...]
    carried: tuple[Tensor, ...]

    def __len__(self) -> int:
        return len((*self.qubits, *self.carried)[0])

    def __getitem__(self, rows: Any) -> State:
        """Some of the sequences."""
        return State(tuple(x[rows] for x in self.qubits), tuple(x[rows] for x in self.carried))

    def to(self, dtype: torch.dtype) -> State:
        """In another precision."""
        return State(tuple(x.to(complex_of(dtype)) for x in self.qubits),
                     tuple(x.to(dtype) for x in self.carried))  # fmt: skip


class Segment:
    """One call with a state."""

    def __init__(self, given: State | None) -> None:
        if given is not None and not isinstance(given, State):
            raise TypeError("`state` is what the segment before has left (the second of its two "
                            f"results), or None; got {type(given).__name__}")  # fmt: skip
        self.given = given
        self.qubits: list[Tensor] = []
        self.carried: list[Tensor] = []
        self._begun = 0

    def left(self) -> State:
        return State(tuple(self.qubits), tuple(self.carried))

    # --- roads 2 and 3: the recurrence calls these

    def give(self, states: list[Any], batch: int) -> None:
        """At the first step of a recurrence, to the qubits that no recurrence has had before."""
        states = [s for s in states if s.outside]
        if self.given is not None:
            for k in range(self._begun, len(states)):
                (psi,) = self.fitting(self.given.qubits[k : k + 1], batch)
                states[k].begin_at(psi)
        self._begun = len(states)

    def take(self, states: list[Any], bits: int) -> None:
        """After its last one."""
        if bits:
            raise ValueError("measured bits are still in use after the last step of a segment")
        for k, state in enumerate(s for s in states if s.outside):
            if state.alive:
                self.qubits[k:] = [state.now().detach().clone()]

    def begin(self, carried: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        if self.given is None:
            return carried
        return self.given.carried[len(self.carried) : len(self.carried) + len(carried)]

    def end(self, batch: int, carried: tuple[Tensor, ...], ranks: tuple[int, ...]) -> None:
        for x, rank in zip(carried, ranks, strict=True):
            x = x.detach()
            self.carried.append(x.expand(batch, *x.shape[-rank or x.dim() :]).clone())

    # --- road 1

    def leave(self, qubits: list[Tensor], carried: list[Tensor]) -> None:
        self.qubits, self.carried = qubits, carried

    @staticmethod
    def fitting(tensors: tuple[Tensor, ...], batch: int) -> list[Tensor]:
        for x in tensors:
            if len(x) != batch:
                raise ValueError(f"the state is of {len(x)} sequences, and the batch has {batch}")
        return list(tensors)


@lru_cache(maxsize=128)
def why_not_segments(program: str) -> str:
    """Why a program, as text, cannot stop after any moment and go on; "" if it can."""
    return str(why_not(parse_program(program)))
