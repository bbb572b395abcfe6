"""The elaborator: one walk over a definition that evaluates, checks and writes the IR at once.

What a definition needs is spread over small modules by matter; each registers how it evaluates an
expression or executes a statement in `EXPR` and `STMT`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from qrlang.check.builder import Builder, LoopDraft
from qrlang.check.library import Library, Module
from qrlang.check.model import Fact, Place
from qrlang.check.report import Frame, Reporter
from qrlang.check.values import POISON, Carry, Definition, Freeing, Poison, Register, Tensor
from qrlang.diagnostics import Fix, Note
from qrlang.ir import program as ir
from qrlang.source import Span
from qrlang.syntax import ast

MAX_GATES = 100_000
MAX_ITERATIONS = 200_000
MAX_QUBITS = 1024
MAX_NUMBERS = 2**24
MAX_DEPTH = 60  # definitions inside definitions
MAX_OPS = 50_000
MAX_SHOTS = 2**31


class Abort(Exception):
    """This definition can't be elaborated further; the reason has been reported."""


class Rejected(Exception):
    """A `require` has failed: the rest of this definition is beside the point."""


class Scope:
    """Names of one block; the outermost block of a definition looks on into its module."""

    __slots__ = ("lets", "loop", "module", "names", "parent")

    def __init__(self, module: Module, parent: Scope | None = None, loop: bool = False) -> None:
        self.loop = loop  # an iteration of a loop: its first name is the variable
        self.lets: set[str] = set()
        self.names: dict[str, object] = {}
        self.parent = parent
        self.module = module

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
class Weights:
    """Tensors of the program by name, and initial values the user set."""

    tensors: dict[str, ir.Weight] = field(default_factory=dict)
    # By the tensor's name: the line, where it stands, and what it names.
    inits: dict[str, tuple[ast.Init, Scope, object]] = field(default_factory=dict)


