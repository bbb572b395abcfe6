"""A model at its settings: its lines elaborated until every width in it is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import count
from math import prod

from qrlang.check.binding.parameters import fits_parameter
from qrlang.check.core.blocks import finish
from qrlang.check.core.elaborator import Elaborator
from qrlang.check.core.limits import Abort, Rejected
from qrlang.check.core.scope import Body, Here, Scope
from qrlang.check.core.values import POISON, Builtin, Definition, Poison, Tensor, describe
from qrlang.check.library import Module
from qrlang.check.model import CheckedModel, Places
from qrlang.check.report import Reporter
from qrlang.check.statements.tensors import finish_inits
from qrlang.check.walkers import elaborator
from qrlang.check.written.spans import header
from qrlang.diagnostics import Note
from qrlang.diagnostics.words import plural
from qrlang.ir import program as ir
from qrlang.ir.types import Type
from qrlang.source import Span
from qrlang.syntax import ast

Setting = int | float | bool | str
ROUNDS = 8  # of inferring widths, however long each takes
WORK = 400_000  # … and as many more as this allows: gates, operations and iterations
TRIALS = 50_000  # iterations spent on sizes at which a model is wrong
SAMPLES = (4, 2, 3, 5, 6, 8, 1, 7, 16)  # for a whole number that nobody gives


@dataclass(slots=True)
class Attempt:
    """One model elaborated, or what kept it from that."""

    checked: CheckedModel | None
    result: Tensor | None = None
    result_span: Span | None = None
    inputs: tuple[tuple[ast.Input | ast.Target, Type], ...] = ()
    inlined: tuple[ast.Item, ...] = ()  # definitions
    iterations: int = 0
    assumed: tuple[str, ...] = ()  # parameters that nobody gave


def model(
    module: Module,
    item: ast.Model,
    settings: Mapping[str, object],
    report: Reporter,
) -> Attempt:
    """A model at given settings. What nobody gives is its default, or a stand-in: the first at
    which the model is right."""
    needed = [p for p in item.params if p.default is None and p.name not in settings]
    candidates: list[dict[str, object]] = [{}]
    if needed:
        candidates = [{p.name: stand_in(p.type.name, k) for p in needed} for k in SAMPLES]
    trials: list[tuple[Reporter, Attempt]] = []
    spent = 0
    for candidate in candidates:
        trial = report.child()
        attempt = _model_rounds(module, item, {**candidate, **settings}, trial)
        attempt.assumed = tuple(candidate)
        if not trial.failed:
            report.take(trial)
            return attempt
        trials.append((trial, attempt))
        spent += attempt.iterations
        if spent > TRIALS:
            break
    trial, attempt = trials[0]
    _name_stand_ins(candidates[0], [t for t, _ in trials])
    report.take(trial)
    return attempt


def _name_stand_ins(values: Mapping[str, object], trials: list[Reporter]) -> None:
    """Says at each error that may be owed to a stand-in which numbers stood there."""
    shown = {k: v for k, v in values.items() if isinstance(v, (int, float, bool))}
    if not shown:
        return
    always = set.intersection(
        *({(d.span, d.message) for d in t.diagnostics if d.code != "E0308"} for t in trials)
    )
    them = "it" if len(shown) == 1 else "them"
    note = Note(
        "with "
        + ", ".join(f"{k} = {describe_setting(v)}" for k, v in shown.items())
        + f", since nobody says {them}: "
        + " ".join(f"--set {k}=…" for k in shown)
    )
    first = trials[0]
    first.diagnostics = [
        d if (d.span, d.message) in always else replace(d, notes=(*d.notes, note))
        for d in first.diagnostics
    ]


def describe_setting(value: int | float | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}"


def stand_in(type_name: str, number: int) -> object:
    match type_name:
        case "int":
            return number
        case "real":
            return 0.5
        case "bool":
            return True
        case "string":
            return ""
        case "activation":
            return Builtin("tanh")
    return POISON


def _model_rounds(
    module: Module,
    item: ast.Model,
    values: Mapping[str, object],
    report: Reporter,
) -> Attempt:
    """Widths that a later line decides are known in the next round."""
    hints: dict[str, tuple[int, ...]] = {}
    spent = 0
    for round_ in count():
        trial = report.child()
        e = elaborator(trial, Here(Scope(module), Body(), "model", active=(item,)), hints)
        attempt = _model_once(e, item, values)
        new = e.widths.found()
        spent += e.spent.total
        if not new or (round_ >= ROUNDS and spent > WORK):
            break
        hints = hints | new
    for key, (span, word) in e.widths.open.items():
        if trial.failed:
            break
        if key in hints and key in e.widths.wanted:  # its shape could not take what was found
            shape, use = e.widths.wanted[key]
            trial.error(
                "E0401",
                use,
                f"{plural(prod(shape), 'number')} can't be had of `{key}`: its shape does not fit",
                notes=[Note(f"`{key}` is declared here", span)],
                help="what is written beside `...` has to divide them; a row, `w[0]`, is as wide "
                "as its use",
            )
            attempt = Attempt(None)
        else:
            trial.error(
                "E0404",
                span,
                f"the width of `{key}` can't be inferred",
                help=f"say it: {_with_width(span.text)}"
                if word in ("layer", "controller", "attention")
                else "write the number instead of `...`",
                notes=[
                    Note(
                        "a width follows from what uses it: the angles of an ansatz, the "
                        "value of a circuit, the other side of a sum"
                    )
                ],
            )
            attempt = Attempt(None)
    attempt.inlined, attempt.iterations = tuple(e.draft.inlined), e.spent.iterations
    report.take(trial)
    return attempt


def _with_width(declaration: str) -> str:
    """The declaration of a layer again, of eight numbers."""
    said, _, kind = declaration.partition("=")
    name, _, given = " ".join(kind.split()).partition("(")
    settings = [given.removesuffix(")")] if given else []
    width = ["8", *settings] if name == "linear" else [*settings, "out: 8"]
    return f"`{' '.join(said.split())} = {name}({', '.join(width)})`, if eight are meant"


def _model_once(e: Elaborator, item: ast.Model, values: Mapping[str, object]) -> Attempt:
    try:
        settings = _parameters(e, item, values)
        if settings is None:
            return Attempt(None)
        e.run(item.body)
        finish_inits(e)
    except (Rejected, Abort):
        return Attempt(None)
    result, span = _result(e, item)
    ports = []
    known = {v.name: v.type for v in (*e.draft.inputs, *e.draft.targets)}
    for s in item.body:
        if isinstance(s, (ast.Input, ast.Target)) and s.name in known:
            ports.append((s, known[s.name]))
    if e.report.failed:
        return Attempt(None, result, span, tuple(ports))
    outputs: tuple[ir.Output, ...] = ()
    if result is not None:
        outputs = (ir.Output("", e.builder.whole(result)),)
    program = program_of(e, item.name, settings, outputs)
    return Attempt(checked_model(e, program, item), result, span, tuple(ports))


def _parameters(
    e: Elaborator, item: ast.Model, values: Mapping[str, object]
) -> tuple[tuple[str, Setting], ...] | None:
    """Names the model's parameters; None if one is missing or wrong."""
    settings: list[tuple[str, Setting]] = []
    for p in item.params:
        if p.name in values:
            value = fits_parameter(p.type.name, values[p.name])
            if value is None:
                e.error(
                    "E0312",
                    p,
                    f"`{p.name}` of `{item.name}` is of type {p.type.name}, "
                    f"found {describe(values[p.name])}",
                )
                return None
        else:
            assert p.default is not None
            found = e.eval(p.default)
            value = fits_parameter(p.type.name, found)
            if value is None:
                if not isinstance(found, Poison):
                    e.error(
                        "E0312",
                        p.default,
                        f"`{p.name}` is of type {p.type.name}, found {describe(found)}",
                    )
                value = POISON
        e.scope.names[p.name] = value
        if isinstance(value, (int, float, bool, str)):
            settings.append((p.name, value))
        elif isinstance(value, Builtin):
            settings.append((p.name, value.name))
        elif isinstance(value, Definition):
            settings.append((p.name, value.item.name))
    return tuple(settings)


