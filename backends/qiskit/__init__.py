"""The target `qiskit`: circuits for Aer and IBM devices. Nothing here imports Qiskit before it is
used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qrlang.backends.qiskit.devices import open_device
    from qrlang.backends.qiskit.target import target

__all__ = ["open_device", "target"]

_WHERE = {"open_device": "devices", "target": "target"}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
    globals()[name] = value
    return value
