"""`qrlc probe`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from qrlang.cli import common, printing
from qrlang.driver import Setting

if TYPE_CHECKING:
    from qrlang.probe.subject import Subject

KINDS = ("entropy", "gradients", "ansatz", "jacobian", "memory", "bloch")


@click.command("probe")
@click.argument("path", metavar="RUN|FILE", type=click.Path())
@click.option("--what", multiple=True, type=click.Choice(KINDS),
              help="Which diagnostic; may be given several times.  [default: all]")  # fmt: skip
@click.option("-o", "--out", metavar="DIR",
              help="Where pictures go.  [default: RUN/probe, or MODEL-probe]")  # fmt: skip
@click.option("--samples", type=click.IntRange(1, 4096), default=4, show_default=True,
              help="Sequences that are run.")  # fmt: skip
@click.option("--steps", type=click.IntRange(1, 100_000), default=32, show_default=True,
              help="The most moments of each.")  # fmt: skip
@click.option("--vary", multiple=True, metavar="NAME=V,V,…",
              help="gradients: sizes, as in --vary n=2,4,6.  [default: n and layers]")  # fmt: skip
@click.option("--draws", type=click.IntRange(2, 100_000), default=40, show_default=True,
              help="gradients: random beginnings of each size.")  # fmt: skip
@click.option("--pairs", type=click.IntRange(10, 10_000_000), default=5000, show_default=True,
              help="ansatz: pairs of random states.")  # fmt: skip
@click.option("--delays", type=click.IntRange(1, 10_000), default=None,
              help="memory: the farthest step back.  [default: as far as 20]")  # fmt: skip
@click.option("--checkpoint", type=click.Choice(["best", "last"]), default="best",
              show_default=True, help="Which weights of a run.")  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True,
              help="Of a file's weights and of all that is drawn by lot.")  # fmt: skip
@common.data_dir
@common.settings
@common.model
@common.output
def command(
    path: str,
    what: tuple[str, ...],
    out: str | None,
    samples: int,
    steps: int,
    vary: tuple[str, ...],
    draws: int,
    pairs: int,
    delays: int | None,
    checkpoint: str,
    seed: int,
    data_dir: str | None,
    settings: tuple[tuple[str, Setting], ...],
    model: str | None,
    form: str,
    color: str,
) -> None:
    """Look into a model: a table and a picture of each diagnostic.

    A run is probed at its trained weights, on data held out; a file as it begins, on sequences
    drawn by lot. entropy: entanglement over time and over every cut. gradients: their variance
    against qubits and layers. ansatz: expressibility and entangling capability. jacobian: how
    much the loop amplifies noise of its readouts. memory: how far back an input can be told.
    bloch: Bloch vectors and readouts over time.
    """
    common.needs_training()
    from qrlang.probe.all import probes

    subject = _subject(path, settings, model, samples, steps, seed, checkpoint, data_dir,
                       form, color)  # fmt: skip
    options: dict[str, dict[str, Any]] = {
        "gradients": {"draws": draws, "steps": min(steps, 6), "vary": _sizes(vary, subject)},
        "ansatz": {"samples": pairs},
        "memory": {"delays": delays or 0},
    }
    folder = Path(out) if out else _folder(path, subject)
    data: dict[str, Any] = {"model": subject.name, "source": subject.source}
    for found in probes(subject, what or KINDS, options):
        if isinstance(found, tuple):
            kind, error = found
            if what:
                raise error
            data[kind] = {"impossible": str(error)}
            more = f" ({error.help})" if error.help else ""
            click.echo(f"{kind}: {error}{more}", err=True)
            continue
        data[found.name] = found.data
        written = ", ".join(map(str, found.write(folder)))
        if form == "text":
            click.echo(f"{found.text()}  picture: {written}\n")
    if form == "json":
        printing.print_json(data)


def _subject(
    path: str,
    settings: tuple[tuple[str, Setting], ...],
    model: str | None,
    samples: int,
    steps: int,
    seed: int,
    checkpoint: str,
    data_dir: str | None,
    form: str,
    color: str,
) -> Subject:
    from qrlang.probe import subject

    if Path(path).is_dir():
        if settings or model:
            raise common.usage("a run has its own model and settings: --set and --model are for "
                               "files")  # fmt: skip
        return subject.of_run(path, data_dir, samples, steps, checkpoint)
    made = common.compilation(path, settings, model)
    printing.require(made, form, color)
    models = common.chosen(made)
    if len(models) > 1:
        names = ", ".join(m.program.name for m in models)
        raise common.usage(f"{path} has the models {names}: say which with --model")
    common.all_known(models[0])
    return subject.of_file(made, models[0].program.name, samples, steps, seed)


def _folder(path: str, subject: Subject) -> Path:
    return Path(path) / "probe" if Path(path).is_dir() else Path(f"{subject.name}-probe")


def _sizes(vary: tuple[str, ...], subject: Subject) -> dict[str, list[Setting]] | None:
    found: dict[str, list[Setting]] = {}
    for text in vary:
        name, sign, values = text.partition("=")
        if not sign or not values:
            raise common.usage(f"--vary {text}: write NAME=2,4,6")
        found[name.strip()] = [common.setting(v.strip()) for v in values.split(",")]
    common.known_settings(found, subject.settings, subject.name)
    return found or None
