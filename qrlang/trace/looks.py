"""What was seen of the watched samples, record by record: on the way, or afterwards.

A run that was traced has its trace. Of any other the weights that were kept are looked at once
more: those of its checkpoints, and those that it began with, which follow from its seed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from qrlang.system.files import read_json
from qrlang.trace.layout import laid_out, packed
from qrlang.trace.reading import Record, Trace, has_trace, open_trace
from qrlang.trace.samples import Samples, chosen
from qrlang.training import checkpoint, start
from qrlang.training.feed import Feed
from qrlang.training.initial import KEPT, read
from qrlang.training.run import Run, versions
from qrlang.training.world import World

SAMPLES = "4"  # that are watched


@dataclass(frozen=True)
class Looks:
    samples: Samples
    kept: Sequence[int]  # numbers of the samples that were not erased
    moments: Mapping[str, list[int]]
    records: Sequence[Record]
    origin: str = ""  # how they were come by, if not on the way

    @property
    def sparse(self) -> bool:
        """Of a few weights, not along the run."""
        return self.origin.startswith("the weights")


def traced(path: str | Path) -> Looks | None:
    found: Trace | None = open_trace(path) if has_trace(path) else None
    if found is None or not len(found):
        return None
    origin = "the run repeated from its beginning" if found.header.get("replayed") else ""
    return Looks(found.samples, found.kept, found.header["moments"], list(found), origin)


def afterwards(run: Run, feed: Feed | None = None, data_dir: str | None = None) -> Looks | None:
    """At the weights that are left; None: there are none. `feed`: its data, where that is open."""
    from qrlang.trace.watch import Watch

    settings, program = run.settings(), run.program()
    found = list(_weights(run))
    if not found:
        return None
    if feed is None:
        feed = start.reopen(run, settings, program, run.about(), data_dir)
    plain = replace(settings, road="plain" if settings.processor else settings.road)
    objective = start.make_objective(program, plain, World(), run.imports)
    first = {k: v.clone() for k, v in objective.model.state_dict().items()}
    watch = Watch(objective, chosen(feed, SAMPLES))
    records: list[Record] = []
    for step, epoch, tensors in found:
        objective.model.load_state_dict({**first, **tensors})
        try:
            arrays = watch.look()
        except FloatingPointError:
            continue  # weights that give no numbers
        fields = laid_out(arrays)
        block = packed(fields, arrays)
        by_key = {f.key: f for f in fields}
        records.append(Record(step, epoch, None, 0.0, None, False, by_key, block))
    steps = ", ".join(str(r.step) for r in records)
    origin = f"the weights that were kept, at step{'s' * (len(records) > 1)} {steps}"
    kept = range(watch.samples.count)
    return Looks(watch.samples, kept, watch.moments, records, origin) if records else None


def _weights(run: Run) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """Step, epoch and tensors, in order, each step once."""
    kept: dict[int, tuple[int, dict[str, Any]]] = {}
    if _as_it_was(run):
        given = read(run.folder / KEPT) if (run.folder / KEPT).is_file() else {}
        kept[0] = 0, given  # all others are drawn as they were
    for path in (run.best, run.last):
        if path.exists():
            tensors, page = checkpoint.load(path)
            page = page.get("progress", page)
            kept[int(page["step"])] = int(page["epoch"]), tensors
    if kept.keys() != {0}:
        yield from ((step, *kept[step]) for step in sorted(kept))


def _as_it_was(run: Run) -> bool:
    """Whether its seed gives the weights today that it gave then."""
    path, now = run.folder / "versions.json", versions()
    then = read_json(path) if path.is_file() else {}
    return all(then.get(name) == now[name] for name in ("qrlang", "torch", "numpy"))
