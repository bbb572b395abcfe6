"""Short names for angles: `θ₃`, `2φ₁`, `π/2`, and what each letter stands for."""

from __future__ import annotations

import math

from qrlang.analysis.circuits import AnyAngle, Product
from qrlang.draw.names import Names
from qrlang.ir.program import Value

_LETTERS = "θφλαβγδεηκμνρστωξζ"
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_LONGEST = 12


class Labels:
    """Gives each value that angles come from a letter, in order of appearance."""

    def __init__(self, names: Names | None = None) -> None:
        self.names = names or Names()
        self.letters: dict[int, str] = {}
        self.values: dict[int, Value] = {}
        self.long: dict[AnyAngle, str] = {}  # those that do not fit on a gate

    def letter(self, value: Value) -> str:
        if value.id not in self.letters:
            k = len(self.letters)
            more = "'" * (k // len(_LETTERS))
            self.letters[value.id] = _LETTERS[k % len(_LETTERS)] + more
            self.values[value.id] = value
        return self.letters[value.id]

    def angle(self, angle: AnyAngle) -> str:
        text = self.written(angle)
        if len(text) <= _LONGEST:
            return text
        if angle not in self.long:
            self.long[angle] = f"a{subscript(len(self.long) + 1)}"
        return self.long[angle]

    def written(self, angle: AnyAngle) -> str:
        if isinstance(angle, Product):
            factor = "" if angle.factor == 1 else number(angle.factor)
            return f"{factor}({self.written(angle.a)})({self.written(angle.b)})"
        if not angle.terms:
            return number(angle.constant)
        text = ""
        for term in angle.terms:
            value, index = self.names.element(term.value, term.index)
            name = self.letter(value)
            if value.type.count > 1:
                name += subscript(index)
            text += signed(term.coefficient, name, first=not text)
        if angle.constant:
            text += signed(angle.constant, "", first=False)
        return text


def signed(factor: float, name: str, first: bool) -> str:
    size = abs(factor)
    body = name if size == 1 and name else number(size) + name
    return ("−" if factor < 0 else "" if first else "+") + body


def subscript(n: int) -> str:
    return str(n).translate(_SUBSCRIPTS)


def number(x: float) -> str:
    """`π/2` where it is one, else three digits."""
    if x == 0 or not math.isfinite(x):
        return f"{x:g}"
    for bottom in (1, 2, 3, 4, 6, 8):
        top = x * bottom / math.pi
        if abs(top - round(top)) < 1e-12 and 0 < abs(round(top)) <= 16:
            sign, k = ("−" if top < 0 else ""), abs(round(top))
            return f"{sign}{k if k > 1 else ''}π" + (f"/{bottom}" if bottom > 1 else "")
    return f"{x:.3g}".replace("-", "−")
