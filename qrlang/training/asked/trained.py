"""A run's model at its weights, ready to answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from qrlang.driver import Setting
from qrlang.errors import TrainingError
from qrlang.ir.program import Program
from qrlang.training import checkpoint, initial, start
from qrlang.training.asked.varied import WIDTHS, varied
from qrlang.training.feed import DataFeed
from qrlang.training.objective import Objective
from qrlang.training.run import Run
from qrlang.training.settings import Settings
from qrlang.training.world import World


@dataclass(frozen=True)
class Use:
    """Which weights of a run, and how they are put to use."""

    which: str = "best"
    threads: int = 0
    road: str | None = None  # None: as in training
    shots: int | None = None
    other: Mapping[str, Setting] = field(default_factory=dict)  # parameters of the model


AS_TRAINED = Use()


@dataclass(frozen=True)
class Trained:
    run: Run
    settings: Settings
    objective: Objective

    @property
    def program(self) -> Program:
        return self.objective.program

    def feed(self, data_dir: str | None) -> DataFeed:
        """Its data."""
        return start.reopen(self.run, self.settings, self.program, self.run.about(), data_dir)


def opened(path: str, use: Use = AS_TRAINED) -> Trained:
    run = Run.open(path)
    settings = run.settings()
    settings = replace(settings, threads=use.threads, road=use.road or settings.road)
    if use.shots is not None:
        settings = replace(settings, shots=use.shots)
    program = varied(run, use.other) if use.other else run.program()
    weights, _ = checkpoint.load(run.kept(use.which))
    objective = start.make_objective(program, settings, World(), run.imports)
    if use.other:
        own = objective.model.state_dict()
        problem = next((p for k, v in weights.items() if (p := initial.problem(k, v, own))), "")
        if problem:
            raise TrainingError(f"the weights of '{path}' do not fit: {problem}", WIDTHS)
    objective.model.load_state_dict(weights)
    objective.model.eval()
    return Trained(run, settings, objective)
