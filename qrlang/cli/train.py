"""`qrlc train`"""

from __future__ import annotations

import math
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from qrlang.cli import common, device, printing, told
from qrlang.cli.exits import INTERRUPTED, NOT_CALM
from qrlang.driver import Setting
from qrlang.errors import TrainingError
from qrlang.system.environment import MOST_THREADS

if TYPE_CHECKING:
    from qrlang.trace.recorder import Asked as Traced
    from qrlang.training.loop import Trainer
    from qrlang.training.on_device import Wanted
    from qrlang.training.preflight import Preflight
    from qrlang.training.progress import Watcher
    from qrlang.training.start import Asked
    from qrlang.training.world import World

HELP = {
    "data": "A data set, or a path of your own.",
    "loss": "cross_entropy, nll, mse, mae, huber, bce, fidelity.",
    "optimizer": "adam, adamw, sgd, rmsprop, lbfgs, spsa, nelder_mead, ridge.",
    "quantum": "Of a circuit's own angles, if another one: spsa, adam, …",
    "turns": "Updates of each of the two in turn; without it, both in every update.",
    "batch": "Sequences in an update.",
    "epochs": "How often the training data is gone through.",
    "steps": "How many updates, instead of epochs.",
    "schedule": "constant, cosine, linear, staircase, exponential, plateau.",
    "warmup": "Updates until the learning rate is whole, a quarter of them all at most.",
    "clip": "The largest norm of a gradient; 0: any.",
    "seed": "Of everything that is drawn by lot.",
    "validation": "The share of the training data that is held out.",
    "early_stopping": "Stop after so many epochs without a better one.",
    "average": "Keep a moving average of the weights, and evaluate that: 0.99.",
    "truncate": "Moments that gradients go back; states go on beyond.",
    "accumulate": "Batches whose gradients make one update.",
    "length": "The longest sequence; moments in a segment of a long one.",
    "limit": "At most so many records of each split: for a quick look.",
    "core": "pqc, or a classical one of the same size: orthogonal, rnn, gru, lstm.",
    "metric": "What decides which weights are best.",
    "device": "auto, cpu, cuda; with --target a quantum device.",
    "precision": "single, double.",
    "shots": "Readouts from so many shots; 0: exact.",
    "freeze": "Layers or tensors that stay: '[embed, steer.w1]'.",
    "checkpoint": "Between checkpoints: '30 s', '100 steps', '1 epochs'.",
    "log": "Between lines of metrics: '50 steps'.",
}


ALSO = {"log": ("--log-every",)}  # torchrun takes --log for an option of its own


def _every_setting(command: Any) -> Any:
    for name in reversed(HELP):
        words = [f"--{name.replace('_', '-')}", *ALSO.get(name, ())]
        command = click.option(*words, name, metavar="…", help=HELP[name])(command)
    return command


@click.command("train")
@click.argument("path", metavar="[FILE]", required=False, type=click.Path())
@common.settings
@common.model
@click.option(
    "--resume", metavar="RUN", help="Go on with a run, to the same numbers; or to more --epochs."
)
@click.option("-o", "--out", metavar="DIR",
              help="The run's folder.  [default: runs/MODEL-1, -2, …]")  # fmt: skip
@common.data_dir
@click.option(
    "--threads", type=click.IntRange(0, MOST_THREADS), default=0, help="Of the CPU; 0: all cores."
)
@click.option("--road", type=click.Choice(["native", "stepwise", "plain"]),
              help="How it is computed; without it, the fastest that fits.")  # fmt: skip
@click.option("--seeds", metavar="K", type=click.IntRange(1, 10_000), default=1,
              help="As many runs, seed after seed; then their mean and deviation.")  # fmt: skip
@click.option(
    "--folds",
    metavar="K",
    type=click.IntRange(2, 10_000),
    default=None,
    help="As many runs (of each seed), each with another part of the data for the test.",
)
@click.option("--trace", is_flag=True,
              help="Record readouts, activations, parameters, gradients, entropies.")  # fmt: skip
@click.option("--trace-samples", metavar="N|I,J,…", default="4", show_default=True,
              help="How many samples of the validation split, or which.")  # fmt: skip
@click.option("--trace-every", type=click.IntRange(1, 10**9), default=1, show_default=True,
              help="Steps between records, at least.")  # fmt: skip
@click.option("--trace-limit", type=click.FloatRange(0.001, 10**6), default=64.0,
              show_default=True, help="Megabytes of the whole trace.")  # fmt: skip
@click.option("--trace-budget", type=click.FloatRange(0, 1000), default=5.0, show_default=True,
              help="Percent of the training time that it may take; 0: any.")  # fmt: skip
@click.option("--init", metavar="RUN|FILE", default="",
              help="Weights to begin with: of a run, or of a safetensors or npz file.")  # fmt: skip
