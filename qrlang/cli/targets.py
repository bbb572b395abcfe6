"""`qrlc targets`"""

from __future__ import annotations

import click

from qrlang.cli import common, printing
from qrlang.features import FEATURES
from qrlang.targets import Target, TargetError, available, load, no, variants


@click.command("targets")
@click.argument("name", metavar="[NAME]", required=False)
@common.output
def command(name: str | None, form: str, color: str) -> None:
    """List what models can be compiled to; with a NAME, what that target can do."""
    if name is None:
        _list(form)
        return
    try:
        target = load(name)
    except TargetError as error:
        raise common.usage(str(error)) from None
    if form == "json":
        printing.print_json(_data(target))
        return
    click.echo(f"{target.name}: {target.doc}\n")
    for option in target.options:
        choices = f" {{{','.join(option.choices)}}}" if option.choices else ""
        usual = f" (default {option.default})" if option.default else ""
        click.echo(f"  --{option.name}{choices}  {option.doc}{usual}")
    for column, options in variants(target):
        click.echo(f"\n{column}")
        has = target.features(options)
        for key, feature in FEATURES.items():
            support = has.get(key, no(""))
            note = f": {support.note}" if support.note else ""
            word = "yes" if support.yes else "no "
            click.echo(f"  {word}  {feature.words}{note}")


def _list(form: str) -> None:
    loaded: dict[str, str] = {}
    for name in available():
        try:
            loaded[name] = load(name).doc
        except TargetError as error:
            loaded[name] = str(error)
    if form == "json":
        printing.print_json([{"name": n, "doc": d} for n, d in loaded.items()])
    else:
        width = max(map(len, loaded))
        for name, doc in loaded.items():
            click.echo(f"{name:{width}}  {doc}")


def _data(target: Target) -> object:
    return {
        "name": target.name,
        "doc": target.doc,
        "options": [
            {"name": o.name, "doc": o.doc, "default": o.default, "choices": list(o.choices)}
            for o in target.options
        ],
        "features": {
            column: {k: {"yes": s.yes, "note": s.note} for k, s in target.features(options).items()}
            for column, options in variants(target)
        },
    }
