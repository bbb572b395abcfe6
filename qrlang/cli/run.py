"""`qrlc run`"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from qrlang.cli import common, device, printing
from qrlang.diagnostics.words import plural

if TYPE_CHECKING:
    from qrlang.hardware.batch import Subject
    from qrlang.hardware.budget import Budget
    from qrlang.hardware.preflight import Preflight


@click.command("run")
@click.argument("path", metavar="RUN|FILE", type=click.Path())
@click.option("--target", "-t", metavar="NAME", default="qiskit", show_default=True,
              help="Whose devices: qiskit, braket.")  # fmt: skip
@click.option("--device", metavar="NAME", help="Which; without it, a simulator on this machine.")
@click.option("--shots", type=click.IntRange(0, 10**8), default=1000, show_default=True,
              help="Of each circuit; 0: exact.")  # fmt: skip
@click.option("--loop", type=click.Choice(["closed", "open", "picard"]), default="closed",
              show_default=True, help="Whose readouts make the next angles: the device's; our "
              "simulator's; the device's, by sweeps over all moments at once.")  # fmt: skip
@device.options
@click.option("--resume", is_flag=True, help="Go on with what an earlier run has left in --out.")
@click.option("-o", "--out", metavar="DIR", help="Where the journal and the results go.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True)
@click.option("--data", metavar="FILE.npz", help="Sequences of your own: an array for each input.")
@click.option("--split", type=click.Choice(["test", "validation", "train"]), help="Of the data.")
@click.option("--limit", type=click.IntRange(1), metavar="N", default=32, show_default=True,
              help="Sequences, at most.")  # fmt: skip
@common.data_dir
@common.settings
@common.model
@common.output
def command(path: str, form: str, color: str, **given: Any) -> None:
    """Run a trained model on a quantum device, moment by moment.

    First it says what that takes: circuits, jobs, executions, depth, the error to be expected. Each
    job's answer is kept in a journal: what was stopped goes on with --resume, and nothing is run
    twice.
    """
    from qrlang.hardware.budget import Budget, prices
    from qrlang.hardware.device import DeviceError, DeviceOptions
    from qrlang.hardware.loop import Plan
    from qrlang.hardware.mitigation import mitigation, possible
    from qrlang.hardware.preflight import page, preflight
    from qrlang.hardware.target import DeviceTarget, lacking, refused
    from qrlang.targets import TargetError, load

    try:
        target = load(given["target"])
    except TargetError as error:
        raise common.usage(str(error)) from None
    if not isinstance(target, DeviceTarget):
        raise common.usage(f"the target '{target.name}' has no devices; braket and qiskit have")
    subject = _subject(path, given, target, form, color)
    for line in refused(subject.program, target):
        raise DeviceError(line)
    processor = target.open_device(
        given["device"] or target.device,
        DeviceOptions(given["seed"], given["noise"], given["level"]),
    )
    for line in lacking(subject.program, processor):
        raise DeviceError(line, f"choose a device that has: --device {target.ablest}")
    plan = Plan(given["shots"], given["seed"], given["loop"], mitigation(given["mitigate"]))
    folder = _folder(processor, plan, path, given)
    if not given["dry_run"]:
        _free(folder, given["resume"])
    possible(plan.mitigate, processor)
    if not plan.shots and not processor.capabilities.exact:
        raise DeviceError(f"`{processor.name}` has no exact mode", "give it shots: --shots 1000")
    said = prices(processor, given["price_task"], given["price_shot"], given["price_second"])
    found = preflight(subject.program, subject.weights, subject.items, processor, plan, said)
    if form == "text":
        click.echo(page(found, subject.about), err=not given["dry_run"], nl=False)
    if given["dry_run"]:
        if form == "json":
            printing.print_json({"preflight": found.to_data()})
        return
    limits = Budget(given["max_shots"] or 0, given["max_cost"], said)
    over = limits.asks(found, processor)
    device.allowed(over, given["yes"])
    try:
        _execute(subject, processor, plan, found, folder, form, given, None if over else limits)
    except OSError as error:
        raise DeviceError(
            f"cannot write '{error.filename or folder}': {error.strerror or error}",
            "make room, or mend the folder, then go on with --resume; or name another: --out DIR",
        ) from None


def _folder(device: Any, plan: Any, path: str, given: dict[str, Any]) -> Path:
    """Where the journal and the results go."""
    plain = "".join(c if c.isalnum() else "_" for c in device.name)
    base = Path(path) if Path(path).is_dir() else Path("runs") / Path(path).stem
    words = [plain, plan.loop, str(plan.shots), *str(plan.mitigate).replace(":", ",").split(",")]
    return Path(given["out"] or base / "device" / "-".join(w for w in words if w))


def _free(folder: Path, resume: bool) -> None:
    """Nothing of anybody else's is written over: a run folder has a `result.json` too."""
    from qrlang.hardware.device import DeviceError

    begun = (folder / "journal.jsonl").exists()
    if resume and not begun:
        raise DeviceError(f"'{folder}' holds no run to go on with",
                          "say where it is: --out DIR; or begin one: without --resume")  # fmt: skip
    if resume:
        return
    if begun:
        raise DeviceError(f"'{folder}' holds a run already",
                          "go on with it: --resume; or begin another: --out DIR")  # fmt: skip
    if folder.exists() and not folder.is_dir():
        raise DeviceError(f"'{folder}' is a file", "name a folder: --out DIR")
    if folder.is_dir() and {p.name for p in folder.iterdir()} - {"journal.lock"}:
        raise DeviceError(f"'{folder}' is not empty", "name another: --out DIR")


