"""Programs, devices and comparisons for the tests of the closed loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from strategies import arguments

from qrlang.backends.reference import initial_weights
from qrlang.backends.reference import run as reference
from qrlang.driver import Compilation
from qrlang.hardware.device import Ticket, Work
from qrlang.hardware.loop import Item
from qrlang.hardware.simulator import Simulator
from qrlang.ir.program import Program
from qrlang.passes import GATES, run_passes

EXAMPLES = Path(__file__).parent.parent / "examples"
# Sizes at which they run in no time.
SMALL: dict[str, dict[str, int | float]] = {
    "copying/copying.qrl": {"n": 3},
    "deep/bidirectional.qrl": {"n": 2},
    "deep/stacked.qrl": {"n": 2},
    "language_model/character.qrl": {"n": 3},
    "language_model/word.qrl": {"n": 2, "vocab": 20, "d": 4},
    "qrnn/permuted.qrl": {"n": 2},
    "qrnn/permuted_xyz.qrl": {"n": 2},
    "qrnn/pixels.qrl": {"n": 2},
    "qrnn/rows.qrl": {"n": 3},
    "qrnn/rows_xyz.qrl": {"n": 3},
    "sentiment/sentiment.qrl": {"n": 2, "vocab": 20, "d": 4},
    "phases/embedding.qrl": {"depth": 2},
    "translation/captions.qrl": {"n": 2, "src": 9, "tgt": 7, "d": 4},
    "translation/captions_without.qrl": {"n": 2, "src": 9, "tgt": 7, "d": 4},
    "translation/short.qrl": {"n": 2, "src": 9, "tgt": 7, "d": 4, "hidden": 4},
    "translation/short_without.qrl": {"n": 2, "src": 9, "tgt": 7, "d": 4, "hidden": 4},
    "translation/translation.qrl": {"n": 2, "src": 9, "tgt": 7, "d": 4},
    "attention/score.qrl": {"n": 2, "vocab": 9},
    "ancilla/weak.qrl": {"n": 2},
    "reservoir/hamiltonian.qrl": {"n": 3},
    "reservoir/virtual_nodes.qrl": {"n": 3, "nodes": 2},
}


def example(name: str) -> Program:
    path = EXAMPLES / name
    made = Compilation.of_bytes(str(path), path.read_bytes(), SMALL.get(name))
    (model,) = made.models()
    return run_passes(model.program, GATES)


def of_text(text: str) -> Program:
    (model,) = Compilation.of_bytes("model.qrl", text.encode()).models()
    return run_passes(model.program, GATES)


def items(program: Program, lengths: Sequence[int] = (3,), seed: int = 0) -> list[Item]:
    targets = replace(program, inputs=program.targets)
    return [
        Item(arguments(program, seed + i, t), arguments(targets, seed + 50 + i, t))
        for i, t in enumerate(lengths)
    ]


def weights(program: Program, seed: int = 1) -> dict[str, Any]:
    return initial_weights(program, seed)


def right(program: Program, batch: Sequence[Item], w: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the reference interpreter says."""
    return [reference(program, x.inputs, x.targets, w).outputs for x in batch]


def difference(a: Sequence[Mapping[str, Any]], b: Sequence[Mapping[str, Any]]) -> float:
    worst = 0.0
    for x, y in zip(a, b, strict=True):
        assert x.keys() == y.keys()
        for name in x:
            assert np.shape(x[name]) == np.shape(y[name])
            gap = np.abs(np.asarray(x[name]) - np.asarray(y[name]))
            worst = max(worst, float(np.max(gap, initial=0)))
    return worst


class Killed(Exception):
    """The process that ran the loop is gone."""


class Mortal(Simulator):
    """Counts what it runs, and dies: before a job, or in the middle of one, which it then has not
    done."""

    def __init__(self, jobs: int = 10**9, middle: bool = False) -> None:
        super().__init__()
        self.left, self.middle = jobs, middle
        self.executions = self.circuits = self.jobs = 0

    def submit(self, works: Sequence[Work], seed: int) -> Ticket:
        if self.left == 0 and not self.middle:
            raise Killed
        ticket = super().submit(works, seed)
        if self.left == 0:
            raise Killed
        self.left -= 1
        self.jobs += 1
        self.circuits += sum(w.circuits for w in works)
        self.executions += sum(w.executions for w in works)
        return ticket
