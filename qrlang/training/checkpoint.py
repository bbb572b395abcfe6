"""The whole state of a run in one safetensors file: tensors, and a page of JSON in its header.

One file and one rename: there is no moment at which half of it is there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qrlang.errors import TrainingError
from qrlang.system.files import write_atomically

_PAGE = "qrlang"


def save(path: Path, model: Mapping[str, Any], page: Any) -> None:
    """`model`: its weights by name. `page`: numbers, texts, tensors, lists and dicts of them."""
    from safetensors.torch import save as pack

    tensors = {f"model.{k}": v.detach().cpu().contiguous().clone() for k, v in model.items()}
    tree = _apart(page, tensors)
    write_atomically(path, pack(tensors, {_PAGE: json.dumps(tree)}))


def load(path: Path) -> tuple[dict[str, Any], Any]:
    """The weights, and the page."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), "pt") as f:
            page = (f.metadata() or {}).get(_PAGE)
            # Cloned, so that they lie where torch would lay them: sums in BLAS depend on that.
            tensors = {k: f.get_tensor(k).clone() for k in f.keys()}  # noqa: SIM118
        if page is None:
            raise ValueError("it was not written by qrlang")
        tree = _together(json.loads(page), tensors)
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        again = "put a copy of it back, or train the run anew"
        raise TrainingError(f"'{path}' is not a checkpoint: {error}", again) from None
    prefix = "model."
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}, tree


def _apart(thing: Any, tensors: dict[str, Any]) -> Any:
    """Tensors go to the table; dicts keep keys that are numbers, and tuples stay tuples."""
    if hasattr(thing, "detach"):
        name = f"state.{len(tensors)}"
        tensors[name] = thing.detach().cpu().contiguous().clone()
        return {"tensor": name}
    if isinstance(thing, Mapping):
        return {"items": [[k, _apart(v, tensors)] for k, v in thing.items()]}
    if isinstance(thing, tuple):
        return {"tuple": [_apart(x, tensors) for x in thing]}
    if isinstance(thing, list):
        return [_apart(x, tensors) for x in thing]
    return thing


def _together(thing: Any, tensors: Mapping[str, Any]) -> Any:
    if isinstance(thing, list):
        return [_together(x, tensors) for x in thing]
    if isinstance(thing, dict):
        kind, inner = next(iter(thing.items()))
        if kind == "tensor":
            return tensors[inner]
        if kind == "items":
            return {k: _together(v, tensors) for k, v in inner}
        return tuple(_together(x, tensors) for x in inner)
    return thing
