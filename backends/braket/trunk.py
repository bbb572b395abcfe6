"""States that circuits have in common: the circuit of a moment begins with that of the one before,
at the same angles, so the simulation goes on from there. What is measured stays the same."""

from __future__ import annotations

import copy
from typing import Any

from qrlang.hardware.device import Floats, Template

LATEST = 8  # circuits whose states are kept
MOST = 1 << 22  # amplitudes of the states of one circuit


class Trunks:
    def __init__(self) -> None:
        self._kept: list[tuple[Template, dict[bytes, Any]]] = []  # the latest last

    def best(self, template: Template) -> tuple[int, int, dict[bytes, Any]]:
        """The longest beginning of a circuit that is known: its steps, its angles, its states."""
        found: tuple[int, int, dict[bytes, Any]] = (0, 0, {})
        for known, states in self._kept:
            steps = known.steps
            if (
                len(steps) > found[0]
                and known.qubits == template.qubits
                and known.fold == template.fold
                and template.steps[: len(steps)] == steps
            ):
                found = len(steps), known.parameters, states
        return found

    def keep(self, template: Template, states: dict[bytes, Any], axes: int) -> None:
        if len(states) << axes > MOST:
            return
        key = (template.steps, template.fold)
        others = [k for k in self._kept if (k[0].steps, k[0].fold) != key]
        self._kept = [*others[1 - LATEST :], (template, states)]


def begun(states: dict[bytes, Any], row: Floats, parameters: int) -> Any:
    """A simulation that may go on, or None."""
    found = states.get(row[:parameters].tobytes())
    return None if found is None else copy.deepcopy(found)
