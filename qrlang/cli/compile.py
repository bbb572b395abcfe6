"""`qrlc compile`"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from qrlang.cli import common, printing
from qrlang.cli.exits import Wrong
from qrlang.diagnostics import Diagnostic
from qrlang.diagnostics.words import suggestion
from qrlang.driver import EMIT, Compilation, Setting
from qrlang.errors import TrainingError
from qrlang.system.files import read_json


class _WithTargetOptions(click.Command):
    """`--target NAME` adds that target's own options to the command."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        name = _target_in(args)
        if name is not None:
            from qrlang.targets import TargetError, load

            try:
                ctx.obj = load(name)
            except TargetError as error:
                raise click.UsageError(str(error), ctx) from None
        return super().parse_args(ctx, args)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        params = super().get_params(ctx)
        own = {p.name for p in params}
        *most, last = params  # --help stays at the end
        for option in getattr(ctx.obj, "options", ()):
            if option.name not in own:
                kind = click.Choice(option.choices) if option.choices else click.STRING
                most.append(
                    click.Option([f"--{option.name}"], type=kind, default=option.default,
                                 show_default=bool(option.default),
                                 help=f"{ctx.obj.name}: {option.doc}.")
                )  # fmt: skip
        return [*most, last]


def _target_in(args: list[str]) -> str | None:
    """The target that is meant, of which the options are: the last one, as click takes it."""
    name = None
    for i, arg in enumerate(args):
        if arg in ("--target", "-t"):
            name = args[i + 1] if i + 1 < len(args) else name
        elif arg.startswith("--target="):
            name = arg.removeprefix("--target=")
        elif arg.startswith("-t"):
            name = arg.removeprefix("-t")
    return name


def _list_passes(ctx: click.Context, _: click.Parameter, value: str | None) -> str | None:
    """`--passes help` needs no FILE, so it is answered before one is asked for."""
    if value != "help":
        return value
    from qrlang.passes import PASSES

    for name, one in PASSES.items():
        click.echo(f"{name:10}  {one.doc}")
    ctx.exit()


@click.command("compile", cls=_WithTargetOptions)
@common.file
@click.option("--emit", type=click.Choice(list(EMIT)), help="Show this phase.  [default: opt]")
@click.option("--target", "-t", metavar="NAME", help="Write files for a target; see qrlc targets.")
@click.option("-o", "--out", metavar="PATH", help="Where to: a folder; a file for one phase.")
@click.option("--passes", metavar="A,B,…", is_eager=True, callback=_list_passes,
              help="These passes, in this order, and no others.")  # fmt: skip
@click.option("--print-after", metavar="PASS", help="Show the program after this pass.")
@click.option("--verify", is_flag=True, help="Verify the program after each pass.")
@common.settings
@common.model
@common.output
@click.pass_context
def command(
    ctx: click.Context,
    /,
    path: str,
    emit: str | None,
    target: str | None,
    out: str | None,
    passes: str | None,
    print_after: str | None,
    verify: bool,
    settings: tuple[tuple[str, Setting], ...],
    model: str | None,
    form: str,
    color: str,
    **options: Any,
) -> None:
    """Show a phase of the compiler, or write files for a target.

    Passes, in their usual order: qrlc compile --passes help
    """
    names = None if passes is None else tuple(p for p in passes.split(",") if p)
    _known_passes((*(names or ()), *([print_after] if print_after else ())))
    if sum(x is not None for x in (emit, target, print_after)) > 1:
        raise common.usage("--emit, --target and --print-after exclude one another")
    made = common.compilation(path, settings, model, passes=names, verify=verify)
    if target is not None and options.get("weights") and path != "-":
        settings, model = _of_run(Path(options["weights"]), made, settings, model)
        made = common.compilation(path, settings, model, passes=names, verify=verify)
    if target is not None:
        _write(made, ctx.obj, options, Path(out or "."), form, color)
        return
    if emit in ("tokens", "ast"):  # of a broken text too, as far as it can be read
        printing.refuse(made.encoding, form, color)
        _say(made, EMIT[emit](made), emit, out, form, made.syntax)
        if form == "text":
            printing.show(made.syntax, color)
        if made.broken:
            raise Wrong
        return
    printing.require(made, form, color)
    common.chosen(made)
    phase = print_after or emit or "opt"
    text = _after(made, print_after) if print_after else EMIT[phase](made)
    _say(made, text, phase, out, form)


