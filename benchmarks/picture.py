"""Times as an SVG: a group of bars for each case, on a logarithmic axis."""

from __future__ import annotations

import math
from typing import Any

_COLOURS = ("#0b6e4f", "#2aa876", "#8fd3b6", "#8a8f98", "#b9bdc4", "#c8553d", "#e09f3e", "#3d6fb4")


def picture(
    found: dict[str, dict[str, dict[str, Any]]], cases: list[str], words: dict[str, str]
) -> str:
    routes = list(found)
    times = [r["ms"] for results in found.values() for r in results.values()] or [1.0]
    low, high = math.floor(math.log10(min(times))), math.ceil(math.log10(max(times)))
    high = max(high, low + 1)
    bar, gap, top, tall = 11, 18, 24, 260
    group = bar * len(routes) + gap
    width = 60 + group * len(cases) + 20
    tall_all = top + tall + 40 + 18 * len(routes)

    def y(ms: float) -> float:
        return top + tall * (high - math.log10(ms)) / (high - low)

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{tall_all}" '
        f'viewBox="0 0 {width} {tall_all}" font-family="sans-serif" font-size="11">',
        f'<rect width="{width}" height="{tall_all}" fill="#fff"/>',
        '<text x="8" y="14" fill="#333">one training step, ms on one core (less is better)</text>',
    ]
    for power in range(low, high + 1):
        at = y(10.0**power)
        out.append(f'<line x1="54" x2="{width - 10}" y1="{at:.1f}" y2="{at:.1f}" stroke="#ddd"/>')
        out.append(
            f'<text x="50" y="{at + 4:.1f}" text-anchor="end" fill="#555">{10.0**power:g}</text>'
        )
    for i, case in enumerate(cases):
        x = 60 + group * i
        for j, route in enumerate(routes):
            if case in found[route]:
                at = y(found[route][case]["ms"])
                out.append(
                    f'<rect x="{x + bar * j}" y="{at:.1f}" width="{bar - 2}" '
                    f'height="{top + tall - at:.1f}" fill="{_COLOURS[j % len(_COLOURS)]}"/>'
                )
        middle = x + bar * len(routes) / 2
        out.append(f'<text x="{middle}" y="{top + tall + 16}" text-anchor="middle">{case}</text>')
    for j, route in enumerate(routes):
        at = top + tall + 40 + 18 * j
        colour = _COLOURS[j % len(_COLOURS)]
        out.append(f'<rect x="60" y="{at - 9}" width="11" height="11" fill="{colour}"/>')
        out.append(f'<text x="78" y="{at}">{words[route]}</text>')
    return "\n".join([*out, "</svg>"]) + "\n"
