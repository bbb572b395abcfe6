"""`qrlc predict`"""

from __future__ import annotations

import click

from qrlang.cli import common, tables


@click.command("predict")
@click.argument("run", metavar="RUN", type=click.Path())
@click.argument("data", metavar="DATA", type=click.Path())
@click.option("-o", "--out", metavar="FILE", help="Where to.  [default: the standard output]")
@common.asked
@common.trained
@common.output
def command(
    run: str,
    data: str,
    out: str | None,
    checkpoint: str,
    batch: int | None,
    beam: int,
    threads: int,
    road: str | None,
    form: str,
    color: str,
) -> None:
    """Say what a trained model answers to a file of new data, as CSV or JSON.

    DATA is a CSV or NumPy file, as for training but without targets. Words, names of classes and
    units are those of the run's own data.
    """
    common.not_over(out, data)
    common.needs_training()
    from qrlang.training.asked import predict
    from qrlang.training.asked.trained import Use

    found = predict.answers(run, data, Use(checkpoint, threads, road), batch, beam)
    tables.table(found.columns, found.rows, form, out)
