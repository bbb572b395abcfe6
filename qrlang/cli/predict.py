"""`qrlc predict`"""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import click

from qrlang.cli import common
from qrlang.environment import MOST_THREADS


@click.command("predict")
@click.argument("run", metavar="RUN", type=click.Path())
@click.argument("data", metavar="DATA", type=click.Path())
@click.option("-o", "--out", metavar="FILE", help="Where to.  [default: the standard output]")
@click.option("--checkpoint", type=click.Choice(["best", "last"]), default="best",
              show_default=True, help="Which weights.")  # fmt: skip
@click.option("--batch", type=click.IntRange(1, 2**20), help="Sequences at a time.")
@click.option("--beam", type=click.IntRange(1, 64), default=1, show_default=True,
              help="Translations: how many beginnings are kept.")  # fmt: skip
@click.option("--threads", type=click.IntRange(0, MOST_THREADS), default=0,
              help="Of the CPU; 0: all cores.")  # fmt: skip
@click.option("--road", type=click.Choice(["native", "stepwise", "plain"]),
              help="How it is computed; without it, as in training.")  # fmt: skip
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
    if out is not None and Path(out).absolute() == Path(data).absolute():
        raise common.usage(f"'{data}' would be written over: name another file")
    common.needs_training()
    from qrlang.training import predict

    found = predict.answers(run, data, checkpoint, batch, beam, threads, road or "")
    if form == "json":
        rows = [dict(zip(found.columns, row, strict=True)) for row in found.rows]
        text = json.dumps(rows, indent=2, ensure_ascii=False) + "\n"
    else:
        written = io.StringIO()
        csv.writer(written, lineterminator="\n").writerows([found.columns, *found.rows])
        text = written.getvalue()
    if out is None:
        click.echo(text, nl=False)
    else:
        common.write(out, text)
