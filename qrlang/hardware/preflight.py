"""What a run will cost and what it will be worth, said before anything is sent.

The counts come from a rehearsal: the very loop, with nothing sent. The error comes from replicas in
our simulator, with shots and with the device's own errors: both go around the loop, and may grow on
their way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

import numpy as np

from qrlang.diagnostics.words import plural
from qrlang.hardware.budget import Prices
from qrlang.hardware.device import Device, DeviceError, Template, Usage, described
from qrlang.hardware.footprint import MEASURED, footprints, some, survival
from qrlang.hardware.jobs import Task
from qrlang.hardware.loop import Item, Plan, Result, run
from qrlang.hardware.noisy import like
from qrlang.hardware.simulator import Simulator
from qrlang.ir.program import Program

SIMULATED = 14  # qubits, at most, of circuits that replicas are run of
REPLICAS, SEQUENCES = 8, 8
SHOWN = 6  # circuits, in the page


@dataclass(frozen=True, slots=True)
class Moment:
    """The largest circuit of a round."""

    qubits: int
    depth: int
    one_qubit: int
    two_qubit: int
    survival: float | None
    error: float | None  # rms of a readout
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Preflight:
    device: Mapping[str, Any]
    loop: str
    sequences: int
    shots: int
    rounds: int
    jobs: int
    circuits: int
    executions: int
    settings: int  # measurement settings, of all rounds
    moments: tuple[Moment, ...]
    price: float | None
    prices: Prices
    seconds: float | None  # that the device is busy with it
    coherence: float | None
    mitigate: str = ""
    unknown: str = ""  # why no error is predicted

    def to_data(self) -> dict[str, Any]:
        return asdict(self)


def preflight(
    program: Program, weights: Mapping[str, Any], batch: Sequence[Item], device: Device, plan: Plan,
    prices: Prices | None = None, externs: Mapping[str, Any] | None = None, errors: bool = True,
) -> Preflight:  # fmt: skip
    largest: dict[int, Template] = {}
    executions: Counter[Template] = Counter()

    def see(round: int, tasks: Sequence[Task]) -> None:
        for t in tasks:
            executions[t.template] += len(t.rows) * t.shots
        found = [t.template for t in tasks]
        found += [largest[round]] if round in largest else []
        largest[round] = max(found, key=lambda t: len(t.steps))

    counts = run(program, weights, batch, device, plan, see=see, externs=externs,
                 rehearsal=True).counts  # fmt: skip
    widest = max((t.qubits for t in largest.values()), default=0)
    if device.limits.qubits and widest > device.limits.qubits:
        raise DeviceError(
            f"a circuit needs {widest} qubits, and `{device.name}` has {device.limits.qubits}",
            "take a smaller model (train it with --set n=…), or choose another device: --device",
        )
    templates = list(largest.values())
    sizes = footprints(device, templates)
    noisy = None
    if errors and largest:
        made = some(len(templates), MEASURED)
        noisy = like(device, [templates[k] for k in made], [sizes[k] for k in made],
                     _rows(widest), plan.seed)  # fmt: skip
    error: list[float] = []
    why = "" if plan.shots or noisy else "exact"
    if errors and not why:
        error, why = predicted(program, weights, batch, plan, widest, noisy, externs)
    if plan.loop != "closed":
        error = error[-1:] * len(largest)  # every round goes to the end
    moments = []
    for k, (template, found) in enumerate(zip(templates, sizes, strict=True)):
        moments.append(
            Moment(
                template.qubits, found.depth, found.one_qubit, found.two_qubit,
                survival(found, device.errors, template.qubits),
                error[k] if k < len(error) else None, found.seconds,
            )
        )  # fmt: skip
    usage: Usage | None = getattr(device, "usage", None)
    if usage is not None:
        counts.seconds = usage.job * counts.jobs + _busy(device, usage, executions)
    prices = prices or Prices()
    return Preflight(
        dict(device.describe()), plan.loop, len(batch), plan.shots, counts.rounds, counts.jobs,
        counts.circuits, counts.executions, counts.settings, tuple(moments), prices.of(counts),
        prices, counts.seconds if usage is not None else None,
        min((x.coherence for x in sizes if x.coherence), default=None), str(plan.mitigate), why,
    )  # fmt: skip


def _busy(device: Device, usage: Usage, executions: Mapping[Template, int]) -> float:
    """For how many seconds with circuits. Those with as many steps take as long."""
    alike: dict[tuple[int, int, int], list[Template]] = {}
    for t in executions:
        alike.setdefault((t.fold, t.qubits, len(t.steps)), []).append(t)
    total = 0.0
    for _, keys in groupby(sorted(alike), lambda key: key[0]):
        kinds = [alike[key] for key in keys]
        for kind, size in zip(kinds, footprints(device, [k[0] for k in kinds]), strict=True):
            total += sum(executions[t] for t in kind) * (usage.shot + (size.seconds or 0.0))
    return total


def predicted(
    program: Program, weights: Mapping[str, Any], batch: Sequence[Item], plan: Plan, widest: int,
    noisy: Simulator | None = None, externs: Mapping[str, Any] | None = None,
) -> tuple[list[float], str]:  # fmt: skip
    """The rms error of the readouts of each round, or why it is not known. `noisy`: a simulator
    that goes wrong as the device does."""
    some, replicas = _spread(batch), REPLICAS if noisy is None else 2
    if widest > SIMULATED:
        return [], f"circuits of {widest} qubits are not simulated for it"
    try:
        exact = run(program, weights, some, Simulator(), Plan(0), externs=externs)
        wanted = Plan(plan.shots, plan.seed + 1, "open" if plan.loop == "open" else "closed",
                      plan.mitigate)  # fmt: skip
        seen = run(program, weights, [x for x in some for _ in range(replicas)],
                   noisy or Simulator(), wanted, externs=externs)  # fmt: skip
    except DeviceError as found:
        return [], str(found)
    return rms(exact, seen, replicas), ""


def _rows(qubits: int) -> int:
    """States for one circuit with noise, as time allows."""
    return max(8, min(64, (1 << 17 >> qubits) // (2 * SEQUENCES)))


def _spread(batch: Sequence[Item]) -> list[Item]:
    if len(batch) <= SEQUENCES:
        return list(batch)
    return [batch[int(i)] for i in np.linspace(0, len(batch) - 1, SEQUENCES)]


def rms(exact: Result, noisy: Result, replicas: int = 1) -> list[float]:
    """Of each round, over all sequences, readouts and replicas."""
    found: list[float] = []
    for k in range(max((len(r) for r in exact.readings), default=0)):
        squares: list[Any] = []
        for i, one in enumerate(noisy.readings):
            right = exact.readings[i // replicas]
            if k < len(right):
                pairs = zip(right[k], one[k], strict=True)
                squares += [np.square(a - b).ravel() for a, b in pairs if a.shape == b.shape]
        found.append(float(np.sqrt(np.mean(np.concatenate(squares)))) if squares else 0.0)
    return found


def page(found: Preflight, name: str) -> str:
    """For people."""
    lines = [
        f"preflight: {name} on {described(found.device)}",
        f"  loop        {found.loop}, {plural(found.sequences, 'sequence')}, "
        + ("at most as many sweeps as moments, " if found.loop == "picard" else "")
        + (f"{found.shots} shots a circuit" if found.shots else "exact")
        + (f", mitigation {found.mitigate}" if found.mitigate else ""),
        f"  circuits    {found.circuits:,} with "
        f"{plural(found.settings, 'measurement setting')} in "
        f"{plural(found.jobs, 'job')} ({plural(found.rounds, 'round')})",
        f"  executions  {found.executions:,}",
    ]
    if found.moments:
        timed = found.moments[0].seconds is not None
        lines.append("  circuit     qubits   depth  1-qubit  2-qubit  survival  error (rms)"
                     + "        time" * timed)  # fmt: skip
        for k in some(len(found.moments), SHOWN):
            m = found.moments[k]
            kept = "-" if m.survival is None else f"{m.survival:.3g}"
            error = "-" if m.error is None else f"{m.error:.3g}"
            lines.append(
                f"    {k + 1:<8}  {m.qubits:6} {m.depth:7} {m.one_qubit:8} {m.two_qubit:8} "
                f"{kept:>9} {error:>10}" + (f" {1e6 * m.seconds:9.1f} µs" if m.seconds else "")
            )
    if found.unknown and found.shots:
        lines.append(f"  error       not predicted: {found.unknown}")
    last = found.moments[-1] if found.moments else None
    if last and last.survival is not None and last.survival < 0.1:
        lines.append(
            f"  warning     at the end {last.survival:.1%} of the shots are without an error: "
            "expect noise, not answers"
        )
    if last and last.seconds and found.coherence and last.seconds > found.coherence:
        lines.append(
            f"  warning     the last circuit takes {1e6 * last.seconds:,.0f} µs, and one of its "
            f"qubits keeps a phase for {1e6 * found.coherence:,.0f} µs: what was first is forgotten"
        )
    if last and last.error is not None and last.error > 0.3:
        lines.append("  warning     errors grow to a third of the range: take more shots, "
                     "--mitigate, or --loop open")  # fmt: skip
    if found.seconds is not None:
        lines.append(f"  time        {found.seconds:,.1f} s of the device, without the queue")
    lines.append(f"  price       {found.prices.words(found.price, found.seconds is not None)}")
    return "\n".join(lines) + "\n"
