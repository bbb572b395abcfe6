"""The slope of a readout along one angle, from readouts at a few other values of it.

As a function of one angle, a readout is a sum of waves whose frequencies are the differences of
the eigenvalues of the gate's generator. Where these are `base`, 2 `base`, …, R `base`, 2 R values
give the slope exactly (Wierichs et al. 2022): two for a rotation, four for one under a control.
"""

from __future__ import annotations

import math
from functools import cache

from qrlang.gates import waves
from qrlang.hardware.device import Step

Rule = tuple[tuple[float, float], ...]  # (shift, factor)


def rule(step: Step, which: int) -> Rule:
    """Of the angle number `which` of a gate: slope = Σ factor * readout(angle + shift)."""
    return _equidistant(*waves(step.name, which, bool(step.controls or step.zeros)))


@cache
def _equidistant(count: int, base: float) -> Rule:
    found = []
    for k in range(1, 2 * count + 1):
        at = (2 * k - 1) * math.pi / (2 * count)
        factor = base * (-1) ** (k - 1) / (4 * count * math.sin(at / 2) ** 2)
        near = at - 2 * math.pi if at > math.pi else at
        found.append((near / base, factor))
    return tuple(found)
