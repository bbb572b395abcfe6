"""`qrlc stdlib`"""

from __future__ import annotations

from typing import Any

import click

from qrlang.check.definitions import settable
from qrlang.check.library import Library
from qrlang.check.written.angle_count import angle_count_formula
from qrlang.cli import common, printing
from qrlang.diagnostics.words import suggestion
from qrlang.driver import Compilation, Setting
from qrlang.inspection import definitions
from qrlang.source import Source
from qrlang.syntax import ast


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
    found = dict(definitions.installed(Library()))
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
            click.echo(("\n" if k else "") + _page(data, item), nl=False)


def _list(found: dict[str, ast.Definition], form: str) -> None:
    rows = [(key, definitions.KINDS[type(item)], _first(item.doc)) for key, item in found.items()]
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
    common.known_settings(settings, settable(item), item.name)
    made = Compilation(Source("<stdlib>", f"use {key}\n"))
    found, problems = definitions.drawn(made, item.name, settings, fold, common.width())
    if problems:
        printing.refuse(problems, "text", "auto")
    return {
        "name": key,
        "kind": definitions.KINDS[type(item)],
        "doc": item.doc,
        "use": f"use {key}",
        "source": definitions.source(item),
        "formula": angle_count_formula(item) if isinstance(item, ast.Ansatz) else None,
        "angles": [
            {"name": v.name, "shape": f"{v.type.span.text}"} for v in getattr(item, "values", ())
        ],
        **found,
    }


def _page(data: dict[str, Any], item: ast.Definition) -> str:
    sizes = definitions.sizes(item, data)
    lines = [f"{data['name']}  ({data['kind']})", "", data["source"], data["drawing"]]
    return "\n".join([*lines, f"{sizes}\n"] if sizes else lines)
