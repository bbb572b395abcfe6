"""From a file and a line of settings to a run that is ready to go; and back to one that stopped."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qrlang.check.library import Module
from qrlang.diagnostics.words import plural, suggestion
from qrlang.driver import Compilation, Setting
from qrlang.errors import TrainingError
from qrlang.ir.program import Program
from qrlang.system import environment, host
from qrlang.system.files import nameable
from qrlang.training import core, heap, overrides, room
from qrlang.training.feed import DataFeed, Feed, open_feed
from qrlang.training.initial import begin_with
from qrlang.training.progress import Watcher
from qrlang.training.refusals import held_out, measurable, refuse
from qrlang.training.run import Run, claimed, vacant
from qrlang.training.settings import Settings, folded, settle
from qrlang.training.world import World

if TYPE_CHECKING:
    from qrlang.training.loop import Trainer
    from qrlang.training.objective import Objective
    from qrlang.training.on_device import Wanted
    from qrlang.training.preflight import Preflight


@dataclass(frozen=True)
class Asked:
    """What a command line asks for."""

    path: str = ""
    model: str | None = None
    parameters: Mapping[str, Setting] | None = None  # --set
    settings: Mapping[str, str] | None = None  # the text of each
    lr: float | None = None
    out: str | None = None
    data_dir: str | None = None
    threads: int = 0
    road: str = ""
    device: OnDevice | None = None  # a quantum one
    init: str = ""  # weights to begin with: a run, or a file
    override: str = ""  # why a run starts under a sky that is not calm
    fold: tuple[int, int] | None = None  # which of how many parts is the test


@dataclass(frozen=True)
class OnDevice:
    """A quantum device to train on, and who is told what that takes: it may say no."""

    wanted: Wanted | None  # None: that of the run
    allow: Callable[[Trainer, Wanted, Preflight], None]
    limits: Mapping[str, Any] = field(default_factory=dict)  # other ones than those of the run


def compilation(asked: Asked, name: str, data: bytes) -> tuple[Compilation, str]:
    """The file with the settings of the command line in its `train` block, and the model."""
    plain = Compilation.of_bytes(name, data, dict(asked.parameters or {}))
    if plain.broken:
        return plain, ""
    model = overrides.chosen(plain.file, asked.model)
    file, problems = overrides.apply(plain.file, model, asked.settings or {})
    made = Compilation.of_bytes(
        name, data, settings=dict(asked.parameters or {}), only=model, read=(file, problems)
    )
    return made, model


def prepare(
    asked: Asked, made: Compilation, model: str, world: World, watcher: Watcher,
    more: Mapping[str, Any],
) -> Trainer:  # fmt: skip
    """A new run: its folder is there, and nothing has been trained. `more`: what it keeps beside
    its settings, for whoever looks on."""
    block = next(b for b in made.checked.trains if b.model == model)
    checked = made.checked.models[model]
    if checked.unsaid:
        says = " ".join(f"--set {name}=…" for name in checked.assumed)
        raise TrainingError(f"{checked.unsaid}, and its data does not say", says)
    program = checked.program
    target = program.targets[-1].type if program.targets else None
    settings = settle(block.settings, target, asked.lr)
    threads = asked.threads or environment.threads() or max(1, host.cores() // world.size)
    settings = replace(settings, threads=threads, road=asked.road)
    if asked.fold is not None:
        settings = replace(settings, data=folded(settings.data, *asked.fold))
    wanted = asked.device.wanted if asked.device else None
    if wanted is not None:
        settings = replace(settings, processor=wanted.text, device="cpu")
    refuse(settings, program)
    device = _device(wanted, program, settings, world) if wanted is not None else None
    base = Path(asked.path).parent
    nameable(base)
    feed = open_feed(settings, program, asked.data_dir, base)
    if feed.recall and settings.metric == "perplexity" and "metric" not in block.settings:
        settings = replace(settings, metric="accuracy")
    measurable(settings, program)
    about = {"model": model, "file": Path(asked.path).name, "parameters": dict(program.settings),
             "data_dir": asked.data_dir and str(Path(asked.data_dir).absolute()),
             "base": str(base.absolute())}  # fmt: skip
    if wanted is not None:
        about["processor"] = wanted.to_data()
    about |= more
    if asked.init:
        about["init"] = asked.init
    if settings.core != "pqc":
        program = core.swapped(program, settings.core)
        settings = replace(settings, quantum=None, turns=0)  # no angles are left
    with _folder(asked, _run_name(model, settings), world) as folder:
        nameable(folder)
        if world.first and not vacant(folder):
            what = "is not empty" if folder.is_dir() else "is a file"
            raise TrainingError(f"'{folder}' {what}", "name another: --out DIR")
        trainer = _trainer(Run(folder), program, settings, feed, world, watcher, [str(base)])
        if wanted is not None:
            _attach(trainer, wanted, device, asked.device)
        if world.first:
            trainer.run.hold()
            if not vacant(folder):  # another process was here first, and has ended
                raise TrainingError(f"'{folder}' is not empty", "name another: --out DIR")
            Run.begin(folder, program, settings, files_of(made, base, program), about)
            feed.save(folder)
        world.say("begun")  # the others read what is there
        if asked.init:
            begin_with(trainer, asked.init)
        if wanted is not None:
            _keep_journal(trainer, wanted)
    return trainer


@contextmanager
def _folder(asked: Asked, name: str, world: World) -> Iterator[Path]:
    """The run's, in all processes."""
    if asked.out or not world.first:
        yield Path(world.say(asked.out or ""))
        return
    with claimed(name) as mine:
        yield Path(world.say(str(mine)))


