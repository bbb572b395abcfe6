"""Which road a program takes, and why.

1 "native": the whole loop in one kernel, made for the program (`qrlang.engine`).
2 "stepwise": step by step; unitary segments share one reversible state.
3 "plain": torch operations only; anything, any device.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Literal

from qrlang.backends.torch.native.fit import why_not
from qrlang.backends.torch.spaces import why_not_reversible
from qrlang.errors import UserError
from qrlang.ir.program import Program

if TYPE_CHECKING:
    from qrlang.backends.torch.calls.interface import Interface

Road = Literal["native", "stepwise", "plain"]
ROADS: tuple[Road, ...] = ("native", "stepwise", "plain")


_ELSE = "without a road that is asked for, the fastest that is open is taken"


class RoadError(UserError):
    """A road was asked for that the program can't take."""


def choose_road(program: Program) -> tuple[Road, str]:
    """The fastest road for a program, and the reason in words."""
    reason = why_not(program)
    if not reason:
        return "native", "the whole loop fits one native kernel, on a CPU and on a GPU"
    irreversible = why_not_reversible(program)
    if not irreversible:
        return "stepwise", f"all steps share one reversible state; no native kernel: {reason}"
    return "plain", irreversible


def parse_road(road: str | int | None) -> Road | None:
    if road is None or road in ROADS:
        return road
    if str(road) in ("1", "2", "3"):
        return ROADS[int(road) - 1]
    raise ValueError(f"road {road!r}: take 'native', 'stepwise', 'plain', or None for the fastest")


def road_of(model: Interface) -> Road:
    """The road of the next call of a model: the one asked for, or the fastest that fits."""
    from qrlang.backends.torch.native import road as native

    asked = parse_road(model.road)
    if asked == "plain":
        return "plain"
    reason = native.why_not_model(model)
    if not reason and asked != "stepwise":
        return "native"
    if asked == "native":
        raise RoadError(f"the native road is not open: {reason}", _ELSE)
    irreversible = _noisy(model) or native.why_not_reversible_model(model)
    if asked == "stepwise" and irreversible:
        raise RoadError(f"the stepwise road is not open: {irreversible}", _ELSE)
    if asked is None:
        found = "plain torch" if irreversible else "step by step"
        _say_once(model, f"runs {found}, as no native kernel fits: {reason}")
    return "plain" if irreversible else "stepwise"


def _noisy(model: Interface) -> str:
    for name in ("trajectories", "gate_error"):
        if getattr(model, name):
            return f"`{name}` is set, and what noise has done can't be undone"
    return ""


def _say_once(model: Any, words: str) -> None:
    cls = type(model)
    if words not in cls.__dict__.get("_said", ()):
        cls._said = (*cls.__dict__.get("_said", ()), words)
        warnings.warn(f"{cls.__name__}: {words}", RoadNotice, stacklevel=6)


class RoadNotice(UserWarning):
    """Said once: a model takes a slower road, and why."""