def _of_run(
    run: Path, made: Compilation, settings: tuple[tuple[str, Setting], ...], model: str | None
) -> tuple[tuple[tuple[str, Setting], ...], str | None]:
    """Weights fit the model that was trained: its name and parameters, unless others are said."""
    from qrlang.syntax import ast

    page = run / "settings.json"
    try:
        about = read_json(page).get("about", {}) if page.is_file() else {}
    except TrainingError as error:
        raise common.usage(str(error)) from None
    for item in () if made.broken else made.file.items:
        if isinstance(item, ast.Model) and item.name == about.get("model") == (model or item.name):
            there = {p.name for p in item.params}
            trained = [x for x in about.get("parameters", {}).items() if x[0] in there]
            return (*trained, *settings), item.name
    return settings, model


def _say(
    made: Compilation,
    text: str,
    phase: str,
    out: str | None,
    form: str,
    problems: Sequence[Diagnostic] = (),
) -> None:
    """On the standard output, or into a file: that named, or one in the folder named."""
    data: dict[str, Any] = {"phase": phase}
    if out in (None, "-"):
        data["text"] = text
    else:
        assert out is not None
        if Path(out).is_dir() or out.endswith(("/", os.sep)):
            stem = Path(made.source.name).stem if made.source.name != "<stdin>" else "stdin"
            out = str(Path(out) / f"{stem}.{phase}.txt")
        common.write(out, text)
        data["file"] = out
    if form == "json":
        printing.print_json(
            data | ({"diagnostics": printing.as_data(problems)} if problems else {})
        )
    else:
        click.echo(data.get("text", f"{out}\n"), nl=False)


def _known_passes(names: tuple[str, ...]) -> None:
    if not names:
        return
    from qrlang.passes import PASSES

    for name in names:
        if name not in PASSES:
            raise common.usage(f"no pass is called '{name}'" + suggestion(name, PASSES))


def _after(made: Compilation, name: str) -> str:
    """The programs after a pass: the first time that it runs, if it runs several times."""
    from qrlang.ir.program import Program
    from qrlang.ir.text import print_program

    texts: list[str] = []
    for m in made.models():
        seen: list[Program] = []

        def keep(passed: str, program: Program, seen: list[Program] = seen) -> None:
            if passed == name and not seen:
                seen.append(program)

        made.optimised(m.program, after=keep)
        if not seen:
            raise common.usage(f"the pass '{name}' is not among those that run")
        texts.append(print_program(seen[0]))
    return "\n".join(texts)


def _emitted(
    made: Compilation, target: Any, model: Any, options: dict[str, str]
) -> Mapping[str, str | bytes]:
    from qrlang.targets import TargetError, plugged_in

    try:
        ready = made.for_target(model)
        with plugged_in(target):
            return dict(target.emit(ready, options))
    except TargetError as error:
        raise common.usage(str(error)) from None


_MARK = b"written by qrl"  # what the text files of our targets say at their beginning


def _others(path: Path, content: str | bytes) -> bool:
    """Somebody else's file lies where one of ours is to go: `model.py` is a common name."""
    data = content.encode() if isinstance(content, str) else content
    if _MARK not in data[:500].lower() or not path.is_file():
        return False
    with path.open("rb") as stream:
        return _MARK not in stream.read(500).lower()


def _write(
    made: Compilation, target: Any, options: dict[str, str], folder: Path, form: str, color: str
) -> None:
    """All models are checked against the target before anything is written."""
    from qrlang.targets import plugged_in

    printing.require(made, form, color)
    models = common.chosen(made)
    for m in models:
        common.all_known(m)
    with plugged_in(target):
        problems = [d for m in models for d in target.check(m, options)]
    printing.refuse(problems, form, color)
    files: dict[str, str | bytes] = {}
    for m in models:
        for name, content in _emitted(made, target, m, options).items():
            if name in files:
                raise common.usage(f"several models would write '{name}': choose one with --model")
            files[name] = content
    for name, content in files.items():
        if _others(folder / name, content):
            raise common.usage(f"'{folder / name}' was not written by qrlc, and would be written "
                               "over: name another folder with -o")  # fmt: skip
    if not files:
        raise common.usage(
            f"the target '{target.name}' has no files to write for {made.source.name}"
        )
    written = []
    for name, content in files.items():
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        except OSError as error:
            raise common.usage(f"cannot write '{path}': {error.strerror or error}") from None
        written.append(str(path))
    if form == "json":
        printing.print_json({"target": target.name, "files": written})
    else:
        for name in written:
            click.echo(name)