def _result(e: Elaborator, item: ast.Model) -> tuple[Tensor | None, Span]:
    if not e.draft.outputs:
        if not e.report.failed and not e.draft.output_pending and not e.report.misplaced:
            e.error(
                "E0602",
                header(item),
                f"the model `{item.name}` hands nothing out",
                help="`return` a value at the end, or `emit` one at each step, without a name",
            )
        return None, item.span
    value, span = e.draft.outputs[0]
    if len(e.draft.outputs) > 1:
        other = e.draft.outputs[1][1]
        e.error(
            "E0603",
            other,
            "the model hands out two results",
            help="put them together, `concat(a, b)`, or name one: `emit keys = …`",
            notes=[Note("the first is here", span)],
        )
    return (value if isinstance(value, Tensor) else None), span


def program_of(
    e: Elaborator,
    name: str,
    settings: tuple[tuple[str, Setting], ...],
    outputs: tuple[ir.Output, ...],
) -> ir.Program:
    return ir.Program(
        name=name,
        settings=settings,
        inputs=tuple(e.draft.inputs),
        targets=tuple(e.draft.targets),
        weights=tuple(e.draft.weights.values()),
        externs=tuple(e.draft.externs.values()),
        registers=e.qubits.finished(),
        body=finish(e.builder.blocks[0]),
        outputs=outputs,
    )


def checked_model(e: Elaborator, program: ir.Program, item: ast.Item) -> CheckedModel:
    places = Places(tuple(e.draft.places), e.builder.spans, e.draft.names)
    facts = tuple(e.draft.facts[k] for k in sorted(e.draft.facts))
    return CheckedModel(program, places, facts, item)
