"""The loop: every sequence of a batch goes through each moment together.

closed  what the device says at a moment gives the angles of the next one: a round of jobs for
        each moment.
open    the angles come from our simulator, so that all circuits go out at once. Nothing is
        amplified: a cheap way to see how good a device is.
picard  all circuits at once, then again with the angles that follow from what came back, until
        nothing changes: exact after as many sweeps as there are moments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from qrlang.hardware.budget import Budget
from qrlang.hardware.checkpoint import Journal
from qrlang.hardware.device import Device, DeviceError
from qrlang.hardware.jobs import Counts, Desk, SeeJob, Watch
from qrlang.hardware.lane import Lane, Outputs
from qrlang.hardware.mitigation import NONE, Mitigation
from qrlang.hardware.questions import Answers, Ask
from qrlang.hardware.readings import made_up
from qrlang.hardware.shared import Shared
from qrlang.hardware.simulator import Simulator
from qrlang.ir.program import Program

LOOPS = ("closed", "open", "picard")


@dataclass(frozen=True, slots=True)
class Item:
    """One sequence: inputs, and targets that the program reads."""

    inputs: Mapping[str, Any]
    targets: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    shots: int  # 0: exact
    seed: int = 0
    loop: str = "closed"
    mitigate: Mitigation = NONE
    sweeps: int = 0  # of picard, at most; 0: as many as there are moments


@dataclass(frozen=True, slots=True)
class Result:
    outputs: list[Outputs]
    readings: list[list[Any]]  # of each sequence, the readouts of each round, in order
    counts: Counts


def run(
    program: Program,
    weights: Mapping[str, Any],
    batch: Sequence[Item],
    device: Device,
    plan: Plan,
    journal: Journal | None = None,
    watch: Watch | None = None,
    see: SeeJob | None = None,
    externs: Mapping[str, Callable[..., Any]] | None = None,
    rehearsal: bool = False,
    budget: Budget | None = None,
) -> Result:
    """The outputs of every sequence. `see` is shown each job and its round; in a `rehearsal`
    nothing is sent, and readouts are zero. A job beyond the `budget` is not sent."""
    if plan.loop not in LOOPS:
        raise DeviceError(f"there is no loop `{plan.loop}`: {', '.join(LOOPS)}")
    shared = Shared(program, weights, externs)
    desk = Desk(device, shared.tree, plan.shots, plan.seed, journal or Journal(), watch, see,
                rehearsal, budget, plan.mitigate)  # fmt: skip

    def lanes() -> list[Lane]:
        return [Lane(shared, s.inputs, s.targets, checked=not rehearsal) for s in batch]

    if plan.loop == "closed":
        outputs, readings = _closed(lanes(), desk)
    elif plan.loop == "open":
        outputs, readings = _open(lanes, desk, shared)
    else:
        outputs, readings = _picard(lanes, desk, plan)
    return Result(outputs, readings, desk.counts)


def _closed(lanes: Sequence[Lane], desk: Desk) -> tuple[list[Outputs], list[list[Any]]]:
    outputs: list[Outputs] = [{} for _ in lanes]
    readings: list[list[Any]] = [[] for _ in lanes]
    runs = [lane.run() for lane in lanes]
    waiting: dict[int, list[Ask]] = {}
    for i, one in enumerate(runs):
        _advance(one, None, i, waiting, outputs)
    while waiting:
        asks = [a for i in waiting for a in waiting[i]]
        answers = iter(desk.ask(asks))
        now, waiting = waiting, {}
        for i, mine in now.items():
            found = [next(answers) for _ in mine]
            readings[i].append([q for a in found for q in a])
            _advance(runs[i], found, i, waiting, outputs)
    return outputs, readings


def _advance(
    run: Any, found: Answers | None, i: int, waiting: dict[int, list[Ask]], outputs: list[Outputs]
) -> None:
    try:
        waiting[i] = next(run) if found is None else run.send(found)
    except StopIteration as done:
        outputs[i] = done.value


def _played(lane: Lane, answers: Sequence[Answers] | None) -> tuple[list[list[Ask]], Outputs]:
    """A lane with answers that are there already (None: all zero): what it asked, what came out."""
    asked: list[list[Ask]] = []
    run = lane.run()
    try:
        now = next(run)
        while True:
            asked.append(now)
            found = answers[len(asked) - 1] if answers is not None else _zeros(now)
            now = run.send(found)
    except StopIteration as done:
        return asked, done.value


def _zeros(asks: Sequence[Ask]) -> Answers:
    return [[made_up(q) for q in a.quantities] for a in asks]


def _all_at_once(asked: Sequence[list[list[Ask]]], desk: Desk) -> list[list[Answers]]:
    """Every question of every lane in one round; the answers in the same shape."""
    answers = iter(desk.ask([a for lane in asked for now in lane for a in now]))
    return [[[next(answers) for _ in now] for now in lane] for lane in asked]


def _open(
    lanes: Callable[[], list[Lane]], desk: Desk, shared: Shared
) -> tuple[list[Outputs], list[list[Any]]]:
    """The lanes run three times: on the simulator, then for the questions at its angles, then with
    the device's answers, the angles still the simulator's."""
    rehearsed = lanes()
    ideal = Desk(Simulator(), shared.tree, 0, rehearsal=desk.rehearsal)
    outputs: list[Outputs] = []
    _, known = _closed(rehearsed, ideal)
    traces = [lane.circuits.trace for lane in rehearsed]
    asked = []
    for lane, mine, trace in zip(lanes(), known, traces, strict=True):
        lane.circuits.turned = iter(trace)
        asked.append(_asked_again(lane, mine))
    answers = _all_at_once(asked, desk)
    for lane, mine2, trace in zip(lanes(), answers, traces, strict=True):
        lane.circuits.turned = iter(trace)
        outputs.append(_played(lane, mine2)[1])
    return outputs, [[[q for a in now for q in a] for now in lane] for lane in answers]


def _asked_again(lane: Lane, known: list[list[Any]]) -> list[list[Ask]]:
    asked: list[list[Ask]] = []
    run = lane.run()
    try:
        now = next(run)
        while True:
            asked.append(now)
            flat = iter(known[len(asked) - 1])
            now = run.send([[next(flat) for _ in a.quantities] for a in now])
    except StopIteration:
        return asked


def _picard(
    lanes: Callable[[], list[Lane]], desk: Desk, plan: Plan
) -> tuple[list[Outputs], list[list[Any]]]:
    answers: list[Any] = [None] * len(lanes())
    outputs: list[Outputs] = []
    sweep = 0
    while True:
        asked = [_played(lane, mine)[0] for lane, mine in zip(lanes(), answers, strict=True)]
        if sweep >= (plan.sweeps or max((len(a) for a in asked), default=0)):
            break
        new = _all_at_once(asked, desk)
        sweep += 1
        change = _change(answers, new)
        answers = list(new)
        if change <= (3 / np.sqrt(plan.shots) if plan.shots else 1e-12) and not desk.rehearsal:
            break
    outputs = [_played(lane, mine)[1] for lane, mine in zip(lanes(), answers, strict=True)]
    # Where nothing is read from a circuit, there was no sweep and there are no answers.
    return outputs, [[[q for a in now for q in a] for now in lane or ()] for lane in answers]


def _change(old: Sequence[Any], new: Sequence[list[Answers]]) -> float:
    if any(a is None for a in old):
        return float("inf")
    worst = 0.0
    for a, b in zip(old, new, strict=True):
        for x, y in zip(a, b, strict=True):
            for p, q in zip(x, y, strict=True):
                for u, v in zip(p, q, strict=True):
                    if u.shape != v.shape:
                        return float("inf")
                    worst = max(worst, float(np.max(np.abs(u - v), initial=0.0)))
    return worst
