"""How a column lies in memory, and how rows of it become part of a batch.

Nothing is converted before it is asked for: images stay bytes, texts short integers, mapped files
on disk.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from qrlang.errors import DataError
from qrlang.training.data.ports import Array, Port, checked, dtype_of, moment_shape, shaped


class Column(Protocol):
    """`lengths`: of every record, None where all are the same (or it is no sequence)."""

    lengths: Array | None

    def __len__(self) -> int: ...

    def take(self, rows: Array) -> tuple[Array, Array | None]:
        """[row, (time,) …] and the lengths of these rows."""
        ...


class Dense:
    """An array of records. What a batch gets is `(x - shift) * factor`."""

    def __init__(
        self,
        array: Array,
        port: Port,
        where: str,
        *,
        lengths: Array | None = None,
        shift: Array | float | None = None,
        factor: Array | float | None = None,
    ) -> None:
        self.array = shaped(array, port, where)
        checked(self.array, port, where)
        if port.type.seq and len(self.array) and not self.array.shape[1]:
            raise DataError("bad-value", f"{where}: its sequences have no moments")
        self.dtype = dtype_of(port.type)
        self.lengths = None
        if lengths is not None and port.type.seq:
            _check_lengths(lengths, self.array, where)
            if (lengths != self.array.shape[1]).any():
                self.lengths = lengths.astype(np.int64)
        self.shift = None if shift is None else np.asarray(shift, np.float32)
        self.factor = None if factor is None else np.asarray(factor, np.float32)

    def __len__(self) -> int:
        return len(self.array)

    def take(self, rows: Array) -> tuple[Array, Array | None]:
        lengths = None if self.lengths is None else self.lengths[rows]
        x = self.array[rows] if lengths is None else self.array[rows, : int(lengths.max())]
        if self.shift is not None:
            x = np.subtract(x, self.shift, dtype=np.float32)
        if self.factor is not None:
            x = np.multiply(x, self.factor, dtype=np.float32)
        x = x.astype(self.dtype, copy=False)
        if lengths is not None:
            x[np.arange(x.shape[1]) >= lengths[:, None]] = 0
        return x, lengths


def _check_lengths(lengths: Array, array: Array, where: str) -> None:
    if lengths.shape != array.shape[:1] or lengths.dtype.kind not in "iu":
        raise DataError("malformed-file", f"{where}: lengths have to be one whole number a record")
    wrong = (lengths < 1) | (lengths > array.shape[1])
    if wrong.any():
        k = int(np.argmax(wrong))
        raise DataError(
            "bad-value", f"{where}, record {k}: length {lengths[k]} is outside 1 … {array.shape[1]}"
        )


class Ragged:
    """Sequences one after another in one flat array, record k from `offsets[k]` on."""

    def __init__(self, flat: Array, offsets: Array, port: Port, where: str) -> None:
        shape = moment_shape(port.type)
        self.flat = flat if flat.shape[1:] == shape else flat.reshape(-1, *shape)
        checked(self.flat, port, where)
        self.offsets = offsets
        self.dtype = dtype_of(port.type)
        lengths = np.diff(offsets)
        if (lengths < 1).any():
            raise DataError("bad-value", f"{where}, record {int(np.argmin(lengths))} is empty")
        same = len(lengths) == 0 or bool((lengths == lengths[0]).all())
        self.lengths = None if same else lengths

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def take(self, rows: Array) -> tuple[Array, Array | None]:
        start = self.offsets[rows]
        lengths = self.offsets[rows + 1] - start
        time = np.arange(int(lengths.max()))
        inside = time < lengths[:, None]
        out = np.zeros((*inside.shape, *self.flat.shape[1:]), self.dtype)
        out[inside] = self.flat[(start[:, None] + time)[inside]]
        return out, None if self.lengths is None else lengths
