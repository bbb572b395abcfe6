"""`qrlc check`"""

from __future__ import annotations

import click

from qrlang.cli import common, printing
from qrlang.cli.exits import Wrong
from qrlang.diagnostics import Diagnostic, has_errors
from qrlang.driver import Setting


@click.command("check")
@common.files
@common.settings
@common.model
@click.option("--strict", is_flag=True, help="Warnings count as errors.")
@common.output
def command(
    paths: tuple[str, ...],
    settings: tuple[tuple[str, Setting], ...],
    model: str | None,
    strict: bool,
    form: str,
    color: str,
) -> None:
    """Say what is wrong with files: errors, and warnings that only a whole model shows.

    Folders stand for the .qrl files in them; - is the standard input.
    """
    found: list[Diagnostic] = []
    for path in common.expanded(paths):
        found += common.compilation(path, settings, model).diagnostics
    wrong = has_errors(found) or (strict and bool(found))
    if form == "json":
        printing.print_json({"ok": not wrong, "diagnostics": printing.as_data(found)})
    else:
        printing.show(found, color)
    if wrong:
        raise Wrong
