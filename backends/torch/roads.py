"""Which road a program takes, and why.

1 "native": the whole loop in one kernel, made for the program (`qrlang.engine`).
2 "stepwise": step by step; unitary segments share one reversible state.
3 "plain": torch operations only; anything, any device.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Literal

from qrlang.ir.program import (
    Alloc,
    ApplyMatrix,
    Channel,
    Evolve,
    Expect,
    Free,
    If,
    Measure,
    Op,
    Postselect,
    Prepare,
    Program,
    Reset,
)
from qrlang.ir.walk import walk

if TYPE_CHECKING:
    from qrlang.backends.torch.model import Model

Road = Literal["native", "stepwise", "plain"]
ROADS: tuple[Road, ...] = ("native", "stepwise", "plain")


class RoadError(Exception):
    """A road was asked for that the program can't take."""


def choose_road(program: Program) -> tuple[Road, str]:
    """The fastest road for a program on a CPU, and the reason in words."""
    from qrlang.backends.torch import native

    reason = native.why_not(program)
    if not reason:
        return "native", "the whole loop fits one native kernel"
    mixed = why_not_reversible(program)
    if not mixed:
        return (
            "stepwise",
            f"unitary segments share one reversible state (no native kernel: {reason})",
        )
    return "plain", f"plain torch: {mixed}"


def why_not_reversible(program: Program) -> str:
    """What keeps a state from being walked backwards; "" if nothing does."""
    words = {
        Measure: "a measurement collapses the state",
        Reset: "a reset discards part of the state",
        Channel: "noise makes the state mixed",
        Postselect: "post-selection is not reversible",
        Prepare: "amplitudes that are values enter the state",
        ApplyMatrix: "a unitary that is a value acts on the state",
        Evolve: "the state evolves under a Hamiltonian",
        If: "a measured bit decides about gates",
    }
    spaces = _spaces(program)
    for op in walk(program.body):
        if type(op) in words:
            return words[type(op)]
        if isinstance(op, Expect) and op.weak:
            return "a weak readout disturbs the state"
        if isinstance(op, Alloc) and op.mixed:
            return "qubits begin maximally mixed"
        if isinstance(op, Free) and _partial(op, spaces):
            return "some qubits end before the others they were with"
    return ""


def _spaces(program: Program) -> dict[int, set[int]]:
    spaces: dict[int, set[int]] = {}
    for r in program.registers:
        spaces.setdefault(r.space, set()).update(range(r.start, r.start + r.size))
    return {q: qubits for qubits in spaces.values() for q in qubits}


def _partial(op: Op, spaces: dict[int, set[int]]) -> bool:
    return isinstance(op, Free) and set(op.qubits) != spaces[op.qubits[0]]


def parse_road(road: str | int | None) -> Road | None:
    if road is None or road in ROADS:
        return road
    if str(road) in ("1", "2", "3"):
        return ROADS[int(road) - 1]
    raise ValueError(f"road {road!r}: take 'native', 'stepwise', 'plain', or None for the fastest")


def road_of(model: Model) -> Road:
    """The road of the next call of a model: the one asked for, or the fastest that fits."""
    from qrlang.backends.torch import native

    asked = parse_road(model.road)
    reason = "" if asked in ("plain", "stepwise") else native.why_not_model(model)
    if asked == "native" and reason:
        raise RoadError(f"the native road is not open: {reason}")
    sampled = _sampled(model)
    if asked == "stepwise" and sampled:
        raise RoadError(f"the stepwise road is not open: {sampled}")
    if asked:
        return asked
    if not reason:
        return "native"
    _say_once(model, f"no native kernel for this model: {reason}")
    return "plain" if sampled else "stepwise"


def _sampled(model: Model) -> str:
    for name in ("trajectories", "gate_error"):
        if getattr(model, name):
            return f"`{name}` is set, and samples of states are not reversible"
    return ""


def _say_once(model: Any, words: str) -> None:
    cls = type(model)
    if words not in cls.__dict__.get("_said", ()):
        cls._said = (*cls.__dict__.get("_said", ()), words)
        warnings.warn(f"{cls.__name__}: {words}", RoadNotice, stacklevel=6)


class RoadNotice(UserWarning):
    """Said once: a model takes a slower road, and why."""
