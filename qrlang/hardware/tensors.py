"""Weights as safetensors, read and written without torch: a page of JSON, then the numbers. So
little that it needs no package."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qrlang.backends.torch.emit.names import state_name

Array = NDArray[np.float64]
_KINDS = {"F64": "<f8", "F32": "<f4", "F16": "<f2"}


def packed(tensors: Mapping[str, Any]) -> bytes:
    page: dict[str, Any] = {}
    parts: list[bytes] = []
    at = 0
    for name in sorted(tensors):
        data = np.ascontiguousarray(tensors[name], "<f8")
        page[name] = {
            "dtype": "F64",
            "shape": list(np.shape(tensors[name])),
            "data_offsets": [at, at + data.nbytes],
        }
        parts.append(data.tobytes())
        at += data.nbytes
    head = json.dumps(page).encode()
    head += b" " * (-len(head) % 8)
    return len(head).to_bytes(8, "little") + head + b"".join(parts)


def unpacked(path: Path) -> dict[str, Array]:
    """Of the kinds that weights have; others are left out. ValueError if it is no such file."""
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    if len(data) < 8 or size > len(data) - 8:
        raise ValueError(f"'{path}' is not a safetensors file, or not all of it")
    body = data[8 + size :]
    out: dict[str, Array] = {}
    try:
        for name, about in json.loads(data[8 : 8 + size]).items():
            if name != "__metadata__" and about["dtype"] in _KINDS:
                start, end = about["data_offsets"]
                found = np.frombuffer(body[start:end], _KINDS[about["dtype"]])
                out[name] = found.reshape(about["shape"]).astype(float)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"'{path}' is damaged: {error}") from None
    return out


def weights_of_run(path: Path, wanted: Mapping[str, tuple[int, ...]]) -> dict[str, Array]:
    """The weights of a run folder (the best checkpoint, else the last), or of one file."""
    files = [path / "checkpoints" / f"{name}.safetensors" for name in ("best", "last")]
    file = next((f for f in files if f.is_file()), path)
    if not file.is_file():
        raise ValueError(f"'{path}' is neither a run nor a file of weights")
    stored = {name.removeprefix("model."): x for name, x in unpacked(file).items()}
    found = {name: stored[key] for name in wanted for key in (name, state_name(name))
             if key in stored}  # fmt: skip
    for name, shape in wanted.items():
        if name not in found:
            raise ValueError(f"'{file}' has no weight `{name}`: it is of another model")
        if found[name].shape != shape:
            raise ValueError(
                f"the weight `{name}` is {list(found[name].shape)} in '{file}', not {list(shape)}"
            )
        if not np.isfinite(found[name]).all():
            raise ValueError(f"the weight `{name}` in '{file}' is not finite everywhere")
    return {name: found[name] for name in wanted}
