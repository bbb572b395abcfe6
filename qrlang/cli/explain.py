"""`qrlc explain`"""

from __future__ import annotations

import click

from qrlang.cli import common, printing
from qrlang.diagnostics.words import suggestion


@click.command("explain")
@click.argument("code", metavar="[CODE]", required=False)
@common.output
def command(code: str | None, form: str, color: str) -> None:
    """Explain a code such as E0301: why, a bad and a good example. Without a code, list all."""
    from qrlang.diagnostics.catalogue import codes, page, title

    if code is None:
        titles = {c: title(c) for c in codes()}
        if form == "json":
            printing.print_json(titles)
        else:
            for c, text in titles.items():
                click.echo(f"{c}  {text}")
        return
    code = code.upper()
    if code not in codes():
        raise common.usage(f"there is no code '{code}'" + suggestion(code, codes()))
    if form == "json":
        printing.print_json({"code": code, "title": title(code), "page": page(code)})
    else:
        click.echo(page(code), nl=False)
