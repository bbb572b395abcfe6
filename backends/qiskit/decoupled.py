"""Dynamical decoupling: a qubit that waits is flipped there and back. A turn about Z that goes on
by itself goes the other way in between, and comes to nothing.

Between two gates of a qubit only: not after a measurement or a reset, where it has no phase to be
kept, and not while an `if` on others is decided, which takes a time that no device says.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from qrlang.backends.qiskit.timing import Schedule, duration, schedule

WORTH = 8  # times as long as a flip: what is shorter does less harm than two flips


def decoupled(circuit: Any, target: Any) -> Any:
    from qiskit.circuit import Delay
    from qiskit.circuit.library import XGate

    unit = math.lcm(target.pulse_alignment, target.acquire_alignment)
    waits: dict[int, list[tuple[int, float]]] = {}
    for i, q, seconds in _waits(circuit, schedule(circuit, target)):
        flip = duration(target, "x", (q,))
        if flip and seconds >= WORTH * flip:
            waits.setdefault(i, []).append((q, seconds - 2 * flip))
    made = circuit.copy_empty_like()
    for i, item in enumerate(circuit.data):
        made.append(item)
        for q, free in waits.get(i, ()):
            # Rounded down: the circuit does not get longer.
            quarter = int(free / 4 / target.dt / unit) * unit
            side, middle = Delay(quarter, "dt"), Delay(2 * quarter, "dt")
            for gate in (side, XGate(), middle, XGate(), side):
                made.append(gate, [circuit.qubits[q]])
    return made


def _waits(circuit: Any, found: Schedule) -> Iterator[tuple[int, int, float]]:
    """Those from one gate to another, with no `if` in their midst."""
    numbers = {q: k for k, q in enumerate(circuit.qubits)}
    names = [item.operation.name for item in circuit.data]
    branches = [i for i, item in enumerate(circuit.data) if hasattr(item.operation, "blocks")]
    latest: dict[int, int] = {}
    following: dict[tuple[int, int], int] = {}  # of an instruction, on one of its qubits
    for i, item in enumerate(circuit.data):
        if names[i] != "barrier":
            for q in (numbers[x] for x in item.qubits):
                following[latest.get(q, -1), q] = i
                latest[q] = i
    for i, q, seconds in found.waits:
        end = following[i, q]
        if not {names[i], names[end]} & {"measure", "reset"} and not any(
            i <= b <= end for b in branches
        ):
            yield i, q, seconds
