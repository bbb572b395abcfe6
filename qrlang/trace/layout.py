"""What a record is made of: arrays of fixed shapes, one after the other."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

FORMAT, VERSION = "qrlang trace", 1
TYPES = ("<f4", "<u2", "<c8")  # little-endian: real, normalised to 0 … 65535, complex
FULL = 65535  # what 1 is in a normalised field


@dataclass(frozen=True)
class Field:
    """`group/name` in a record, `offset` bytes from its beginning."""

    group: str
    name: str
    shape: tuple[int, ...]
    type: str
    offset: int

    @property
    def key(self) -> str:
        return f"{self.group}/{self.name}"

    @property
    def bytes(self) -> int:
        return math.prod(self.shape) * np.dtype(self.type).itemsize

    def data(self) -> dict[str, Any]:
        return {"group": self.group, "name": self.name, "shape": list(self.shape),
                "type": self.type, "offset": self.offset}  # fmt: skip

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Field:
        kind = str(data["type"])
        if kind not in TYPES:
            raise ValueError(f"type {kind!r}")
        shape = tuple(int(d) for d in data["shape"])
        if any(d < 0 for d in shape) or int(data["offset"]) < 0:
            raise ValueError("a field with a negative size")
        return cls(str(data["group"]), str(data["name"]), shape, kind, int(data["offset"]))


def laid_out(arrays: Mapping[str, Array]) -> list[Field]:
    """Fields in the order of the arrays; keys are `group/name`."""
    fields: list[Field] = []
    at = 0
    for key, array in arrays.items():
        group, _, name = key.partition("/")
        fields.append(Field(group, name, array.shape, _type(array), at))
        at += fields[-1].bytes
    return fields


def size(fields: Sequence[Field]) -> int:
    return max((f.offset + f.bytes for f in fields), default=0)


def packed(fields: Sequence[Field], arrays: Mapping[str, Array]) -> bytes:
    """One record. Every array has to have the shape that the first one had."""
    parts = []
    for field in fields:
        array = np.asarray(arrays[field.key])
        if array.shape != field.shape:
            raise ValueError(f"{field.key} is {array.shape}, and was {field.shape}")
        parts.append(array.astype(field.type, copy=False).tobytes())
    return b"".join(parts)


def unpacked(field: Field, block: bytes) -> Array:
    part = block[field.offset : field.offset + field.bytes]
    return np.frombuffer(part, field.type).reshape(field.shape).copy()


def _type(array: Array) -> str:
    if array.dtype.kind == "c":
        return "<c8"
    return "<u2" if array.dtype == np.uint16 else "<f4"


# --- to 0 … 1 -----------------------------------------------------------------------------------

BOUNDS = {"tanh": (-1.0, 1.0), "sigmoid": (0.0, 1.0), "softmax": (0.0, 1.0)}


def normalised(raw: Array, function: str) -> tuple[Array, Array]:
    """Between the bounds of the function, else between the extremes of this record; and those two
    numbers. `low + (high - low) * value / 65535` is the raw value again."""
    finite = raw[np.isfinite(raw)]
    low, high = BOUNDS.get(function, (0.0, 0.0))
    if low == high and finite.size:
        low, high = float(finite.min()), float(finite.max())
    span = high - low
    share = (raw.astype(float) - low) / span if span > 0 else np.zeros(raw.shape)
    whole = np.rint(np.clip(np.nan_to_num(share), 0, 1) * FULL)
    return whole.astype(np.uint16), np.array([low, high], np.float32)
