"""The slope of a readout along one angle, from readouts at a few other values of it.

As a function of one angle, a readout is a sum of waves whose frequencies are the differences of
the eigenvalues of the gate's generator. Where these are `base`, 2 `base`, …, R `base`, 2 R values
give the slope exactly (Wierichs et al. 2022): two for a rotation, four for one under a control.
"""

from __future__ import annotations

import math
from functools import cache

from qrlang.gates import GATES
from qrlang.hardware.device import Step

Rule = tuple[tuple[float, float], ...]  # (shift, factor)


def rule(step: Step, which: int) -> Rule:
    """Of the angle number `which` of a gate: slope = Σ factor * readout(angle + shift)."""
    return _equidistant(*waves(step, which))


def waves(step: Step, which: int) -> tuple[int, float]:
    """How many frequencies there are, and the lowest of them."""
    under = bool(step.controls or step.zeros)
    if step.name == "p" or (step.name == "u" and which > 0):
        return 1, 1.0  # a phase of one half of the states, under controls too
    if step.name == "r" and which == 1:
        return 2, 1.0  # the axis: it turns back and forth, so that its angle counts twice
    if step.name == "xx_plus_yy" or under:
        return 2, 0.5  # eigenvalues 0, +1/2, -1/2
    if GATES[step.name].pauli or step.name in ("u", "r"):
        return 1, 1.0
    raise AssertionError(f"{step.name} has no angle")


@cache
def _equidistant(count: int, base: float) -> Rule:
    found = []
    for k in range(1, 2 * count + 1):
        at = (2 * k - 1) * math.pi / (2 * count)
        factor = base * (-1) ** (k - 1) / (4 * count * math.sin(at / 2) ** 2)
        near = at - 2 * math.pi if at > math.pi else at
        found.append((near / base, factor))
    return tuple(found)
