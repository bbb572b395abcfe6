"""The reference target: the interpreter that defines what a program means, in NumPy.

Nothing here imports NumPy before it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qrlang.backends.reference.errors import RunError
    from qrlang.backends.reference.gates import unitary
    from qrlang.backends.reference.interpreter import Result, run
    from qrlang.backends.reference.target import target
    from qrlang.backends.reference.weights import initial_weights

__all__ = ["Result", "RunError", "initial_weights", "run", "target", "unitary"]

_WHERE = {
    "Result": "interpreter",
    "RunError": "errors",
    "initial_weights": "weights",
    "run": "interpreter",
    "target": "target",
    "unitary": "gates",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
    globals()[name] = value  # the module `target` would take the place of the object of that name
    return value
