"""Writes the tables of the documentation from the compiler's own: `python docs/build.py`.

A page has `<!-- generated: NAME -->` … `<!-- end -->`; what lies between is replaced. A test proves
that the pages are up to date.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qrlang.check.training.data_sets import Argument, DataSet
    from qrlang.targets import Support, Target

DOCS = Path(__file__).resolve().parent
BLOCK = re.compile(r"(<!-- generated: (\w+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(head)
    lines = [head, ["---"] * len(head), *[[c.replace("|", "\\|") for c in r] for r in rows]]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def keywords() -> str:
    from qrlang.grammar.keywords import KEYWORDS

    return (
        ", ".join(f"`{k.word}`" for k in sorted(KEYWORDS, key=lambda k: k.word) if k.reserved)
        + ".\n"
    )


def gates() -> str:
    from qrlang.gates import GATES

    return table(
        ("gate", "qubits", "angles", "what it does", "controlled", "inverse"),
        (
            (
                f"`{g.name}`",
                str(g.qubits),
                str(g.angles),
                g.doc,
                ", ".join(f"`{c}`" for c in g.controlled),
                f"`{g.inverse}`" if g.inverse else ("negated angle" if g.angles else "itself"),
            )
            for g in GATES.values()
        ),
    )


def channels() -> str:
    from qrlang.gates import CHANNELS

    return table(
        ("channel", "qubits", "numbers", "what it does"),
        ((f"`{c.name}`", str(c.qubits), str(c.args), c.doc) for c in CHANNELS.values()),
    )


def layers() -> str:
    from qrlang.check.core.layer_kinds import LAYERS

    def setting(name: str, default: object) -> str:
        if name == "hidden":
            return "widths of hidden layers"  # without a name, before the others
        known = isinstance(default, (bool, int, float, str))
        return f"`{name}: {str(default).lower()}`" if known else f"`{name}`"

    def tensors(names: str) -> str:
        plain = not names or " " in names.replace(", ", "")
        return names if plain else ", ".join(f"`{n}`" for n in names.split(", "))

    return table(
        ("layer", "declared as", "settings", "tensors", "what it is"),
        (
            (
                f"`{k.name}`",
                ", ".join(k.words),
                ", ".join(setting(s.name, s.default) for s in k.settings),
                tensors(k.tensors),
                k.doc,
            )
            for k in LAYERS.values()
        ),
    )


def functions() -> str:
    from qrlang.check.functions.builtins import FUNCTIONS

    rows = []
    for _, function in sorted(FUNCTIONS.items()):
        call, _, what = function.doc.partition("): ")  # "push(window, v): the window …"
        rows.append((f"`{call})`", what))
    return table(("function", "what it is"), rows)


def codes() -> str:
    from qrlang.diagnostics.catalogue import codes, title

    return table(("code", "what is wrong"), ((f"`{c}`", title(c)) for c in codes()))


def _call(name: str, arguments: Iterable[Argument]) -> str:
    """`adam(lr: 0.005, …)`: a choice with its arguments and their defaults."""
    given = [a.name + _argument(a.default) for a in arguments]
    return f"`{name}({', '.join(given)})`" if given else f"`{name}`"


def _argument(default: object) -> str:
    if default is None or default == "":
        return ""
    if isinstance(default, bool):
        return f": {str(default).lower()}"
    return f': "{default}"' if isinstance(default, str) else f": {default:g}"


def training() -> str:
    from qrlang.check.training.settings import SETTINGS

    def takes(kind: str, choices: Mapping[str, tuple[Argument, ...]] | None) -> str:
        if choices:
            return ", ".join(_call(name, arguments) for name, arguments in choices.items())
        return {
            "data": "a [data set](training.md#data-sets-by-name)",
            "int": "a whole number",
            "real": "a number",
            "names": "names of layers and parameters",
            "string": "a text",
        }[kind]

    settings = table(
        ("setting", "takes"),
        ((f"`{name}`", takes(spec.kind, spec.choices)) for name, spec in SETTINGS.items()),
    )
    return settings


def settings() -> str:
    """Each setting with its default and its meaning, as `qrlc train --help` has it."""
    from dataclasses import MISSING, fields

    from qrlang.cli.train import HELP
    from qrlang.training.settings import Settings

    said = {
        "data": "none",
        "loss": "by the target",
        "metric": "by the target",
        "quantum": "as `optimizer`",
        "turns": "both in every update",
        "early_stopping": "never",
        "truncate": "to the beginning",
        "length": "all of it",
        "limit": "all of them",
        "shots": "exact",
        "steps": "those of the epochs",
        "precision": "`single`; with `ridge` double",
        "validation": "the data set's own, else a tenth",
    }
    rows = []
    for field in fields(Settings):
        if field.name in HELP:
            default = said.get(field.name)
            if default is None:
                assert field.default is not MISSING
                default = f"`{_default(field.default)}`"
            rows.append((f"`{field.name}`", default, HELP[field.name]))
    return table(("setting", "default", "what it is"), rows)


def _default(value: object) -> str:
    match value:
        case (str(name), dict(given)):
            return name + (
                f"({', '.join(f'{k}: {v:g}' for k, v in given.items())})" if given else ""
            )
        case ():
            return "[]"
        case float():
            return f"{value:g}"
    return str(value)


def data() -> str:
    from qrlang.check.training.data_sets import DATA_SETS

    def columns(one: DataSet) -> str:
        found = one.columns({a.name: a.default for a in one.arguments if a.default is not None})
        return "as they are" if found is None else ", ".join(f"`{c}`" for c in found)

    return table(
        ("data set", "columns", "what it is", "file"),
        (
            (
                _call(d.name, d.arguments),
                columns(d),
                d.doc,
                f"`{d.file}`" if d.file else "",
            )
            for d in DATA_SETS.values()
        ),
    )


def targets() -> str:
    from qrlang.features import FEATURES
    from qrlang.targets import FIRST_PARTY, load, no, variants

    columns = [
        (name, target.features(options))
        for target in map(load, FIRST_PARTY)
        for name, options in variants(target)
    ]

    def cell(has: Mapping[str, Support], feature: str) -> str:
        support = has.get(feature, no(""))
        return ("yes" if support.yes else "no") + (f": {support.note}" if support.note else "")

    return table(
        ("feature", *(name for name, _ in columns), "refused with"),
        (
            (f.words, *(cell(has, f.name) for _, has in columns), f"`{f.code}`")
            for f in FEATURES.values()
        ),
    )


def options() -> str:
    """What each target writes, and what can be said to it."""
    from qrlang.targets import FIRST_PARTY, load

    def shown(target: Target) -> str:
        said = []
        for o in target.options:
            takes = " or ".join(f"`{c}`" for c in o.choices)
            usual = f"; `{o.default}` by default" if o.default else ""
            said.append(f"`--{o.name}`" + (f" {takes}" if takes else "") + f": {o.doc}{usual}")
        return "<br>".join(said)

    rows = ((f"`{t.name}`", t.doc, shown(t)) for t in map(load, FIRST_PARTY))
    return table(("target", "what it is", "options"), rows)


GENERATED: dict[str, Callable[[], str]] = {
    f.__name__: f
    for f in (
        keywords,
        gates,
        channels,
        layers,
        functions,
        training,
        settings,
        data,
        codes,
        options,
        targets,
    )
}


def built(text: str) -> str:
    """The text of a page with every generated block made anew."""
    return BLOCK.sub(lambda m: m[1] + GENERATED[m[2]]() + m[4], text)


def main() -> int:
    for page in sorted(DOCS.glob("*.md")):
        text = page.read_text(encoding="utf-8")
        page.write_text(built(text), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(DOCS.parent))
    sys.exit(main())
