"""`qrlc inspect`"""

from __future__ import annotations

import click

from qrlang.cli import common, printing
from qrlang.driver import Setting
from qrlang.engine.cuda.layout.multiprocessor import KINDS
from qrlang.inspection.data import BATCH, STEPS, inspect
from qrlang.inspection.page import page

CAPABILITIES = [f"{kind // 10}.{kind % 10}" for kind in KINDS]


@click.command("inspect")
@common.file
@common.settings
@common.model
@click.option(
    "--batch",
    type=click.IntRange(1, 10**9),
    default=BATCH,
    show_default=True,
    help="Sequences in a training step.",
)
@click.option(
    "--steps",
    type=click.IntRange(1, 10**9),
    default=STEPS,
    show_default=True,
    help="Moments in a sequence.",
)
@click.option(
    "--device",
    type=click.Choice(["cpu", "cuda"]),
    default="cpu",
    help="cuda: how a GPU would run it too; none is needed.",
)
@click.option(
    "--capability",
    type=click.Choice(CAPABILITIES),
    default="9.0",
    show_default=True,
    help="With --device cuda: the GPU's compute capability.",
)
@common.output
def command(
    path: str,
    settings: tuple[tuple[str, Setting], ...],
    model: str | None,
    batch: int,
    steps: int,
    device: str,
    capability: str,
    form: str,
    color: str,
) -> None:  # fmt: skip
    """Say what a model is made of and what it costs.

    Gates, depth and angles are those of the circuits that qrlc compile --target qasm writes.
    """
    made = common.compilation(path, settings, model)
    printing.require(made, form, color)
    gpu = int(capability.replace(".", "")) if device == "cuda" else 0
    found = [
        inspect(m, made.for_target(m).program, made.optimised(m.program), batch, steps, gpu)
        for m in common.chosen(made)
    ]
    if form == "json":
        printing.print_json({"models": found, "diagnostics": printing.as_data(made.diagnostics)})
    else:
        click.echo("\n".join(page(data) for data in found), nl=False)