@dataclass(slots=True)
class Budget:
    """What may be spent on trying definitions that no model uses, in gates and iterations."""

    left: int = 100_000

    def spend(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise Abort


def declared_names(s: ast.Stmt) -> list[str]:
    """Names that a statement gives to something (or would, if it stood where it may)."""
    if isinstance(s, ast.Qubits):
        return [r.name for r in s.registers]
    if isinstance(s, ast.Gate):  # `qubit q[2]`
        bases = (o.base if isinstance(o, ast.Index) else o for o in s.operands)
        return [b.id for b in bases if isinstance(b, ast.Name)] if s.name in REGISTER else []
    named = (ast.Let, ast.Const, ast.Readout, ast.AnsatzBinding, ast.Layer, ast.Param, ast.Carry,
             ast.Input, ast.Target, ast.Recurrent)  # fmt: skip
    return [s.name] if isinstance(s, named) else []


REGISTER = ("qubit", "qreg", "qbit")  # what declares registers elsewhere


class Elaborator:
    def __init__(
        self, library: Library, reporter: Reporter, hints: Mapping[str, tuple[int, ...]]
    ) -> None:
        self.library = library
        self.report = reporter
        self.builder = Builder()
        self.scope: Scope
        self.region = "const"  # model recurrent step circuit ansatz const
        self.in_if = 0  # inside `if` on a measured bit
        self.in_for = 0
        self.in_shifted = 0  # where a target may stand: its earlier moments are known
        self.prefix = ""  # of names of weights: "encoder."
        self.register_prefix = ""  # of names of registers: another for each call of a circuit
        self.circuit_frozen: list[bool] = []
        self.place = -1  # what asked for the gates being written
        self.places: list[Place] = []
        self._place_of: dict[tuple[int, int], int] = {}
        self.active: list[object] = []  # definitions being inlined
        self.inlined: list[object] = []  # those that have been
        self.iterations = 0
        self.budget: Budget | None = None
        self.gates = 0
        self.ops = 0
        self.registers: list[Register] = []
        self.register_of: list[int] = []  # by qubit: index into `registers`
        self.space_of: list[int] = []  # by register: index of one it interacts with
        self.own_space: set[int] = set()  # registers of circuit calls
        self.fresh: set[int] = set()  # qubits that are surely |0⟩
        self.measures = False
        self.capture: list[ir.Gate | ir.Op] | None = None  # what modifiers hold back
        self.endings: list[Freeing] = []  # one for each open block that can end qubits' lives
        self.carries: list[list[Carry]] = []  # by block
        self.weights = Weights()
        self.externs: dict[str, ir.Extern] = {}
        self.inputs: list[ir.Value] = []
        self.targets: list[ir.Value] = []
        self.facts: dict[tuple[int, str], Fact] = {}
        self.names: dict[str, Span] = {}
        self.outputs: list[tuple[object, Span]] = []  # what is returned or emitted unnamed
        self.result: object = None  # of the circuit being inlined
        self.output_pending = False  # something is handed out whose width is not known yet
        self.loops: list[LoopDraft] = []  # steps being written, innermost last
        self.last_loop: LoopDraft | None = None  # the finished step of this block
        self.pending_sequences: list[Tensor] | None = None  # what the recurrent block runs over
        self.hints = dict(hints)
        self.wanted: dict[str, tuple[tuple[int, ...], Span]] = {}  # hints found in this round
        self.open_widths: dict[str, tuple[Span, str]] = {}  # pending declarations met
        self.calls: dict[str, int] = {}

    # --- saying ---

    def error(
        self,
        code: str,
        at: Span | ast.Node,
        message: str,
        *,
        label: str = "",
        help: str = "",
        notes: Iterable[Note] = (),
        fix: Fix | None = None,
    ) -> Poison:
        span = at.span if isinstance(at, ast.Node) else at
        self.report.error(
            code,
            span,
            message,
            label=label,
            help=help,
            notes=notes,
            fix=fix,
            numbers=self.numbers,
        )
        return POISON

    def numbers(self) -> str:
        """What holds at this place, if it is one of many: in a loop or in a definition."""
        if self.report.frames or any(scope.loop for scope in self.scope.chain()):
            return self.scope.numbers()
        return ""

    def fact(self, span: Span, name: str, text: str) -> None:
        if not self.report.in_library(span.source):
            self.facts[(span.start, name)] = Fact(span, name, text)

    # --- limits ---

    def tick(self, at: ast.Node, count: int = 1) -> None:
        self.iterations += count
        if self.budget is not None:
            self.budget.spend(count)
        if self.iterations > MAX_ITERATIONS:
            self.error(
                "E0307",
                at,
                f"loops and definitions unroll to more than {MAX_ITERATIONS} steps",
                help="make the range smaller: loops run at compile time",
            )
            raise Abort

    def count_gates(self, at: ast.Node, count: int) -> None:
        self.gates += count
        if self.budget is not None:
            self.budget.spend(count)
        if self.gates > MAX_GATES:
            self.error(
                "E0307",
                at,
                f"the program has more than {MAX_GATES} gates",
                help="fewer qubits or layers: every loop is unrolled into gates",
            )
            raise Abort

    def count_op(self, at: ast.Node) -> None:
        self.ops += 1
        if self.ops > MAX_OPS:
            self.error("E0307", at, f"the program has more than {MAX_OPS} operations")
            raise Abort

    def fits(self, shape: tuple[int, ...], at: ast.Node | Span) -> bool:
        """Whether a tensor of this shape is allowed; says so if not."""
        count = 1
        for d in shape:
            count *= d
        if count > MAX_NUMBERS:
            shown = " x ".join(str(d) if d < 10**12 else "…" for d in shape)
            self.error(
                "E0307", at, f"a tensor of {shown} numbers is over the limit of {MAX_NUMBERS}"
            )
            return False
        return True

    def join(self, a: int, b: int) -> None:
        """Two registers interact, so they share a space."""
        space = self.space_of
        while space[a] != a:
            a = space[a]
        while space[b] != b:
            b = space[b]
        space[max(a, b)] = min(a, b)

    # --- walking ---

    def eval(self, node: ast.Expr) -> object:
        handler = EXPR.get(type(node))
        if handler is None:
            return self.error("E0208", node, "this can't stand here")
        outer = self.builder.span
        self.builder.span = node.span
        result = handler(self, node)
        self.builder.span = outer
        return result

    def block(self, statements: Iterable[ast.Stmt]) -> None:
        """Executes statements in the present scope."""
        self.builder.span = None
        misplaced = self.report.misplaced
        for statement in statements:
            if misplaced and id(statement) in misplaced:
                for name in declared_names(statement):
                    self.scope.names[name] = POISON
                continue
            STMT[type(statement)](self, statement)

    def emitted(self) -> Mapping[str, Tensor | Poison]:
        """What the finished step of this block emits, by name."""
        return self.last_loop.emitted if self.last_loop is not None else {}

    def inner(self) -> Scope:
        """Opens a scope inside this one; the caller sets `scope` back."""
        outer = self.scope
        self.scope = Scope(outer.module, outer)
        return outer

    def lookup(self, name: str) -> object | None:
        """What a name stands for; None if nothing."""
        scope: Scope | None = self.scope
        while scope is not None:
            found = scope.names.get(name)
            if found is not None:
                return found
            scope = scope.parent
        return self.module_thing(self.scope.module, name)

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
            from qrlang.check.functions import builtin

            thing = builtin(name)
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
        outer, region, self.scope, self.region = self.scope, self.region, Scope(module), "const"
        try:
            return self.eval(item.value)
        finally:
            self.scope, self.region = outer, region
            module.busy.discard(name)

    # --- places ---

    def place_of(self, node: ast.Node) -> int:
        """The number of this line, as asked for by the present one."""
        key = (id(node), self.place)
        found = self._place_of.get(key)
        if found is None:
            found = self._place_of[key] = len(self.places)
            self.places.append(Place(node.span, self.place))
        return found

    def enter(self, node: ast.Node, definition: Definition) -> bool:
        """Starts inlining a definition, unless it is in itself already."""
        name = definition.item.name
        self.tick(node, 10)
        if any(item is definition.item for item in self.active):
            names = [getattr(item, "name", "") for item in self.active]
            ring = [*names[names.index(name) :], name]
            self.error(
                "E0210",
                node,
                f"`{name}` contains itself: " + " -> ".join(ring),
                help="definitions are inlined, so they can't be recursive; use a `for` loop",
            )
            return False
        if len(self.active) >= MAX_DEPTH:
            self.error("E0307", node, f"definitions are nested more than {MAX_DEPTH} deep")
            return False
        self.active.append(definition.item)
        self.inlined.append(definition.item)
        return True

    def frame(self, node: ast.Node, name: str) -> Frame:
        return Frame(node.span, name, self.scope.numbers)


EXPR: dict[type, Callable[[Elaborator, Any], object]] = {}
STMT: dict[type, Callable[[Elaborator, Any], None]] = {}
