"""Scales and their ticks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Axis:
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    log: bool = False

    def share(self, value: float) -> float:
        """Where a value lies, 0 at the low end, 1 at the high one."""
        if self.log:
            span = math.log(self.high / self.low)
            return math.log(max(value, self.low * 1e-6) / self.low) / span
        return (value - self.low) / (self.high - self.low)


def axis(
    values: Sequence[float], *, log: bool = False, count: int = 5, whole: bool = False
) -> Axis:
    """One that holds all values, ending at round numbers."""
    finite = [v for v in values if math.isfinite(v) and (not log or v > 0)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)
    if log and low > 0 and high / low > 3:
        return _log_axis(low, high)
    if high - low < 1e-12 * max(abs(low), abs(high), 1e-300):
        pad = abs(high) * 0.1 or 1.0
        low, high = low - pad, high + pad
    step = _round_step((high - low) / count)
    if whole:
        step = max(1.0, step)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    ticks = tuple((k * step, _text(k * step, step)) for k in range(first, last + 1))
    return Axis(first * step, last * step, ticks)


def _log_axis(low: float, high: float) -> Axis:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    factors = (1, 2, 5) if last - first <= 2 else (1,)
    marks = [f * 10.0**k for k in range(first, last + 1) for f in factors]
    below = [m for m in marks if m <= low * 1.0001]
    above = [m for m in marks if m >= high / 1.0001]
    marks = [m for m in marks if below[-1] <= m <= above[0]]
    return Axis(marks[0], marks[-1], tuple((m, _power(m)) for m in marks), log=True)


def _power(mark: float) -> str:
    """`0.01`, `500`; far from one, `2e-5`."""
    if 0.001 <= mark * 1.0001 < 100_000:
        return f"{mark:g}"
    factor, _, exponent = f"{mark:.0e}".partition("e")
    return f"{factor}e{int(exponent)}"


def _round_step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return next(f * power for f in (1, 2, 2.5, 5, 10) if f * power >= rough * 0.999)


def _text(value: float, step: float) -> str:
    if abs(value) >= 100_000:
        return f"{value:g}"
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    if round(step, digits) != step:
        digits += 1
    text = f"{value:.{min(digits, 8)}f}"
    return "0" if float(text) == 0 else text
