"""A device as a torch model sees it: circuits go out, tensors with slopes come back."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from qrlang.hardware.budget import Budget
from qrlang.hardware.checkpoint import Journal
from qrlang.hardware.device import Device, Floats
from qrlang.hardware.gradient.gates import Lowered
from qrlang.hardware.gradient.qubits import DeviceQubits, Readout, Session, asks_of
from qrlang.hardware.jobs import Counts, Desk
from qrlang.hardware.mitigation import NONE, Confusion, Mitigation
from qrlang.hardware.questions import Ask, at_zero
from qrlang.hardware.tape import Tree


class Processor:
    """`shots` of each circuit, 0 for exact ones. In a `rehearsal` nothing is sent."""

    def __init__(
        self, device: Device, shots: int, seed: int = 0, journal: Journal | None = None,
        budget: Budget | None = None, rehearsal: bool = False, mitigation: Mitigation = NONE,
    ) -> None:  # fmt: skip
        self.device, self.shots = device, shots
        self.tree, self.lowered = Tree(), Lowered()
        self.desk = Desk(device, self.tree, shots, seed, journal or Journal(), budget=budget,
                         rehearsal=rehearsal, mitigation=mitigation)  # fmt: skip
        self.rehearsed: list[Session] = []
        self._kept = 0  # jobs that the last checkpoint knows
        self._sessions: WeakKeyDictionary[Any, Session] = WeakKeyDictionary()

    @property
    def counts(self) -> Counts:
        return self.desk.counts

    # --- what a run of the model asks for -------------------------------------------------------

    def qubits(self, run: Any, n: int, name: str) -> DeviceQubits:
        return DeviceQubits(self, run, n, name)

    def session(self, run: Any) -> Session:
        if run not in self._sessions:
            self._sessions[run] = Session(self)
            if self.desk.rehearsal:
                self.rehearsed.append(self._sessions[run])
        return self._sessions[run]

    def values(self, readout: Readout, width: int) -> Floats:
        """[batch, width]; zero for sequences that have ended."""
        found = np.zeros((readout.batch, width))
        asks = asks_of(readout)
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

    def differentiate(self, readouts: Sequence[Readout]) -> None:
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

    # --- a run that stops and goes on -----------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """How far it is, for a checkpoint: the number of the next job among other things. What
        came before the last checkpoint will not be asked for again; so how qubits are misread is
        here as well."""
        self.desk.journal.forget(self._kept)
        self._kept = self.counts.jobs
        known = [[places, c.up.tolist(), c.down.tolist()]
                 for places, c in self.desk.confusions.items()]  # fmt: skip
        return {**asdict(self.counts), "confusions": known}

    def load(self, state: dict[str, Any]) -> None:
        counts = dict(state)
        for places, up, down in counts.pop("confusions", ()):
            self.desk.confusions[tuple(places)] = Confusion(np.array(up), np.array(down))
        self.desk.counts = Counts(**counts)
        self._kept = self.counts.jobs


def _column(readout: Readout, moves: Sequence[int], which: int) -> int:
    before = itertools.takewhile(lambda m: m != which, moves)
    return sum(len(readout.moves[m].what.angles) for m in before)
