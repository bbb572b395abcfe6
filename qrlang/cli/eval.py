"""`qrlc eval`"""

from __future__ import annotations

import click

from qrlang.cli import common, printing
from qrlang.driver import Setting


@click.command("eval")
@click.argument("run", metavar="RUN", type=click.Path())
@click.option("--split", type=click.Choice(["test", "validation", "train"]),
              help="Of the data.  [default: test]")  # fmt: skip
@click.option(
    "--shots",
    type=click.IntRange(0, 10**9),
    help="Readouts from so many shots; 0: exact.  [default: as in training]",
)
@common.settings
@click.option("--data-dir", metavar="DIR", help="Where data files lie (or QRLANG_DATA).")
@common.trained
@common.output
def command(
    run: str,
    split: str | None,
    shots: int | None,
    settings: tuple[tuple[str, Setting], ...],
    checkpoint: str,
    data_dir: str | None,
    batch: int | None,
    beam: int,
    threads: int,
    road: str | None,
    form: str,
    color: str,
) -> None:
    """Say what a run is worth: figures with 95 % intervals, confusion matrix.

    Intervals are Wilson's for answers that are right or wrong, else from 1000 bootstraps over
    whole sequences. Translations are also produced and measured by BLEU.

    With --shots or --set the same weights are looked at in another way: with fewer shots than in
    training, or with more noise.
    """
    common.needs_training()
    from qrlang.training import evaluate

    how = (threads, road or "", shots, dict(settings))
    found = evaluate.whole(run, data_dir, split, checkpoint, batch, beam, *how)
    if form == "json":
        printing.print_json(found)
    else:
        click.echo(evaluate.page(found), nl=False)
