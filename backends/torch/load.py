"""`qrlang.load`: a model of a `.qrl` file as a module in memory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from qrlang.backends.torch.memory import model_class
from qrlang.diagnostics import has_errors
from qrlang.diagnostics.render import render_text
from qrlang.driver import Compilation
from qrlang.ir.program import Program

Setting = int | float | bool | str


class LoadError(Exception):
    """The file can't be loaded; the message holds all that is wrong with it."""


def load(
    path: str | os.PathLike[str],
    *,
    model: str | None = None,
    road: str | int | None = None,
    dtype: torch.dtype | None = None,
    device: Any = None,
    **settings: Setting,
) -> Any:
    """See `qrlang.load`."""
    return make(program_of(path, model, settings), road=road, dtype=dtype, device=device)


def program_of(
    path: str | os.PathLike[str], model: str | None, settings: dict[str, Setting]
) -> Program:
    """The one model of a file, or the one of that name, at these settings."""
    file = Path(path)
    compilation = Compilation.of_bytes(str(path), file.read_bytes(), settings, model)
    if has_errors(compilation.diagnostics):
        raise LoadError(f"{path} is not right:\n\n{render_text(compilation.diagnostics)}")
    models = compilation.checked.models
    if model is None and len(models) == 1:
        model = next(iter(models))
    if model is None or model not in models:
        names = ", ".join(f"`{name}`" for name in models) or "none"
        asked = "say which" if model is None else f"not `{model}`"
        raise LoadError(f"{path} has the models {names}: {asked} (`model=…`)")
    return compilation.for_target(models[model]).program  # as the target gets it


def make(
    program: Program,
    *,
    road: str | int | None = None,
    dtype: torch.dtype | None = None,
    device: Any = None,
) -> Any:
    """A program as a module."""
    cls = model_class(program)
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype or before)
    try:
        module = cls(road=road)
    finally:
        torch.set_default_dtype(before)
    return module if device is None else module.to(device)
