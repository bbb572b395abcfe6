"""Answers of a model, as CSV or JSON, to a file or the standard output."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence

import click

from qrlang.cli import common


def table(
    columns: Sequence[str], rows: Sequence[Sequence[object]], form: str, out: str | None
) -> None:
    if form == "json":
        found = [dict(zip(columns, row, strict=True)) for row in rows]
        text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", out)
    else:
        written = io.StringIO()
        csv.writer(written, lineterminator="\n").writerows([columns, *rows])
        text(written.getvalue(), out)


def text(found: str, out: str | None) -> None:
    if out is None:
        click.echo(found, nl=False)
    else:
        common.write(out, found)
