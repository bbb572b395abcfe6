"""When everything happens in a transpiled circuit: as late as it can, which is how IBM's devices do
it. Where a qubit waits between two of its gates, it forgets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Schedule:
    """`waits`: after the instruction of that number, that qubit of the circuit, for so long."""

    seconds: float = 0.0
    waits: list[tuple[int, int, float]] = field(default_factory=list)
    inner: dict[int, list[Schedule]] = field(default_factory=dict)  # of blocks under an `if`


def schedule(circuit: Any, target: Any, places: Sequence[int] | None = None) -> Schedule:
    """`places`: where the qubits of an inner circuit are. What a device needs to decide on a
    measured bit is not among its numbers."""
    places = range(circuit.num_qubits) if places is None else places
    numbers = {bit: i for i, bit in enumerate((*circuit.qubits, *circuit.clbits))}
    free = [0.0] * len(numbers)  # counted from the end of the circuit
    later: set[int] = set()  # qubits that something happens to
    found = Schedule()
    for i, item in reversed(list(enumerate(circuit.data))):
        name = item.operation.name
        qubits = [numbers[q] for q in item.qubits]
        lines = qubits + [numbers[c] for c in item.clbits]
        end = max(free[x] for x in lines)
        if name != "barrier":
            waits = [(i, q, end - free[q]) for q in qubits if q in later]
            found.waits += [w for w in waits if w[2] > 1e-12]
            later.update(qubits)
            on = [places[q] for q in qubits]
            if blocks := getattr(item.operation, "blocks", None):
                found.inner[i] = [schedule(block, target, on) for block in blocks]
                end += max(s.seconds for s in found.inner[i])
            elif name == "delay":
                end += lasts(item.operation, target)
            else:
                end += duration(target, name, on)
        for x in lines:
            free[x] = end if name != "barrier" or x in later else free[x]
    found.seconds = max(free, default=0.0)
    return found


def waiting(circuit: Any, found: Schedule) -> Any:
    """The circuit with its delays, for a simulator: a device waits by itself."""
    from qiskit.circuit import Delay

    after: dict[int, list[tuple[int, float]]] = {}
    for i, qubit, seconds in found.waits:
        after.setdefault(i, []).append((qubit, seconds))
    made = circuit.copy_empty_like()
    for i, item in enumerate(circuit.data):
        gate = item.operation
        if i in found.inner:
            blocks = zip(gate.blocks, found.inner[i], strict=True)
            item = item.replace(operation=gate.replace_blocks(waiting(*one) for one in blocks))
        made.append(item)
        for qubit, seconds in after.get(i, ()):
            made.append(Delay(seconds, "s"), [circuit.qubits[qubit]])
    return made


def lasts(delay: Any, target: Any) -> float:
    return float(delay.duration) * (target.dt if delay.unit == "dt" else 1.0)


def duration(target: Any, name: str, places: Sequence[int]) -> float:
    try:
        return float(target[name][tuple(places)].duration or 0.0)
    except (KeyError, AttributeError, TypeError):
        return 0.0


def timed(target: Any) -> bool:
    """Whether it says how long its gates take."""
    return bool(target.dt) and duration(target, "x", (0,)) > 0


def coherence(target: Any, place: int) -> tuple[float, float]:
    """T1 and T2 of a qubit, in seconds; infinite where the device does not say."""
    said = getattr(target, "qubit_properties", None)
    t1 = float(getattr(said[place], "t1", None) or math.inf) if said else math.inf
    t2 = float(getattr(said[place], "t2", None) or math.inf) if said else math.inf
    return t1, min(t2, 2 * t1)


def forgotten(target: Any, place: int, seconds: float) -> float:
    """What waiting does, as vendors state the errors of gates: on average over all states."""
    t1, t2 = coherence(target, place)
    same = (1 + math.exp(-seconds / t1) + 2 * math.exp(-seconds / t2)) / 4
    return (1 - same) * 2 / 3
