"""`qrlc generate`"""

from __future__ import annotations

import click

from qrlang.cli import common, tables


@click.command("generate")
@click.argument("run", metavar="RUN", type=click.Path())
@click.argument("data", metavar="[DATA]", required=False, type=click.Path())
@click.option("--prompt", metavar="TEXT", help="A beginning, instead of DATA.")
@click.option("--moments", type=click.IntRange(1, 10_000_000), default=100, show_default=True,
              help="How many.")  # fmt: skip
@click.option("--temperature", type=click.FloatRange(0, 100), default=1.0, show_default=True,
              help="Tokens: how freely they are drawn; 0: the likeliest.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True,
              help="Of what is drawn.")  # fmt: skip
@click.option("-o", "--out", metavar="FILE", help="Where to.  [default: the standard output]")
@click.option("--svg", metavar="FILE", help="Numbers: draw them, after the last that are known.")
@common.data_dir
@common.trained
@common.output
def command(
    run: str,
    data: str | None,
    prompt: str | None,
    moments: int,
    temperature: float,
    seed: int,
    out: str | None,
    svg: str | None,
    data_dir: str | None,
    checkpoint: str,
    threads: int,
    road: str | None,
    form: str,
    color: str,
) -> None:
    """Let a trained model go on by itself: what it foretells becomes what it is given next.

    It goes on after DATA (a series, moment by moment; several with a column `sequence`; texts), or
    after a prompt; without either, after the end of its run's own test data. That is for models of
    the next word, or of a series some moments ahead.
    """
    if prompt is not None and data is not None:
        raise common.usage("it goes on after DATA or after a prompt, not both")
    common.not_over(out, data)
    common.not_over(svg, data)
    common.needs_training()
    from qrlang.plot.svg import to_svg
    from qrlang.training.asked import further
    from qrlang.training.asked.trained import Use

    use = Use(checkpoint, threads, road)
    found = further.further(run, data, prompt, moments, temperature, seed, use, data_dir)
    if svg is not None:
        common.write(svg, to_svg(found.chart().picture()))
    text = found.text()
    if text is not None:
        tables.text(text + "\n", out)
    elif svg is None or out is not None:
        table = found.table()
        tables.table(table.columns, table.rows, form, out)
