"""`qrlc ledger`"""

from __future__ import annotations

import click

from qrlang.cli import printing
from qrlang.cli.exits import Wrong
from qrlang.errors import TrainingError


@click.command("ledger")
@click.argument("run", metavar="RUN", type=click.Path())
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text",
              help="For people, or for programs.")  # fmt: skip
def command(run: str, form: str) -> None:
    """Read what the governor of a run saw, and whether its ledger is as it was written.

    Exit code 1 if a line was changed, put in or taken out.
    """
    from qrlang.governor import ledger, page
    from qrlang.training.run import Run

    opened = Run.open(run)
    path = opened.ledger
    # A run that has ended says how many updates it had.
    ended = opened.result.is_file() and opened.settings().optimizer[0] != "ridge"
    updates = int(opened.outcome("steps")["steps"]) if ended else 0
    if not path.is_file():
        raise TrainingError(
            f"'{run}' has no ledger", "a run has one if its program has a `govern` block"
        )
    texts = path.read_text(encoding="utf-8", errors="replace").splitlines()
    broken = ledger.broken(texts)
    if broken is None and updates and ledger.ends_early(list(ledger.read(texts)), updates):
        broken = len(texts) + 1, f"it is missing: the run had {updates} updates"
    # What stands behind a broken line proves nothing.
    lines = list(ledger.read(texts[: broken[0] - 1] if broken else texts))
    if form == "json":
        printing.print_json({"whole": broken is None, "broken_at": broken and broken[0],
                           "lines": lines})  # fmt: skip
    else:
        click.echo(page.text(lines), nl=False)
    if broken is not None:
        click.echo(f"error: line {broken[0]} of '{path}': {broken[1]}", err=True)
        raise Wrong
    if form == "text":
        click.echo(f"{len(lines)} lines, each as it was written")