def resume(
    asked: Asked, path: str, world: World, watcher: Watcher,
    give_up: Callable[[Run, DataFeed, World, Watcher], None],
) -> Trainer:  # fmt: skip
    """A run that was stopped, where its last checkpoint is. `give_up`: takes out of it what may
    not be kept any more, before anything else."""
    run = Run.open(path)
    if not run.last.exists() and run.lines(run.metrics):  # the first is written before any line
        raise TrainingError(f"'{run.last}' is gone, and without it the run can't go on",
                            "put a copy of it back, or train the run anew")  # fmt: skip
    if world.first:
        run.hold()
    about, before, program = run.about(), run.settings(), run.program()
    settings = planned = overrides.longer(before, asked.settings or {})
    threads = asked.threads or environment.threads() or settings.threads
    settings = replace(settings, threads=threads, road=asked.road or settings.road)
    wanted, device = None, None
    if "processor" in about:
        from qrlang.training.on_device import Wanted

        limits = asked.device.limits if asked.device else {}
        wanted = Wanted.of_data({**about["processor"], **limits})
        device = _device(wanted, program, settings, world)
    feed = reopen(run, settings, program, about, asked.data_dir)
    give_up(run, feed, world, watcher)
    trainer = _trainer(run, program, settings, feed, world, watcher, run.imports)
    if wanted is not None:
        _attach(trainer, wanted, device, asked.device)
        _keep_journal(trainer, wanted)
    if run.last.exists():
        trainer.restore()
    if asked.settings:
        p = trainer.progress
        if p.step >= trainer.plan.steps:
            raise TrainingError(
                f"the run has made {plural(p.step, 'update')} in {plural(p.epoch, 'epoch')} "
                f"already, and would end after {trainer.plan.steps}",
                "give more than that",
            )
        if world.first:
            run.plan(planned, {"step": p.step, "epochs": before.epochs, "steps": before.steps})
        p.finished, p.since_best = False, 0
        trainer.save()
    return trainer


def _device(wanted: Wanted, program: Program, settings: Settings, world: World) -> Any:
    """Before the model is made: a state of so many qubits may not fit this machine either."""
    from qrlang.training.on_device import opened

    if world.size > 1:
        raise TrainingError("one process trains on a device", "leave torchrun out")
    return opened(wanted, program, settings)


def _attach(trainer: Trainer, wanted: Wanted, device: Any, on: OnDevice | None) -> None:
    from qrlang.training.on_device import attach

    found = attach(trainer, wanted, device)
    if on is not None:
        on.allow(trainer, wanted, found)


def _keep_journal(trainer: Trainer, wanted: Wanted) -> None:
    from qrlang.training.on_device import keep_journal

    keep_journal(trainer, wanted)


def reopen(
    run: Run, settings: Settings, program: Program, about: Mapping[str, Any], data_dir: str | None
) -> DataFeed:
    return open_feed(
        settings, program, data_dir or about.get("data_dir"), Path(str(about.get("base", "."))),
        run.folder,
    )  # fmt: skip


def _run_name(model: str, settings: Settings) -> str:
    return model if settings.core == "pqc" else f"{model}-{settings.core}"


