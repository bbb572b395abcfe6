"""`qrlc scar`"""

from __future__ import annotations

import click

from qrlang.cli import common


@click.command("scar")
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=click.Path())
@common.output
def command(runs: tuple[str, ...], form: str, color: str) -> None:
    """Draw the strip that a run leaves: readouts, interference, activations, loss.

    Each run's folder gets scar.svg, and scar.txt with the same in words; training writes them at
    its end. They are made from what the folder holds: without a trace (qrlc train --trace), rows
    that need one are said to be missing.
    """
    from qrlang.cli import report

    done: list[dict[str, str]] = []
    with common.training():
        from qrlang.scar import write

        for run in runs:
            picture, words = write(run)
            said = words.read_text(encoding="utf-8")
            done.append({"run": run, "picture": str(picture), "account": said})
            if form == "text":
                click.echo(f"{picture}\n{said}")
    if form == "json":
        report.print_json(done)
