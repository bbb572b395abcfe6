"""A device as a torch model sees it: circuits go out, tensors with slopes come back."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from qrlang.hardware.budget import Budget
from qrlang.hardware.checkpoint import Journal
from qrlang.hardware.device import Device
from qrlang.hardware.gradient.gates import Lowered
from qrlang.hardware.gradient.qubits import DeviceQubits
from qrlang.hardware.gradient.session import Session
from qrlang.hardware.jobs import Counts, Desk
from qrlang.hardware.mitigation import NONE, Confusion, Mitigation
from qrlang.hardware.tape import Tree


class Processor:
    """`shots` of each circuit, 0 for exact ones. In a `rehearsal` nothing is sent."""

    def __init__(
        self, device: Device, shots: int, seed: int = 0, journal: Journal | None = None,
        budget: Budget | None = None, rehearsal: bool = False, mitigation: Mitigation = NONE,
    ) -> None:  # fmt: skip
        self.device, self.shots = device, shots
        self.lowered = Lowered()
        self.desk = Desk(device, Tree(), shots, seed, journal or Journal(), budget=budget,
                         rehearsal=rehearsal, mitigation=mitigation)  # fmt: skip
        self.rehearsed: list[Session] = []
        self._kept = 0  # numbered jobs that the last checkpoint knows
        self._sessions: WeakKeyDictionary[Any, Session] = WeakKeyDictionary()

    @property
    def counts(self) -> Counts:
        return self.desk.counts

    def qubits(self, run: Any, n: int, name: str) -> DeviceQubits:
        """`run`: of the torch model; what it reads in one forward pass is one session."""
        if run not in self._sessions:
            self._sessions[run] = Session(self.desk, self.lowered)
            if self.desk.rehearsal:
                self.rehearsed.append(self._sessions[run])
        return DeviceQubits(self._sessions[run], run, n, name)

    # --- a run that stops and goes on -----------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """How far it is, for a checkpoint: the number of the next job among other things. What
        came before the last checkpoint will not be asked for again; so how qubits are misread is
        here as well."""
        self.desk.journal.forget(self._kept)
        self._kept = self.counts.numbered
        known = [[places, c.up.tolist(), c.down.tolist()]
                 for places, c in self.desk.confusions.items()]  # fmt: skip
        return {**asdict(self.counts), "confusions": known}

    def load(self, state: dict[str, Any]) -> None:
        counts = dict(state)
        for places, up, down in counts.pop("confusions", ()):
            self.desk.confusions[tuple(places)] = Confusion(np.array(up), np.array(down))
        self.desk.counts = Counts(**counts)
        self._kept = self.counts.numbered
