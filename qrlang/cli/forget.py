"""`qrlc forget`"""

from __future__ import annotations

import datetime
from pathlib import Path

import click

from qrlang.cli import common, printing
from qrlang.errors import DataError


@click.command("forget")
@click.argument("data", metavar="DATA", type=click.Path())
@click.argument("places", metavar="[RUNS]...", nargs=-1, type=click.Path())
@click.option("--record", "records", metavar="NAME", multiple=True,
              help="Somebody asks: this record is not read any more, and fades.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Say what would be done.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text",
              help="For people, or for programs.")  # fmt: skip
def command(
    data: str, places: tuple[str, ...], records: tuple[str, ...], dry_run: bool, form: str
) -> None:
    """Take records of DATA that may not be read any more out of RUNS (default: runs/).

    Which those are its manifest says: opaque ones, a date that has passed, or somebody's request.
    Their traces, strips and readouts are removed; runs and weights that saw them are listed.
    """
    from qrlang.rights.manifest import manifests
    from qrlang.rights.shut import request
    from qrlang.session.forget import forget, unknown

    path = Path(data)
    if not manifests(path):
        raise DataError(
            "missing-file",
            f"'{data}' has no manifest, so nothing of it has to be forgotten",
            f"a manifest lies beside it: {path.name}.rights.toml",
        )
    if records and not dry_run:
        request(path, records)
    if not places and not Path("runs").is_dir():
        raise common.usage("there is no folder runs/: say where the runs are")
    also = records if dry_run else ()
    found = forget(path, places or ("runs",), datetime.date.today(), dry_run, also)
    missing = unknown(path, places or ("runs",), records)
    if form == "json":
        runs = [f.to_data() for f in found]
        printing.print_json({"dry_run": dry_run, "runs": runs, "unknown": missing})
        return
    for one in found:
        saw = ", ".join(f"{n} of {split}" for split, n in one.splits.items()) or "all of it"
        verb = "would remove" if dry_run else "removed"
        click.echo(f"{one.folder}: saw {saw}")
        click.echo(f"  {verb:<13}{', '.join(one.removed) or 'nothing: there was nothing'}")
        if one.weights:
            click.echo(f"  {'still there':<13}{', '.join(one.weights)}: moved or chosen by them")
    click.echo(f"{len(found)} run{'s' * (len(found) != 1)} saw what may not be read any more")
    for record in missing:
        click.echo(f"no run here has seen a record `{record}`: is it spelt as in {path.name}?")
