"""What a run is made with: the `train` block over the defaults that were found to train."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields, replace
from typing import Any

from qrlang.check.training.data_sets import DATA_SETS, kind_of_file
from qrlang.check.training.fit import default_loss
from qrlang.check.training.settings import LOSSES, OPTIMIZERS, SCHEDULES
from qrlang.errors import TrainingError
from qrlang.ir.types import Type

Plain = int | float | bool | str
Choice = tuple[str, dict[str, Plain]]

TEN = 10  # of data sets that come in folds
GRADIENT_FREE = ("spsa", "nelder_mead")


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting of a run. The defaults are a recipe that was found to train where others did
    not: Adam at 5e-3, 200 steps of warm-up, a cosine to 0, gradients clipped at norm 1."""

    data: Choice
    loss: Choice
    metric: str
    optimizer: Choice = ("adam", {"lr": 5e-3})
    quantum: Choice | None = None  # of a circuit's own angles, if another than `optimizer`
    turns: int = 0  # updates of each of the two in turn; 0: both in every update
    batch: int = 64
    epochs: int = 10
    steps: int = 0  # 0: as many as the epochs have
    schedule: Choice = ("cosine", {"floor": 0.0})
    warmup: int = 200
    clip: float = 1.0  # 0: never
    seed: int = 0
    validation: float | None = None  # a share of the training data; None: what the data set has
    early_stopping: int = 0  # epochs without a better one; 0: never
    average: float = 0.0  # of the weights, moving; 0: the weights themselves
    truncate: int = 0
    accumulate: int = 1
    length: int = 0
    limit: int = 0  # records of each split; 0: all
    core: str = "pqc"
    device: str = "auto"
    precision: str = "single"
    shots: int = 0
    freeze: tuple[str, ...] = ()
    checkpoint: str = "30 s"  # between checkpoints: seconds or steps
    log: str = "50 steps"  # between lines of metrics
    threads: int = 0  # 0: as many as there are cores
    road: str = ""  # "": the fastest that fits
    processor: str = ""  # the quantum device it was trained on; "": none

    @property
    def gradient_free(self) -> bool:
        chosen = [self.optimizer, *([self.quantum] if self.quantum else [])]
        return all(name in GRADIENT_FREE for name, _ in chosen)

    @property
    def washout(self) -> int:
        """Moments that a reservoir's state takes to forget how it began."""
        return int(self.optimizer[1].get("washout", 0))

    def to_data(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def strange(cls, data: Mapping[str, Any]) -> str:
        """What is not as `to_data` writes it, in words; "" if all is."""
        for f in fields(cls):
            if f.name not in data:
                if f.default is MISSING:
                    return f"it lacks `{f.name}`"
                continue
            value = _choice(data[f.name])
            kinds = _KINDS[str(f.type)]
            pair = isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], dict)
            right = pair if kinds is tuple and "Choice" in str(f.type) else isinstance(value, kinds)
            if not right and not (value is None and "None" in str(f.type)):
                return f"its `{f.name}` is {data[f.name]!r}"
        return ""

    @classmethod
    def of_data(cls, data: Mapping[str, Any]) -> Settings:
        known = {f.name for f in fields(cls)}
        made = {k: _choice(v) for k, v in data.items() if k in known}
        return cls(**made)


_KINDS: dict[str, Any] = {
    "Choice": tuple, "Choice | None": tuple, "tuple[str, ...]": tuple, "str": str, "int": int,
    "float": (int, float), "float | None": (int, float),
}  # fmt: skip


def _choice(value: Any) -> Any:
    if isinstance(value, list):
        if len(value) == 2 and isinstance(value[1], dict):
            return (value[0], value[1])
        return tuple(value)
    return value


def written(choice: Choice) -> str:
    """As a program says it: `adam(lr: 0.01)`."""
    name, given = choice
    return name + (f"({', '.join(f'{k}: {v}' for k, v in given.items())})" if given else "")


