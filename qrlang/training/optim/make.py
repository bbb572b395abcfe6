"""From a setting to an optimiser."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from qrlang.training.optim.adam import Adam
from qrlang.training.optim.base import Optimizer
from qrlang.training.optim.gradient import Gradient, Lbfgs
from qrlang.training.optim.mixed import Mixed, Part
from qrlang.training.optim.nelder_mead import NelderMead
from qrlang.training.optim.solved import Solved
from qrlang.training.optim.spsa import Spsa
from qrlang.training.settings import GRADIENT_FREE, Choice, Settings


def make(settings: Settings, parameters: list[Any], angles: Sequence[Any] = ()) -> Optimizer:
    """`angles`: those of the parameters that `quantum` is for."""
    if settings.quantum is None:
        return _one(settings.optimizer, settings, parameters)
    own = {id(p) for p in angles}
    groups = [p for p in parameters if id(p) in own], [p for p in parameters if id(p) not in own]
    main = float(settings.optimizer[1].get("lr", 0.0))
    parts = []
    for choice, group in zip((settings.quantum, settings.optimizer), groups, strict=True):
        if group:
            rate = float(choice[1].get("lr", 0.0))
            share = None if choice[0] in GRADIENT_FREE or not main else rate / main
            parts.append(Part(_one(choice, settings, group), group, share, rate))
    return Mixed(parts, settings.turns)


def _one(choice: Choice, settings: Settings, parameters: list[Any]) -> Optimizer:
    name, given = choice
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
