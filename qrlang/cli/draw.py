"""`qrlc draw`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from qrlang.cli import common, draw_run, printing
from qrlang.cli.draw_run import FRAMES
from qrlang.diagnostics.words import suggestion
from qrlang.driver import Compilation, Setting

if TYPE_CHECKING:
    from qrlang.check.model import CheckedModel
    from qrlang.ir.program import Program

OTHER = (".png", ".pdf", ".jpg", ".jpeg", ".gif", ".eps", ".ps")  # pictures that are no SVG


@click.command("draw")
@click.argument("path", metavar="FILE|RUN", type=click.Path())
@click.argument("name", metavar="[NAME]", required=False)
@click.option("--svg", metavar="FILE", help="Write an SVG picture; - is the standard output.")
@click.option("--fold", is_flag=True, help="Show repeated layers once.")
@click.option("--optimised", is_flag=True, help="After the passes.")
@click.option("--ascii", "plain", is_flag=True, help="Only ASCII characters.")
@click.option("--width", type=click.IntRange(40, 10_000), help="Of the text; else the terminal's.")
@click.option("--step", type=click.IntRange(-1), help="RUN: at this step.  [default: the last]")
@click.option("--animate", is_flag=True, help="RUN: all steps as a page that plays.")
@click.option("--sample", type=click.IntRange(-1), default=-1,
              help="RUN: which of its samples.  [default: the first]")  # fmt: skip
@click.option("--moment", type=click.IntRange(1), help="RUN: of the sample.  [default: the last]")
@click.option("--frames", type=click.IntRange(2, 500), default=FRAMES, show_default=True,
              help="RUN: the most steps of --animate.")  # fmt: skip
@click.option("--dark", is_flag=True, help="RUN: the PNG for a dark page; the SVG suits both.")
@click.option("-o", "--out", metavar="PATH", help="RUN: where it is written.  [default: into RUN]")
@click.option("--data-dir", metavar="DIR", help="RUN without a trace: where its data lies.")
@common.settings
@common.model
@common.output
def command(
    path: str,
    name: str | None,
    svg: str | None,
    fold: bool,
    optimised: bool,
    plain: bool,
    width: int | None,
    step: int | None,
    animate: bool,
    sample: int,
    moment: int | None,
    frames: int,
    dark: bool,
    out: str | None,
    data_dir: str | None,
    settings: tuple[tuple[str, Setting], ...],
    model: str | None,
    form: str,
    color: str,
) -> None:
    """Draw the circuits of a model: its step, what is read, and what steers the angles.

    With a NAME, that model, ansatz, circuit or readout of the file.

    Of a RUN that was trained with --trace: what its lines of travel, gates and classical net were
    at a step, for one sample; as SVG and PNG, or with --animate as a page that plays.
    """
    if svg is not None:
        common.spare(svg)
        if svg.startswith("-") and svg != "-":
            raise common.usage(f"--svg takes the file itself, found '{svg}': --svg step.svg")
        if Path(svg).suffix.lower() in OTHER:
            raise common.usage(f"--svg writes SVG, and '{svg}' would be something else: "
                               f"{Path(svg).with_suffix('.svg')}")  # fmt: skip
    if Path(path).is_dir() and not path.endswith(".qrl"):
        if name or settings or model or fold or optimised or plain or width or form == "json":
            raise common.usage(
                "a run has its own model and settings: NAME, --set, --model, --fold, --optimised, "
                "--ascii, --width and --format json are for files"
            )
        if animate and (step is not None or svg is not None or dark):
            raise common.usage("--animate shows all steps, as a page: without --step, --svg, "
                               "--dark")  # fmt: skip
        draw_run.draw(path, -1 if step is None else step, animate, sample,
                      -1 if moment is None else moment - 1, frames, dark, svg, out,
                      data_dir)  # fmt: skip
        return
    if step is not None or animate or moment or out or dark or data_dir:
        raise common.usage(f"'{path}' is no run folder: --step, --animate, --moment, --out, --dark "
                           "and --data-dir are for runs")  # fmt: skip
    if model is not None and name is not None:
        raise common.usage("--model and a NAME exclude one another")
    name = name or model
    from qrlang.draw import svg as as_svg
    from qrlang.draw import text as as_text
    from qrlang.draw.picture import picture
    from qrlang.names import moved_registers

    found = _programs(path, name, model is not None, settings, optimised, form, color)
    pictures = [
        picture(p, fold, m.assumed, moved_registers(m.declaration)) if m else picture(p, fold)
        for p, m in found
    ]
    if svg is not None:
        whole = as_svg.render(*pictures)
        if svg == "-":
            click.echo(whole, nl=False)
        else:
            common.write(svg, whole)
    elif form == "json":
        texts = {p.name: as_text.render(q) for (p, _), q in zip(found, pictures, strict=True)}
        printing.print_json(texts)
    else:
        width = width or common.width()
        click.echo("\n".join(as_text.render(p, width, plain) for p in pictures), nl=False)


def _programs(
    path: str,
    name: str | None,
    only_models: bool,
    settings: tuple[tuple[str, Setting], ...],
    optimised: bool,
    form: str,
    color: str,
) -> list[tuple[Program, CheckedModel | None]]:
    """What is asked for: a model, or a definition of the file; without a name all models, or the
    first definition of a file that has none."""
    from qrlang.check.definitions import program_named, settable
    from qrlang.syntax import ast

    plain = common.compilation(path)
    if plain.broken:
        printing.require(plain, form, color)
    kinds = (ast.Model,) if only_models else (ast.Model, *get_args(ast.Definition))
    found = {i.name: i for i in plain.file.items if isinstance(i, kinds)}
    if name is None and not any(isinstance(i, ast.Model) for i in found.values()):
        name = next(iter(found), None)
    if name is None and not found:
        raise common.nothing(plain, "model and no circuit to draw")
    if name is not None and name not in found:
        what = f"{'model ' if only_models else ''}'{name}'"
        raise common.usage(f"{plain.source.name} has no {what}" + suggestion(name, found))
    if name is not None and not isinstance(found[name], ast.Model):
        item = found[name]
        assert isinstance(item, ast.Definition)
        common.known_settings([k for k, _ in settings], settable(item), name)
        program, problems = program_named(plain.library, plain.file, name, dict(settings))
        printing.refuse(problems, form, color)
        assert program is not None
        return [(program, None)]
    made_model = Compilation(plain.source, dict(settings), only=name)
    common.known(made_model, [k for k, _ in settings], name)
    printing.require(made_model, form, color)
    models = made_model.models()
    return [((made_model.for_target(m) if optimised else m).program, m) for m in models]
