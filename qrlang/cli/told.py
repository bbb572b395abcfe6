"""What `qrlc train` says of a run: before it, after it, and of several together."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from qrlang.cli import printing
from qrlang.diagnostics.words import plural
from qrlang.errors import TrainingError

if TYPE_CHECKING:
    from qrlang.training.loop import Trainer


def before(trainer: Trainer, again: bool) -> str:
    """What will be done, and with which settings: also those that nobody gave."""
    from qrlang.training.feed import notes_of

    s, run = trainer.settings, trainer.run
    model = trainer.objective
    count = sum(p.numel() for p in model.parameters)
    sizes = ", ".join(f"{n} {split}" for split, n in trainer.feed.sizes.items() if n)
    verb = "going on with" if again else "training"
    warm = f", {trainer.plan.warmup} steps of warm-up" if trainer.plan.warmup else ""
    at = ", ".join(f"{k}={v}" for k, v in model.program.settings)
    name = f"{model.program.name} ({at})" if at else model.program.name
    of_angles = f"; angles: {_call(s.quantum)}" if s.quantum else ""
    clipped = f"gradients clipped at {s.clip:g}" if s.clip else "gradients not clipped"
    lines = [
        f"{verb} {name}: {count} parameters, core {s.core}, seed {s.seed}",
        f"  run        {run.folder}",
        f"  data       {_call(s.data)}: {sizes}",
        *(f"             {note}" for note in notes_of(trainer.feed)),
        f"  loss       {_call(s.loss)}; best by {s.metric}",
        f"  optimizer  {_call(s.optimizer)}{of_angles}",
        f"  schedule   {_call(s.schedule)}{warm}; {clipped}",
        *([f"  weights    their moving average, by {s.average:g}"] if s.average else []),
        f"  updates    {_updates(trainer)}",
        f"  runs on    {_where(trainer)}",
    ]
    if trainer.progress.step:
        lines.append(f"  so far     {trainer.progress.step} updates")
    return "\n".join(lines)


def _updates(trainer: Trainer) -> str:
    if trainer.optimizer.whole:
        return f"{trainer.plan.steps}, each over all training data"
    s = trainer.settings
    many = plural(s.batch * s.accumulate, "sequence")
    return f"{trainer.plan.steps} of {many}, {plural(trainer.plan.epochs, 'epoch')}"


def _call(choice: tuple[str, dict[str, Any]]) -> str:
    name, given = choice
    said = (f"{k}: {str(v).lower() if isinstance(v, bool) else v}" for k, v in given.items())
    return name + (f"({', '.join(said)})" if given else "")


def _where(trainer: Trainer) -> str:
    model = trainer.objective.model
    road = model.chosen_road() if hasattr(model, "chosen_road") else ""
    if (processor := getattr(model, "processor", None)) is not None:
        return f"{processor.device.name}, {processor.shots or 'no'} shots a circuit"
    many = f", {trainer.world.size} processes" if trainer.world.size > 1 else ""
    return (f"{trainer.objective.device}, {trainer.settings.precision} precision, {road} road, "
            f"{plural(trainer.settings.threads, 'thread')}{many}")  # fmt: skip


def after(found: dict[str, Any], trainer: Trainer) -> None:
    from qrlang.training import beside
    from qrlang.training.asked import evaluate
    from qrlang.training.progress import duration

    skipped = f", {found['skipped']} updates skipped" if found["skipped"] else ""
    click.echo(evaluate.page(found), nl=False)
    if "jobs" in found:
        click.echo(f"on the device: {found['circuits']:,} circuits, "
                   f"{found['executions']:,} executions in {found['jobs']:,} jobs")  # fmt: skip
    elif found["circuits"]:
        shots = trainer.settings.shots
        each = f" of {shots} shots each" if shots else ", exact here"
        click.echo(f"without gradients: {found['runs']:,} runs of a sequence, "
                   f"{found['circuits']:,} circuits on a device{each}")  # fmt: skip
    answers = Path(trainer.run.folder) / f"{beside.FILE}.svg"
    also = f", answers in {answers}" if answers.is_file() else ""
    click.echo(
        f"{plural(found['steps'], 'update')} in {duration(found['seconds'])} "
        f"({found['seconds_an_epoch']:.1f} s an epoch{skipped}); best epoch {found['best_epoch']}; "
        f"curves in {Path(trainer.run.folder) / 'curves.svg'}{also}"
    )


def together(pages: list[dict[str, Any]], form: str) -> None:
    """For programs what came out; of several runs, what they are worth together."""
    if len(pages) > 1:
        from qrlang.training import compare

        rows, left = compare.rows([p["run"] for p in pages], None)
        left_out(left)
        if form == "json":
            printing.print_json({"rows": [r.data() for r in rows], "runs": pages})
        elif rows:
            click.echo(compare.text(rows), nl=False)
    elif form == "json":
        printing.print_json(pages[0])


def left_out(runs: list[TrainingError]) -> None:
    """Those that are no part of a table, and why."""
    for why in runs:
        click.echo(f"left out: {why}" + (f" ({why.help})" if why.help else ""), err=True)
