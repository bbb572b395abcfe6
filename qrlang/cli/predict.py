"""`qrlc predict`"""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import click

from qrlang.cli import common


@click.command("predict")
@click.argument("run", metavar="RUN", type=click.Path())
@click.argument("data", metavar="DATA", type=click.Path())
@click.option("-o", "--out", metavar="FILE", help="Where to.  [default: the standard output]")
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
