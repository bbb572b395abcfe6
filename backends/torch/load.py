"""`qrlang.load`: a model of a `.qrl` file as a module in memory."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from qrlang.backends.torch.memory import making, model_class
from qrlang.diagnostics import has_errors
from qrlang.diagnostics.render import render_text
from qrlang.diagnostics.words import suggestion
from qrlang.driver import Compilation
from qrlang.errors import UserError
from qrlang.ir.program import Extern, Program
from qrlang.syntax import ast

Setting = int | float | bool | str


class LoadError(UserError):
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
    program = program_of(path, model, settings)
    return make(program, road=road, dtype=dtype, device=device, imports=(_beside(path),))


def loads(
    text: str,
    *,
    name: str,
    model: str | None = None,
    road: str | int | None = None,
    dtype: torch.dtype | None = None,
    device: Any = None,
    **settings: Setting,
) -> Any:
    """See `qrlang.loads`."""
    program = _program(name, text.encode(), model, settings)
    return make(program, road=road, dtype=dtype, device=device, imports=(_beside(name),))


def _beside(path: str | os.PathLike[str]) -> str:
    """Where a program's layers in Python are looked for."""
    return str(Path(path).absolute().parent)


def program_of(
    path: str | os.PathLike[str], model: str | None, settings: dict[str, Setting]
) -> Program:
    """The one model of a file, or the one of that name, at these settings."""
    return _program(str(path), Path(path).read_bytes(), model, settings)


def _program(path: str, data: bytes, model: str | None, settings: dict[str, Setting]) -> Program:
    settings = {name: _plain(name, value) for name, value in settings.items()}
    compilation = Compilation.of_bytes(path, data, settings, model)
    if has_errors(compilation.diagnostics):
        raise LoadError(f"{path} is not right:\n\n{render_text(compilation.diagnostics)}")
    models = compilation.checked.models
    if model is None and len(models) == 1:
        model = next(iter(models))
    if model is None or model not in models:
        there = [i.name for i in compilation.file.items if isinstance(i, ast.Model)]
        if model is not None:
            raise LoadError(f"{path} has no model `{model}`" + suggestion(model, there))
        names = ", ".join(f"`{name}`" for name in there)
        raise LoadError(f"{path} has the models {names}: say which (`model=…`)" if there
                        else f"{path} has no model")  # fmt: skip
    found = models[model]
    if found.unsaid:
        says = ", ".join(f"{name}=…" for name in found.assumed)
        raise LoadError(f"{path}: {found.unsaid}; say load(…, {says})")
    return compilation.for_target(found).program  # as the target gets it


def _plain(name: str, value: Any) -> Setting:
    """NumPy's numbers too."""
    if isinstance(value, (bool, int, float, str)):
        return value
    if hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        return _plain(name, value.item())
    raise LoadError(f"the setting `{name}` is {value!r}: a number or a text is meant")


def make(
    program: Program,
    *,
    road: str | int | None = None,
    dtype: torch.dtype | None = None,
    device: Any = None,
    imports: Sequence[str] = (),
) -> Any:
    """A program as a module. `imports`: folders of its layers in Python."""
    if program.externs:
        sys.path[:0] = [p for p in imports if p not in sys.path]
    for extern in program.externs:
        _imported(extern)
    cls = model_class(program)
    with making:
        before = torch.get_default_dtype()
        torch.set_default_dtype(dtype or before)
        try:
            module = cls(road=road)
        finally:
            torch.set_default_dtype(before)
    return module if device is None else module.to(device)


def _imported(extern: Extern) -> None:
    """Brings a layer in Python, or says which one it is that can't be brought."""
    module, _, name = extern.path.partition(":")
    try:
        there = hasattr(importlib.import_module(module), name)
        why = f"`{module}` has no `{name}`"
    except ImportError as error:
        there, why = False, str(error)
    if not there:
        raise LoadError(
            f'the layer `{extern.name}` is "{extern.path}", and that can\'t be imported: {why}',
            "it is looked for beside the program, in PYTHONPATH and among what is installed",
        )
