"""`qrlc scar`"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from qrlang.cli import common
from qrlang.cli.exits import Wrong
from qrlang.errors import UserError


@click.command("scar")
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=click.Path())
@click.option("--replay", is_flag=True,
              help="Repeat a run that was not traced, as long as it took.")  # fmt: skip
@common.data_dir
@common.output
def command(
    runs: tuple[str, ...], replay: bool, data_dir: str | None, form: str, color: str
) -> None:
    """Draw the strip that a run leaves: readouts, interference, activations, loss.

    Each run's folder gets scar.svg, and scar.txt with the same in words; training writes them at
    its end. A run without a trace (qrlc train --trace) shows the weights that were kept: those at
    its beginning, at its best, and the last. With --replay it is trained once more and gets the
    trace that it lacks, if that ends at the same weights.
    """
    from qrlang.cli import printing

    common.needs_training()
    done: list[dict[str, str]] = []
    for run in runs:
        try:
            picture, words = _strip(run, replay, data_dir)
        except UserError as error:  # the others are drawn
            printing.tell(error)
            continue
        said = words.read_text(encoding="utf-8")
        done.append({"run": run, "picture": str(picture), "account": said})
        if form == "text":
            click.echo(f"{picture}\n{said}")
    if form == "json":
        printing.print_json(done)
    if len(done) < len(runs):
        raise Wrong


def _strip(run: str, replay: bool, data_dir: str | None) -> list[Path]:
    from qrlang.scar import write

    if replay:
        from qrlang.session.again import trace_again
        from qrlang.training.progress import Screen

        trace_again(run, Screen(sys.stderr, width=common.width()), data_dir)
    return write(run, data_dir=data_dir)
