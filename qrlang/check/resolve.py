"""Names, before anything is evaluated: unknown, twice, too early, out of reach, unused.

This looks at every line, those that no size ever runs too; what a name stands for, and whether it
fits, is found while elaborating.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from keyword import iskeyword
from typing import TYPE_CHECKING, Any

from qrlang.check.core import declared_names
from qrlang.check.elsewhere import NAMES_ELSEWHERE
from qrlang.check.functions import builtin, builtin_names
from qrlang.check.library import Module, standard_items
from qrlang.check.report import Reporter
from qrlang.check.spans import header, name_span
from qrlang.check.values import POISON, Poison
from qrlang.diagnostics import Note
from qrlang.diagnostics.words import did_you_mean
from qrlang.gates import CHANNELS, GATES, SUGAR
from qrlang.source import Span
from qrlang.syntax import ast

if TYPE_CHECKING:
    from qrlang.check.core import Elaborator


@dataclass(slots=True)
class Info:
    """A declared name."""

    word: str
    span: Span
    used: bool = False
    members: dict[str, Info] | None = None  # of a recurrence


@dataclass(slots=True)
class Block:
    names: dict[str, Info] = field(default_factory=dict)
    later: dict[str, Span] = field(default_factory=dict)  # declared further down


WORDS: dict[type, str] = {
    ast.Let: "let",
    ast.Update: "<-",
    ast.Emit: "emit",
    ast.Return: "return",
    ast.Gate: "a gate",
    ast.Apply: "apply",
    ast.Prepare: "prepare",
    ast.Reset: "reset",
    ast.Discard: "measure",
    ast.Postselect: "postselect",
    ast.If: "if",
    ast.For: "for",
    ast.Require: "require",
    ast.Input: "input",
    ast.Target: "target",
    ast.Qubits: "qubits",
    ast.Readout: "readout",
    ast.AnsatzBinding: "ansatz",
    ast.Layer: "layer",
    ast.Param: "param",
    ast.Carry: "carry",
    ast.Const: "const",
    ast.Init: "init",
    ast.Step: "step",
    ast.Recurrent: "recurrent",
}

_ACTIONS = {
    ast.Let,
    ast.Gate,
    ast.Apply,
    ast.Reset,
    ast.For,
    ast.If,
    ast.Require,
    ast.Const,
    ast.Prepare,
    ast.Postselect,
    ast.Discard,
    ast.AnsatzBinding,
}
_CIRCUIT = _ACTIONS | {ast.Qubits, ast.Readout, ast.Layer, ast.Param, ast.Init, ast.Return}
_NESTED = _ACTIONS | {ast.Update, ast.Emit, ast.Readout}
ALLOWED: dict[str, set[type]] = {
    "an ansatz": _ACTIONS,
    "a circuit": _CIRCUIT,
    "a model": _CIRCUIT | {ast.Input, ast.Target, ast.Carry, ast.Step, ast.Recurrent},
    "a recurrent block": (_CIRCUIT | {ast.Carry, ast.Step}) - {ast.Return},
    "a step": _ACTIONS | {ast.Qubits, ast.Readout, ast.Update, ast.Emit},
}
_HELP: dict[type, str] = {
    ast.Emit: "`emit` belongs in a step; `return` hands out a value at the end",
    ast.Update: "a carry is updated in a step",
    ast.Return: "`return` is the last line of a model or a circuit; `emit` hands out a value at "
    "each step",
    ast.Layer: "declare it in the model, before the step",
    ast.Param: "declare it in the model or the circuit, before the step",
    ast.Carry: "declare it in the model or the recurrent block, before the step",
    ast.Input: "declare it in the model",
    ast.Target: "declare it in the model",
    ast.Qubits: "declare the register in the model, a recurrent block, a step or a circuit",
    ast.Step: "a model or a recurrent block has a step",
    ast.Recurrent: "a recurrent block stands in a model",
    ast.Init: "write it where the layer is declared",
    ast.Readout: "name it in the model; a definition of its own stands at the top of the file",
}


MISSING = "declare it, or `use` it from the library"  # of a name that nobody knows


class Resolver:
    def __init__(self, module: Module, report: Reporter) -> None:
        self.module = module
        self.report = report
        self.blocks: list[Block] = []
        self.ended: dict[str, tuple[str, Span]] = {}
        self.used_imports: set[str] = set()
        self.warnings: list[tuple[str, Span, str, str]] = []
        self.region = ""
        self.nested = False  # in a `for` or an `if`
        self.told: set[str] = set()  # unknown names of this definition

    # --- the file ---

    def run(self) -> None:
        seen: dict[str, Span] = {}
        for item in self.module.file.items:
            if isinstance(item, ast.Use):
                for use in item.names:
                    self._top(seen, use.alias or use.name, use.span)
            elif isinstance(item, NAMED):
                self._top(seen, item.name, name_span(item, item.name))
        for item in self.module.file.items:
            self._item(item)
        for item in self.module.file.items:
            if isinstance(item, (ast.Train, ast.Govern)):
                self._settings(item)
        for item in self.module.file.items:
            if isinstance(item, ast.Use):
                unused = [u for u in item.names if (u.alias or u.name) not in self.used_imports]
                for use in unused:
                    local = use.alias or use.name
                    if self.module.uses.get(local) is not None:
                        self.warnings.append(
                            ("W0205", use.span, f"`{local}` is never used", "remove it")
                        )

    def _top(self, seen: dict[str, Span], name: str, span: Span) -> None:
        if name in seen:
            self.report.error(
                "E0202",
                span,
                f"`{name}` is defined twice",
                help="give one of them another name",
                notes=[Note("the first is here", seen[name])],
            )
        else:
            seen[name] = span

    def _settings(self, item: ast.Train | ast.Govern) -> None:
        # Settings have names of their own; a constant of the file may stand among them.
        def note(e: ast.Expr) -> None:
            while isinstance(e, ast.Binary):
                note(e.right)
                e = e.left
            if isinstance(e, ast.Name):
                self._mark(e.id)
            elif isinstance(e, ast.Call):
                for a in e.args:
                    note(a.value)
            elif isinstance(e, ast.Unary):
                note(e.operand)

        for a in item.args if isinstance(item, ast.Train) else ():
            note(a.value)
        for s in item.settings:
            note(s.value)

    def _item(self, item: ast.Item | ast.Stmt) -> None:
        match item:
            case ast.Const() | ast.AnsatzBinding():
                self.expr(item.value)
            case ast.Model():
                self._definition(item, "a model")
            case ast.Circuit():
                self._definition(item, "a circuit")
            case ast.Ansatz():
                self._definition(item, "an ansatz")
            case ast.ReadoutDef() | ast.Hamiltonian():
                self._definition(item, "")
            case ast.Extern():
                if not _is_place(item.path):
                    self._error(
                        "E0127",
                        item.span,
                        f'"{item.path}" does not say where the layer is',
                        'a module, a colon and a name in it: `= "package.module:Name"`',
                    )
                self.blocks.append(Block())
                self._params(item.params)
                for t in (*item.values, item.result):
                    self.type(t)
                self.blocks.pop()

    def _params(self, params: tuple[ast.Parameter, ...]) -> None:
        for p in params:
            if p.type.name not in PARAMETER_TYPES:
                self._error(
                    "E0213",
                    p.type.span,
                    f"`{p.type.name}` is not the type of a parameter",
                    did_you_mean(p.type.name, PARAMETER_TYPES)
                    or "parameters are " + ", ".join(PARAMETER_TYPES),
                )
            if p.default is not None:
                self.expr(p.default)
            self.declare(p.name, "parameter", p.span)

    def _definition(
        self,
        item: ast.Model | ast.Circuit | ast.Ansatz | ast.ReadoutDef | ast.Hamiltonian,
        region: str,
    ) -> None:
        self.region, self.nested, self.ended, self.told = region, False, {}, set()
        self.blocks.append(Block())
        self._params(item.params)
        for r in getattr(item, "registers", ()):
            if isinstance(r.size, ast.Name):
                if self._find(r.size.id) is None or r.size.id not in self.blocks[-1].names:
                    self.blocks[-1].names.setdefault(r.size.id, Info("width", r.size.span, True))
            elif r.size is not None:
                self.expr(r.size)
            self.declare(r.name, "register", r.span)
        for p in getattr(item, "values", ()):
            self.type(p.type, free=True)
            self.declare(p.name, "value", p.span)
        if isinstance(item, (ast.ReadoutDef, ast.Hamiltonian)):
            self.expr(item.body)
        else:
            # Parameters and body share one block: a line can't declare a parameter again.
            self._statements(item.body)
            if isinstance(item, ast.Circuit) and not any(
                isinstance(s, ast.Return) for s in item.body
            ):
                self._error(
                    "E0605",
                    header(item),
                    f"the circuit `{item.name}` returns nothing",
                    "end it with `return read …`",
                )
        block = self.blocks.pop()
        if isinstance(item, ast.Model):
            for name, info in block.names.items():
                if info.word == "parameter" and not info.used and not name.startswith("_"):
                    self.warnings.append(
                        ("W0204", info.span, f"the parameter `{name}` is never used", "remove it")
                    )
        self._unused(block)

    # --- names ---

    def _error(
        self, code: str, span: Span, message: str, help: str = "", notes: Iterable[Note] = ()
    ) -> None:
        self.report.error(code, span, message, help=help, notes=notes)

    def declare(self, name: str, word: str, span: Span) -> None:
        names = self.blocks[-1].names
        if name in names:
            self._error(
                "E0202",
                span,
                f"`{name}` is declared twice",
                "give one of them another name",
                [Note("the first is here", names[name].span)],
            )
            return
        names[name] = Info(word, span)
        self.blocks[-1].later.pop(name, None)

    def _find(self, name: str) -> Info | None:
        for block in reversed(self.blocks):
            found = block.names.get(name)
            if found is not None:
                return found
        return None

    def _mark(self, name: str) -> bool:
        found = self._find(name)
        if found is not None:
            found.used = True
            return True
        if name in self.module.items:
            return True
        if name in self.module.uses:
            self.used_imports.add(name)
            return True
        return builtin(name) is not None

    def use(self, node: ast.Name, missing: str = MISSING) -> None:
        name = node.id
        if self._mark(name):
            return
        self.report.reported_names.add((id(node.span.source), node.span.start))
        if name in self.told or name in self.module.file.lost:
            return
        self.told.add(name)
        for block in reversed(self.blocks):
            if name in block.later:
                self._error(
                    "E0203",
                    node.span,
                    f"`{name}` is used before it is declared",
                    "move its declaration up",
                    [Note(f"`{name}` is declared here", block.later[name])],
                )
                return
        if name in self.ended:
            where, span = self.ended[name]
            self._error(
                "E0504",
                node.span,
                f"`{name}` lives only inside {where}",
                "declare it outside, or hand its value out: a carry, or `emit name = …`",
                [Note(f"`{name}` is declared here", span)],
            )
            return
        if len(name) > 1 and (name in GATES or name in SUGAR or name in CHANNELS):
            self._error(
                "E0208",
                node.span,
                f"`{name}` is a gate, not a value",
                f"a gate is a line of its own: `{name}{'(…)' if _has_angles(name) else ''} q[0]`",
            )
            return
        self._error("E0201", node.span, f"unknown name `{name}`", self._suggest(name, missing))

    def _suggest(self, name: str, missing: str) -> str:
        if name in NAMES_ELSEWHERE:
            return NAMES_ELSEWHERE[name]
        words = {n for block in self.blocks for n in block.names}
        words |= set(self.module.items) | set(self.module.uses) | set(builtin_names())
        help = did_you_mean(name, words)
        return help or library_hint(name) or missing

    def _unused(self, block: Block) -> None:
        for name, info in block.names.items():
            if info.used or name.startswith("_"):
                continue
            if info.word == "let":
                self.warnings.append(
                    (
                        "W0201",
                        info.span,
                        f"`{name}` is never used",
                        "remove it, or begin its name with `_`",
                    )
                )
            elif info.word in DECLARED:
                word = DECLARED[info.word]
                self.warnings.append(
                    (
                        "W0203" if info.word == "input" else "W0202",
                        info.span,
                        f"the {word} `{name}` is never "
                        + ("read" if word in ("carry", "input") else "used"),
                        "remove it, or begin its name with `_`",
                    )
                )

    # --- statements ---

    def block(self, statements: tuple[ast.Stmt, ...]) -> Block:
        self.blocks.append(Block())
        self._statements(statements)
        return self.blocks.pop()

    def _statements(self, statements: tuple[ast.Stmt, ...]) -> None:
        here = self.blocks[-1]
        for s in statements:
            if isinstance(s, ast.Qubits):
                spans = [r.span for r in s.registers]
            else:
                spans = [s.span]
            for name, span in zip(declared_names(s), spans, strict=False):
                here.later.setdefault(name, span)
        returned: ast.Stmt | None = None
        step: ast.Stmt | None = None
        for s in statements:
            allowed = ALLOWED[self.region]
            if type(s) not in allowed or (self.nested and type(s) not in _NESTED):
                self._misplaced(s)
            if returned is not None and not isinstance(s, ast.Init):
                self._error(
                    "E0606",
                    s.span,
                    "nothing can follow `return`",
                    "move `return` to the end",
                    [Note("the return is here", returned.span)],
                )
                returned = None
            if isinstance(s, ast.Return):
                returned = s
            if isinstance(s, ast.Step):
                if step is not None:
                    self._error(
                        "E0604",
                        header(s),
                        "a block has one step",
                        "give each its own block: `recurrent first over xs { … step x { … } }`",
                        [Note("the first step is here", header(step))],
                    )
                step = step or s
            STATEMENTS[type(s)](self, s)

    def _misplaced(self, s: ast.Stmt) -> None:
        self.report.misplaced.add(id(s))
        word = WORDS[type(s)]
        shown = word if word.startswith("a ") else f"`{word}`"
        where = (
            "a `for` or an `if`" if self.nested and type(s) in ALLOWED[self.region] else self.region
        )
        self._error("E0601", header(s), f"{shown} can't stand in {where}", _HELP.get(type(s), ""))

    def nest(
        self, bodies: Iterable[tuple[ast.Stmt, ...]], names: Iterable[tuple[str, Span]] = ()
    ) -> None:
        outer, self.nested = self.nested, True
        for body in bodies:
            self.blocks.append(Block())
            for name, span in names:
                self.declare(name, "loop", span)
            self._statements(body)
            self._unused(self.blocks.pop())
        self.nested = outer

    # --- expressions and types ---

    def expr(self, node: ast.Expr) -> None:
        while isinstance(node, ast.Binary):
            self.expr(node.right)
            node = node.left
        handler = EXPRESSIONS.get(type(node))
        if handler is not None:
            handler(self, node)

    def type(self, node: ast.TypeExpr, free: bool = False) -> None:
        if node.element is not None:
            self.type(node.element, free)
        for d in node.dims:
            if isinstance(d, ast.Hole):
                continue
            if free and isinstance(d, ast.Name) and not self._mark(d.id):
                self.blocks[-1].names[d.id] = Info("width", d.span, True)
                continue
            self.expr(d)


# By the kind of line; `resolve_lines` fills them.
STATEMENTS: dict[type, Callable[[Resolver, Any], None]] = {}
EXPRESSIONS: dict[type, Callable[[Resolver, Any], None]] = {}

NAMED = (
    ast.Const,
    ast.AnsatzBinding,
    ast.Ansatz,
    ast.ReadoutDef,
    ast.Hamiltonian,
    ast.Circuit,
    ast.Extern,
    ast.Model,
)


def _has_angles(gate: str) -> bool:
    base, _ = SUGAR.get(gate, (gate, 0))
    return base not in GATES or GATES[base].angles > 0  # channels have numbers, all of them


def _is_place(path: str) -> bool:
    """Whether it names something in a Python module: targets write it as an import."""
    module, _, name = path.partition(":")
    return all(w.isidentifier() and not iskeyword(w) for w in (*module.split("."), name))


PARAMETER_TYPES = (
    "int",
    "real",
    "bool",
    "string",
    "ansatz",
    "readout",
    "circuit",
    "hamiltonian",
    "activation",
    "layer",
)
DECLARED = {
    "layer": "layer",
    "controller": "controller",
    "attention": "attention",
    "ansatz": "ansatz",
    "readout": "readout",
    "param": "param",
    "frozen": "frozen tensor",
    "carry": "carry",
    "qubits": "register",
    "input": "input",
    "recurrent": "recurrence",
}


def unknown(e: Elaborator, node: ast.Name) -> Poison:
    """The elaborator met a name that stands for nothing."""
    told = (id(node.span.source), node.span.start) in e.report.reported_names
    if told or node.id in e.scope.module.file.lost:
        e.report.failed = True
        return POISON
    words: set[str] = set(builtin_names()) | set(e.scope.module.items) | set(e.scope.module.uses)
    for scope in e.scope.chain():
        words |= set(scope.names)
    return e.error(
        "E0201",
        node,
        f"unknown name `{node.id}`",
        help=did_you_mean(node.id, words) or library_hint(node.id),
    )


def library_hint(name: str) -> str:
    """Where the standard library has an item of this name."""
    where = standard_items().get(name)
    return f"it is in the library: `use {where}`" if where else ""


def forgotten(r: Resolver) -> None:
    """The warnings, once it is known that nothing is wrong."""
    for code, span, message, help in r.warnings:
        r.report.warning(code, span, message, help=help)
