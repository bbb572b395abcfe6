"""`train` and `govern` blocks: which model each is about, and what it sets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from qrlang.check.binding.parameters import fits_parameter
from qrlang.check.core.elaborator import Elaborator
from qrlang.check.core.values import Poison, describe
from qrlang.check.model import GovernBlock, TrainBlock
from qrlang.check.training.lines import SettingsChecker
from qrlang.check.training.settings import BOUNDS
from qrlang.check.written.spans import header, name_span
from qrlang.diagnostics import Note
from qrlang.diagnostics.words import did_you_mean
from qrlang.syntax import ast


@dataclass(frozen=True, slots=True)
class Block:
    """A `train` block of a model of the file: values for the model, and for its training."""

    item: ast.Train
    args: Mapping[str, object]
    settings: Mapping[str, object]
    right: bool  # all its settings are

    def checked(self) -> TrainBlock:
        plain = {k: v for k, v in self.args.items() if isinstance(v, (int, float, bool, str))}
        return TrainBlock(self.item.model, plain, self.settings, header(self.item))


def train_block(
    e: Elaborator, item: ast.Train, models: Mapping[str, ast.Model], before: Block | None
) -> Block | None:
    """None if nothing can be said of the model by it. `before`: another block of that model."""
    model = _model_of(e, item, models)
    given = _arguments(e, item, model)
    if before is not None:
        e.error(
            "E0202",
            header(item),
            f"`{item.model}` has a train block already",
            notes=[Note("the first is here", header(before.item))],
            help="keep one; single settings can be given on the line: qrlc train --epochs 3",
        )
    found, right = SettingsChecker(e, item).settings()
    return None if given is None or before is not None else Block(item, given, found, right)


def govern_block(
    e: Elaborator,
    item: ast.Govern,
    models: Mapping[str, ast.Model],
    before: GovernBlock | None,
) -> GovernBlock | None:
    known = _model_of(e, item, models) is not None
    if before is not None:
        e.error(
            "E0202",
            header(item),
            f"`{item.model}` is governed twice",
            notes=[Note("the first is here", before.span)],
        )
        return None
    found, right = SettingsChecker(e, item, BOUNDS).settings()
    if not known or not right:
        return None
    bounds = {k: v for k, v in found.items() if isinstance(v, (int, float))}
    return GovernBlock(item.model, bounds, header(item))


def _model_of(
    e: Elaborator, item: ast.Train | ast.Govern, models: Mapping[str, ast.Model]
) -> ast.Model | None:
    model = models.get(item.model)
    if model is None:
        e.error(
            "E0201",
            name_span(item, item.model),
            f"there is no model `{item.model}` in this file",
            help=did_you_mean(item.model, models),
        )
    return model


def _arguments(e: Elaborator, item: ast.Train, model: ast.Model | None) -> dict[str, object] | None:
    """What the block gives the model's parameters; None if one is wrong."""
    args: dict[str, object] = {}
    good = model is not None
    for k, arg in enumerate(item.args):
        value = e.eval(arg.value)
        if model is None or isinstance(value, Poison):
            good = False
            continue
        name = arg.name or (model.params[k].name if k < len(model.params) else "")
        p = next((p for p in model.params if p.name == name), None)
        if p is None:
            e.error(
                "E0302",
                arg,
                f"`{item.model}` has no parameter `{name}`"
                if name
                else f"`{item.model}` takes {len(model.params)} parameters",
                help=did_you_mean(name, [p.name for p in model.params]),
            )
            good = False
            continue
        fitted = fits_parameter(p.type.name, value)
        if fitted is None:
            e.error(
                "E0312",
                arg.value,
                f"`{name}` of `{item.model}` is of type {p.type.name}, found {describe(value)}",
            )
            good = False
            continue
        args[name] = fitted
    return args if good else None
