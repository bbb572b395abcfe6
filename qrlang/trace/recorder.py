"""Writes the trace of a run while it trains, within a share of its time and a size."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from qrlang.backends.torch.emit.names import state_name
from qrlang.ir.program import Embed
from qrlang.ir.walk import walk
from qrlang.system.files import read_json, write_atomically, write_json
from qrlang.trace.errors import TraceError
from qrlang.trace.files import Folder
from qrlang.trace.layout import FORMAT, VERSION, Array, Field, laid_out, packed, size
from qrlang.trace.samples import Samples, chosen
from qrlang.trace.watch import Watch
from qrlang.training.loop import Observer, Trainer
from qrlang.training.optim.base import Update

MEGABYTE = 1 << 20
SPARED = 0.7  # of its share of the time that is used up before the last step
LARGEST = 1 << 18  # numbers of a tensor that are recorded; of more, some


@dataclass(frozen=True)
class Asked:
    """What is to be traced."""

    samples: str = "4"  # how many, or which
    every: int = 1  # steps between records, at least
    limit: float = 64.0  # megabytes
    budget: float = 5.0  # percent of the time of training; 0: any

    def data(self) -> dict[str, Any]:
        return {"samples": self.samples, "every": self.every, "limit": self.limit,
                "budget": self.budget}  # fmt: skip

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Asked:
        return cls(str(data["samples"]), int(data["every"]), float(data["limit"]),
                   float(data["budget"]))  # fmt: skip

    def keep(self, run: Path) -> None:
        """The run records this from its beginning on, also when it is resumed."""
        write_json(Folder(run).asked, self.data())


class Recorder(Observer):
    """Records at multiples of `every`, the first and the last step among them. A step is passed
    over where its record would take more than the trace's share of the time so far; `every` is at
    least so large that records of all the run fit the size."""

    name = "trace"

    def __init__(self, run: Path, asked: Asked) -> None:
        self.folder = Folder(run)
        self.asked = asked
        self.every = asked.every
        self.last = -1  # the step of the last record
        self.spent = self.setup = 0.0  # seconds, of this process
        self.records = 0
        self._cost = 0.0
        # The same in CPU seconds, where the CPU trains: on a busy machine training waits more often
        # than a short record does, and the clock on the wall would let too many through.
        self._worked = self._effort = self._cpu = 0.0
        self._local = False
        self._full = False
        self._update: Update | None = None  # the last one

    @classmethod
    def of(cls, run: Path) -> Recorder | None:
        """The one that a run folder asks for, if it does."""
        page = Folder(run).asked
        return cls(run, Asked.of(read_json(page))) if page.exists() else None

    # --- moments of a run -----------------------------------------------------------------------

    def begin(self, trainer: Trainer) -> None:
        if trainer.progress.finished or not trainer.world.first:
            return
        began = self._clock = time.perf_counter()
        self._prepare(trainer)
        if self._full:
            return
        self._look()  # the first takes longest
        usual = effort = math.inf  # what a record takes when nothing comes between
        for _ in range(3):
            before, worked = time.perf_counter(), time.process_time()
            self._look()
            usual = min(usual, time.perf_counter() - before)
            effort = min(effort, time.process_time() - worked)
        if trainer.progress.step == 0 and self.last < 0:
            self._record(trainer, None)  # the first one also makes the files
        self._cost, self._effort = usual, effort
        self._local = not trainer.settings.processor and trainer.objective.device.type == "cpu"
        self.setup = time.perf_counter() - began
        self.spent = self._worked = 0.0
        self._clock, self._cpu = time.perf_counter(), time.process_time()

    def updated(self, trainer: Trainer, update: Update) -> None:
        step = trainer.progress.step
        self._update = update
        if not trainer.world.first or self._full or step % self.every or step <= self.last:
            return
        if self._affordable():
            self._record(trainer, update)

    def end(self, trainer: Trainer) -> None:
        if not trainer.world.first:
            return
        if trainer.progress.step > self.last and not self._full:
            self._record(trainer, self._update)
        share = 100 * self.spent / max(self._trained(), 1e-9)
        bytes = sum(self.folder.lengths().values())
        write_json(self.folder.path / "cost.json", {
            "seconds": self.spent, "percent_of_training": share, "setup_seconds": self.setup,
            "records": self.records, "bytes": bytes,
        })  # fmt: skip
        trainer.watcher.note(
            f"trace: {self.records} of {trainer.progress.step + 1} steps recorded, "
            f"{bytes / MEGABYTE:.1f} MB, {share:.1f} % of the time of training "
            f"(and {self.setup:.1f} s to begin)"
            + ("; more: --trace-budget 0" if self._sparse(trainer.progress.step) else "")
        )

    def _sparse(self, steps: int) -> bool:
        """A short run: its share of the time was what left most steps out."""
        return bool(self.asked.budget) and 4 * self.records < steps // self.every

    def state(self) -> Any:
        return {"last": self.last, "records": self.records}

    def load(self, state: Any) -> None:
        self.last, self.records = int(state["last"]), int(state["records"])

    # --- what is spent --------------------------------------------------------------------------

    def _trained(self) -> float:
        """Seconds of training, without those of the trace."""
        return time.perf_counter() - self._clock - self.spent

    def _affordable(self) -> bool:
        """Now, and so that there is enough left for the last step, whose record may take longer."""
        share = SPARED * self.asked.budget / 100
        if not self.asked.budget:
            return True
        if self.spent + 2 * self._cost > share * self._trained():
            return False
        trained = time.process_time() - self._cpu - self._worked
        return not self._local or self._worked + 2 * self._effort <= share * trained

    # --- records --------------------------------------------------------------------------------

    def _prepare(self, trainer: Trainer) -> None:
        """The module with taps, and the samples: those of the header, if the run goes on."""
        self.folder.rewind(self.last)  # to the checkpoint that the run goes on from
        page = None
        if self.folder.header.exists():
            page = read_json(self.folder.header)
            samples = Samples.of(page["samples"], self.folder.samples.read_bytes())
        else:
            samples = chosen(trainer.feed, self.asked.samples)
        self.samples = samples
        gone = page.get("erased", ()) if page is not None else ()
        self.kept = [k for k in range(samples.count) if k not in gone]
        if not self.kept:
            self._full = True
            trainer.watcher.note("trace: the samples that were watched were to be forgotten, no "
                                 "more is recorded")  # fmt: skip
            return
        self.watch: Watch = Watch(
            trainer.objective, samples.of_those(self.kept), page["moments"] if page else None
        )
        self.fields: list[Field] = []
        self._parts(trainer)
        if page is not None:
            self.fields = [Field.of(f) for f in page["fields"]]
            self._thin_out(trainer)

    def _parts(self, trainer: Trainer) -> None:
        """Which numbers of each tensor are recorded."""
        self.taken: dict[str, dict[str, Any]] = {}
        self._index: dict[str, Any] = {}
        tokens = _tokens(self.watch.samples, trainer.objective.program)
        for name, p in trainer.objective.model.named_parameters():
            if not p.requires_grad or p.numel() <= LARGEST:
                continue
            rows = [r for r in tokens if r < len(p)] if p.dim() == 2 else []
            if rows and name in _tables(trainer.objective.program):
                self.taken[name] = {"rows": rows, "of": list(p.shape)}
                self._index[name] = rows
            else:
                step = -(-p.numel() // LARGEST)
                self.taken[name] = {"every": step, "of": list(p.shape)}

    def _numbers(self, name: str, tensor: Any) -> Array:
        if name in self._index:
            tensor = tensor[self._index[name]]
        elif name in self.taken:
            tensor = tensor.reshape(-1)[:: self.taken[name]["every"]]
        return np.asarray(tensor.detach().cpu().numpy(), np.float32)

    def _record(self, trainer: Trainer, update: Update | None) -> None:
        began, worked = time.perf_counter(), time.process_time()
        arrays = self._look()
        if arrays is None:
            return
        p = trainer.progress
        model = trainer.objective.model
        trained = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
        graded = update is not None and not update.skipped and trained[0][1].grad is not None
        for name, tensor in trained:
            arrays[f"parameters/{name}"] = self._numbers(name, tensor)
        for name, tensor in trained:
            slope = tensor.grad if graded and tensor.grad is not None else tensor.detach() * 0
            arrays[f"gradients/{name}"] = self._numbers(name, slope)
        if not self.fields:
            self.fields = laid_out(arrays)
            self._write_header(trainer)
        line = {"step": p.step, "epoch": p.epoch, "loss": _finite(update.loss if update else None),
                "rate": p.rate, "norm": _finite(p.norm if graded else None),
                "gradients": graded}  # fmt: skip
        written = self.folder.add(line, packed(self.fields, arrays))
        self.last = p.step
        self.records += 1
        cost = time.perf_counter() - began
        self.spent += cost
        self._cost = 0.7 * self._cost + 0.3 * cost
        effort = time.process_time() - worked
        self._worked += effort
        self._effort = 0.7 * self._effort + 0.3 * effort
        if written > self.asked.limit * MEGABYTE:
            self._full = True
            trainer.watcher.note(f"trace: full at {self.asked.limit:g} MB, no more is recorded")

    def _look(self) -> dict[str, Array] | None:
        """None where the weights give no numbers: the run goes on, and so does its trace."""
        try:
            return self._all(self.watch.look())
        except FloatingPointError:
            return None

    def _all(self, arrays: dict[str, Array]) -> dict[str, Array]:
        """With a place for every sample; the numbers of those that were erased are none."""
        if len(self.kept) == self.samples.count:
            return arrays
        return {key: array if key.startswith("range/") else self._placed(array)
                for key, array in arrays.items()}  # fmt: skip

    def _placed(self, array: Array) -> Array:
        none: Any = 0 if array.dtype == np.uint16 else np.nan
        found = np.full((self.samples.count, *array.shape[1:]), none, array.dtype)
        found[self.kept] = array
        return found

    def _write_header(self, trainer: Trainer) -> None:
        one = size(self.fields) + 256
        if one > self.asked.limit * MEGABYTE:
            raise TraceError(
                f"one record of the trace has {one / MEGABYTE:.2g} MB, and the limit is "
                f"{self.asked.limit:g}",
                "watch fewer samples, or allow more: "
                f"--trace-limit {math.ceil(4 * one / MEGABYTE)}",
            )
        self._thin_out(trainer)
        page, raw = self.samples.data()
        write_atomically(self.folder.samples, raw)
        write_json(self.folder.header, {
            "format": FORMAT, "version": VERSION,
            "every": self.every, "samples": page, "record_bytes": size(self.fields),
            "fields": [f.data() for f in self.fields], "taken": self.taken,
            "layers": {t.name: t.function for t in self.watch.taps if t.group == "activations"},
            "mixed": self.watch.mixed, "left_out": list(self.watch.left_out),
            "moments": self.watch.moments, "road": self.watch.road,
        })  # fmt: skip

    def _thin_out(self, trainer: Trainer) -> None:
        """So many steps between records that all of the run fits the limit."""
        room = self.asked.limit * MEGABYTE / (size(self.fields) + 256) - 2
        while trainer.plan.steps / self.every > max(room, 1):
            self.every *= 2


def _finite(x: float | None) -> float | None:
    return x if x is not None and math.isfinite(x) else None


def _tables(program: Any) -> set[str]:
    """Embedding tables, by their names in the module."""
    return {state_name(op.weight) for op in walk(program.body) if isinstance(op, Embed)}


def _tokens(samples: Samples, program: Any) -> list[int]:
    kinds = {p.name: p.type.kind for p in (*program.inputs, *program.targets)}
    found: set[int] = set()
    for name, value in samples.batch.values.items():
        if kinds.get(name) in ("token", "class", "bit"):
            found |= {int(x) for x in np.unique(value)}
    return sorted(found | {0})
