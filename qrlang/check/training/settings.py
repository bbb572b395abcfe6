"""The settings that a `train` or a `govern` block can have, and what each takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from qrlang.check.training.data_sets import Argument
from qrlang.ir.types import Type

Plain = int | float | bool | str
Choice = tuple[str, dict[str, Plain]]


def _arguments(*names: str, **defaults: Plain) -> tuple[Argument, ...]:
    out = [Argument(n, "real", 0.0, 0.0) for n in names]
    for name, default in defaults.items():
        kind = (
            "bool" if isinstance(default, bool) else "int" if isinstance(default, int) else "real"
        )
        out.append(Argument(name, kind, default, 0.0))
    return tuple(out)


def _share(name: str, default: float) -> Argument:
    return Argument(name, "real", default, 0.0, 1.0)


def _count(name: str, default: int) -> Argument:
    return Argument(name, "int", default, 1.0)


_LR = Argument("lr", "real", 5e-3, 0.0)
_BETAS = (
    _share("beta1", 0.9),
    _share("beta2", 0.999),
    *_arguments(eps=1e-8, weight_decay=0.0),
)
_STEP = Argument("perturbation", "real", 0.1, 1e-9)
OPTIMIZERS: dict[str, tuple[Argument, ...]] = {
    "adam": (_LR, *_BETAS),
    "adamw": (_LR, *_BETAS),
    "sgd": (
        _LR,
        _share("momentum", 0.0),
        *_arguments(weight_decay=0.0, nesterov=False),
    ),
    "rmsprop": (
        _LR,
        _share("alpha", 0.99),
        *_arguments(eps=1e-8),
        _share("momentum", 0.0),
        *_arguments(weight_decay=0.0),
    ),
    "lbfgs": (_LR, _count("history", 10), _count("max_iterations", 20)),
    "spsa": (_LR, _STEP, *_arguments(alpha=0.602, gamma=0.101, stability=0.0)),
    "nelder_mead": (_count("max_iterations", 1000), *_arguments(tolerance=1e-6)),
    "ridge": _arguments(alpha=1e-6, washout=0),
}
_BALANCED = Argument("balanced", "bool", False)
LOSSES: dict[str, tuple[Argument, ...]] = {
    "cross_entropy": (_share("smoothing", 0.0), _BALANCED),
    "nll": (_BALANCED,),
    "mse": (),
    "mae": (),
    "huber": (Argument("delta", "real", 1.0, 1e-9),),
    "bce": (_BALANCED,),
    "fidelity": (),
}
SCHEDULES: dict[str, tuple[Argument, ...]] = {
    "constant": (),
    "cosine": (_share("floor", 0.0),),
    "linear": (_share("floor", 0.0),),
    "staircase": (_count("every", 10), *_arguments(factor=0.1)),
    "exponential": _arguments(factor=0.95),
    "plateau": (_share("factor", 0.5), _count("patience", 5), _share("floor", 0.0)),
}
_METRICS = {  # by the kind of the target
    "class": ("loss", "accuracy", "balanced_accuracy", "f1", "auc"),
    "token": ("loss", "accuracy", "perplexity", "bits_per_token", "bleu"),
    "bit": ("loss", "accuracy"),
    "real": ("loss", "mse", "rmse", "mae", "nrmse", "r2"),
}
METRICS = tuple(dict.fromkeys(name for names in _METRICS.values() for name in names))


def metrics_of(target: Type | None) -> tuple[str, ...]:
    """What can be said of it; BLEU, where the model produces sentences."""
    if target is None:
        return ("loss",)
    names = _METRICS.get(target.kind, _METRICS["real"])
    two = target.kind != "class" or target.size == 2
    return names if two else tuple(n for n in names if n != "auc")


CORES = ("pqc", "orthogonal", "rnn", "gru", "lstm")
DEVICES = ("auto", "cpu", "cuda")
PRECISIONS = ("single", "double")


@dataclass(frozen=True, slots=True)
class Spec:
    """What a setting takes: a number within bounds, or one of some names with arguments."""

    kind: str  # int real bool string choice data names
    least: float | None = None
    most: float | None = None
    choices: Mapping[str, tuple[Argument, ...]] | None = None


def _names(*names: str) -> Spec:
    return Spec("choice", choices=dict.fromkeys(names, ()))


SETTINGS: dict[str, Spec] = {
    "data": Spec("data"),
    "loss": Spec("choice", choices=LOSSES),
    "optimizer": Spec("choice", choices=OPTIMIZERS),
    "quantum": Spec("choice", choices={k: v for k, v in OPTIMIZERS.items() if k != "ridge"}),
    "turns": Spec("int", 0, 10**9),
    "batch": Spec("int", 1, 2**20),
    "epochs": Spec("int", 1, 10**7),
    "steps": Spec("int", 0, 10**10),
    "schedule": Spec("choice", choices=SCHEDULES),
    "warmup": Spec("int", 0, 10**9),
    "clip": Spec("real", 0, 1e9),
    "seed": Spec("int", 0, 2**63),
    "validation": Spec("real", 0, 1),
    "early_stopping": Spec("int", 0, 10**6),
    "average": Spec("real", 0, 1 - 1e-9),
    "truncate": Spec("int", 0, 10**7),
    "accumulate": Spec("int", 1, 10**6),
    "length": Spec("int", 0, 10**7),
    "limit": Spec("int", 0, 10**9),
    "core": _names(*CORES),
    "metric": _names(*METRICS),
    "device": _names(*DEVICES),
    "precision": _names(*PRECISIONS),
    "shots": Spec("int", 0, 10**9),  # 0: exact
    "freeze": Spec("names"),
    "checkpoint": Spec("string"),
    "log": Spec("string"),
}
# What bounds a model while it trains; what each means is said in qrlang/governor.
BOUNDS: dict[str, Spec] = {
    "cycle": Spec("int", 1, 10**6),
    "probe": Spec("int", 1, 2**16),
    "window": Spec("int", 1, 10**6),
    "allow": Spec("real", 0, 1e6),
    "entropy": Spec("real", 0, 1e6),
    "touch": Spec("real", 0, 1e12),
    "consent": Spec("real", 0, 2),
}
