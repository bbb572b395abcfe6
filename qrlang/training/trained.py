"""A run's model at its weights, ready to answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from qrlang.diagnostics.words import suggestion
from qrlang.driver import Compilation, Setting
from qrlang.errors import TrainingError
from qrlang.ir.program import Program
from qrlang.syntax import ast
from qrlang.training import checkpoint, initial, start
from qrlang.training.core import swapped
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
    program = varied(run, settings.core, use.other) if use.other else run.program()
    weights, _ = checkpoint.load(run.kept(use.which))
    objective = start.make_objective(program, settings, World(), run.imports)
    own = objective.model.state_dict()
    problems = [p for k, v in weights.items() if (p := initial.problem(k, v, own))]
    if use.other and problems:
        raise TrainingError(
            f"the weights of '{path}' do not fit: {problems[0]}",
            "set what changes no width: the strength of noise, an activation",
        )
    objective.model.load_state_dict(weights)
    objective.model.eval()
    return Trained(run, settings, objective)


def varied(run: Run, core: str, other: Mapping[str, Setting]) -> Program:
    """A run's program at other parameters."""
    about = run.about()
    known = about["parameters"]
    for name in other:
        if name not in known:
            what = f"{about['model']} has no parameter '{name}'"
            raise TrainingError(what + suggestion(name, known))
    path = run.folder / "program" / str(about.get("file", ""))
    try:
        data = path.read_bytes()
    except OSError as error:
        raise TrainingError(f"'{path}' cannot be read: {error.strerror}") from None
    plain = Compilation.of_bytes(str(path), data)
    kept = tuple(i for i in plain.file.items if not isinstance(i, ast.Train))  # it has its data
    read = (replace(plain.file, items=kept), plain.syntax)
    values = {**known, **other}
    made = Compilation.of_bytes(str(path), data, values, only=about["model"], read=read)
    errors = [d for d in made.diagnostics if d.severity == "error"]
    if errors:
        raise TrainingError(errors[0].message, errors[0].help)
    program = made.checked.models[about["model"]].program
    return program if core == "pqc" else swapped(program, core)
