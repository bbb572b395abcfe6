"""The readouts of a forward pass: what each asks of the device, and the slopes of all at once."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from qrlang.hardware.device import Floats
from qrlang.hardware.gradient.gates import Lowered, Moved
from qrlang.hardware.jobs import Desk
from qrlang.hardware.questions import Ask, at_zero
from qrlang.hardware.readings import Quantity, settings
from qrlang.hardware.tape import Node


@dataclass(eq=False, slots=True)
class Move:
    """What has happened, and to which sequences (None: to all)."""

    what: Moved
    angles: Any  # [batch, slots], or None
    lanes: Any  # numpy bools, or None
    qubits: int = 0  # new ones


@dataclass(eq=False, slots=True)
class Group:
    """Sequences that have the same circuit behind them."""

    node: Node
    rows: list[int]
    moves: list[int]  # of the readout's moves with angles, those of this circuit
    table: Floats  # [rows, parameters]


@dataclass(eq=False, slots=True)
class Readout:
    """One readout of a forward pass, kept until its slopes are asked for."""

    batch: int
    groups: list[Group]
    moves: list[Move]  # those with angles
    wanted: list[bool]  # whether a slope along them is needed
    quantities: tuple[Quantity, ...]
    shots: int
    slopes: list[Any] | None = None  # of each move, [batch, values, slots]

    def asks(self) -> list[Ask]:
        """Its own circuits."""
        return [
            Ask(group.node, tuple(group.table[r]), self.quantities, self.shots)
            for group in self.groups
            if not group.node.empty
            for r in range(len(group.rows))
        ]

    def shifted(self) -> list[tuple[Group, int, int, int, float, float]]:
        """Every circuit that the slopes take: group, row of it, move, slot, shift, factor."""
        found = []
        for group in self.groups:
            for m in group.moves:
                if self.wanted[m]:
                    for slot, rule in enumerate(self.moves[m].what.rules):
                        for shift, factor in rule:
                            found += [(group, r, m, slot, shift, factor)
                                      for r in range(len(group.rows))]  # fmt: skip
        return found

    def circuits(self) -> int:
        """How many those are."""
        bases = len(settings(self.quantities))
        return bases * sum(
            len(group.rows) * sum(map(len, self.moves[m].what.rules))
            for group in self.groups
            for m in group.moves
            if self.wanted[m]
        )


@dataclass(eq=False)
class Session:
    """One forward pass."""

    desk: Desk
    lowered: Lowered
    readouts: list[Readout] = field(default_factory=list)  # whose slopes may be asked for

    def values(self, readout: Readout, width: int) -> Floats:
        """[batch, width]; zero for sequences that have ended."""
        found = np.zeros((readout.batch, width))
        asks = readout.asks()
        for ask in asks:
            if not np.all(np.isfinite(ask.angles)):
                # A model says so itself, and training leaves the update out.
                raise FloatingPointError("an angle is not finite: nothing has been sent")
        answers = iter(self.desk.ask(asks) if asks else [])
        for group in readout.groups:
            for lane in group.rows:
                values = (
                    [at_zero(q) for q in readout.quantities] if group.node.empty else next(answers)
                )
                found[lane] = np.concatenate(values)
        return found

    def slopes(self, readout: Readout) -> list[Any]:
        if readout.slopes is None:
            self._differentiate([r for r in self.readouts if r.slopes is None])
        assert readout.slopes is not None
        return readout.slopes

    def _differentiate(self, readouts: Sequence[Readout]) -> None:
        """The slopes of all of them, in one round."""
        asks: list[Ask] = []
        for readout in readouts:
            for group, r, m, slot, shift, _ in readout.shifted():
                row = group.table[r].copy()
                row[_column(readout, group.moves, m) + slot] += shift
                asks.append(Ask(group.node, tuple(row), readout.quantities, readout.shots))
        answers = iter(self.desk.ask(asks) if asks else [])
        for readout in readouts:
            slopes: list[Any] = [None] * len(readout.moves)
            for group, r, m, slot, _, factor in readout.shifted():
                values = np.concatenate(next(answers))
                if slopes[m] is None:
                    slots = len(readout.moves[m].what.angles)
                    slopes[m] = np.zeros((readout.batch, len(values), slots))
                slopes[m][group.rows[r], :, slot] += factor * values
            readout.slopes = slopes


def _column(readout: Readout, moves: Sequence[int], which: int) -> int:
    before = itertools.takewhile(lambda m: m != which, moves)
    return sum(len(readout.moves[m].what.angles) for m in before)
