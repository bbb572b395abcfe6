"""What a name or an expression can stand for while a model is elaborated.

Numbers, truth values, texts, ranges and lists known at compile time are plain Python: `int`,
`float`, `bool`, `str`, `range`, `tuple`. Everything else is one of the classes here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from qrlang.check.core.layer_kinds import LayerKind
from qrlang.check.library import Module
from qrlang.ir.program import Angle, PauliString, Value, Weight
from qrlang.ir.types import Type
from qrlang.source import Span
from qrlang.syntax import ast


class Poison:
    """The value of something wrong that has been reported: it never causes a second error."""

    def __repr__(self) -> str:
        return "POISON"


POISON: Final = Poison()


@dataclass(frozen=True, slots=True)
class Pending:
    """A value whose width only a later use will say. `key` is the layer or the tensor it is of;
    of a row of a tensor `parts` says how many such rows that has."""

    key: str
    lead: tuple[int, ...] = ()  # the dimensions before the open one
    parts: int = 1


@dataclass(frozen=True, slots=True)
class Tensor:
    """A run-time value. Whole (`value`), or element by element as affine sums (`elements`).

    A whole value may be seen with another shape than it has in the program (`type.shape`).
    """

    type: Type
    value: Value | None = None
    elements: tuple[Angle, ...] = ()


@dataclass(slots=True)
class Register:
    """A declared register, and how far its life has gone."""

    name: str
    start: int
    size: int
    span: Span
    ended: str = ""  # why it can't be used any more
    ended_at: Span | None = None
    free: Freeing | None = None


@dataclass(slots=True)
class Freeing:
    """Where registers of a finished block are freed; a move takes them out of here."""

    qubits: list[int]


@dataclass(frozen=True, slots=True)
class Qubits:
    """Some qubits of some registers, in order."""

    qubits: tuple[int, ...]
    registers: tuple[Register, ...]
    single: bool = False  # one by its index, not a register or a slice of one


def together(thing: object) -> object:
    """A list of qubits as the register that it stands for; anything else as it is."""
    if not isinstance(thing, tuple) or not thing:
        return thing
    parts = [part for part in thing if isinstance(part, Qubits)]
    if len(parts) < len(thing):
        return thing
    registers = {id(r): r for part in parts for r in part.registers}
    return Qubits(tuple(q for part in parts for q in part.qubits), tuple(registers.values()))


@dataclass(frozen=True, slots=True)
class Observable:
    """A sum of Pauli strings; the coefficients may be run-time values."""

    terms: tuple[tuple[Angle, PauliString], ...]


@dataclass(frozen=True, slots=True)
class Probs:
    """`probs(q)`: the distribution over a register."""

    qubits: Qubits


@dataclass(frozen=True, slots=True)
class Readout:
    """A declared readout: observables with a name, read where `read` stands."""

    name: str
    value: object  # Observable, tuple of them, or Probs
    shots: int
    weak: float
    span: Span


@dataclass(frozen=True, slots=True)
class Definition:
    """An ansatz, readout, Hamiltonian or circuit of some file; `params` once they are given."""

    item: ast.Ansatz | ast.ReadoutDef | ast.Hamiltonian | ast.Circuit | ast.Extern
    module: Module
    params: Mapping[str, object] | None = None
    values: tuple[object, ...] | None = None  # of a Hamiltonian: its coefficients

    @property
    def kind(self) -> str:
        return KIND_OF_ITEM[type(self.item)]


KIND_OF_ITEM: dict[type, str] = {
    ast.Ansatz: "ansatz",
    ast.ReadoutDef: "readout",
    ast.Hamiltonian: "Hamiltonian",
    ast.Circuit: "circuit",
    ast.Extern: "layer",
    ast.Model: "model",
}


@dataclass(frozen=True, slots=True)
class Builtin:
    """A function of the language."""

    name: str


@dataclass(frozen=True, slots=True)
class LayerSpec:
    """`linear(10)`: a layer that has no name, and so no weights, yet."""

    kind: LayerKind
    args: Mapping[str, object]


@dataclass(slots=True)
class Layer:
    """A declared layer. Widths are known after its first call."""

    name: str  # with the blocks around it: `encoder.steer`
    word: str  # layer, controller, attention
    spec: LayerSpec | Definition
    span: Span
    frozen: bool
    inputs: tuple[int, ...] | None = None
    first_call: Span | None = None
    output: int | None = None
    calls: int = 0


@dataclass(frozen=True, slots=True)
class InitialValue:
    """`uniform(-pi, pi)`."""

    kind: str
    args: tuple[float, ...]


@dataclass(slots=True)
class Carry:
    """A value kept from step to step: what it is now."""

    name: str
    type: Type
    now: Tensor | Poison
    span: Span
    updated: bool = False
    open: bool = False  # in its own step, where it can be updated


@dataclass(slots=True)
class Recurrence:
    """A finished recurrence: its emits, last carries and registers."""

    name: str
    span: Span
    members: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LazyWeight:
    """A declared tensor; part of the program from its first use on."""

    weight: Weight


@dataclass(frozen=True, slots=True)
class Mixed:
    """`qubits q[n] = mixed`."""


def release(register: Register) -> None:
    """Its block no longer ends its life."""
    if register.free is not None:
        gone = set(range(register.start, register.start + register.size))
        register.free.qubits[:] = [q for q in register.free.qubits if q not in gone]
        register.free = None


def describe(thing: object) -> str:
    """A thing in words, with its article."""
    match thing:
        case bool():
            return "a truth value"
        case int():
            return f"the number {thing}" if abs(thing) < 10**12 else "a number"
        case float():
            return f"the number {thing:g}"
        case str():
            return "a text"
        case range():
            return "a range"
        case tuple():
            return "a list"
        case Tensor():
            return f"a value of type {thing.type}"
        case Pending():
            return "a value"
        case Carry():
            return f"a carry of type {thing.type}"
        case Qubits():
            return "a qubit" if len(thing.qubits) == 1 else f"{len(thing.qubits)} qubits"
        case Observable():
            return "an observable"
        case Probs() | Readout():
            return "a readout"
        case Definition():
            return ("an " if thing.kind in ("ansatz",) else "a ") + thing.kind
        case Builtin():
            return f"the function `{thing.name}`"
        case LayerSpec():
            return "a layer without a name"
        case Layer():
            return ("an " if thing.word == "attention" else "a ") + thing.word
        case InitialValue():
            return "an initial value"
        case Recurrence():
            return "a recurrence"
        case Mixed():
            return "the mixed state"
        case LazyWeight():
            return "a tensor"
        case LayerKind():
            return "a kind of layer"
    return "this"
