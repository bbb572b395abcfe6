"""`qrlc museum`"""

from __future__ import annotations

import click


@click.command("museum")
@click.argument("runs", metavar="RUNS...", nargs=-1, required=True, type=click.Path())
@click.option("-o", "--out", default="site", show_default=True, metavar="DIR",
              help="Where the page goes.")  # fmt: skip
def command(runs: tuple[str, ...], out: str) -> None:
    """Make a page of many runs that opens from disk: their strips, curves, programs, settings.

    RUNS are run folders, or folders of them. Folders that are no runs are left out, and said.
    """
    from qrlang.museum.site import build

    museum = build(runs, out)
    for path, why in museum.left_out:
        click.echo(f"left out: {path}: {why}", err=True)
    count = len(museum.exhibits)
    click.echo(f"{count} run{'s' * (count != 1)}: open {museum.folder / 'index.html'}")
