"""Sums over parities in registers, both ways, as lines of code.

At the highest bit, masks with it and masks without it part; the values fall into (or grow from)
their halves' sum and difference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from qrlang.engine.cuda.text import Text


def fold(out: Text, values: Sequence[str], masks: Sequence[int]) -> dict[int, str]:
    """For each mask of the register number: Σ_j ± values[j]."""
    masks = list(dict.fromkeys(masks))
    if not masks:
        return {}
    if len(values) == 1:
        return {0: values[0]}
    half = len(values) // 2
    found: dict[int, str] = {}
    without = [m for m in masks if not m & half]
    having = [m ^ half for m in masks if m & half]
    pairs = list(zip(values[:half], values[half:], strict=True))
    if without:
        found |= fold(out, [out.let("F", f"{a} + {b}") for a, b in pairs], without)
    if having:
        part = fold(out, [out.let("F", f"{a} - {b}") for a, b in pairs], having)
        found |= {m | half: v for m, v in part.items()}
    return found


def unfold(out: Text, terms: Mapping[int, str], bits: int) -> list[str]:
    """The 2^bits numbers Σ_m ± terms[m]."""
    if not terms:
        return ["F(0)"] * (1 << bits)
    if bits == 0:
        return [terms[0]]
    half = 1 << (bits - 1)
    low = {m: v for m, v in terms.items() if not m & half}
    high = {m ^ half: v for m, v in terms.items() if m & half}
    if not high:
        return unfold(out, low, bits - 1) * 2
    b = unfold(out, high, bits - 1)
    known: dict[tuple[str, ...], str] = {}

    def made(*key: str) -> str:
        if key not in known:
            known[key] = out.let("F", " ".join(key))
        return known[key]

    if not low:
        return b + [made("-", y) for y in b]
    a = unfold(out, low, bits - 1)
    pairs = list(zip(a, b, strict=True))
    return [made(x, "+", y) for x, y in pairs] + [made(x, "-", y) for x, y in pairs]
