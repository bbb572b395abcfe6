"""Angles as Python text: of the host, and inside a circuit."""

from __future__ import annotations

import itertools
import keyword
import math
import re
from collections.abc import Iterable

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


class Names:
    """Python names, each given once."""

    def __init__(self, taken: Iterable[str]) -> None:
        self.taken = set(taken) | set(keyword.kwlist) | set(keyword.softkwlist)

    def free(self, wish: str) -> str:
        plain = re.sub(r"\W+", "_", wish).strip("_") or "x"
        if not plain.isascii() or plain[0].isdigit():
            plain = "x_" + re.sub(r"[^a-zA-Z0-9_]", "", plain)
        for k in itertools.count(1):
            name = plain if k == 1 else f"{plain}_{k}"
            if name not in self.taken:
                self.taken.add(name)
                return name
        raise AssertionError
