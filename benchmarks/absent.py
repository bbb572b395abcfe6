"""Stand-ins for modules that a library names when it is imported and never calls afterwards.

TorchQuantum 0.1.8 imports parts of Qiskit that Qiskit has since removed, and torchvision; its
simulator uses none of them. With stand-ins it can be timed beside today's torch.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, ClassVar


class _Type(type):
    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return cls()


class _Thing(metaclass=_Type):
    def __init__(self, *given: Any, **named: Any) -> None:
        pass


class _Anything(ModuleType):
    __path__: ClassVar[list[str]] = []
    __file__ = "/nowhere/__init__.py"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Type(name, (_Thing,), {})


class _Finder(MetaPathFinder, Loader):
    def __init__(self, roots: Sequence[str]) -> None:
        self.roots = frozenset(roots)

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        beneath = any(name == root or name.startswith(root + ".") for root in self.roots)
        return ModuleSpec(name, self) if beneath else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Anything(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


def pretend(*roots: str) -> None:
    """From here on, these packages import as something empty, installed or not."""
    sys.meta_path.insert(0, _Finder(roots))
