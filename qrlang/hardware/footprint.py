"""How large a circuit is."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from qrlang.hardware.device import Device, ErrorRates, Footprint, Template

MEASURED = 16  # circuits of a run, at most, that are made for their size


def footprints(device: Device, templates: Sequence[Template]) -> list[Footprint]:
    """Of circuits that grow. Of many, some are made and the others lie between their neighbours: to
    make them all would take the square of the number of moments."""
    picked = some(len(templates), MEASURED)
    known = {k: device.footprint(templates[k]) for k in picked}
    out: list[Footprint] = []
    for k, template in enumerate(templates):
        if k in known:
            out.append(known[k])
            continue
        after = next(j for j in picked if j > k)
        before = picked[picked.index(after) - 1]
        a, b = len(templates[before].steps), len(templates[after].steps)
        if a < len(template.steps) < b and templates[before].qubits == templates[after].qubits:
            share = (len(template.steps) - a) / (b - a)
            out.append(_between(known[before], known[after], share))
        else:
            out.append(device.footprint(template))
    return out


def _between(a: Footprint, b: Footprint, share: float) -> Footprint:
    def at(x: float, y: float) -> float:
        return x + share * (y - x)

    expected = seconds = None
    if a.expected is not None and b.expected is not None:
        logs = (math.log(max(x, 1e-300)) for x in (a.expected, b.expected))
        expected = math.exp(at(*logs))
    if a.seconds is not None and b.seconds is not None:
        seconds = at(a.seconds, b.seconds)
    depth, one = at(a.depth, b.depth), at(a.one_qubit, b.one_qubit)
    two = at(a.two_qubit, b.two_qubit)
    return Footprint(round(depth), round(one), round(two), expected, seconds, a.coherence)


def some(count: int, most: int) -> list[int]:
    """The first, the last, and some between, as far from one another."""
    if count <= most:
        return list(range(count))
    return sorted({round(float(x)) for x in np.linspace(0, count - 1, most)})


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
