"""The model's side of the bargain: its `input` lines, then its `target` lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from qrlang.check.training.data_sets import Column
from qrlang.errors import DataError
from qrlang.ir.program import Program
from qrlang.ir.types import Type

Array = npt.NDArray[Any]

_BLOCK = 1 << 20  # numbers looked at in one go, so that a check never copies a whole array


@dataclass(frozen=True, slots=True)
class Port:
    """One line of the model: `input rows: seq[real[28]]`."""

    name: str
    type: Type
    target: bool = False

    def __str__(self) -> str:
        return f"`{'target' if self.target else 'input'} {self.name}: {self.type}`"


def ports_of(program: Program) -> tuple[Port, ...]:
    inputs = [Port(v.name or str(v.id), v.type) for v in program.inputs]
    targets = [Port(v.name or str(v.id), v.type, True) for v in program.targets]
    return (*inputs, *targets)


def moment_shape(type: Type) -> tuple[int, ...]:
    """The axes of one moment."""
    match type.kind:
        case "state":
            return (2**type.size,)
        case "unitary":
            return (2**type.size, 2**type.size)
        case "real" | "bit":
            return type.shape
    return ()


def dtype_of(type: Type) -> type[np.generic]:
    """What a batch holds."""
    if type.kind in ("token", "class"):
        return np.int64
    return np.complex64 if type.kind in ("state", "unitary") else np.float32


def match(name: str, columns: Sequence[Column], ports: Sequence[Port]) -> None:
    """The data set's columns against the model's lines, one to one."""
    if len(columns) != len(ports):
        raise DataError(
            "wrong-column",
            f"`{name}` has {len(columns)} columns ({', '.join(map(str, columns))}), the model has "
            f"{len(ports)}: {', '.join(map(str, ports)) or 'none'}",
            "an `input` line for each column the model is given, a `target` line for what it "
            "predicts",
        )
    for column, port in zip(columns, ports, strict=True):
        if not column.holds(port.type):
            word = "target" if port.target else "input"
            raise DataError(
                "wrong-column",
                f"`{name}` gives {column} for {port}",
                f"write `{word} {port.name}: {column.beside(port.type.seq)}`, or choose other data",
            )


def shaped(array: Array, port: Port, where: str) -> Array:
    """The array as [records, (time,) …moment], or an error that names both sides."""
    shape = moment_shape(port.type)
    rest = array.shape[1:]
    if array.ndim == 0:
        raise _misfit(array, port, where)
    if port.type.seq:
        if rest[1:] == shape and len(rest) >= 1:
            return array
        if len(rest) == 1 and prod(shape) == 1:
            return array.reshape(*array.shape, *shape)
        if len(rest) >= 2 and rest[1:] != shape and prod(rest[1:]) == prod(shape):
            return array.reshape(array.shape[0], rest[0], *shape)
    elif rest == shape:
        return array
    elif prod(rest) == prod(shape):
        return array.reshape(array.shape[0], *shape)
    raise _misfit(array, port, where)


def _misfit(array: Array, port: Port, where: str) -> DataError:
    help = "change the model's line, or the array"
    if port.type.kind in ("class", "token") and array.shape[-1:] == (port.type.size,):
        help = "numbers of classes are wanted, not one-hot vectors: y.argmax(-1)"
    shape = [str(n) for n in moment_shape(port.type)]
    wanted = ", ".join(["records", *(["time"] if port.type.seq else []), *shape])
    return DataError(
        "wrong-column",
        f"{where} is [{', '.join(map(str, array.shape))}]; {port} takes [{wanted}]",
        help,
    )


def checked(array: Array, port: Port, where: str, offset: int = 0) -> None:
    """Every value is a number that the type allows. `array` has records (or moments) first."""
    kind = array.dtype.kind
    type = port.type
    if kind not in "biufc" or (kind == "c" and type.kind not in ("state", "unitary")):
        kinds = "real numbers" if kind == "c" else "numbers"
        raise DataError("wrong-column", f"{where} holds {_holds(array)}, {port} takes {kinds}")
    if type.kind in ("token", "class") and kind in "fc":
        raise DataError(
            "wrong-column",
            f"{where} holds {array.dtype} numbers, {port} takes whole numbers",
            "save it as whole numbers: y.astype('int64')",
        )
    per = max(1, prod(array.shape[1:]))
    step = max(1, _BLOCK // per)
    for start in range(0, len(array), step):
        block = array[start : start + step]
        bad = _bad(block, port)
        if bad is not None:
            row, value, why = bad
            raise DataError(
                "bad-value", f"{where}, record {start + row + offset}: {value} {why} ({port})"
            )


def _holds(array: Array) -> str:
    return "texts" if array.dtype.kind in "US" else f"{array.dtype} values"


def _bad(block: Array, port: Port) -> tuple[int, object, str] | None:
    """The first wrong value: its row, itself, and why."""
    type = port.type
    if block.dtype.kind in "fc" and not np.isfinite(block).all():
        row = int(np.argwhere(~np.isfinite(block))[0][0])
        value = block[row][~np.isfinite(block[row])].flat[0]
        return row, value, "is not a finite number"
    if type.kind in ("token", "class") and block.size:
        wrong = (block < 0) | (block >= type.size)
        if wrong.any():
            row = int(np.argwhere(wrong)[0][0])
            value = np.asarray(block[row])[np.asarray(wrong[row])].flat[0]
            return row, int(value), f"is outside 0 … {type.size - 1}"
    if type.kind == "bit" and block.size:
        wrong = (block != 0) & (block != 1)
        if wrong.any():
            row = int(np.argwhere(wrong)[0][0])
            return row, np.asarray(block[row])[np.asarray(wrong[row])].flat[0], "is neither 0 nor 1"
    if type.kind == "state":
        norms = np.linalg.norm(block, axis=-1)
        wrong = np.abs(norms - 1) > 1e-4
        if wrong.any():
            row = int(np.argwhere(wrong)[0][0])
            return row, f"a norm of {np.ravel(norms[row]).max():.4g}", "is not 1"
    if type.kind == "unitary":
        size = block.shape[-1]
        off = np.abs(block @ block.conj().swapaxes(-1, -2) - np.eye(size)).max((-1, -2))
        wrong = off > 1e-4
        if wrong.any():
            return int(np.argwhere(wrong)[0][0]), "the matrix", "is not unitary"
    return None
