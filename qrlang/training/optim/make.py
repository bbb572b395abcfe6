"""From a setting to an optimiser."""

from __future__ import annotations

from typing import Any

import torch

from qrlang.training.optim.adam import Adam
from qrlang.training.optim.base import Optimizer
from qrlang.training.optim.gradient import Gradient, Lbfgs
from qrlang.training.optim.nelder_mead import NelderMead
from qrlang.training.optim.solved import Solved
from qrlang.training.optim.spsa import Spsa
from qrlang.training.settings import Settings


def make(settings: Settings, parameters: list[Any]) -> Optimizer:
    name, given = settings.optimizer
    options: dict[str, Any] = dict(given)
    match name:
        case "spsa":
            return Spsa(parameters, settings.seed, **options)
        case "nelder_mead":
            return NelderMead(parameters, **options)
        case "lbfgs":
            inner = torch.optim.LBFGS(
                parameters, lr=options["lr"], history_size=options["history"],
                max_iter=options["max_iterations"], line_search_fn="strong_wolfe",
            )  # fmt: skip
            return Lbfgs(inner, parameters, 0.0)
        case "adam" | "adamw":
            return Adam(parameters, settings.clip, decoupled=name == "adamw", **options)
        case "sgd":
            inner = torch.optim.SGD(parameters, **options)
            return Gradient(inner, parameters, settings.clip)
        case "rmsprop":
            inner = torch.optim.RMSprop(parameters, **options)
            return Gradient(inner, parameters, settings.clip)
        case "ridge":
            return Solved()
    raise AssertionError(name)
