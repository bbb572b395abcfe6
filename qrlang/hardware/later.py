"""Numbers that are not known yet, and numbers that differ from shot to shot."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from qrlang.hardware.device import Floats
from qrlang.hardware.readings import Quantity
from qrlang.hardware.tape import Bit, Node, Tape
from qrlang.ir.program import Op


@dataclass(eq=False, slots=True)
class Pending:
    """A readout that has been asked for, and what it is once it is known."""

    key: tuple[Tape, Node, int]
    quantities: tuple[Quantity, ...]
    make: Callable[[list[Floats]], Any]
    value: Any = None


@dataclass(eq=False, slots=True)
class MeasuredBits:
    bits: tuple[Bit, ...]
    shape: tuple[int, ...]


@dataclass(eq=False, slots=True)
class Later:
    """A number that differs from shot to shot: an op and what it needs."""

    op: Op | None  # None: a sequence of the needs
    needs: tuple[Any, ...]


def bits_of(x: Any) -> Iterator[Bit]:
    for one in parts_of(x):
        if isinstance(one, MeasuredBits):
            yield from one.bits


def parts_of(x: Any) -> Iterator[Any]:
    """What a number is computed from in the end."""
    seen: set[int] = set()
    stack = [x]
    while stack:
        one = stack.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, Later):
            stack.extend(reversed(one.needs))
        else:
            yield one
