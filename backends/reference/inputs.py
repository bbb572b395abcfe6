"""What a caller gives, checked against the program: every complaint names it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from qrlang.backends.reference.errors import RunError
from qrlang.backends.reference.state import Array
from qrlang.ir.program import Program, Value
from qrlang.ir.types import Type
from qrlang.ir.walk import read_targets

_NORM = 1e-6  # how far a state's norm may be from 1, or a matrix from unitary


def inputs_of(
    program: Program, inputs: Mapping[str, Any], targets: Mapping[str, Any] | None
) -> dict[int, Array]:
    """By value number. A target has to be given only if the program uses it."""
    found = _ports("input", program.inputs, inputs, {v.id for v in program.inputs})
    needed = {v.id for v in read_targets(program)}
    return found | _ports("target", program.targets, targets or {}, needed)


def _ports(
    what: str, values: Sequence[Value], given: Mapping[str, Any], needed: set[int]
) -> dict[int, Array]:
    names = {v.name or str(v.id): v for v in values}
    for name in given:
        if name not in names:
            known = ", ".join(names) or "none"
            raise RunError(f"there is no {what} {name!r} (there are: {known})")
    for name, value in names.items():
        if name not in given and value.id in needed:
            raise RunError(f"the {what} {name!r} ({value.type}) is missing")
    return {
        names[name].id: _port(f"{what} {name!r}", names[name].type, x) for name, x in given.items()
    }


def _port(what: str, kind: Type, given: Any) -> Array:
    wanted = complex if kind.kind in ("state", "unitary") else float
    try:
        array = np.asarray(given, wanted)
    except (TypeError, ValueError):
        raise RunError(f"{what} has to be an array of numbers ({kind})") from None
    shape = moment_shape(kind)
    has = array.shape[1:] if kind.seq else array.shape
    if has != shape or (kind.seq and array.ndim == 0):
        expected = f"[T{''.join(f', {d}' for d in shape)}]" if kind.seq else str(list(shape))
        raise RunError(f"{what} is {kind}: an array {expected}, not {list(array.shape)}")
    _finite(what, array)
    moments = array if kind.seq else array[None]
    match kind.kind:
        case "token" | "class":
            if np.any((array != np.floor(array)) | (array < 0) | (array >= kind.size)):
                raise RunError(f"{what} has to be whole numbers from 0 to {kind.size - 1}")
            return array.astype(int)
        case "bit":
            if np.any((array != 0) & (array != 1)):
                raise RunError(f"{what} has to be zeros and ones")
        case "state":
            norms = np.linalg.norm(moments, axis=-1)
            if np.any(np.abs(norms - 1) > _NORM):
                raise RunError(f"{what} has to be normalised: a norm is {norms.flat[0]:g}")
        case "unitary":
            products = moments @ moments.conj().swapaxes(-1, -2)
            if np.any(np.abs(products - np.eye(shape[0])) > _NORM):
                raise RunError(f"{what} has to be unitary")
    return array


def moment_shape(kind: Type) -> tuple[int, ...]:
    """The array that holds one moment of a value."""
    match kind.kind:
        case "state":
            return (1 << kind.size,)
        case "unitary":
            return (1 << kind.size, 1 << kind.size)
    return kind.shape


def weights_of(program: Program, given: Mapping[str, Any]) -> dict[str, Array]:
    found = {}
    for weight in program.weights:
        if weight.name not in given:
            raise RunError(f"the weight {weight.name!r} is missing")
        array = np.asarray(given[weight.name], float)
        if array.shape != weight.shape:
            raise RunError(
                f"the weight {weight.name!r} is {list(weight.shape)}, not {list(array.shape)}"
            )
        _finite(f"weight {weight.name!r}", array)
        found[weight.name] = array
    return found


def _finite(what: str, array: Array) -> None:
    if not np.all(np.isfinite(array)):
        at = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        number = "not a number" if math.isnan(abs(array[at])) else "infinite"
        raise RunError(f"{what} is {number} at {list(at)}")
