"""How large a program may become, and how much of that it has taken."""

from __future__ import annotations

from dataclasses import dataclass

MAX_GATES = 100_000
MAX_ITERATIONS = 200_000
MAX_QUBITS = 1024
MAX_NUMBERS = 2**24
MAX_DEPTH = 60  # definitions inside definitions
MAX_OPS = 50_000
MAX_SHOTS = 2**31


class Abort(Exception):
    """This definition can't be elaborated further; the reason has been reported."""


class Rejected(Exception):
    """A `require` has failed: the rest of this definition is beside the point."""


@dataclass(slots=True)
class Budget:
    """What may be spent on trying definitions that no model uses, in gates and iterations."""

    left: int = 100_000

    def spend(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise Abort


@dataclass(slots=True)
class Spent:
    """What one elaboration has taken so far."""

    budget: Budget | None = None  # none: only the limits hold
    iterations: int = 0
    gates: int = 0
    ops: int = 0

    @property
    def total(self) -> int:
        return self.iterations + self.gates + self.ops

    def more_iterations(self, count: int) -> bool:
        """Whether so many more are within the limit."""
        self.iterations += count
        if self.budget is not None:
            self.budget.spend(count)
        return self.iterations <= MAX_ITERATIONS

    def more_gates(self, count: int) -> bool:
        self.gates += count
        if self.budget is not None:
            self.budget.spend(count)
        return self.gates <= MAX_GATES
