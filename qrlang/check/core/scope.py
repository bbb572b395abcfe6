"""Where a line stands: the names that hold there, and what else a body changes for its lines."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from qrlang.check.core.blocks import LoopDraft
from qrlang.check.core.values import Carry, Freeing, Poison, Tensor
from qrlang.check.library import Module
from qrlang.check.report import Frame
from qrlang.ir import program as ir
from qrlang.syntax import ast


class Scope:
    """Names of one block; the outermost block of a definition looks on into its module."""

    __slots__ = ("lets", "loop", "module", "names", "parent")

    def __init__(self, module: Module, parent: Scope | None = None) -> None:
        self.loop = False  # one iteration of a loop
        self.lets: set[str] = set()
        self.names: dict[str, object] = {}
        self.parent = parent
        self.module = module

    def begin(self, variable: str, value: object) -> None:
        """Another iteration: nothing holds any more of the one before."""
        self.loop = True
        self.lets = set()
        self.names = {variable: value}

    def numbers(self) -> str:
        """`n = 5, i = 4`: the sizes and loop variables that hold here."""
        found: dict[str, int] = {}
        for scope in reversed(self.chain()):
            for name, thing in scope.names.items():
                if type(thing) is int and name not in scope.lets:
                    found[name] = thing
        return ", ".join(f"{k} = {v}" for k, v in found.items() if abs(v) < 10**12)

    def chain(self) -> list[Scope]:
        """This scope and those around it."""
        scopes = [self]
        while scopes[-1].parent is not None:
            scopes.append(scopes[-1].parent)
        return scopes


@dataclass(slots=True)
class Body:
    """What the lines of a model, a recurrent block, a step or a circuit leave for those after."""

    freeing: Freeing | None = None  # its registers, whose lives end with it; a model's don't
    carries: list[Carry] = field(default_factory=list)
    sequences: list[Tensor] | None = None  # what its step runs over, if the block has said so
    writing: LoopDraft | None = None  # the step that this is the body of
    finished: LoopDraft | None = None  # the step that has ended in it
    result: object = None  # of a circuit

    def emitted(self) -> dict[str, Tensor | Poison]:
        """What its finished step emits, by name."""
        return self.finished.emitted if self.finished is not None else {}


Region = Literal["model", "recurrent", "step", "circuit", "ansatz", "readout", "const"]


class Here(NamedTuple):
    """Where the present line stands. It is never changed: what is inside gets one of its own, and
    the elaborator has this one again after it."""

    scope: Scope
    body: Body
    region: Region = "const"
    prefix: str = ""  # of names of weights: "encoder."
    register_prefix: str = ""  # of names of registers: another for each call of a circuit
    frozen: bool = False  # in a circuit whose weights are
    in_if: bool = False  # inside `if` on a measured bit
    in_shifted: bool = False  # where a target may stand: its earlier moments are known
    capture: list[ir.Gate | ir.Op] | None = None  # what modifiers hold back
    place: int = -1  # what asked for the gates being written
    active: tuple[ast.Item, ...] = ()  # definitions being inlined
    frames: tuple[Frame, ...] = ()  # the lines that asked for them

    def of(self, scope: Scope) -> Here:
        """The same, but for the names. (Quicker than `_replace`; loops ask for it at each turn.)"""
        return Here(scope, *self[1:])
