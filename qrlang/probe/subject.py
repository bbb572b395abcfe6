"""What is probed: a program, its weights, and sequences to run it on."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from qrlang.ir.program import Expect, Loop, Probabilities, Program, Value
from qrlang.ir.types import Type
from qrlang.probe.errors import ProbeError

if TYPE_CHECKING:
    from qrlang.driver import Compilation, Setting
    from qrlang.training.feed import Batch

NOT_A_NUMBER = "inputs of a file are drawn from -1 to 1: probe a trained run, which has data"

Array = np.ndarray[Any, Any]
Sample = Mapping[str, Array]


@dataclass(frozen=True)
class Subject:
    name: str
    program: Program
    samples: tuple[Sample, ...]
    source: str  # of the samples, in words
    weights: Mapping[str, Array] | None = None  # None: as they begin, by `seed`
    seed: int = 0
    again: Callable[[Mapping[str, Setting]], Program | None] | None = None
    """The same model at other settings; None where those do not fit."""
    imports: tuple[str, ...] = ()
    spans: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Between which numbers the data's are, by input: an angle of asin(x) takes no others."""

    @property
    def settings(self) -> dict[str, int | float | bool | str]:
        return dict(self.program.settings)

    def loop(self) -> Loop:
        loop = self.any_loop()
        if loop is None:
            raise ProbeError(f"{self.name} has no recurrence", "this diagnostic follows one")
        return loop

    def any_loop(self) -> Loop | None:
        """The recurrence that reads most, if there is one."""
        loops = [op for op in self.program.body if isinstance(op, Loop)]
        size = [sum(op.out.type.count for op in reads(loop.body)) for loop in loops]
        return loops[size.index(max(size))] if loops else None

    def module(self, program: Program | None = None) -> Any:
        """A torch module in double precision, at the subject's weights."""
        import torch

        from qrlang.backends.torch.emit.names import state_name
        from qrlang.backends.torch.load import make

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            module = make(program or self.program, dtype=torch.float64, imports=self.imports)
        module.load_state_dict(
            {state_name(k): torch.as_tensor(v) for k, v in self.all_weights().items()},
            strict=self.weights is not None,
        )
        return module.eval()

    def all_weights(self) -> dict[str, Array]:
        from qrlang.backends.reference import initial_weights

        if self.weights is not None:
            return dict(self.weights)
        return dict(initial_weights(self.program, self.seed))


def reads(body: tuple[Any, ...]) -> list[Expect | Probabilities]:
    """What a body reads, in order, at its top level: nothing leaves an `if`."""
    return [op for op in body if isinstance(op, (Expect, Probabilities))]


def call(module: Any, program: Program, given: Mapping[str, Any]) -> dict[str, Any]:
    """The outputs of a program's torch module by name; inputs have their batch axis already."""
    from qrlang.backends.emit.names import arguments

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # which road is taken matters to nobody here
        try:
            called = arguments(program, module).items()
            out = module(**{argument: given[name] for name, argument in called})
        except FloatingPointError as error:
            raise ProbeError(str(error), NOT_A_NUMBER) from None
        except RuntimeError as error:
            if "measured bits" not in str(error):
                raise
            said = str(error).partition(". Set ")[0]
            raise ProbeError(said, "look at fewer moments: --steps 3") from None
    return out if isinstance(out, dict) else {"": out}


# --- from a run or a file -----------------------------------------------------------------------


