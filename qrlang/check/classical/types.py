"""Written types: `real[28]`, `seq[token[vocab]]`, `angle[layers, n, 3]`."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from qrlang.check.classical.whole import integer
from qrlang.check.core.elaborator import Elaborator
from qrlang.diagnostics.words import did_you_mean
from qrlang.ir.types import Type
from qrlang.syntax import ast

KINDS = {
    "real": "real",
    "angle": "real",
    "bit": "bit",
    "token": "token",
    "class": "class",
    "state": "state",
    "unitary": "unitary",
}


@dataclass(frozen=True, slots=True)
class Declared:
    """A written type. A dimension is a number, None (`...`), or a name still to be bound."""

    kind: str
    shape: tuple[int | str | None, ...] = ()
    size: int | None = None
    seq: bool = False
    free_size: str = ""  # a name that the size of a token or a class binds
    word: str = "real"

    @property
    def known(self) -> bool:
        return all(isinstance(d, int) for d in self.shape)

    @property
    def count(self) -> int | None:
        return prod(self.dims()) if self.known else None

    def dims(self) -> tuple[int, ...]:
        return tuple(d for d in self.shape if isinstance(d, int))

    @property
    def lead(self) -> tuple[int, ...]:
        """The dimensions before an open one that is the last; none, where it is another."""
        before = self.shape[:-1]
        return self.dims() if self.shape[-1:] == (None,) and len(self.dims()) == len(before) else ()

    def solve(self, count: int) -> tuple[int, ...] | None:
        """The shape for so many numbers; None if they don't fit."""
        open_ = [d for d in self.shape if not isinstance(d, int)]
        rest = prod(self.dims())
        if not open_:
            return self.dims() if rest == count else None
        if len(open_) > 1 or count % rest:
            return None
        return tuple(d if isinstance(d, int) else count // rest for d in self.shape)

    @property
    def type(self) -> Type:
        return Type(self.kind, self.dims(), self.size or 0, self.seq)

    def __str__(self) -> str:
        if self.kind in ("real", "bit"):
            dims = ", ".join("..." if d is None else str(d) for d in self.shape)
        else:
            dims = str(self.size)
        text = self.word + (f"[{dims}]" if dims else "")
        return f"seq[{text}]" if self.seq else text


def declared(e: Elaborator, node: ast.TypeExpr, *, free: bool = False) -> Declared | None:
    """The meaning of a written run-time type; None if it is wrong (said).

    With `free`, a name that stands for nothing yet is a dimension to be bound by what is given.
    """
    if node.name == "seq":
        if node.element is None:
            e.error("E0213", node, "`seq` needs what it is a sequence of", help="`seq[real[28]]`")
            return None
        if node.element.name == "seq":
            e.error(
                "E0213",
                node,
                "a sequence of sequences",
                help="a model is written for one sequence: use a longer element, `seq[real[8, 3]]`",
            )
            return None
        inner = declared(e, node.element, free=free)
        if inner is None:
            return None
        return Declared(inner.kind, inner.shape, inner.size, True, inner.free_size, inner.word)
    kind = KINDS.get(node.name)
    if kind is None:
        if node.name in ("int", "bool", "string"):
            help = f"{node.name}s are known at compile time: make it a parameter"
        elif node.name == "qubit":
            help = "qubits are declared by `qubits q[n]`, or come after `on`"
        else:
            help = did_you_mean(node.name, [*KINDS, "seq"]) or "types are " + ", ".join(KINDS)
        e.error("E0213", node, f"`{node.name}` is not the type of a run-time value", help=help)
        return None
    dims: list[int | str | None] = []
    for d in node.dims:
        if isinstance(d, ast.Hole):
            dims.append(None)
            continue
        if free and isinstance(d, ast.Name) and e.lookup(d.id) is None:
            dims.append(d.id)
            continue
        value = integer(e, d, "a dimension")
        if value is None:
            return None
        if value < 1:
            e.error("E0311", d, f"a dimension must be at least 1, found {value}")
            return None
        dims.append(value)
    if kind in ("real", "bit"):
        if not e.fits(tuple(d for d in dims if isinstance(d, int)), node):
            return None
        return Declared(kind, tuple(dims), word=node.name)
    if len(dims) != 1:
        e.error(
            "E0213",
            node,
            f"`{node.name}` has one size, found {len(dims)}",
            help={
                "token": "the vocabulary: `token[50]`; several symbols a moment are several inputs",
                "class": "how many there are: `class[10]`",
                "state": "its qubits: `state[3]`",
                "unitary": "its qubits: `unitary[2]`",
            }[kind],
        )
        return None
    size = dims[0]
    if size is None:
        e.error("E0404", node, f"the size of `{node.name}` can't be left open here")
        return None
    if isinstance(size, str):
        return Declared(kind, (), None, free_size=size, word=node.name)
    if kind in ("state", "unitary"):
        limit = 24 if kind == "state" else 12
        if size > limit:
            e.error("E0307", node, f"a {kind} of {size} qubits is over the limit of {limit}")
            return None
    elif size > 2**24:
        e.error("E0307", node, f"a {kind} of {size} values is over the limit of {2**24}")
        return None
    return Declared(kind, (), size, word=node.name)