def _trainer(
    run: Run, program: Program, settings: Settings, feed: Feed, world: World, watcher: Watcher,
    imports: Sequence[str],
) -> Trainer:  # fmt: skip
    from qrlang.training import losses
    from qrlang.training.loop import Trainer

    held_out(settings, feed)
    plain = replace(settings, road="plain") if settings.processor else settings
    if not settings.processor and device(settings) == "cpu":
        lanes = settings.batch if feed.streaming else feed.sizes.get("train") or settings.batch
        room.refuse(program, settings, lanes)
    objective = make_objective(program, plain, world, imports)
    objective.loss = losses.balanced(
        objective.loss, feed, objective.target, objective.kind.size, objective.parameters[0]
    )
    cut = settings.truncate and not feed.streaming  # on the host
    if not (cut or settings.processor or settings.optimizer[0] == "ridge"):
        from qrlang.training.resident import near

        feed = near(feed, objective.device)
    return Trainer(objective, feed, settings, run, watcher, world)


def make_objective(
    program: Program, settings: Settings, world: World, imports: Sequence[str]
) -> Objective:
    """The model as a module, at the weights that its seed gives."""
    import torch

    from qrlang.backends.torch.load import make
    from qrlang.engine.cpu.launch.threads import set_threads
    from qrlang.training.objective import Objective

    environment.check()
    threads = settings.threads or environment.threads() or host.cores()
    set_threads(threads)  # of the native kernel
    torch.manual_seed(settings.seed)
    dtype = torch.float64 if settings.precision == "double" else torch.float32
    if device(settings) == "cpu":
        heap.keep()
    model = make(
        program, road=settings.road or None, dtype=dtype, device=device(settings), imports=imports
    )
    model.shots = settings.shots
    # The kernel has threads of its own; torch's would wait for work beside them, and take time.
    alone = model.chosen_road() == "native" or not room.worth_threads(program, settings)
    torch.set_num_threads(1 if alone else threads)
    freeze(model, settings.freeze)
    objective = Objective(model, program, settings.loss, world, settings.truncate, settings.washout)
    if not objective.parameters:
        frozen = "every weight is frozen" if program.weights else "the model has no weights"
        raise TrainingError(f"there is nothing to train: {frozen}")
    return objective


def device(settings: Settings) -> str:
    import torch

    if settings.device == "cpu":
        return "cpu"
    if torch.cuda.is_available():
        rank, count = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
        if rank >= count:
            raise TrainingError(
                f"process {rank} of this machine has no GPU: it has {count}",
                f"start as many processes as GPUs: torchrun --nproc-per-node {count}",
            )
        return f"cuda:{rank}"
    if settings.device == "cuda":
        built = "" if torch.backends.cuda.is_built() else ": this torch is built without CUDA"
        raise TrainingError(
            f"torch sees no CUDA device{built}", "leave `device` out, or set it to cpu"
        )
    return "cpu"


def freeze(model: Any, names: tuple[str, ...]) -> None:
    from qrlang.backends.torch.emit.names import state_name

    parameters = dict(model.named_parameters())
    for name in names:
        key = state_name(name)
        found = [p for k, p in parameters.items() if k == key or k.startswith(f"{key}.")]
        if not found:
            layers = {k.rpartition(".")[0] or k for k in parameters} | set(parameters)
            raise TrainingError(
                f"`freeze` names `{name}`, and the model has no such layer or tensor"
                + suggestion(name, layers),
                "it has " + ", ".join(sorted(layers)),
            )
        for p in found:
            p.requires_grad_(False)


# --- what the program is made of ---


def files_of(made: Compilation, base: Path, program: Program) -> dict[str, bytes]:
    """The text and all that it draws on, by where it is kept in the run folder."""
    found = {Path(made.source.name).name or "model.qrl": made.source.text.encode()}
    for module in _modules(made.library.main(made.file), made, set()):
        source = module.file.source
        name = source.name if module.kind == "library" else os.path.relpath(source.name, base)
        parts = [p for p in Path(name).parts if p not in ("..", "/", "\\")]
        found.setdefault(str(Path(*parts)), source.text.encode())
    for extern in program.externs:
        path = base / Path(*extern.path.partition(":")[0].split(".")).with_suffix(".py")
        if path.is_file():
            found[str(path.relative_to(base))] = path.read_bytes()
    return found


def _modules(module: Module, made: Compilation, seen: set[int]) -> Iterator[Module]:
    """Every file that a file uses, and what those use."""
    made.library.follow(module, lambda *_: None)
    for use in module.uses.values():
        if use is not None and id(use[0]) not in seen:
            seen.add(id(use[0]))
            yield use[0]
            yield from _modules(use[0], made, seen)
