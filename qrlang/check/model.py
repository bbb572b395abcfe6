"""What the checker hands on: a program, and where each part of it was written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from qrlang.ir.program import Program
from qrlang.source import Span
from qrlang.syntax import ast


@dataclass(frozen=True, slots=True)
class Place:
    """A line that was unrolled or inlined, and the line that asked for it (index; -1: none)."""

    span: Span
    parent: int = -1


@dataclass(frozen=True, slots=True)
class Places:
    """From a program back to its text."""

    gates: tuple[Place, ...] = ()  # `Gate.place` is an index here
    values: Mapping[int, Span] = field(default_factory=dict)  # by `Value.id`: the expression
    names: Mapping[str, Span] = field(default_factory=dict)  # weights, registers, loops, ports

    def outermost(self, place: int) -> Span | None:
        """The line in the user's own file that led to a gate."""
        span = None
        while place >= 0:
            span = self.gates[place].span
            place = self.gates[place].parent
        return span


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing inferred about a declaration, for `--emit typed`, hover and docs."""

    span: Span
    name: str
    text: str  # "controller: 36 -> 48", "real[8]"


@dataclass(frozen=True, slots=True)
class TrainBlock:
    """A `train` block: its settings checked and evaluated to plain data."""

    model: str
    args: Mapping[str, int | float | bool | str]
    settings: Mapping[str, object]  # numbers, strings, or (name, {argument: value}) for calls
    span: Span


@dataclass(frozen=True, slots=True)
class GovernBlock:
    """A `govern` block: the bounds that it sets."""

    model: str
    settings: Mapping[str, int | float]
    span: Span


@dataclass(frozen=True, slots=True)
class CheckedModel:
    """A model (or a circuit, ansatz on its own) at given settings."""

    program: Program
    places: Places
    facts: tuple[Fact, ...]
    declaration: ast.Item
    assumed: tuple[str, ...] = ()  # parameters that nobody gave: stand-ins

    @property
    def unsaid(self) -> str:
        """What has to be known before any number is computed; "" if all is. A stand-in is good
        for a drawing."""
        if not self.assumed:
            return ""
        *most, last = self.assumed
        what = f"{', '.join(most)} and {last} are: they have" if most else f"{last} is: it has"
        return f"{self.program.name} has to know what {what} no default"


@dataclass(frozen=True, slots=True)
class Checked:
    """A checked file. Models that have errors are absent."""

    file: ast.File
    models: Mapping[str, CheckedModel]
    trains: tuple[TrainBlock, ...] = ()
    governs: tuple[GovernBlock, ...] = ()