def settle(block: Mapping[str, object], target: Type | None, lr: float | None = None) -> Settings:
    """The settings of a checked `train` block, each with its default. `lr` goes to the
    optimiser, whichever it is."""
    given = dict(block)
    data = given.pop("data")
    found = Settings(
        data=_data(data),
        loss=("mse", {}) if target is None else (default_loss(target), {}),
        metric="loss",
    )
    values: dict[str, Any] = {}
    for name, value in given.items():
        if name in ("metric", "core", "device", "precision"):
            assert isinstance(value, tuple)
            values[name] = value[0]
        else:
            values[name] = value
    found = replace(found, **values)
    if "warmup" not in given and found.optimizer[0] in ("lbfgs", "spsa", "nelder_mead", "ridge"):
        found = replace(found, warmup=0)
    if "precision" not in given and found.optimizer[0] == "ridge":
        # Heads of reservoirs have large weights, of which nearly all cancels.
        found = replace(found, precision="double")
    if "schedule" not in given and found.optimizer[0] in ("lbfgs", "spsa", "nelder_mead", "ridge"):
        found = replace(found, schedule=("constant", {}))  # they have one of their own
    found = replace(
        found,
        optimizer=_filled(_moves(found.optimizer, given), OPTIMIZERS, lr),
        loss=_filled(found.loss, LOSSES),
        schedule=_filled(found.schedule, SCHEDULES),
    )
    if found.quantum is not None:
        found = replace(found, quantum=_filled(_moves(found.quantum, given), OPTIMIZERS))
    if "metric" not in given:
        found = replace(found, metric=default_metric(target, found.loss[0]))
    return found


def folded(data: Choice, fold: int, folds: int) -> Choice:
    """With another part of it for the test."""
    name, given = data
    known = {a.name for a in DATA_SETS[name].arguments}
    if "folds" in known:
        return name, {**given, "folds": folds, "fold": fold}
    if "fold" not in known:
        raise TrainingError(f"`{name}` comes with splits, or is drawn anew: it has no folds",
                            "--folds is for tables of your own: CSV or NumPy files")  # fmt: skip
    if folds != TEN:
        raise TrainingError(f"`{name}` has ten folds", "give --folds 10")
    return name, {**given, "fold": fold}


def _moves(choice: Choice, given: Mapping[str, object]) -> Choice:
    """An epoch of Nelder and Mead is a move of the simplex, which sees all training data. So
    `steps` or `epochs` say how many there are, unless `max_iterations` does."""
    name, arguments = choice
    asked = given.get("steps") or given.get("epochs")
    if name != "nelder_mead" or "max_iterations" in arguments or not isinstance(asked, int):
        return choice
    return (name, {**arguments, "max_iterations": asked})


def _data(data: object) -> Choice:
    if isinstance(data, str):
        return (kind_of_file(data) or "npz", {"path": data})
    assert isinstance(data, tuple)
    return (data[0], dict(data[1]))


def _filled(
    choice: Choice, table: Mapping[str, tuple[Any, ...]], lr: float | None = None
) -> Choice:
    """With the defaults of all its arguments, so that a run's page says them."""
    name, given = choice
    arguments = {a.name: a.default for a in table[name] if a.default is not None}
    filled = {**arguments, **given}
    if lr is not None:
        if "lr" not in arguments:
            raise TrainingError(f"`{name}` has no learning rate", "leave out --lr")
        filled["lr"] = lr
    return name, filled


def default_metric(target: Type | None, loss: str) -> str:
    """What one looks at: accuracy where something is chosen, a relative error of numbers."""
    if target is None or loss == "fidelity":
        return "loss"
    if target.kind == "token":
        return "perplexity"
    if target.kind in ("class", "bit"):
        return "accuracy"
    return "nrmse"


def interval(text: str, name: str) -> tuple[float, str]:
    """`30 s`, `100 steps`, `1 epochs`: a number and `s`, `steps` or `epochs`."""
    digits = text.strip().rstrip("abcdefghijklmnopqrstuvwxyz")  # so `30s` as well
    number, unit = digits.strip(), text.strip()[len(digits) :]
    units = {"s": "s", "seconds": "s", "": "steps", "steps": "steps", "step": "steps",
             "epoch": "epochs", "epochs": "epochs"}  # fmt: skip
    try:
        value = float(number)
    except ValueError:
        value = -1.0
    if unit not in units or not 0 < value < math.inf:
        raise TrainingError(
            f"`{name}` is {text!r}",
            f'write a time, or how many steps or epochs: {name} = "30 s", "100 steps", "1 epochs"',
        )
    return value, units[unit]


def lower_is_better(metric: str) -> bool:
    return metric not in ("accuracy", "balanced_accuracy", "auc", "bleu", "f1", "fidelity", "r2")
