"""Classical ops as expressions: what is the same in every library of arrays.

The numbers of a value stand in its last axes; what stands before them (sequences, moments) is the
library's own affair.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar

from qrlang.backends.emit.text import atom, is_number, sliced
from qrlang.ir.program import (
    Const,
    Dropout,
    Gather,
    Linear,
    Matmul,
    Op,
    Pointwise,
    Reduce,
    Value,
)

_INFIX = {"add": "+", "sub": "-", "mul": "*", "div": "/"}


class Expressions(ABC):
    """Ops as text, given the texts of what they use."""

    library = ""  # "np": where functions are that have no entry in `calls`
    calls: ClassVar[Mapping[str, str]] = {}  # patterns of pointwise functions

    def __init__(self, weight: Callable[[str], str]) -> None:
        self.weight = weight

    def text(self, op: Op, args: list[str]) -> str:
        """`args`: the texts of `uses(op)`, in order."""
        method = getattr(self, f"_{type(op).__name__.lower()}", None)
        if method is None:
            raise ValueError(f"{type(op).__name__} has no form in `{self.library}`")
        result: str = method(op, args)
        return result

    @abstractmethod
    def flat(self, text: str, value: Value) -> str:
        """A value as one vector."""

    @abstractmethod
    def constant(self, data: tuple[float, ...], shape: tuple[int, ...], whole: bool) -> str:
        """`whole`: of whole numbers."""

    @abstractmethod
    def first(self, x: str, index: str) -> str:
        """Elements of a vector."""

    # --- ops ------------------------------------------------------------------------------------

    def _const(self, op: Const, args: list[str]) -> str:
        return self.constant(op.data, op.out.type.shape, op.out.type.kind in ("token", "class"))

    def _pointwise(self, op: Pointwise, args: list[str]) -> str:
        rank = len(op.out.type.shape)
        args = [
            text if len(v.type.shape) == rank or is_number(text)
            else f"{atom(text)}[...{', None' * rank}]"
            for text, v in zip(args, op.args, strict=True)
        ]  # fmt: skip
        if op.fn in _INFIX:
            if all(map(is_number, args)):
                args[0] = self.constant((float(args[0]),), (), False)
            return f" {_INFIX[op.fn]} ".join(atom(a) for a in args)
        if op.fn == "neg":
            return f"-{atom(args[0])}"
        args = [self.constant((float(a),), (), False) if is_number(a) else a for a in args]
        pattern = self.calls.get(op.fn)
        if pattern is None:
            return f"{self.library}.{op.fn}({', '.join(args)})"
        if any(mark in pattern for mark in ("}.", "} >", "-{")):
            args[0] = atom(args[0])
        return pattern.format(*args)

    def scaled(self, op: Linear, x: str) -> str:
        """`gain * x`."""
        if op.gain == 1:
            return x
        short = f"{op.gain:g}"
        return f"{short if op.gain == float(short) else repr(op.gain)} * {atom(x)}"

    def picked(self, op: Gather, x: str) -> str:
        """Elements of a vector, one or evenly spaced; "" for others."""
        if op.out.type.shape == ():
            return self.first(x, str(op.indices[0]))
        run = sliced(op.indices) if len(op.out.type.shape) == 1 else ""
        return self.first(x, run) if run else ""

    def reduced(self, op: Reduce, text: str) -> str:
        """What is summed, or the like."""
        return atom(text) if op.last_axis else atom(self.flat(text, op.x))

    def _matmul(self, op: Matmul, args: list[str]) -> str:
        a, b = map(atom, args)
        match len(op.a.type.shape), len(op.b.type.shape):
            case 1, 1:
                return f"({a} * {b}).sum(-1)"
            case 2, 1:
                return self.matvec(*args)
            case 1, 2:
                return self.vecmat(*args)
        return f"{a} @ {b}"

    @abstractmethod
    def matvec(self, a: str, b: str) -> str: ...

    @abstractmethod
    def vecmat(self, a: str, b: str) -> str: ...

    def _dropout(self, op: Dropout, args: list[str]) -> str:
        return args[0]
