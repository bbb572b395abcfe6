"""What can be used from elsewhere, and what one such definition is: its text, drawing and size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from qrlang.analysis.cost import cost
from qrlang.check.definitions import program_named
from qrlang.check.library import Library
from qrlang.check.written.angle_count import angle_count_formula
from qrlang.diagnostics import Diagnostic
from qrlang.draw.picture import picture
from qrlang.draw.text import render
from qrlang.driver import Compilation, Setting
from qrlang.syntax import ast

KINDS: dict[type, str] = {
    ast.Ansatz: "ansatz",
    ast.ReadoutDef: "readout",
    ast.Hamiltonian: "hamiltonian",
    ast.Circuit: "circuit",
}


def installed(library: Library) -> Iterator[tuple[str, ast.Definition]]:
    """Everything that `use` reaches, by its full name, in the order of the files."""
    for root in dict.fromkeys(library.installed()):
        folder = library.root(root)
        if folder is None:
            continue
        for path in sorted(folder.rglob("*.qrl")):
            inside = path.relative_to(folder).with_suffix("")
            shown = f"{root}/{path.relative_to(folder).as_posix()}"
            for item in Compilation.of_bytes(shown, path.read_bytes()).file.items:
                if isinstance(item, ast.Definition):
                    yield ".".join((root, *Path(inside).parts, item.name)), item


def source(item: ast.Definition) -> str:
    """The text, from its doc comment on."""
    text, start = item.span.source.text, item.span.start
    lines = text[:start].split("\n")
    begin = len(lines) - 1
    while begin > 0 and lines[begin - 1].lstrip().startswith("///"):
        begin -= 1
    return "\n".join([*lines[begin:-1], lines[-1] + text[start : item.span.end]]).strip("\n") + "\n"


def drawn(
    made: Compilation, name: str, settings: Mapping[str, Setting], fold: bool, width: int
) -> tuple[dict[str, Any], tuple[Diagnostic, ...]]:
    """The drawing and the size of what has this name in a file: at four qubits unless the settings
    say otherwise."""
    program, problems = program_named(made.library, made.file, name, dict(settings))
    if program is None:
        return {}, tuple(problems)
    gates = next(iter(cost(program).circuits.values()), None)
    return {
        "drawing": render(picture(program, fold), width),
        "at": dict(program.settings),
        "numbers": sum(v.type.count for v in program.inputs),
        "gates": gates.total if gates else 0,
        "depth": gates.depth if gates else 0,
    }, ()


def sizes(item: ast.Definition, found: Mapping[str, Any]) -> str:
    """`12 = 3*n*layers angles, 16 gates, depth 7`"""
    formula = angle_count_formula(item) if isinstance(item, ast.Ansatz) else ""
    said = []
    if getattr(item, "values", ()):
        said.append(f"{found['numbers']}{f' = {formula}' if formula else ''} angles")
    if found["gates"]:
        said.append(f"{found['gates']} gates, depth {found['depth']}")
    return ", ".join(said)
