"""Printing diagnostics: as text on the standard error, or as JSON on the standard output."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import click

from qrlang.cli.exits import Wrong
from qrlang.diagnostics import Diagnostic, has_errors
from qrlang.driver import Compilation
from qrlang.errors import UserError


def coloured(color: str) -> bool:
    if color == "auto":
        return sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    return color == "always"


def show(diagnostics: Sequence[Diagnostic], color: str) -> None:
    """On the standard error, since the standard output may be somebody's input."""
    from qrlang.diagnostics.render import render_text

    if diagnostics:
        click.echo(render_text(diagnostics, color=coloured(color)), err=True, nl=False, color=True)


def as_data(diagnostics: Iterable[Diagnostic]) -> list[Any]:
    from qrlang.diagnostics.render import to_data

    return [to_data(d) for d in diagnostics]


def print_json(data: object) -> None:
    click.echo(json.dumps(data, indent=2, ensure_ascii=False))


def refuse(diagnostics: Sequence[Diagnostic], form: str, color: str) -> None:
    """Says what is wrong and ends the command, if there is anything wrong; warnings pass."""
    if not has_errors(diagnostics):
        if form == "text":
            show(diagnostics, color)
        return
    if form == "json":
        print_json({"diagnostics": as_data(diagnostics)})
    else:
        show(diagnostics, color)
    raise Wrong


def require(made: Compilation, form: str, color: str) -> None:
    """The program is right, or the command ends here."""
    refuse(made.diagnostics, form, color)


def tell(error: UserError) -> None:
    """What the user can mend, and how."""
    click.echo(f"error: {error}" + (f"\nhelp: {error.help}" if error.help else ""), err=True)
