"""How large a circuit is in Braket's gates."""

from __future__ import annotations

from collections.abc import Iterable

from qrlang.backends.braket.circuit import lowered, turned
from qrlang.backends.braket.gates import NATIVE, Call, calls
from qrlang.gates import CHANNELS
from qrlang.hardware.device import Footprint, Slot, Template


def footprint(template: Template, native: frozenset[str] = NATIVE) -> Footprint:
    """As it is handed over; a device's own compiler goes on from there."""

    def angle(a: float | Slot) -> float:
        return 1.0 if isinstance(a, Slot) else float(a)

    depth = [0] * max(1, template.qubits)
    counts = {1: 0, 2: 0}

    def add(made: Iterable[Call]) -> None:
        for call in made:
            level = 1 + max(depth[q] for q in call.qubits)
            for q in call.qubits:
                depth[q] = level
            # A gate on three qubits is six on two, nine on one.
            if len(call.qubits) == 3:
                counts[2] += 6
                counts[1] += 9
            else:
                counts[len(call.qubits)] += 1

    for step in template.steps:
        if step.name in ("measure", "reset"):
            add([Call(step.name, step.qubits[:1])])
            counts[1] -= 1
        elif step.name not in CHANNELS:
            add(lowered(step, angle, native))
    for call in turned(template.basis):
        add(calls("sdg" if call.name == "si" else "h", call.qubits, native=native))
    return Footprint(max(depth), counts[1], counts[2])
