"""`qrlc eval`"""

from __future__ import annotations

import click

from qrlang.cli import common, printing
from qrlang.driver import Setting


@click.command("eval")
@click.argument("run", metavar="RUN", type=click.Path())
@click.option("--split", type=click.Choice(["test", "validation", "train"]),
              help="Of the data.  [default: test]")  # fmt: skip
@click.option("--generate", "alone", type=click.IntRange(1, 1_000_000), metavar="N", default=None,
              help="Also let it go on by itself, N moments from many places.")  # fmt: skip
@click.option(
    "--shots",
    type=click.IntRange(0, 10**9),
    help="Readouts from so many shots; 0: exact.  [default: as in training]",
)
@common.settings
@common.data_dir
@common.asked
@common.trained
@common.output
def command(
    run: str,
    split: str | None,
    alone: int | None,
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
    training, or with more noise. With --generate a model of a series is given what it has foretold
    itself: how far does that hold?
    """
    common.needs_training()
    from qrlang.training.asked import evaluate
    from qrlang.training.asked.trained import Use

    use = Use(checkpoint, threads, road, shots, dict(settings))
    found = evaluate.whole(run, use, data_dir, split, batch, beam, alone or 0)
    if form == "json":
        printing.print_json(found)
    else:
        click.echo(evaluate.page(found), nl=False)
