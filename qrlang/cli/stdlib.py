"""`qrlc stdlib`"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from qrlang.cli import common, printing
from qrlang.diagnostics.words import suggestion
from qrlang.driver import Compilation, Setting
from qrlang.source import Source
from qrlang.syntax import ast

_KINDS: dict[type, str] = {
    ast.Ansatz: "ansatz",
    ast.ReadoutDef: "readout",
    ast.Hamiltonian: "hamiltonian",
    ast.Circuit: "circuit",
}


@click.command("stdlib")
@click.argument("name", metavar="[NAME]", required=False)
@common.settings
@click.option("--fold", is_flag=True, help="Draw repeated layers once.")
@common.output
def command(
    name: str | None,
    settings: tuple[tuple[str, Setting], ...],
    fold: bool,
    form: str,
    color: str,
) -> None:
    """List the standard library and installed ones; with a NAME, show that thing, or list that
    module.

    Its documentation, its text and its drawing, for four qubits unless --set n=… says otherwise.
    """
    found = dict(_items())
    inside = {k: v for k, v in found.items() if name is None or k.startswith(f"{name}.")}
    if inside:
        _list(inside, form)
        return
    assert name is not None
    full = [k for k in found if name in (k, k.rsplit(".", 1)[1])]
    if not full:
        inside = {k: v for k, v in found.items() if k.rsplit(".", 2)[-2] == name}
        if inside:  # `readout`, for `std.readout`
            _list(inside, form)
            return
        short = {part for k in found for part in k.rsplit(".", 2)[-2:]}
        raise common.usage(f"no library has '{name}'" + suggestion(name, short))
    for k, key in enumerate(full):
        item = found[key]
        data = _show(key, item, dict(settings), fold)
        if form == "json":
            printing.print_json(data)
        else:
            click.echo(("\n" if k else "") + _page(data), nl=False)


def _items() -> Iterator[tuple[str, ast.Definition]]:
    """Everything that `use` reaches, by its full name, in the order of the files."""
    from qrlang.check.library import Library

    library = Library()
    for root in dict.fromkeys(library.installed()):
        folder = library.root(root)
        if folder is None:
            continue
        for path in sorted(folder.rglob("*.qrl")):
            inside = path.relative_to(folder).with_suffix("")
            shown = f"{root}/{path.relative_to(folder).as_posix()}"
            made = Compilation.of_bytes(shown, path.read_bytes())
            for item in made.file.items:
                if isinstance(item, ast.Definition):
                    full = ".".join((root, *Path(inside).parts, item.name))
                    yield full, item


def _list(found: dict[str, ast.Definition], form: str) -> None:
    rows = [(key, _KINDS[type(item)], _first(item.doc)) for key, item in found.items()]
    if form == "json":
        printing.print_json([{"name": n, "kind": k, "doc": d} for n, k, d in rows])
        return
    width = max(len(n) for n, _, _ in rows)
    last = ""
    for name, kind, doc in rows:
        file = name.rsplit(".", 1)[0]
        if file != last:
            click.echo(("\n" if last else "") + file)
            last = file
        click.echo(f"  {name[len(file) + 1 :]:{width - 8}}  {kind:11}  {doc}")


def _first(doc: str) -> str:
    return doc.split("\n", 1)[0]


def _show(
    key: str, item: ast.Definition, settings: dict[str, Setting], fold: bool
) -> dict[str, Any]:
    from qrlang.check.written.angle_count import angle_count_formula

    data: dict[str, Any] = {
        "name": key,
        "kind": _KINDS[type(item)],
        "doc": item.doc,
        "use": f"use {key}",
        "source": _source(item),
        "formula": angle_count_formula(item) if isinstance(item, ast.Ansatz) else None,
        "angles": [
            {"name": v.name, "shape": f"{v.type.span.text}"} for v in getattr(item, "values", ())
        ],
    }
    data |= _drawn(key, item, settings, fold)
    return data


def _source(item: ast.Definition) -> str:
    """The text, from its doc comment on."""
    text, start = item.span.source.text, item.span.start
    lines = text[:start].split("\n")
    begin = len(lines) - 1
    while begin > 0 and lines[begin - 1].lstrip().startswith("///"):
        begin -= 1
    return "\n".join([*lines[begin:-1], lines[-1] + text[start : item.span.end]]).strip("\n") + "\n"


def _drawn(
    key: str, item: ast.Definition, settings: dict[str, Setting], fold: bool
) -> dict[str, Any]:
    """Its drawing and its size, at four qubits unless the settings say otherwise."""
    from qrlang.analysis.cost import cost
    from qrlang.check.definitions import program_named, settable
    from qrlang.draw.picture import picture
    from qrlang.draw.text import render

    common.known_settings(settings, settable(item), item.name)
    made = Compilation(Source("<stdlib>", f"use {key}\n"))
    program, problems = program_named(made.library, made.file, item.name, settings)
    if program is None:
        printing.refuse(problems, "text", "auto")
        return {}
    width = common.width()
    gates = next(iter(cost(program).circuits.values()), None)
    return {
        "drawing": render(picture(program, fold), width),
        "at": dict(program.settings),
        "numbers": sum(v.type.count for v in program.inputs),
        "gates": gates.total if gates else 0,
        "depth": gates.depth if gates else 0,
    }


def _page(data: dict[str, Any]) -> str:
    formula = f" = {data['formula']}" if data["formula"] else ""
    sizes = [f"{data['numbers']}{formula} angles"] if data["angles"] else []
    if data["gates"]:
        sizes.append(f"{data['gates']} gates, depth {data['depth']}")
    lines = [f"{data['name']}  ({data['kind']})", "", data["source"], data["drawing"]]
    return "\n".join([*lines, ", ".join(sizes) + "\n"] if sizes else lines)
