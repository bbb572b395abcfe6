"""Types of IR values: per sequence and per moment; batch never appears."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

KINDS = ("real", "token", "class", "bit", "state", "unitary")


@dataclass(frozen=True, slots=True)
class Type:
    """`real[28]`, `token[50]`, `bit[3]`, `seq[real[8]]`.

    `shape` is the shape of reals and bits (`()` a scalar). `size` is the vocabulary of a token,
    the number of classes of a class, the number of qubits of a state or a unitary.
    """

    kind: str
    shape: tuple[int, ...] = ()
    size: int = 0
    seq: bool = False

    @property
    def count(self) -> int:
        """Numbers in one moment of it."""
        return prod(self.shape)

    @property
    def item(self) -> Type:
        """What one moment of a sequence holds."""
        return replace(self, seq=False)

    def __str__(self) -> str:
        dims = self.shape if self.kind in ("real", "bit") else (self.size,)
        text = self.kind + (f"[{', '.join(map(str, dims))}]" if dims else "")
        return f"seq[{text}]" if self.seq else text


def real(*shape: int) -> Type:
    return Type("real", shape)


def seq(item: Type) -> Type:
    return replace(item, seq=True)
