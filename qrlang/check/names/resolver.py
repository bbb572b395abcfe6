"""Names, before anything is evaluated: unknown, twice, too early, out of reach, unused.

This looks at every line, those that no size ever runs too; what a name stands for, and whether it
fits, is found while elaborating.
"""

from __future__ import annotations

from collections.abc import Mapping
from keyword import iskeyword

from qrlang.check.library import Module
from qrlang.check.names.expressions import expr, type_
from qrlang.check.names.lines import statements
from qrlang.check.names.scopes import Info, Mention, Names
from qrlang.check.report import Reporter
from qrlang.check.written.spans import end_of, header, name_span
from qrlang.diagnostics import Note
from qrlang.diagnostics.words import did_you_mean
from qrlang.source import Span
from qrlang.syntax import ast

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


class Resolver:
    """The items of a file, one by one."""

    def __init__(self, module: Module, report: Reporter) -> None:
        self.module = module
        self.report = report
        self.names = Names(module, report)
        self.models: dict[str, Mapping[str, Info]] = {}  # what their lines declare

    def run(self) -> None:
        self._once()
        for item in self.module.file.items:
            self._item(item)
        for item in self.module.file.items:
            if isinstance(item, (ast.Train, ast.Govern)):
                self._settings(item)
        for item in self.module.file.items:
            if isinstance(item, ast.Use):
                unused = [
                    u for u in item.names if (u.alias or u.name) not in self.names.used_imports
                ]
                for use in unused:
                    local = use.alias or use.name
                    if self.module.uses.get(local) is not None:
                        self.names.warnings.append(
                            ("W0205", use.span, f"`{local}` is never used", "remove it")
                        )

    def usable(self) -> None:
        """What other files can draw on: all but its models."""
        self._once()
        for item in self.module.file.items:
            if not isinstance(item, ast.Model):
                self._item(item)

    def _once(self) -> None:
        """No name of the file has two meanings."""
        seen: dict[str, Span] = {}
        for item in self.module.file.items:
            if isinstance(item, ast.Use):
                for use in item.names:
                    self._top(seen, use.alias or use.name, use.span)
            elif isinstance(item, NAMED):
                self._top(seen, item.name, name_span(item, item.name))

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
                self.names.mark(e)
            elif isinstance(e, ast.Call):
                for a in e.args:
                    note(a.value)
            elif isinstance(e, ast.Unary):
                note(e.operand)

        if isinstance(item, ast.Train):
            self.names.named(item.model, item.args)
            for a in item.args:
                note(a.value)
        for s in item.settings:
            if s.name == "freeze":
                self._frozen(s.value, self.models.get(item.model, {}))
            else:
                note(s.value)

    def _frozen(self, e: ast.Expr, inside: Mapping[str, Info]) -> Info | None:
        """Layers and tensors of a model, by what its lines call them."""
        found, name = None, ""
        if isinstance(e, ast.List):
            for x in e.items:
                self._frozen(x, inside)
        elif isinstance(e, ast.Name):
            found, name = inside.get(e.id), e.id
        elif isinstance(e, ast.Field) and (base := self._frozen(e.base, inside)) is not None:
            found, name = (base.members or {}).get(e.name), e.name
        if found is not None:
            self.names.mentions.append(Mention(end_of(e.span, name), name, found))
        return found

    def _item(self, item: ast.Item | ast.Stmt) -> None:
        self.names.told = set()
        match item:
            case ast.Const() | ast.AnsatzBinding():
                expr(self.names, item.value)
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
                    self.names.error(
                        "E0127",
                        item.span,
                        f'"{item.path}" does not say where the layer is',
                        'a module, a colon and a name in it: `= "package.module:Name"`',
                    )
                with self.names.block():
                    self._params(item.params)
                    for t in (*item.values, item.result):
                        type_(self.names, t)

    def _params(self, params: tuple[ast.Parameter, ...]) -> None:
        for p in params:
            if p.type.name not in PARAMETER_TYPES:
                self.names.error(
                    "E0213",
                    p.type.span,
                    f"`{p.type.name}` is not the type of a parameter",
                    did_you_mean(p.type.name, PARAMETER_TYPES)
                    or "parameters are " + ", ".join(PARAMETER_TYPES),
                )
            if p.default is not None:
                expr(self.names, p.default)
            self.names.declare(p.name, "parameter", p.span)

    def _definition(
        self,
        item: ast.Model | ast.Circuit | ast.Ansatz | ast.ReadoutDef | ast.Hamiltonian,
        region: str,
    ) -> None:
        names = self.names
        with names.block(region, nested=False) as block:
            self._params(item.params)
            for r in getattr(item, "registers", ()):
                if isinstance(r.size, ast.Name):
                    if names.mention(r.size.span, r.size.id) is None:
                        block.names[r.size.id] = names.known(r.size.id, "width", r.size.span)
                elif r.size is not None:
                    expr(names, r.size)
                names.declare(r.name, "register", r.span)
            for p in getattr(item, "values", ()):
                type_(names, p.type, free=True)
                names.declare(p.name, "value", p.span)
            if isinstance(item, ast.Circuit) and item.result is not None:
                type_(names, item.result)
            if isinstance(item, (ast.ReadoutDef, ast.Hamiltonian)):
                expr(names, item.body)
            else:
                # Parameters and body share one block: a line can't declare a parameter again.
                statements(names, item.body)
                if isinstance(item, ast.Circuit) and not any(
                    isinstance(s, ast.Return) for s in item.body
                ):
                    names.error(
                        "E0605",
                        header(item),
                        f"the circuit `{item.name}` returns nothing",
                        "end it with `return read …`",
                    )
        if isinstance(item, ast.Model):
            self.models[item.name] = block.names
            for name, info in block.names.items():
                if info.word == "parameter" and not info.used and not name.startswith("_"):
                    names.warnings.append(
                        ("W0204", info.span, f"the parameter `{name}` is never used", "remove it")
                    )
        names.unused(block)

    def forgotten(self) -> None:
        """The warnings, once it is known that nothing is wrong."""
        for code, span, message, help in self.names.warnings:
            self.report.warning(code, span, message, help=help)


def _is_place(path: str) -> bool:
    """Whether it names something in a Python module: targets write it as an import."""
    module, _, name = path.partition(":")
    return all(w.isidentifier() and not iskeyword(w) for w in (*module.split("."), name))