@click.option("--override", metavar="REASON", default="",
              help="Start under a sky that is not calm; the ledger keeps the reason.")  # fmt: skip
@click.option("--check-gradient", metavar="K", type=click.IntRange(1, 10_000), default=None,
              help="First hold K slopes of the loss against parameter shifts.")  # fmt: skip
@click.option("--lr", type=float, help="The optimiser's learning rate.")
@_every_setting
@click.option("--target", metavar="NAME", help="Train on a quantum device of qiskit or braket.")
@device.options
@common.output
def command(
    path: str | None,
    settings: tuple[tuple[str, Setting], ...],
    model: str | None,
    resume: str | None,
    out: str | None,
    data_dir: str | None,
    threads: int,
    road: str | None,
    lr: float | None,
    trace: bool,
    trace_samples: str,
    trace_every: int,
    trace_limit: float,
    trace_budget: float,
    init: str,
    override: str,
    check_gradient: int | None,
    seeds: int,
    folds: int | None,
    form: str,
    color: str,
    target: str | None,
    noise: str,
    level: int,
    mitigate: str,
    dry_run: bool,
    yes: bool,
    **given: Any,
) -> None:
    """Train a model as its `train` block says; options say otherwise.

    The run's folder gets the program, its settings, metrics, curves and checkpoints. Ctrl-C stops
    after the batch; qrlc train --resume RUN goes on from there.

    With --target and --device, readouts are those of a quantum device, and slopes come from shifted
    circuits: small models only. What that takes is said first.
    """
    changed = {k: given[k] for k in HELP if given[k] is not None}
    limits = {k: given[k] for k in device.LIMITS if common.given(k)}
    _go_together(click.get_current_context().params, changed, limits)
    common.needs_training()
    from qrlang.training.start import Asked, OnDevice

    wanted = None
    if target is not None:
        from qrlang.training.on_device import Wanted

        wanted = Wanted(
            target, changed.pop("device", ""), noise, level, mitigate=mitigate, **limits
        )
    on = OnDevice(wanted, _allow(form, dry_run, yes), limits)
    asked = Asked(path or "", model, dict(settings), changed, lr, out, data_dir, threads,
                  road or "", on, init, override.strip())  # fmt: skip
    from qrlang.trace.recorder import Asked as Traced

    if trace:
        from qrlang.trace.samples import named

        named(trace_samples)  # before a folder is made
    traced = Traced(trace_samples, trace_every, trace_limit, trace_budget) if trace else None
    _session(asked, resume, form, color, traced, check_gradient or 0, seeds, folds)


def _go_together(
    given: Mapping[str, Any], changed: Mapping[str, str], limits: Mapping[str, Any]
) -> None:
    """Refuses options that others leave no meaning."""
    path, resume, lr = given["path"], given["resume"], given["lr"]
    of_device = any(given[k] for k in ("dry_run", "noise", "mitigate"))
    if given["target"] is None and (of_device or (limits and resume is None)):
        raise common.usage("--dry-run, --noise, --mitigate, limits and prices are of a quantum "
                           "device: --target NAME")  # fmt: skip
    if (path is None) == (resume is None):
        both = ", not both: a run has its own program" if path else ""
        raise common.usage(f"give a FILE to train, or --resume RUN to go on with{both}")
    if path is not None and (Path(path) / "settings.json").is_file():
        raise common.usage(f"'{path}' is a run: go on with it by --resume {path}, or train its "
                           "program anew")  # fmt: skip
    of_trace = ("trace_samples", "trace_every", "trace_limit", "trace_budget")
    if not given["trace"] and any(map(common.given, of_trace)):
        raise common.usage("--trace-samples, --trace-every, --trace-limit and --trace-budget are "
                           "of a trace: say --trace too")  # fmt: skip
    if resume is None:
        if lr is not None and not 0 < lr < math.inf:
            raise common.usage("--lr is a number above 0")
        return
    own = any(given[k] for k in ("settings", "out", "model", "target", "noise", "mitigate"))
    if own or lr is not None or changed.keys() - {"epochs", "steps"}:
        raise common.usage("a run goes on with its own settings: --resume goes with no others "
                           "than --epochs or --steps, --data-dir, --threads, --road, limits and "
                           "prices")  # fmt: skip
    if given["init"]:
        raise common.usage("a run goes on with its own weights: --resume goes without --init")
    if given["override"]:
        raise common.usage("a run that goes on has started: --resume goes without --override")
    if given["seeds"] > 1 or given["folds"]:
        raise common.usage("a run goes on with its own seed and data: --resume goes without "
                           "--seeds and --folds")  # fmt: skip
    if given["trace"]:
        raise common.usage("a run goes on with the trace that it was begun with: --resume goes "
                           "without --trace")  # fmt: skip


