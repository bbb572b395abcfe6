"""Weights to begin with, instead of those drawn by lot: of another run, or of a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qrlang.backends.torch.emit.names import state_name
from qrlang.diagnostics.words import suggestion
from qrlang.errors import DataError, TrainingError
from qrlang.rights.gate import free
from qrlang.system.files import read_json, write_atomically, write_json
from qrlang.training import checkpoint
from qrlang.training.run import Run

if TYPE_CHECKING:
    from qrlang.training.loop import Trainer

KEPT = "initial.safetensors"


def begin_with(trainer: Trainer, given: str) -> None:
    """Puts tensors in the place of those with the same names, and keeps them in the run folder.

    A file's tensors must all fit. Of a run those that fit are taken: its head may be another one.
    """
    path = Path(given)
    run = Run.open(path) if path.is_dir() else None
    tensors = checkpoint.load(run.kept())[0] if run is not None else read(path)
    names = {w.name: state_name(w.name) for w in trainer.objective.program.weights}
    tensors = {names.get(k, k): v for k, v in tensors.items()}
    own = trainer.objective.model.state_dict()
    problems = [p for k, v in tensors.items() if (p := problem(k, v, own))]
    if run is None and problems:
        raise TrainingError(f"--init {given}: {problems[0]}", "it has " + ", ".join(_shapes(own)))
    taken = {k: v for k, v in tensors.items() if not problem(k, v, own)}
    if not taken:
        raise TrainingError(
            f"--init {given}: no tensor of it fits {trainer.objective.program.name}"
        )
    trainer.objective.model.load_state_dict({**own, **{k: v.to(own[k]) for k, v in taken.items()}})
    left = sorted(own.keys() - taken.keys())
    trainer.watcher.note(
        f"begins with {len(taken)} tensor{'s' * (len(taken) != 1)} of {given}"
        + (f"; drawn by lot: {', '.join(left)}" if left else "")
    )
    if trainer.world.first:
        _keep(trainer.run, taken)
        if run is not None:
            _inherit(run, trainer.run)


def read(path: Path) -> dict[str, Any]:
    """Tensors by name: safetensors (also a checkpoint of ours), or NumPy's npz."""
    import numpy as np
    import torch

    if not path.is_file():
        raise TrainingError(f"--init {path}: there is no such file", "a run, .safetensors or .npz")
    _free(path)
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                return {k: torch.tensor(arrays[k]) for k in arrays.files}
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(str(path), "pt") as f:
                tensors = {k: f.get_tensor(k) for k in f.keys()}  # noqa: SIM118
        except SafetensorError as error:
            raise ValueError(str(error)) from None
    except (OSError, ValueError, TypeError) as error:
        raise TrainingError(f"--init {path}: it can't be read: {error}") from None
    ours = {k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")}
    return ours or tensors


def _free(path: Path) -> None:
    try:
        free(path)
    except DataError as error:
        raise TrainingError(f"--init {error}", error.help) from None


def problem(name: str, tensor: Any, own: dict[str, Any]) -> str:
    """Why a tensor does not fit; "" if it does."""
    if name not in own:
        return f"the model has no tensor `{name}`{suggestion(name, own)}"
    if tuple(tensor.shape) != tuple(own[name].shape):
        return f"`{name}` is {_shape(tensor)}, and {_shape(own[name])} in the model"
    if not bool(tensor.isfinite().all()):
        return f"`{name}` has numbers that are not finite"
    return ""


def _shape(tensor: Any) -> str:
    return f"[{', '.join(map(str, tensor.shape))}]"


def _shapes(own: dict[str, Any]) -> list[str]:
    return [f"{k} {_shape(v)}" for k, v in own.items()]


def _keep(run: Run, tensors: dict[str, Any]) -> None:
    from safetensors.torch import save

    plain = {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}
    write_atomically(run.folder / KEPT, save(plain))


def _inherit(before: Run, run: Run) -> None:
    """Records that moved weights move those that begin with them: see qrlang/rights."""
    theirs = before.folder / "rights.json"
    if not theirs.is_file():
        return
    mine = run.folder / "rights.json"
    page = read_json(mine) if mine.is_file() else {}
    for source, seen in read_json(theirs).items():
        splits = page.setdefault(source, {"file": seen["file"], "splits": {}})["splits"]
        train = {*splits.get("train", []), *(d for names in seen["splits"].values() for d in names)}
        splits["inherited"] = sorted(train - set(splits.get("train", [])))
    write_json(mine, page)