def _execute(
    subject: Subject, device: Any, plan: Any, found: Preflight, folder: Path, form: str,
    given: dict[str, Any], limits: Budget | None,
) -> None:  # fmt: skip
    from qrlang.hardware import batch
    from qrlang.hardware.checkpoint import Journal
    from qrlang.hardware.jobs import Progress
    from qrlang.hardware.loop import run
    from qrlang.hardware.preflight import rms
    from qrlang.hardware.table import shown

    journal = folder / "journal.jsonl"
    about = {"model": batch.fingerprint(subject), "device": device.name, "shots": plan.shots,
             "seed": plan.seed, "loop": plan.loop, "noise": given["noise"],
             "level": given["level"], "mitigate": str(plan.mitigate)}  # fmt: skip

    def watch(p: Progress) -> None:
        if sys.stderr.isatty():
            click.echo(f"\r  round {p.round}/{found.rounds}  job {p.job}/{p.jobs}  "
                       f"{p.circuits:,}/{found.circuits:,} circuits",
                       nl=False, err=True)  # fmt: skip

    kept = Journal(journal, about)
    try:
        done = run(subject.program, subject.weights, subject.items, device, plan, kept, watch,
                   budget=limits)  # fmt: skip
    except KeyboardInterrupt:
        sent = [ticket for job, ticket in kept.tickets.items() if job not in kept.answers]
        under_way = f"; {', '.join(sent)} is under way" if sent else ""
        if sys.stderr.isatty():  # after the line of progress
            click.echo(err=True)
        click.echo(f"stopped{under_way}; go on, and pay for nothing twice, with the same command "
                   "and --resume", err=True)  # fmt: skip
        raise
    if sys.stderr.isatty():
        click.echo(err=True)
    figures = batch.score(done.outputs, subject.answers, subject.kind)
    page: dict[str, Any] = {
        "device": device.name, "loop": plan.loop, "shots": plan.shots, "seed": plan.seed,
        "mitigate": str(plan.mitigate), "noise": given["noise"],
        "sequences": len(subject.items), "figures": figures, "jobs": done.counts.jobs,
        "circuits": done.counts.circuits, "executions": done.counts.executions,
        "fetched": done.counts.fetched, "preflight": found.to_data(),
    }  # fmt: skip
    exact = _exact(subject, found)
    seen = rms(exact, done) if exact else []
    if exact:
        page["error"] = seen
        page["exact"] = batch.score(exact.outputs, subject.answers, subject.kind)
    batch.save(folder, done.outputs, page)
    if form == "json":
        printing.print_json({"out": str(folder), **page})
        return
    for name, value in figures.items():
        beside = f", exactly {shown(name, page['exact'][name])}" if exact else ""
        of = plural(len(subject.items), "sequence")
        click.echo(f"{name}  {shown(name, value)}{beside}  ({of})")
    if seen:
        click.echo(f"readouts  rms error {seen[0]:.3g} at first, {seen[-1]:.3g} at last, against "
                   "the simulator")  # fmt: skip
    click.echo(f"{done.counts.executions:,} executions in {plural(done.counts.jobs, 'job')}"
               f" ({done.counts.fetched} from the journal); results in {folder}")  # fmt: skip