def _allow(form: str, dry_run: bool, yes: bool) -> Callable[[Trainer, Wanted, Preflight], None]:
    """What a device will have to do is said, and held against the limits."""

    def allow(trainer: Trainer, wanted: Wanted, found: Preflight) -> None:
        from qrlang.training.preflight import page

        if form == "text":
            name = trainer.objective.program.name
            click.echo(page(found, name), err=not dry_run, nl=False)
        if dry_run:
            if form == "json":
                printing.print_json({"preflight": found.to_data()})
            raise click.exceptions.Exit(0)
        processor = trainer.objective.model.processor
        if over := wanted.budget(processor.device).asks(found.spent, processor.device):
            device.allowed(over, yes)
            processor.desk.budget = None  # whoever has said so means it

    return allow


def _session(
    asked: Asked, resume: str | None, form: str, color: str, traced: Traced | None = None,
    slopes: int = 0, seeds: int = 1, folds: int | None = None,
) -> None:  # fmt: skip
    import torch

    from qrlang.training import world
    from qrlang.training.progress import Screen, Silent

    here = world.join(torch.cuda.is_available())
    screen: Watcher = Silent()
    if here.first and sys.stderr is not None:
        screen = Screen(sys.stderr, width=common.width())
    pages: list[dict[str, Any]] = []  # of what came out
    first = None
    try:
        with _notes(screen):
            for k in range(many := seeds * (folds or 1)):
                one = _of_sweep(asked, k, first, folds) if many > 1 else asked
                trainer = _begun(one, resume, here, screen, form, color)
                first = trainer.settings.seed if first is None else first
                if traced is not None and here.first:
                    traced.keep(trainer.run.folder)
                if here.first and form == "text":
                    click.echo(told.before(trainer, resume is not None), err=True)
                if slopes and here.first:
                    try:
                        _check(trainer, slopes)
                    except TrainingError:
                        if resume is None:  # a run that never began leaves no folder
                            shutil.rmtree(trainer.run.folder)
                        raise
                pages.append({"run": str(trainer.run.folder), **_through(trainer, screen)})
                if here.first and form == "text":
                    told.after(pages[-1], trainer)
    finally:
        world.leave(here)
    if here.first:
        told.together(pages, form)


def _of_sweep(asked: Asked, k: int, first: int | None, folds: int | None) -> Asked:
    """The run number k of several: all folds of a seed, then those of the next."""
    settings = dict(asked.settings or {})
    if first is not None:
        settings["seed"] = str(first + k // (folds or 1))
    fold = (k % folds, folds) if folds else None
    out = asked.out and f"{asked.out}/{k + 1}"
    return replace(asked, settings=settings, out=out, fold=fold)


def _begun(
    asked: Asked, resume: str | None, here: World, screen: Watcher, form: str, color: str
) -> Trainer:
    if resume is not None:
        from qrlang.session.train import resume as again

        return again(asked, resume, here, screen)
    return _new(asked, here, screen, form, color)


def _through(trainer: Trainer, screen: Watcher) -> dict[str, Any]:
    from qrlang.governor.errors import NotCalm
    from qrlang.session.train import run
    from qrlang.training.loop import Stopped

    try:
        return run(trainer)
    except Stopped:
        screen.note(
            f"stopped after step {trainer.progress.step} of {trainer.plan.steps}; "
            f"go on with: qrlc train --resume {trainer.run.folder}"
        )
        raise click.exceptions.Exit(INTERRUPTED) from None
    except NotCalm as why:
        printing.tell(why)
        raise click.exceptions.Exit(NOT_CALM) from None


def _check(trainer: Trainer, slopes: int) -> None:
    from qrlang.training.shift_check import check

    found = check(trainer, slopes)
    click.echo(found.text(), err=True)
    if not found.good:
        raise TrainingError(
            f"the gradients of the {found.road} road are not those of parameter shifts",
            "please report this"
            if found.road == "plain"
            else "train on another one (--road plain), and please report this",
        )


def _new(asked: Asked, here: World, screen: Watcher, form: str, color: str) -> Trainer:
    from qrlang.session.train import prepare
    from qrlang.training import start

    name, data = common.read(asked.path)
    made, model = start.compilation(asked, name, data)
    common.known(made, list(asked.parameters or {}), asked.model)
    printing.require(made, form, color)
    return prepare(asked, made, model, here, screen)


@contextmanager
def _notes(screen: Watcher) -> Iterator[None]:
    """Warnings of libraries as lines between the others, each once."""
    said: set[str] = set()

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        if str(message) not in said:
            said.add(str(message))
            screen.note(f"note: {message}")

    from qrlang.backends.torch.roads import RoadNotice

    with warnings.catch_warnings():
        warnings.simplefilter("always", RoadNotice)
        warnings.showwarning = show
        yield
