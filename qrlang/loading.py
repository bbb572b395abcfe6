"""Models as torch modules. Torch is asked for when the first is loaded."""

from __future__ import annotations

import importlib
import os
from typing import Any


def load(
    path: str | os.PathLike[str],
    *,
    model: str | None = None,
    road: str | int | None = None,
    dtype: Any = None,
    device: Any = None,
    **settings: int | float | bool | str,
) -> Any:
    """A model of a `.qrl` file as a `torch.nn.Module`: the module that `--target torch` writes.

    `load("qrnn.qrl", n=10)`: keywords are the model's settings. `model` names one of several in
    the file. `load("runs/QRNN-1")` is the model of a run, at its best weights. `road` is "native",
    "stepwise" or "plain" (None: the fastest that fits).
    """
    run = os.path.isdir(path) and not str(path).endswith(".qrl")
    found = _with_torch("qrlang.training.module" if run else "qrlang.backends.torch.load")
    return found.load(path, model=model, road=road, dtype=dtype, device=device, **settings)


def loads(
    text: str,
    *,
    name: str = "text.qrl",
    model: str | None = None,
    road: str | int | None = None,
    dtype: Any = None,
    device: Any = None,
    **settings: int | float | bool | str,
) -> Any:
    """The same of a program that is a text: one that Python has made, say. `name` is what messages
    call it; files that it uses are looked for beside that.
    """
    found = _with_torch("qrlang.backends.torch.load")
    return found.loads(text, name=name, model=model, road=road, dtype=dtype, device=device,
                       **settings)  # fmt: skip


def _with_torch(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if str(error.name).startswith("qrlang"):
            raise
        what = f"qrlang.load needs {error.name}: pip install 'qrlang[torch]'"
        raise ModuleNotFoundError(what, name=error.name) from None
