"""A program as far as it has come, but for its body, which the builder has."""

from __future__ import annotations

from dataclasses import dataclass, field

from qrlang.check.core.scope import Scope
from qrlang.check.model import Fact, Place
from qrlang.ir import program as ir
from qrlang.source import Span
from qrlang.syntax import ast


@dataclass(slots=True)
class Draft:
    inputs: list[ir.Value] = field(default_factory=list)
    targets: list[ir.Value] = field(default_factory=list)
    weights: dict[str, ir.Weight] = field(default_factory=dict)
    # By the name of a weight: the line, where it stands, and what it names.
    inits: dict[str, tuple[ast.Init, Scope, object]] = field(default_factory=dict)
    externs: dict[str, ir.Extern] = field(default_factory=dict)
    outputs: list[tuple[object, Span]] = field(default_factory=list)  # returned or emitted unnamed
    output_pending: bool = False  # something is handed out whose width is not known yet
    calls: dict[str, int] = field(default_factory=dict)  # of circuits, by name
    inlined: list[ast.Item] = field(default_factory=list)  # definitions

    # Back to the text.
    names: dict[str, Span] = field(default_factory=dict)  # weights, registers, loops, ports
    facts: dict[tuple[int, str], Fact] = field(default_factory=dict)
    places: list[Place] = field(default_factory=list)
    _place_of: dict[tuple[int, int], int] = field(default_factory=dict)

    def place_of(self, node: ast.Node, parent: int) -> int:
        """The number of a line, as asked for by another one."""
        key = (id(node), parent)
        found = self._place_of.get(key)
        if found is None:
            found = self._place_of[key] = len(self.places)
            self.places.append(Place(node.span, parent))
        return found
