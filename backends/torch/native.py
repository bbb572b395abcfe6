"""Road 1: the engine's kernel as one autograd node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor

from qrlang.ir.program import Program

if TYPE_CHECKING:
    from qrlang.backends.torch.model import Model


def why_not(program: Program) -> str:
    """What keeps a program from the native kernel; "" if nothing does."""
    return "the engine is not installed"


def why_not_model(model: Model) -> str:
    return "the engine is not installed"


def call(model: Model, lengths: Any, inputs: Mapping[str, Tensor]) -> Any:
    raise RuntimeError("no native kernel")
