"""How large a circuit is."""

from __future__ import annotations

from qrlang.hardware.device import ErrorRates, Footprint, Template


def logical(template: Template) -> Footprint:
    """As it is written, for a device that compiles it by itself."""
    free = [0] * (template.qubits + template.bits)
    one = two = 0
    for s in template.steps:
        if s.name == "barrier":
            continue
        touched = [*s.qubits, *s.controls, *s.zeros]
        lines = touched + [template.qubits + b for b, _ in s.when]
        if s.bit >= 0:
            lines.append(template.qubits + s.bit)
        at = 1 + max(free[x] for x in lines)
        for x in lines:
            free[x] = at
        if s.name not in ("measure", "reset"):
            one += len(touched) == 1
            two += len(touched) > 1
    return Footprint(max(free, default=0) + 1, one, two)


def survival(found: Footprint, errors: ErrorRates | None, qubits: int) -> float | None:
    """The chance that nothing went wrong in a shot."""
    if found.expected is not None:
        return found.expected
    if errors is None:
        return None
    kept = (1 - errors.two) ** found.two_qubit * (1 - errors.one) ** found.one_qubit
    return float(kept * (1 - errors.readout) ** qubits)
