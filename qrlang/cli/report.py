"""`qrlc report`"""

from __future__ import annotations

from pathlib import Path

import click

from qrlang.cli import common


@click.command("report")
@click.argument("run", metavar="RUN", type=click.Path())
@click.argument("others", metavar="[BASELINE]...", nargs=-1, type=click.Path())
@click.option("--steps", type=click.IntRange(1, 10**6),
              help="Steps of a sample, for its costs.  [default: the data's]")  # fmt: skip
@click.option("-o", "--out", metavar="PATH",
              help="The page; .md and .html are written.  [default: RUN/report]")  # fmt: skip
def command(run: str, others: tuple[str, ...], steps: int | None, out: str | None) -> None:
    """Write down all of a run, as a page that a paper should have.

    Every gate, observables and how they are packed, parameters by role, readouts and circuit
    evaluations of a step, a sample and a gradient, figures with intervals, times beside those of
    other runs, settings, versions, and the program.
    """
    common.needs_training()
    from qrlang.report.page import write

    written = write(run, others, steps or 0, Path(out) if out else None)
    for path in written:
        click.echo(str(path))