def _exact(subject: Subject, found: Preflight) -> Any:
    """The same run without errors, where our simulator can do it."""
    from qrlang.hardware.loop import Plan, run
    from qrlang.hardware.preflight import SIMULATED
    from qrlang.hardware.simulator import Simulator

    if any(m.qubits > SIMULATED for m in found.moments) or found.unknown not in ("", "exact"):
        return None
    return run(subject.program, subject.weights, subject.items, Simulator(), Plan(0))


def _subject(path: str, given: dict[str, Any], target: Any, form: str, color: str) -> Subject:
    """The program through the passes for devices, its weights, and the sequences."""
    from qrlang.hardware import batch
    from qrlang.hardware.device import DeviceError
    from qrlang.passes import GATES, run_passes

    if Path(path).is_dir():
        from qrlang.training.asked.varied import WIDTHS, varied
        from qrlang.training.run import Run

        if given["model"]:
            raise common.usage("a run has its own model: --model is for a .qrl file")
        run, other = Run.open(path), dict(given["settings"])
        program = run_passes(varied(run, other) if other else run.program(), GATES)
        try:
            weights = batch.weights_of_run(run.folder, program)
        except DeviceError as error:
            raise DeviceError(str(error), WIDTHS if other else error.help) from None
        if given["data"]:
            items, answers = batch.items_of_file(given["data"], program, given["limit"], run.data())
        else:
            from qrlang.training import start

            feed = start.reopen(run, run.settings(), program, run.about(), given["data_dir"])
            items, answers = _of_feed(feed, program, given)
    else:
        from qrlang.backends.reference import initial_weights

        made = common.compilation(path, given["settings"], given["model"])
        printing.require(made, form, color)
        models = common.chosen(made)
        if len(models) > 1:
            raise common.usage(f"{path} has several models: choose one with --model")
        (model,) = models
        common.all_known(model)
        printing.refuse(target.check(model, {}), form, color)
        program = made.for_target(model).program
        weights = initial_weights(program, given["seed"])
        if given["data"]:
            items, answers = batch.items_of_file(given["data"], program, given["limit"])
        else:
            items, answers = _of_train_block(made, model, program, path, given)
    kind = program.targets[-1].type.kind if program.targets else ""
    return batch.Subject(program, weights, items, answers, kind, f"{program.name} of {path}")


def _of_train_block(
    made: Any, model: Any, program: Any, path: str, given: dict[str, Any]
) -> tuple[list[Any], list[Any]]:
    from qrlang.training.feed import open_feed
    from qrlang.training.settings import settle

    block = next((b for b in made.checked.trains if b.model == model.program.name), None)
    if block is None or "data" not in block.settings:
        raise common.usage(f"{path} has no `train` block with data: give --data FILE.npz")
    kind = program.targets[-1].type if program.targets else None
    feed = open_feed(settle(block.settings, kind), program, given["data_dir"], Path(path).parent)
    return _of_feed(feed, program, given)


def _of_feed(feed: Any, program: Any, given: dict[str, Any]) -> tuple[list[Any], list[Any]]:
    from qrlang.hardware.batch import items_of_feed
    from qrlang.training.feed import split_of

    return items_of_feed(feed, program, split_of(feed, given["split"]), given["limit"])
