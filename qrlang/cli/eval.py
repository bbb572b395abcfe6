"""`qrlc eval`"""

from __future__ import annotations

import click

from qrlang.cli import common, printing
from qrlang.environment import MOST_THREADS


@click.command("eval")
@click.argument("run", metavar="RUN", type=click.Path())
@click.option("--split", type=click.Choice(["test", "validation", "train"]),
              help="Of the data.  [default: test]")  # fmt: skip
@click.option("--checkpoint", type=click.Choice(["best", "last"]), default="best",
              show_default=True, help="Which weights.")  # fmt: skip
@click.option("--data-dir", metavar="DIR", help="Where data files lie (or QRLANG_DATA).")
@click.option("--batch", type=click.IntRange(1, 2**20), default=None,
              help="Sequences at a time.  [default: 256; of a stream, as in training]")  # fmt: skip
@click.option("--beam", type=click.IntRange(1, 64), default=1, show_default=True,
              help="Translations: how many beginnings are kept.")  # fmt: skip
@click.option("--threads", type=click.IntRange(0, MOST_THREADS), default=0,
              help="Of the CPU; 0: all cores.")  # fmt: skip
@click.option("--road", type=click.Choice(["native", "stepwise", "plain"]),
              help="How it is computed; without it, as in training.")  # fmt: skip
@common.output
def command(
    run: str,
    split: str | None,
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
    """
    common.needs_training()
    from qrlang.training import evaluate

    found = evaluate.whole(run, data_dir, split, checkpoint, batch, beam, threads, road or "")
    if form == "json":
        printing.print_json(found)
    else:
        click.echo(evaluate.page(found), nl=False)
