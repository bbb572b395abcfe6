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
from qrlang.check.core.values import Builtin, Poison, describe
from qrlang.check.definitions import check_definition
from qrlang.check.elaborate import Attempt, Setting
from qrlang.check.library import Library, Module, Problem, problem_at
from qrlang.check.model import Checked, CheckedModel, Fact, GovernBlock, TrainBlock
from qrlang.check.names.resolver import Resolver
from qrlang.check.report import Reporter
from qrlang.check.training.fit import bound_by_data, check_data, check_freeze, check_loss
from qrlang.check.training.lines import SettingsChecker
from qrlang.check.training.settings import BOUNDS
from qrlang.check.walkers import elaborator
from qrlang.check.written.spans import header, name_span
from qrlang.diagnostics import Diagnostic, Note
from qrlang.diagnostics.words import did_you_mean
from qrlang.source import Span
from qrlang.syntax import ast


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


Block = tuple[ast.Train, dict[str, object], dict[str, object]]
"""A train block, its arguments for the model, its settings."""


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
        items = [i for i in self.file.items if isinstance(i, ast.Model)]
        trains = [i for i in self.file.items if isinstance(i, ast.Train)]
        by_name = {i.name: i for i in reversed(items)}
        self._unknown_settings(items)
        blocks: dict[str, list[Block]] = {}
        for train in trains:
            self._train(train, by_name, blocks)
        for bounds in self.file.items:
            if isinstance(bounds, ast.Govern):
                self._govern(bounds, by_name)
        for item in items:
            if by_name[item.name] is item and (self.only is None or item.name in self.only):
                self.current = item
                self._model(item, blocks.get(item.name, []))
        if self.only is None:
            budget = Budget()
            for definition in self.file.items:
                if id(definition) not in self.used and isinstance(definition, ast.Definition):
                    self.current = definition
                    check_definition(self.library, self.module, definition, self.report, budget)
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
                if p.type.name == "activation" and isinstance(value, str):
                    value = Builtin(value)
                fitted = fits_parameter(p.type.name, value)
                if fitted is None:
                    finite = not is_number(value) or within_limits(value)
                    self.report.error(
                        "E0312" if finite else "E0309",
                        p.span,
                        f"`{p.name}` is of type {p.type.name}, but is set to {describe(value)}"
                        if finite
                        else f"`{p.name}` is set to what is no number, or too large for one",
                        help="" if finite else "a number below 1e308 in size",
                    )
                    return None
                found[p.name] = fitted
        return found

    # --- train and govern blocks ---

    def _of(
        self, e: Elaborator, item: ast.Train | ast.Govern, models: Mapping[str, ast.Model]
    ) -> ast.Model | None:
        """The model that a block is about."""
        model = models.get(item.model)
        if model is None:
            e.error(
                "E0201",
                name_span(item, item.model),
                f"there is no model `{item.model}` in this file",
                help=did_you_mean(item.model, models),
            )
        return model

    def _govern(self, item: ast.Govern, models: Mapping[str, ast.Model]) -> None:
        self.current = item
        e = self._elaborator()
        known = self._of(e, item, models) is not None
        before = self.governs.get(item.model)
        if before is not None:
            e.error(
                "E0202",
                header(item),
                f"`{item.model}` is governed twice",
                notes=[Note("the first is here", before.span)],
            )
            return
        found, right = SettingsChecker(e, item, BOUNDS).settings()
        if known and right:
            bounds = {k: v for k, v in found.items() if isinstance(v, (int, float))}
            self.governs[item.model] = GovernBlock(item.model, bounds, header(item))

    def _train(
        self,
        item: ast.Train,
        models: Mapping[str, ast.Model],
        blocks: dict[str, list[Block]],
    ) -> None:
        self.current = item
        e = self._elaborator()
        model = self._of(e, item, models)
        args: dict[str, object] = {}
        good = model is not None
        for k, arg in enumerate(item.args):
            value = e.eval(arg.value)
            if model is None or isinstance(value, Poison):
                good = False
                continue
            name = arg.name or (model.params[k].name if k < len(model.params) else "")
            p = next((p for p in model.params if p.name == name), None)
            if p is None:
                e.error(
                    "E0302",
                    arg,
                    f"`{item.model}` has no parameter `{name}`"
                    if name
                    else f"`{item.model}` takes {len(model.params)} parameters",
                    help=did_you_mean(name, [p.name for p in model.params]),
                )
                good = False
                continue
            fitted = fits_parameter(p.type.name, value)
            if fitted is None:
                e.error(
                    "E0312",
                    arg.value,
                    f"`{name}` of `{item.model}` is of type {p.type.name}, found {describe(value)}",
                )
                good = False
                continue
            args[name] = fitted
        if item.model in blocks:
            good = False
            e.error(
                "E0202",
                header(item),
                f"`{item.model}` has a train block already",
                notes=[Note("the first is here", header(blocks[item.model][0][0]))],
                help="keep one; single settings can be given on the line: qrlc train --epochs 3",
            )
        found, right = SettingsChecker(e, item).settings()
        if not any(s.name == "data" for s in item.settings):
            right = False
            e.error(
                "E0901",
                header(item),
                "a train block needs `data`",
                help='`data = mnist_rows`, or a file of your own: `data = "mine.csv"`',
            )
        if not good:
            return
        plain: dict[str, Setting] = {
            k: v for k, v in args.items() if isinstance(v, (int, float, bool, str))
        }
        if right:
            self.trains.append(TrainBlock(item.model, plain, found, header(item)))
        blocks.setdefault(item.model, []).append((item, args, found))

    # --- models ---

    def _model(
        self,
        item: ast.Model,
        blocks: list[Block],
    ) -> None:
        given = self._given(item)
        if given is None:
            return
        done: list[tuple[dict[str, object], Attempt]] = []
        e = self._elaborator()
        rounds: list[tuple[ast.Train | None, dict[str, object], dict[str, object]]] = [*blocks]
        for train, args, settings in rounds or [(None, {}, {})]:
            values: dict[str, object] = {**args, **given}
            values = {**bound_by_data(item, settings, values), **values}
            attempt = next((a for v, a in done if v == values), None)
            if attempt is None:
                attempt = elaborate.model(self.library, self.module, item, values, self.report)
                done.append((values, attempt))
                if attempt.elaborator is not None:
                    self.used |= {id(d) for d in attempt.elaborator.draft.inlined}
            at = item.span
            if any(
                d.severity == "error"
                and d.span.source is at.source
                and at.start <= d.span.start < at.end
                for d in self.report.diagnostics
            ):
                continue
            if train is None:
                if not attempt.assumed:  # stand-ins need not be true to one another
                    check_loss(e, attempt, None, None)
                continue
            if attempt.inputs:
                check_data(e, train, settings, attempt)
            check_freeze(e, train, attempt)
            loss = settings.get("loss")
            node = next((s.value for s in train.settings if s.name == "loss"), None)
            check_loss(
                e,
                attempt,
                loss[0] if isinstance(loss, tuple) else None,
                node.span if node is not None and isinstance(loss, tuple) else None,
                trained=True,
            )
        checked = done[0][1].checked
        if checked is not None:
            assumed = done[0][1].assumed
            facts = checked.facts
            for p in item.params:
                if p.name in assumed:
                    value = dict(checked.program.settings).get(p.name)
                    facts = (*facts, Fact(p.span, p.name, f"{value}, a stand-in: --set {p.name}=…"))
            self.models[item.name] = replace(checked, facts=facts, assumed=assumed)