def of_run(
    path: str,
    data_dir: str | None = None,
    samples: int = 4,
    steps: int = 32,
    which: str = "best",
) -> Subject:
    """A trained model on sequences that it was not trained on."""
    from qrlang.backends.torch.emit.names import state_name
    from qrlang.training import checkpoint, start
    from qrlang.training.feed import split_of
    from qrlang.training.run import Run

    run = Run.open(path)
    settings, program, about = run.settings(), run.program(), run.about()
    file = run.best if which == "best" and run.best.exists() else run.last
    weights: dict[str, Array] | None = None
    state = "untrained"
    if file.exists():
        tensors, _ = checkpoint.load(file)
        names = {state_name(w.name): w.name for w in program.weights}
        weights = {names[k]: v.double().numpy() for k, v in tensors.items()}
        state = f"its {'best' if file == run.best else 'last'} weights"
    feed = start.reopen(run, settings, program, about, data_dir)
    split = split_of(feed, None)
    batch = next(iter(feed.batches(split, samples, seed=0, epoch=0, shuffle=False)))
    found = tuple(_row(program, batch, k, steps) for k in range(min(samples, batch.size)))
    folder = run.folder / "program"

    def again(changed: Mapping[str, Setting]) -> Program | None:
        from qrlang.driver import Compilation

        if settings.core != "pqc":
            return None
        text = folder / str(about["file"])
        merged = {**about["parameters"], **changed}
        made = Compilation.of_bytes(str(text), text.read_bytes(), merged, str(about["model"]))
        return _program(made, str(about["model"]))

    name = str(about["model"]) + ("" if settings.core == "pqc" else f", {settings.core} core")
    said = f"{len(found)} sequences of the {split} split, {state}"
    return Subject(
        name, program, found, said, weights, settings.seed, again, run.imports,
        _spans(program, found),
    )  # fmt: skip


def of_file(made: Compilation, name: str, samples: int, steps: int, seed: int) -> Subject:
    """A model as it begins, on sequences drawn by lot."""
    program = made.checked.models[name].program
    rng = np.random.default_rng(seed)
    found = tuple(random_sample(program, steps, rng) for _ in range(samples))

    def again(changed: Mapping[str, Setting]) -> Program | None:
        from qrlang.driver import Compilation

        merged = {**made.settings, **changed}
        return _program(
            Compilation.of_bytes(made.source.name, made.source.text.encode(), merged, name), name
        )

    said = f"{samples} sequences drawn by lot, initial weights of seed {seed}"
    base = str(Path(made.source.name).parent.absolute())
    return Subject(program.name, program, found, said, None, seed, again, (base,))


def _program(made: Compilation, name: str) -> Program | None:
    return None if made.failed else made.checked.models[name].program


def at_settings(subject: Subject, program: Program, seed: int) -> Subject:
    """Another size of the model, as it begins."""
    return replace(subject, program=program, weights=None, seed=seed)


def _spans(program: Program, samples: Sequence[Sample]) -> dict[str, tuple[float, float]]:
    """Of every input of reals that are not all the same."""
    found = {}
    for port in (*program.inputs, *program.targets):
        numbers = [s[port.name].reshape(-1) for s in samples if port.name in s]
        if port.type.kind == "real" and numbers and np.ptp(every := np.concatenate(numbers)) > 0:
            found[port.name] = float(every.min()), float(every.max())
    return found


def _row(program: Program, batch: Batch, k: int, steps: int) -> Sample:
    sequences = {p.name for p in (*program.inputs, *program.targets) if p.type.seq}
    return {n: x[:steps] if n in sequences else x for n, x in batch.row(k).items()}


ANY = (-1.0, 1.0)


def random_sample(
    program: Program,
    steps: int,
    rng: np.random.Generator,
    spans: Mapping[str, tuple[float, float]] | None = None,
) -> Sample:
    """Reals uniform in their span, tokens and bits uniform, states and unitaries by Haar."""
    ports: tuple[Value, ...] = (*program.inputs, *program.targets)
    known = spans or {}
    return {p.name: random_value(p.type, steps, rng, known.get(p.name, ANY)) for p in ports}


def random_value(
    kind: Type, steps: int, rng: np.random.Generator, span: tuple[float, float] = ANY
) -> Array:
    lead = (steps,) if kind.seq else ()
    match kind.kind:
        case "token" | "class":
            return rng.integers(0, kind.size, lead)
        case "bit":
            return rng.integers(0, 2, (*lead, *kind.shape)).astype(float)
        case "state":
            z = _normal(rng, (*lead, 1 << kind.size))
            return np.asarray(z / np.linalg.norm(z, axis=-1, keepdims=True))
        case "unitary":
            q, r = np.linalg.qr(_normal(rng, (*lead, 1 << kind.size, 1 << kind.size)))
            phases = np.diagonal(r, axis1=-2, axis2=-1)
            return np.asarray(q * (phases / np.abs(phases))[..., None, :])
    return rng.uniform(*span, (*lead, *kind.shape))


def _normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return np.asarray(rng.normal(size=shape) + 1j * rng.normal(size=shape))
