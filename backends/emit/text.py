"""Expressions as Python text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from math import prod


def is_atom(text: str) -> bool:
    """Whether it can stand beside an operator or before a dot without brackets."""
    depth = 0
    for letter in text:
        depth += (letter in "([{") - (letter in ")]}")
        if depth == 0 and letter in " -+*/<>=":
            return False
    return True


def atom(text: str) -> str:
    return text if is_atom(text) else f"({text})"


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def nested(data: Sequence[object], shape: tuple[int, ...]) -> str:
    """Numbers in as many brackets as the shape has axes."""
    if not shape:
        return repr(data[0])
    step = prod(shape[1:])
    inner = (nested(data[i * step : (i + 1) * step], shape[1:]) for i in range(shape[0]))
    return f"[{', '.join(inner)}]"


def sliced(indices: Sequence[int]) -> str:
    """`2:8:3` for indices that are evenly spaced, "" for others."""
    if len(indices) < 2:
        return ""
    step = indices[1] - indices[0]
    if step <= 0 or list(indices) != list(range(indices[0], indices[-1] + 1, step)):
        return ""
    return f"{indices[0]}:{indices[-1] + 1}" + (f":{step}" if step > 1 else "")


# --- angles -------------------------------------------------------------------------------------

_PI = {math.pi / k * m: text for text, m, k in (
    ("np.pi", 1, 1), ("np.pi / 2", 1, 2), ("np.pi / 4", 1, 4), ("np.pi / 8", 1, 8),
    ("3 * np.pi / 2", 3, 2), ("3 * np.pi / 4", 3, 4), ("2 * np.pi", 2, 1),
)}  # fmt: skip


def number(x: float) -> str:
    if not math.isfinite(x):
        raise ValueError(f"an angle of the program is {x}")
    if x in _PI:
        return _PI[x]
    if -x in _PI:
        return f"-{_PI[-x]}"
    return str(int(x)) if x == int(x) and abs(x) < 1e6 else repr(float(x))


def affine(terms: Sequence[tuple[float, str]], constant: float) -> str:
    """A sum of multiples of things."""
    parts = [t if c == 1 else f"{number(c)} * {atom(t)}" for c, t in terms]
    if constant or not parts:
        parts.append(number(constant))
    return " + ".join(parts).replace("+ -", "- ")


class Symbol:
    """The text of an angle, which can be added and scaled."""

    def __init__(self, text: str, atom: bool = True) -> None:
        self.text, self.atom = text, atom

    @property
    def _tight(self) -> str:
        return self.text if self.atom else f"({self.text})"

    def __neg__(self) -> Symbol:
        return Symbol(f"-{self._tight}", False)

    def __truediv__(self, by: float) -> Symbol:
        return Symbol(f"{self._tight} / {number(by)}", False)

    def __add__(self, other: object) -> Symbol:
        return Symbol(f"{self._tight} + {text_of(other)}", False)

    def __radd__(self, other: object) -> Symbol:
        return Symbol(f"{text_of(other)} + {self._tight}", False)

    def __sub__(self, other: object) -> Symbol:
        return Symbol(f"{self._tight} - {_tight(other)}", False)

    def __rsub__(self, other: object) -> Symbol:
        return Symbol(f"{text_of(other)} - {self._tight}", False)

    def __str__(self) -> str:
        return self.text


def text_of(angle: object) -> str:
    return number(float(angle)) if isinstance(angle, (int, float)) else str(angle)


def _tight(angle: object) -> str:
    return angle._tight if isinstance(angle, Symbol) else f"({text_of(angle)})"
