"""The elaborator: one walk over a definition that evaluates, checks and writes the IR at once.

What each kind of line means is spread over small modules by matter; `walkers` puts them together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, Unpack

from qrlang.check.core.builder import Builder
from qrlang.check.core.draft import Draft
from qrlang.check.core.limits import (
    MAX_DEPTH,
    MAX_GATES,
    MAX_ITERATIONS,
    MAX_NUMBERS,
    MAX_OPS,
    Abort,
    Budget,
    Spent,
)
from qrlang.check.core.qubits import QubitTable
from qrlang.check.core.scope import Here, Scope
from qrlang.check.core.values import POISON, Definition, Poison
from qrlang.check.core.widths import Widths
from qrlang.check.library import Module
from qrlang.check.model import Fact
from qrlang.check.report import Frame, More, Reporter
from qrlang.check.written.declared import declared_names
from qrlang.source import Span
from qrlang.syntax import ast


@dataclass(frozen=True, slots=True)
class Language:
    """How each kind of expression, statement and call is elaborated, and what names are known."""

    expressions: Mapping[type, Callable[[Elaborator, Any], object]]
    statements: Mapping[type, Callable[[Elaborator, Any], None]]
    call: Callable[[Elaborator, ast.Call, int], object]  # of which so many numbers are needed
    builtins: Mapping[str, object]


class Elaborator:
    """What it stands at, `here`, is changed by the `with` of its own methods alone."""

    def __init__(
        self,
        language: Language,
        report: Reporter,
        here: Here,
        hints: Mapping[str, tuple[int, ...]],
        budget: Budget | None,
    ) -> None:
        self.language = language
        self._expressions = language.expressions  # asked more than anything else
        self.report = report
        self._here = here
        self.builder = Builder()
        self.draft = Draft()
        self.qubits = QubitTable()
        self.widths = Widths(hints)
        self.spent = Spent(budget)

    # --- where a line stands ---

    @property
    def here(self) -> Here:
        return self._here

    @property
    def scope(self) -> Scope:
        return self._here.scope

    def inside(self, here: Here) -> _Inside:
        """What is elaborated in this stands there; after it, whatever has happened, here again."""
        return _Inside(self, here)

    def names(self, scope: Scope) -> _Inside:
        """The names of another scope, for what is written there."""
        return _Inside(self, self._here.of(scope))

    def block(self) -> _Inside:
        """A block inside this one: what it names ends with it."""
        scope = self._here.scope
        return _Inside(self, self._here.of(Scope(scope.module, scope)))

    def may_inline(self, node: ast.Node, definition: Definition) -> bool:
        """Whether a definition can be inlined here; not if it is in itself already."""
        name, active = definition.item.name, self.here.active
        self.tick(node, 10)
        if any(item is definition.item for item in active):
            names = [getattr(item, "name", "") for item in active]
            ring = [*names[names.index(name) :], name]
            self.error(
                "E0210",
                node,
                f"`{name}` contains itself: " + " -> ".join(ring),
                help="definitions are inlined, so they can't be recursive; use a `for` loop",
            )
            return False
        if len(active) >= MAX_DEPTH:
            self.error("E0307", node, f"definitions are nested more than {MAX_DEPTH} deep")
            return False
        return True

    def asked(self, node: ast.Node, name: str) -> tuple[Frame, ...]:
        """The lines that asked for a definition, this one with them."""
        return (*self.here.frames, Frame(node.span, name, self.scope.numbers))

    def inlining(self, node: ast.Node, definition: Definition, here: Here) -> _Inside:
        """A definition's own lines, as this line asks for them."""
        self.draft.inlined.append(definition.item)
        active = (*here.active, definition.item)
        frames = self.asked(node, definition.item.name)
        return _Inside(self, here._replace(active=active, frames=frames))

    def place_of(self, node: ast.Node) -> int:
        """The number of this line, as asked for by the present one."""
        return self.draft.place_of(node, self.here.place)

    # --- saying ---

    def error(self, code: str, at: Span | ast.Node, message: str, **more: Unpack[More]) -> Poison:
        span = at.span if isinstance(at, ast.Node) else at
        frames = self.here.frames
        self.report.error(code, span, message, frames=frames, numbers=self.numbers, **more)
        return POISON

    def numbers(self) -> str:
        """What holds at this place, if it is one of many: in a loop or in a definition."""
        if self.here.frames or any(scope.loop for scope in self.scope.chain()):
            return self.scope.numbers()
        return ""

    def fact(self, span: Span, name: str, text: str) -> None:
        if not self.report.in_library(span.source):
            self.draft.facts[(span.start, name)] = Fact(span, name, text)

    # --- limits ---

    def tick(self, at: ast.Node, count: int = 1) -> None:
        if not self.spent.more_iterations(count):
            self.error(
                "E0307",
                at,
                f"loops and definitions unroll to more than {MAX_ITERATIONS} steps",
                help="make the range smaller: loops run at compile time",
            )
            raise Abort

    def count_gates(self, at: ast.Node, count: int) -> None:
        if not self.spent.more_gates(count):
            self.error(
                "E0307",
                at,
                f"the program has more than {MAX_GATES} gates",
                help="fewer qubits or layers: every loop is unrolled into gates",
            )
            raise Abort

    def count_op(self, at: ast.Node) -> None:
        self.spent.ops += 1
        if self.spent.ops > MAX_OPS:
            self.error("E0307", at, f"the program has more than {MAX_OPS} operations")
            raise Abort

    def fits(self, shape: tuple[int, ...], at: ast.Node | Span) -> bool:
        """Whether a tensor of this shape is allowed; says so if not."""
        if prod(shape) > MAX_NUMBERS:
            shown = " x ".join(str(d) if d < 10**12 else "…" for d in shape)
            self.error(
                "E0307", at, f"a tensor of {shown} numbers is over the limit of {MAX_NUMBERS}"
            )
            return False
        return True

    # --- walking ---

    def eval(self, node: ast.Expr, count: int | None = None) -> object:
        """`count`: so many numbers are needed, and a call may go by that."""
        handler = self._expressions.get(type(node))
        if handler is None:
            return self.error("E0208", node, "this can't stand here")
        outer, self.builder.span = self.builder.span, node.span
        if count is not None and isinstance(node, ast.Call):
            result = self.language.call(self, node, count)
        else:
            result = handler(self, node)
        self.builder.span = outer
        return result

    def run(self, statements: Iterable[ast.Stmt]) -> None:
        """Executes statements in the present scope."""
        self.builder.span = None
        misplaced, walkers = self.report.misplaced, self.language.statements
        for statement in statements:
            if misplaced and id(statement) in misplaced:
                for name in declared_names(statement):
                    self.scope.names[name] = POISON
                continue
            walkers[type(statement)](self, statement)

    def lookup(self, name: str) -> object | None:
        """What a name stands for; None if nothing."""
        scope: Scope | None = self._here.scope
        while scope is not None:
            found = scope.names.get(name)
            if found is not None:
                return found
            scope = scope.parent
        return self.module_thing(self._here.scope.module, name)

    def module_thing(self, module: Module, name: str) -> object | None:
        found = module.things.get(name)
        if found is not None:
            self.report.failed = self.report.failed or found is POISON  # said before
            return found
        if name in module.items:
            thing = self._item(module, name)
        elif name in module.uses:
            source = module.uses[name]
            thing = POISON if source is None else self.module_thing(*source)
            self.report.failed = self.report.failed or thing is POISON
        else:
            thing = self.language.builtins.get(name)
        if thing is not None:
            module.things[name] = thing
        return thing

    def _item(self, module: Module, name: str) -> object:
        item = module.items[name]
        if not isinstance(item, (ast.Const, ast.AnsatzBinding)):
            return Definition(item, module)  # type: ignore[arg-type]
        if name in module.busy:
            return self.error("E0210", item, f"`{name}` is defined by itself")
        module.busy.add(name)
        try:
            with self.inside(self.here._replace(scope=Scope(module), region="const")):
                return self.eval(item.value)
        finally:
            module.busy.discard(name)


class _Inside:
    """For a `with`: the elaborator stands elsewhere, with the names there, and is back after it."""

    __slots__ = ("e", "here", "outer")

    def __init__(self, e: Elaborator, here: Here) -> None:
        self.e = e
        self.here = here

    def __enter__(self) -> Scope:
        self.outer = self.e._here
        self.e._here = self.here
        return self.here.scope

    def __exit__(self, *error: object) -> None:
        self.e._here = self.outer
