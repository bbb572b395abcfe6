"""What the targets for devices have in common in tests: every example and any program on each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import hypothesis
import numpy as np
from hardware_tools import EXAMPLES, example
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import SearchStrategy
from scipy.stats import chi2

from qrlang.features import FEATURES
from qrlang.gates import CHANNELS
from qrlang.hardware.device import Bits, Device, Floats, Work
from qrlang.hardware.jobs import Task
from qrlang.hardware.pure import pure
from qrlang.hardware.simulator import Simulator
from qrlang.ir.program import Expect, Op, Probabilities, Program
from qrlang.ir.walk import map_bodies

ALL = sorted(str(p.relative_to(EXAMPLES)) for p in EXAMPLES.glob("*/*.qrl"))
# Circuits that grow, moment by moment, past what is quick to simulate exactly: one moment of these.
LARGE = {"bausch/bausch.qrl", "ancilla/weak.qrl", "ancilla/projective.qrl"}


def used(program: Program) -> set[str]:
    return {name for name, f in FEATURES.items() if any(True for _ in f.find(program))}


def plain(name: str) -> Program:
    """An example whose readouts are exact where it asks for shots."""
    program = example(name)
    return replace(program, body=_without_shots(program.body))


def _without_shots(ops: tuple[Op, ...]) -> tuple[Op, ...]:
    kept = (replace(o, shots=0) if isinstance(o, (Expect, Probabilities)) else o for o in ops)
    return tuple(map_bodies(o, _without_shots) for o in kept)


def length(name: str) -> int:
    return 1 if name in LARGE else 2


def device(target: str, program: Program) -> Device:
    """The simulator of a target that can do the program."""
    if target == "qiskit":
        from qrlang.backends.qiskit import open_device

        return open_device("aer")
    from qrlang.backends.braket.local import LocalDevice

    return LocalDevice("braket_dm" if "noise" in used(program) else "braket_sv")


def generated(strategy: SearchStrategy[Program], count: int, seed: int) -> list[Program]:
    """Programs that are the same in every run."""
    found: list[Program] = []

    @hypothesis.seed(seed)
    @settings(max_examples=count, phases=[Phase.generate], database=None, deadline=None,
              derandomize=False, suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(strategy)
    def collect(program: Program) -> None:
        found.append(program)

    collect()
    return found[:count]


# --- statistics ---------------------------------------------------------------------------------


@dataclass
class ChiSquare:
    """Of all circuits together: outcomes that are expected fewer than five times count as one."""

    statistic: float = 0.0
    freedom: int = 0
    circuits: int = 0

    def add(self, chances: Floats, seen: Any, shots: int) -> None:
        counts = np.bincount(seen, minlength=len(chances)).astype(float)
        assert counts[chances < 1e-12].sum() == 0, "an outcome that cannot be"
        expected = chances * shots
        often = expected >= 5
        parts = [(counts[often], expected[often])]
        if expected[~often].sum() >= 5:
            parts.append((counts[~often].sum(keepdims=True), expected[~often].sum(keepdims=True)))
        got, want = (np.concatenate(x) for x in zip(*parts, strict=True))
        self.circuits += 1
        if len(got) > 1:
            self.statistic += float(np.sum((got - want) ** 2 / want))
            self.freedom += len(got) - 1

    @property
    def p(self) -> float:
        return float(chi2.sf(self.statistic, self.freedom))


@dataclass
class Sent:
    """Everything that a loop would send, at the angles of the exact run."""

    shots: int
    works: list[Work] = field(default_factory=list)

    def see(self, job: int, tasks: Sequence[Task]) -> None:
        self.works += [Work(t.template, t.work().angles, self.shots) for t in tasks]


def compare(total: ChiSquare, works: Sequence[Work], answers: Sequence[Bits], on: Device) -> None:
    """What a device has answered against the exact distribution: ours, or of a noisy program its
    own, which other tests hold to the reference."""
    for work, bits in zip(works, answers, strict=True):
        for row, likely in zip(bits, _exactly(work, on), strict=True):
            width = row.shape[1]
            powers = 1 << np.arange(width - 1, -1, -1)
            total.add(likely, row @ powers, work.shots)


def _exactly(work: Work, on: Device) -> Iterator[Floats]:
    """The distribution of the qubits, then the inner bits, at each row of angles."""
    changed = pure(work.template)
    noisy = any(s.name in CHANNELS for s in work.template.steps)
    one: Any = on if noisy else Simulator()
    asked = (*changed.qubits, *changed.bits)
    n = changed.template.qubits
    rest = tuple(q for q in range(n) if q not in asked)
    for row in one.probabilities(changed.template, work.angles):
        table = row.reshape((2,) * n).transpose((*asked, *rest))
        yield table.reshape(1 << len(asked), -1).sum(axis=1)
