"""An ansatz, readout, Hamiltonian or circuit as a program of its own, at given sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from qrlang.diagnostics import Diagnostic
from qrlang.driver import Compilation, Setting
from qrlang.syntax import ast

if TYPE_CHECKING:
    from qrlang.ir.program import Program

DEFINITIONS = (ast.Ansatz, ast.ReadoutDef, ast.Hamiltonian, ast.Circuit)
Definition = ast.Ansatz | ast.ReadoutDef | ast.Hamiltonian | ast.Circuit

_WIDTHS = (4, 3, 2, 5, 6, 8, 1)  # tried in turn until every `require` holds


def parameters(item: Definition) -> list[str]:
    """What `--set` can set: parameters, and the widths of registers that the caller decides."""
    from qrlang.check.elaborate import free_widths

    return [*(p.name for p in item.params), *free_widths(item)]


def program_of(
    made: Compilation, name: str, settings: Mapping[str, Setting]
) -> tuple[Program | None, tuple[Diagnostic, ...]]:
    """The program of a definition that the file holds or uses."""
    from qrlang.check.elaborate import definition, free_widths
    from qrlang.check.report import Reporter

    module = made.library.main(made.file)
    made.library.follow(module, lambda use, name, problem: None)
    holder, item_name = module, name
    if name in module.uses and (found := module.uses[name]):
        holder, item_name = found
    item = holder.items[item_name]
    assert isinstance(item, DEFINITIONS)
    free = free_widths(item)
    params = {k: v for k, v in settings.items() if k not in free}
    first: tuple[Diagnostic, ...] = ()
    for width in _WIDTHS:
        widths = {k: settings.get(k, width) for k in free}
        report = Reporter(made.library.sources)
        checked = definition(made.library, holder, item, widths, params, report)  # type: ignore[arg-type]
        if checked is not None:
            program = checked.program
            shown = (*((k, v) for k, v in widths.items()), *program.settings)
            return replace(program, settings=shown), ()
        first = first or tuple(report.diagnostics)
        if not any(d.code == "E0308" for d in report.diagnostics):
            break
    return None, first
