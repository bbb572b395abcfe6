"""An ansatz, readout, Hamiltonian or circuit on its own: as a program, at given sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import product

from qrlang.check.algebra.numbers import is_whole
from qrlang.check.binding.parameters import fits_parameter
from qrlang.check.classical.types import declared
from qrlang.check.core.elaborator import Elaborator
from qrlang.check.core.limits import MAX_QUBITS, Abort, Budget, Rejected
from qrlang.check.core.scope import Body, Here, Scope
from qrlang.check.core.values import Definition, Observable, Poison, Probs, Qubits, Tensor, describe
from qrlang.check.elaborate import Setting, checked_model, program_of, stand_in
from qrlang.check.layers.circuits import run_circuit
from qrlang.check.library import Library, Module
from qrlang.check.model import CheckedModel
from qrlang.check.quantum.inlining import inline, leading_requires
from qrlang.check.quantum.observed import observed
from qrlang.check.quantum.readouts import plain
from qrlang.check.report import Reporter
from qrlang.check.walkers import elaborator
from qrlang.diagnostics import Diagnostic, Note
from qrlang.ir import program as ir
from qrlang.ir.types import Type, real
from qrlang.syntax import ast

WIDTHS = (2, 3, 4, 5, 6)  # of free registers, where a definition is only checked
SHOWN = (4, 3, 2, 5, 6, 8, 1)  # tried in turn until every `require` holds, where one is shown


def settable(item: ast.Definition) -> list[str]:
    """What can be set from outside: parameters, and widths of registers that the caller decides."""
    return [*(p.name for p in item.params), *free_widths(item)]


def program_named(
    library: Library, file: ast.File, name: str, settings: Mapping[str, Setting]
) -> tuple[ir.Program | None, tuple[Diagnostic, ...]]:
    """The program of a definition that the file holds or uses."""
    module = library.main(file)
    library.follow(module, lambda use, name, problem: None)
    holder, item_name = module.uses.get(name) or (module, name)
    item = holder.items[item_name]
    assert isinstance(item, ast.Definition)
    free = free_widths(item)
    params = {k: v for k, v in settings.items() if k not in free}
    first: tuple[Diagnostic, ...] = ()
    for width in SHOWN:
        widths = {k: settings.get(k, width) for k in free}
        report = Reporter(library.sources)
        checked = definition(holder, item, widths, params, report)  # type: ignore[arg-type]
        if checked is not None:
            program = checked.program
            return replace(program, settings=(*widths.items(), *program.settings)), ()
        first = first or tuple(report.diagnostics)
        if not any(d.code == "E0308" for d in report.diagnostics):
            break
    return None, first


def definition(
    module: Module,
    item: ast.Definition,
    widths: Mapping[str, int],
    params: Mapping[str, object],
    report: Reporter,
    budget: Budget | None = None,
) -> CheckedModel | None:
    """An ansatz, readout, Hamiltonian or circuit as a program whose inputs are its values."""
    scope = Scope(module)
    e = elaborator(report, Here(scope, Body(), "model"), budget=budget)
    d = Definition(item, module)
    try:
        settings = _definition_params(e, item, params, scope)
        if settings is None:
            return None
        operands: list[Qubits] = []
        for r in getattr(item, "registers", ()):
            size = _width(e, r, widths, scope)
            if size is None:
                return None
            operands.append(_register(e, r.name, size, r))
        if isinstance(item, ast.Ansatz):
            for r, q in zip(item.registers, operands, strict=True):
                scope.names[r.name] = q
            if not inline(e, d, item, scope, item, leading_requires(item)):
                return None
        values: list[Tensor] = []
        for p in getattr(item, "values", ()):
            shape = declared(e, p.type, free=True)
            if shape is None:
                return None
            for dim in shape.shape:
                if isinstance(dim, str):
                    scope.names.setdefault(dim, widths.get(dim, 3))
            shape = declared(e, p.type, free=True)
            if shape is None or (not shape.known):
                return None
            type_ = (
                shape.type
                if shape.size is not None or shape.kind in ("real", "bit")
                else Type(shape.kind, (), 3)
            )
            value = e.builder.value(type_, p.name, p.span)
            e.draft.inputs.append(value)
            t = Tensor(type_, value)
            values.append(t)
            scope.names[p.name] = t
        outputs: tuple[ir.Output, ...] = ()
        if isinstance(item, ast.Ansatz):
            with e.names(Scope(module)):
                inline(e, d, item, scope, item)
        elif isinstance(item, ast.Circuit):
            result = _circuit(e, d, item, scope, values)
            if isinstance(result, Tensor) and not report.failed:
                outputs = (ir.Output("", e.builder.whole(result)),)
        else:
            given = {p.name: scope.names[p.name] for p in item.params}
            d = Definition(item, module, given, tuple(values) if values else None)
            with e.names(Scope(module)):
                found = observed(e, d, given, operands, item)
            outputs = _read_out(e, found)
    except (Rejected, Abort):
        return None
    if report.failed:
        return None
    return checked_model(e, program_of(e, item.name, settings, outputs), item)


def _definition_params(
    e: Elaborator, item: ast.Item, params: Mapping[str, object], scope: Scope
) -> tuple[tuple[str, Setting], ...] | None:
    settings: list[tuple[str, Setting]] = []
    for p in getattr(item, "params", ()):
        value: object = params.get(p.name)
        if value is None and p.default is not None:
            value = e.eval(p.default)
        if value is None:
            value = stand_in(p.type.name, 2)
        if isinstance(value, Poison):
            return None
        fitted = fits_parameter(p.type.name, value)
        if fitted is None:
            e.error("E0312", p, f"`{p.name}` is of type {p.type.name}, found {describe(value)}")
            return None
        scope.names[p.name] = fitted
        if isinstance(fitted, (int, float, bool, str)):
            settings.append((p.name, fitted))
    return tuple(settings)


def _width(
    e: Elaborator, r: ast.RegisterParam, widths: Mapping[str, int], scope: Scope
) -> int | None:
    if r.size is None:
        return 1
    if isinstance(r.size, ast.Name) and r.size.id not in scope.names:
        scope.names[r.size.id] = widths.get(r.size.id, 4)
    size = e.eval(r.size)
    if not is_whole(size) or not 1 <= size <= MAX_QUBITS:
        if not isinstance(size, Poison):
            e.error("E0311", r.size, f"a register needs at least one qubit, found {describe(size)}")
        return None
    return size


def _register(e: Elaborator, name: str, size: int, node: ast.Node) -> Qubits:
    register = e.qubits.add(name, size, node.span)
    qubits = tuple(range(register.start, register.start + size))
    e.qubits.meet((0, *qubits))  # whatever it acts on is one space
    e.draft.names[name] = node.span
    e.builder.quantum(ir.Alloc(qubits))
    e.qubits.fresh.update(qubits)
    return Qubits(qubits, (register,))


def _circuit(
    e: Elaborator, d: Definition, item: ast.Circuit, scope: Scope, values: list[Tensor]
) -> object:
    params = {p.name: scope.names[p.name] for p in item.params}
    given = [(p, t) for p, t in zip(item.values, values, strict=True)]
    with e.names(Scope(d.module)):
        return run_circuit(e, Definition(item, d.module, params), item.name, False, item, given)


def _read_out(e: Elaborator, found: object) -> tuple[ir.Output, ...]:
    if isinstance(found, Probs):
        out = e.builder.value(real(2 ** len(found.qubits.qubits)))
        e.builder.quantum(ir.Probabilities(out, found.qubits.qubits))
        return (ir.Output("", out),)
    observables = (found,) if isinstance(found, Observable) else found
    if not isinstance(observables, tuple):
        return ()
    fixed = tuple(
        Observable(tuple((ir.Angle(1.0 if c.terms else c.constant), p) for c, p in o.terms))
        for o in observables
    )
    out = e.builder.value(real(len(fixed)))
    e.builder.quantum(ir.Expect(out, plain(fixed)))
    return (ir.Output("", out),)


def free_widths(item: ast.Item) -> list[str]:
    """Names of register widths that the caller decides."""
    params = {p.name for p in getattr(item, "params", ())}
    found: dict[str, None] = {}
    for r in getattr(item, "registers", ()):
        if isinstance(r.size, ast.Name) and r.size.id not in params:
            found[r.size.id] = None
    return list(found)


def check_definition(
    module: Module,
    item: ast.Definition,
    report: Reporter,
    budget: Budget,
) -> None:
    """A definition that no model uses: elaborated at small sizes, the first mistake reported."""
    free = free_widths(item)
    sizes = list(product(WIDTHS, repeat=len(free)))
    if len(free) > 1:
        sizes = [s for s in sizes if sum(s) <= 8][:12]
    needed = [p.name for p in item.params if p.default is None and p.type.name == "int"]
    if any(
        p.default is None and p.type.name not in ("int", "real", "bool", "string", "activation")
        for p in item.params
    ):
        return  # it waits for a definition that only its user has
    # A readout and a Hamiltonian can't say `require`: they are too narrow where nothing is left.
    too_small = {"E0308"} if isinstance(item, (ast.Ansatz, ast.Circuit)) else {"E0308", "E0311"}
    usual = [(k, s) for k in ((1, 2, 3, 4, 8) if needed else (0,)) for s in sizes]
    # Only for those that refuse every usual size:
    rare = [
        (k, (w,) * len(free)) for k, _ in usual[:: len(sizes)] for w in (1, 7, 8, 9, 10, 12, 16)
    ]
    refused: Reporter | None = None
    wrong: Reporter | None = None
    for candidates in (usual, rare if free else []):
        allowed = False
        for k, size in candidates:
            trial = report.child()
            widths = dict(zip(free, size, strict=True))
            definition(module, item, widths, dict.fromkeys(needed, k), trial, budget)
            if budget.left < 0:
                break
            if not trial.failed:
                allowed = True
            elif any(d.code in too_small for d in trial.diagnostics):
                refused = refused or trial
            else:
                wrong = wrong or trial
            if wrong is not None and allowed:
                _name_sizes(wrong, item)
                break
        if wrong is not None:
            report.take(wrong)
            return
        if allowed or budget.left < 0:
            return
    if refused is not None:
        report.take(refused)


def _name_sizes(trial: Reporter, item: ast.Definition) -> None:
    """Of mistakes that other sizes don't make: where these ones come from."""
    way = (
        "`require` says which it is not for"
        if isinstance(item, (ast.Ansatz, ast.Circuit))
        else "a model says which one counts"
    )
    note = Note(f"no model uses it, so it is tried at several sizes: {way}")
    trial.diagnostics = [replace(d, notes=(*d.notes, note)) for d in trial.diagnostics]
