"""One definition on its own: for `qrlc stdlib NAME`, `qrlc draw` and the docs."""

from __future__ import annotations

from collections.abc import Mapping

from qrlang.check.elaborate import definition, free_widths
from qrlang.check.library import Library, items_of, problem_at
from qrlang.check.model import CheckedModel
from qrlang.check.report import Reporter
from qrlang.diagnostics import Diagnostic
from qrlang.syntax import ast

Definition = ast.Ansatz | ast.ReadoutDef | ast.Hamiltonian | ast.Circuit


def elaborate_definition(
    file: ast.File,
    name: str,
    library: Library | None = None,
    *,
    n: int | Mapping[str, int] = 4,
    params: Mapping[str, int | float | bool | str] | None = None,
) -> tuple[CheckedModel | None, tuple[Diagnostic, ...]]:
    """An ansatz, readout, Hamiltonian or circuit of a file as a program of its own.

    `n` is the width of every register whose width is free (or a width for each name). The
    program has an input for each `with` value; a readout has its values as output.
    """
    library = library or Library()
    module = library.main(file)
    found: list[Diagnostic] = []

    library.follow(module, lambda use, name, p: found.append(problem_at(use, name, p)))
    item = items_of(file).get(name)
    if not isinstance(item, (ast.Ansatz, ast.ReadoutDef, ast.Hamiltonian, ast.Circuit)):
        raise ValueError(f"{file.source.name} defines no ansatz, readout or circuit {name!r}")
    widths = dict(n) if isinstance(n, Mapping) else dict.fromkeys(free_widths(item), n)
    report = Reporter(library.sources)
    checked = definition(library, module, item, widths, params or {}, report)
    diagnostics = (*found, *library.diagnostics, *report.diagnostics)
    return checked, diagnostics


def angle_count_formula(item: ast.Ansatz) -> str:
    """How many angles an ansatz takes, as text: `3*n*layers`; `0` if none."""
    terms = []
    for p in item.values:
        if p.type.name not in ("angle", "real"):
            continue
        widths = [r.size.id for r in item.registers if isinstance(r.size, ast.Name)]
        number, names, rest = 1, [], []
        for d in p.type.dims:
            if isinstance(d, ast.Int):
                number *= d.value
            elif isinstance(d, ast.Name):
                names.append(d.id)
            elif isinstance(d, ast.Hole):
                rest.append("?")
            else:
                text = " ".join(d.span.text.split())
                plain = isinstance(d, ast.Call) or (
                    isinstance(d, ast.Binary) and d.op in ("*", "**")
                )
                rest.append(text if plain or len(p.type.dims) == 1 else f"({text})")
        names.sort(key=lambda name: name not in widths)
        parts = ([str(number)] if number != 1 or not (names or rest) else []) + names + rest
        terms.append("*".join(parts))
    return " + ".join(terms) if terms else "0"
