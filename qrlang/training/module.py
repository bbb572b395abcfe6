"""The model of a run as a torch module, for a loop of one's own: `qrlang.load` of its folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from qrlang.backends.torch.load import LoadError, Setting, make
from qrlang.errors import TrainingError
from qrlang.training import checkpoint
from qrlang.training.run import Run


def load(
    path: str | os.PathLike[str],
    *,
    model: str | None = None,
    road: str | int | None = None,
    dtype: torch.dtype | None = None,
    device: Any = None,
    **settings: Setting,
) -> Any:
    """At its best weights."""
    if settings or model is not None:
        raise LoadError(f"{path} is a run: it has its own model and settings")
    try:
        run = Run.open(Path(path))
        program, said = run.program(), run.settings()
        weights, _ = checkpoint.load(run.kept())
    except TrainingError as error:
        raise LoadError(f"{error}" + (f"\n{error.help}" if error.help else "")) from None
    if dtype is None and said.precision == "double":
        dtype = torch.float64
    module = make(program, road=road, dtype=dtype, device=device, imports=run.imports)
    module.load_state_dict(weights)
    module.shots = said.shots
    return module
