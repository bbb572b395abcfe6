"""`qrlc compare`"""

from __future__ import annotations

from pathlib import Path

import click

from qrlang.cli import common, printing, told
from qrlang.errors import TrainingError
from qrlang.system.files import suffixed


@click.command("compare")
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=click.Path())
@click.option("--metric", metavar="NAME", help="Which figure.  [default: the first run's]")
@click.option("--picture", metavar="PATH", default="compare.svg", show_default=True,
              help="Where the picture goes; a .png is put beside it.")  # fmt: skip
@click.option("--format", "form", type=click.Choice(["text", "json", "markdown"]), default="text",
              help="For people, for programs, for a README.")  # fmt: skip
def command(runs: tuple[str, ...], metric: str | None, picture: str, form: str) -> None:
    """Compare finished runs: one table and one picture.

    Runs that differ only in their seed, or in the fold that is the test, are one row: mean ±
    standard deviation. Runs that are not finished, or are the same again, are left out, and said.
    Results of `qrlc run` are a table of their own: each device beside what is exact for the same
    sequences.
    """
    from qrlang.hardware import table

    if any(table.is_device(r) for r in runs):
        _devices(runs, metric, form)
        return
    common.needs_training()
    from qrlang.training import compare

    found, left = compare.rows(runs, metric)
    if not found:
        raise left[0]
    told.left_out(left)
    if form == "markdown":
        click.echo(compare.markdown(found), nl=False)
    elif form == "text":
        click.echo(compare.text(found), nl=False)
    try:
        written = compare.picture(found, suffixed(Path(picture), ""))
    except TrainingError as error:
        raise TrainingError(str(error), "name another place: --picture PATH") from None
    if form == "json":
        printing.print_json(
            {"rows": [r.data() for r in found], "pictures": [str(p) for p in written]}
        )
    click.echo("picture: " + ", ".join(map(str, written)), err=True)


def _devices(runs: tuple[str, ...], metric: str | None, form: str) -> None:
    from qrlang.hardware import table
    from qrlang.training import compare

    wanted, found = table.rows(runs, metric)
    if form == "json":
        printing.print_json({"metric": wanted, "rows": table.data(found)})
        return
    lines = table.cells(wanted, found)
    click.echo((compare.ruled if form == "markdown" else compare.aligned)(lines), nl=False)
