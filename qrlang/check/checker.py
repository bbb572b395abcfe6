"""Checking a whole file: names first, then each definition at its sizes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import replace

from qrlang.check import elaborate
from qrlang.check.algebra.numbers import is_number
from qrlang.check.binding.parameters import fits_parameter, within_limits
from qrlang.check.core.elaborator import Elaborator
from qrlang.check.core.limits import Abort, Budget
from qrlang.check.core.scope import Body, Here, Scope
from qrlang.check.core.values import Builtin, describe
from qrlang.check.definitions import check_definition
from qrlang.check.elaborate import Setting
from qrlang.check.library import Library, Module, Problem, drawn_on, problem_at
from qrlang.check.model import Checked, CheckedModel, Fact, GovernBlock, TrainBlock
from qrlang.check.names.resolver import Resolver
from qrlang.check.report import Reporter
from qrlang.check.standard import standard_items
from qrlang.check.training.blocks import Block, govern_block, train_block
from qrlang.check.training.fit import bound_by_data, check_block, check_loss
from qrlang.check.walkers import elaborator
from qrlang.check.written.spans import header, name_span
from qrlang.diagnostics import Diagnostic
from qrlang.diagnostics.words import did_you_mean
from qrlang.source import Span
from qrlang.syntax import ast

# Types of parameters that `--set` gives by name.
NAMED = {
    "ansatz": ast.Ansatz,
    "readout": ast.ReadoutDef,
    "circuit": ast.Circuit,
    "hamiltonian": ast.Hamiltonian,
}


def check_file(
    file: ast.File,
    library: Library | None = None,
    settings: Mapping[str, Setting] | None = None,
    models: Collection[str] | None = None,
) -> tuple[Checked, tuple[Diagnostic, ...]]:
    """The models of a file, elaborated at `settings` (the defaults where it has none).

    `models` restricts what is elaborated; names are checked in the whole file.
    """
    checker = _Checker(file, library or Library(), settings or {}, models)
    try:
        checker.run()
    except RecursionError:
        checker.too_deep()
    report = checker.report
    found = [*checker.drawn_in(), *report.diagnostics]
    source = file.source
    wrong = [d.span.start for d in found if d.severity == "error" and d.span.source is source]
    for item in file.items:
        if isinstance(item, ast.Model) and any(
            item.span.start <= at < item.span.end for at in wrong
        ):
            checker.models.pop(item.name, None)
    found.sort(
        key=lambda d: (d.span.source is not source, d.span.source.name, d.span.start, d.code)
    )
    blocks = tuple(checker.trains), tuple(checker.governs.values())
    return Checked(file, checker.models, *blocks), tuple(found)


class _Checker:
    def __init__(
        self,
        file: ast.File,
        library: Library,
        settings: Mapping[str, Setting],
        only: Collection[str] | None,
    ) -> None:
        self.file = file
        self.library = library
        self.settings = settings
        self.only = only
        self.report = Reporter(library.sources)
        self.models: dict[str, CheckedModel] = {}
        self.trains: list[TrainBlock] = []
        self.governs: dict[str, GovernBlock] = {}
        self.used: set[int] = set()  # definitions that a model has inlined
        self.current: ast.Node | None = None
        self.module: Module = library.main(file)

    def drawn_in(self) -> list[Diagnostic]:
        return list(self.library.diagnostics)

    def too_deep(self) -> None:
        node = self.current
        span = header(node) if node is not None else Span(self.file.source, 0, 0)
        self.report.error("E0307", span, "this is nested too deeply", help="give parts of it names")

    def run(self) -> None:
        self.library.follow(self.module, self._broken_use)
        resolver = Resolver(self.module, self.report)
        resolver.run()
        for module in drawn_on(self.module):
            if module.kind == "user":  # an installed library has been checked
                Resolver(module, self.report).usable()
        items = [i for i in self.file.items if isinstance(i, ast.Model)]
        trains = [i for i in self.file.items if isinstance(i, ast.Train)]
        by_name = {i.name: i for i in reversed(items)}
        self._unknown_settings(items)
        blocks: dict[str, Block] = {}
        for train in trains:
            self.current = train
            block = train_block(self._elaborator(), train, by_name, blocks.get(train.model))
            if block is not None:
                blocks[train.model] = block
        for bounds in self.file.items:
            if isinstance(bounds, ast.Govern):
                self.current = bounds
                before = self.governs.get(bounds.model)
                governed = govern_block(self._elaborator(), bounds, by_name, before)
                if governed is not None:
                    self.governs[bounds.model] = governed
        self.trains = [block.checked() for block in blocks.values() if block.right]
        for item in items:
            if by_name[item.name] is item and (self.only is None or item.name in self.only):
                self.current = item
                self._model(item, blocks.get(item.name))
        if self.only is None:
            budget = Budget()
            for definition in self.file.items:
                if id(definition) not in self.used and isinstance(definition, ast.Definition):
                    self.current = definition
                    check_definition(self.module, definition, self.report, budget)
                elif isinstance(definition, (ast.Const, ast.AnsatzBinding)):
                    self.current = definition
                    e = self._elaborator()
                    with suppress(Abort):  # a limit: it has been reported
                        e.module_thing(self.module, definition.name)
        whole = not self.file.lost and not self.report.failed
        if whole and not any(d.severity == "error" for d in self.drawn_in()):
            resolver.forgotten()

    def _broken_use(self, use: ast.Use, name: ast.UseName, problem: Problem) -> None:
        d = problem_at(use, name, problem)
        self.report.error(d.code, d.span, d.message, help=d.help, notes=d.notes)

    def _elaborator(self) -> Elaborator:
        return elaborator(self.report, Here(Scope(self.module), Body()))

    # --- settings from outside ---

    def _unknown_settings(self, items: list[ast.Model]) -> None:
        if self.only is not None:
            items = [i for i in items if i.name in self.only]
        names = {p.name for i in items for p in i.params}
        for name in self.settings:
            if name not in names and items:
                self.report.error(
                    "E0908",
                    name_span(items[0], items[0].name),
                    f"no model has a parameter `{name}`",
                    help=did_you_mean(name, names)
                    or ("parameters are " + ", ".join(sorted(names)) if names else ""),
                )

    def _given(self, item: ast.Model) -> dict[str, object] | None:
        """What `--set` says about this model's parameters."""
        found: dict[str, object] = {}
        for p in item.params:
            if p.name in self.settings:
                value: object = self.settings[p.name]
                if isinstance(value, str):
                    value = self._named(p.type.name, value)
                fitted = fits_parameter(p.type.name, value)
                if fitted is None:
                    finite = not is_number(value) or within_limits(value)
                    nothing = isinstance(value, str) and p.type.name in NAMED
                    what = f"there is no `{value}`" if nothing else f"is set to {describe(value)}"
                    self.report.error(
                        "E0312" if finite else "E0309",
                        p.span,
                        f"`{p.name}` is of type {p.type.name}, but {what}"
                        if finite
                        else f"`{p.name}` is set to what is no number, or too large for one",
                        help=self._meant(p, value) if finite else "a number below 1e308 in size",
                    )
                    return None
                found[p.name] = fitted
        return found

    def _named(self, type_name: str, name: str) -> object:
        """What a text from outside stands for: of a file's own things, or those of the library."""
        if type_name == "activation":
            return Builtin(name)
        if type_name not in NAMED:
            return name
        there = name in self.module.items or name in self.module.uses
        place = (self.module, name) if there else self.library.standard(self.module, name)
        thing = place and self._elaborator().module_thing(*place)
        return name if thing is None else thing

    def _meant(self, p: ast.Parameter, value: object) -> str:
        if not isinstance(value, str) or p.type.name not in NAMED:
            return ""
        own = [k for k, i in self.module.items.items() if isinstance(i, NAMED[p.type.name])]
        names = (*own, *self.module.uses, *standard_items())
        return did_you_mean(value, names) or "a name of this file, or of the library: qrlc stdlib"

    # --- models ---

    def _model(self, item: ast.Model, block: Block | None) -> None:
        given = self._given(item)
        if given is None:
            return
        values = {**(block.args if block is not None else {}), **given}
        if block is not None:
            values = {**bound_by_data(item, block.settings, values), **values}
        attempt = elaborate.model(self.module, item, values, self.report)
        self.used |= {id(d) for d in attempt.inlined}
        if not self._wrong_in(item):
            e = self._elaborator()
            if block is not None:
                check_block(e, block, attempt)
            elif not attempt.assumed:  # stand-ins need not be true to one another
                check_loss(e, attempt, None, None)
        checked = attempt.checked
        if checked is None:
            return
        facts = checked.facts
        for p in item.params:
            if p.name in attempt.assumed:
                value = dict(checked.program.settings).get(p.name)
                facts = (*facts, Fact(p.span, p.name, f"{value}, a stand-in: --set {p.name}=…"))
        self.models[item.name] = replace(checked, facts=facts, assumed=attempt.assumed)

    def _wrong_in(self, item: ast.Model) -> bool:
        """Whether an error has been found in this model's own lines."""
        span = item.span
        return any(
            d.severity == "error"
            and d.span.source is span.source
            and span.start <= d.span.start < span.end
            for d in self.report.diagnostics
        )
