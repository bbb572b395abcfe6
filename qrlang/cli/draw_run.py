"""`qrlc draw RUN`: a run at one of its steps, or all of it as a film."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from qrlang.cli import common
from qrlang.system.files import suffixed, write_atomically

if TYPE_CHECKING:
    from qrlang.trace.moments import Moments

FRAMES = 24


def draw(
    path: str, step: int, animate: bool, sample: int, moment: int, frames: int, dark: bool,
    svg: str | None, out: str | None, data_dir: str | None,
) -> None:  # fmt: skip
    """Writes the picture, and says what and where."""
    common.needs_training()
    from qrlang.trace.moments import Moments

    found = Moments(path, data_dir)
    if animate:
        _film(found, path, sample, moment, frames, out)
    else:
        _picture(found, path, step, sample, moment, dark, svg, out)


def _picture(
    found: Moments, path: str, step: int, sample: int, moment: int, dark: bool, svg: str | None,
    out: str | None,
) -> None:  # fmt: skip
    from qrlang.draw import ink
    from qrlang.draw.run import feynman

    at = found.nearest(step)
    if step not in (-1, at):
        click.echo(f"step {step} was not recorded: this is step {at}, the last one before it",
                   err=True)  # fmt: skip
    shown = found.at(at, sample, moment)
    sheet = feynman.draw(shown, found.curve)
    text = ink.to_svg(sheet, f"{shown.model} at step {at}", feynman.words(shown))
    if svg == "-":
        click.echo(text, nl=False)
        return
    where = Path(out) if out else Path(path) / f"step-{at}"
    written = Path(svg) if svg else suffixed(where, ".svg")
    write_atomically(written, text)
    click.echo(str(written))
    png = None if svg else ink.to_png(sheet, dark)
    if png is not None:
        picture = suffixed(where, ".png")
        write_atomically(picture, png)
        click.echo(str(picture))


def _film(
    found: Moments, path: str, sample: int, moment: int, frames: int, out: str | None
) -> None:
    from qrlang.draw.run.film import film

    steps = found.spread(frames)
    if len(steps) < 2:
        from qrlang.trace.errors import TraceError

        raise TraceError(
            f"'{path}' has one step to show, and a film needs two",
            "train with a trace: qrlc train FILE --trace",
        )
    page = film([found.at(s, sample, moment) for s in steps], found.curve)
    written = suffixed(Path(out), ".html") if out else Path(path) / "film.html"
    write_atomically(written, page)
    click.echo(f"{written}: {len(steps)} steps, {steps[0]} to {steps[-1]}")
