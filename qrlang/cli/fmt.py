"""`qrlc fmt`"""

from __future__ import annotations

import difflib
import os
import tempfile

import click

from qrlang.cli import common, printing
from qrlang.cli.exits import Wrong
from qrlang.diagnostics import Diagnostic
from qrlang.driver import Compilation
from qrlang.system.files import replace


@click.command("fmt")
@common.files
@click.option("--check", is_flag=True, help="Write nothing; exit 1 if a file would change.")
@click.option("--diff", is_flag=True, help="Write nothing; show what would change.")
@common.output
def command(paths: tuple[str, ...], check: bool, diff: bool, form: str, color: str) -> None:
    """Lay files out in the one style.

    Folders stand for the .qrl files in them; - reads the standard input and writes the standard
    output. A file that cannot be read as qrl, or whose meaning could change, is left alone.
    """
    problems: list[Diagnostic] = []
    changed: list[str] = []
    for path in common.expanded(paths):
        made = common.compilation(path)
        text, found = made.formatted
        problems += found
        if text is None:
            continue
        if text != made.source.text:
            changed.append(made.source.name)
        if diff and form == "text":
            click.echo(_diff(made, text), nl=False)
        elif path == "-" and not check and form == "text":
            click.echo(text, nl=False)
        elif text != made.source.text and not (check or diff) and path != "-":
            _write(path, text)
    wrong = bool(problems) or (check and bool(changed))
    if form == "json":
        data = {"ok": not wrong, "changed": changed, "diagnostics": printing.as_data(problems)}
        printing.print_json(data)
    else:
        printing.show(problems, color)
        word = "would change" if check or diff else "changed"
        for name in changed:
            click.echo(f"{word}: {name}", err=True)
    if wrong:
        raise Wrong


def _diff(made: Compilation, text: str) -> str:
    name = made.source.name
    lines = difflib.unified_diff(
        made.source.text.splitlines(keepends=True), text.splitlines(keepends=True), name, name
    )
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)


def _write(path: str, text: str) -> None:
    """All or nothing: an interrupted run leaves the old file. A link stays a link."""
    path = os.path.realpath(path)
    try:
        mode = os.stat(path).st_mode
        handle, name = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".qrlc-")
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as stream:
                stream.write(text)
            os.chmod(name, mode & 0o7777)
            replace(name, path)
        except BaseException:
            os.unlink(name)
            raise
    except OSError as error:
        raise common.usage(f"cannot write '{path}': {error.strerror or error}") from None
