"""What watching a run costs: the trace and the governor's ledger, as shares of its CPU time.

    python benchmarks/watching.py                            # both models, three runs each
    python benchmarks/watching.py --updates 600 --repeat 5

CPU time of the observers themselves, against that of all updates (of the trace: all training, with
validations) without them, in the same run: a busy machine slows both. What is done once before the
first update is given apart. Goal: each under 5 %.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from qrlang.session.train import observers, prepare
from qrlang.training import start
from qrlang.training.loop import Observer
from qrlang.training.world import World

EXAMPLES = Path(__file__).parents[1] / "examples"
GOAL = 5.0  # percent
MODELS = (
    ("recursive", EXAMPLES / "recursive" / "repaired.qrl", "Recursive"),
    ("rows", EXAMPLES / "qrnn" / "rows.qrl", "QRNN"),
)


class Silent:
    def updated(self, at: Any) -> None: ...

    def evaluated(self, at: Any, split: str, figures: Mapping[str, float]) -> None: ...

    def note(self, text: str) -> None: ...


class Meter:
    """CPU seconds that some calls take, those inside each other once."""

    def __init__(self) -> None:
        self.spent, self._inside = 0.0, False

    def on(self, work: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*given: Any, **named: Any) -> Any:
            if self._inside:
                return work(*given, **named)
            self._inside, began = True, time.process_time()
            try:
                return work(*given, **named)
            finally:
                self._inside, self.spent = False, self.spent + time.process_time() - began

        return timed


def shares(path: Path, model: str, updates: int, watch: str) -> tuple[float, float, float]:
    """Of one run: percent of its other CPU time, milliseconds of an update, and seconds before the
    first one."""
    source = path.read_text(encoding="utf-8")
    if watch == "ledger":
        source += f"\ngovern {model} {{ }}\n"
    with tempfile.TemporaryDirectory() as place:
        asked = start.Asked(
            str(path), settings={"steps": str(updates)}, out=f"{place}/run", threads=1,
            override="its cost is measured" if watch == "ledger" else "",
        )  # fmt: skip
        made, name = start.compilation(asked, str(path), source.encode())
        if made.broken:
            raise SystemExit(f"{path} does not compile")
        trainer = prepare(asked, made, name, World(), Silent())
        if watch == "trace":
            from qrlang.trace.recorder import Asked

            Asked().keep(trainer.run.folder)
        trainer.observers += observers(trainer)
        (observer,) = trainer.observers
        first, during, last, updating = Meter(), Meter(), Meter(), Meter()
        observer.begin = first.on(observer.begin)  # type: ignore[method-assign]
        trainer.begin = _then(trainer.begin, lambda: _measure(observer, during, last))  # type: ignore[method-assign]
        trainer._epoch = updating.on(trainer._epoch)  # type: ignore[method-assign]
        whole = Meter()
        whole.on(trainer.train)()
    own = during.spent + last.spent
    training = updating.spent - during.spent
    share = own / (whole.spent - first.spent - own if watch == "trace" else training)
    return 100 * share, 1000 * training / updates, first.spent


def _then(work: Callable[[], Any], after: Callable[[], Any]) -> Callable[[], None]:
    def both() -> None:
        work()
        after()

    return both


def _measure(observer: Observer, during: Meter, last: Meter) -> None:
    """What it does at updates, and at the end of the run."""
    for name in ("updated", "look", "judge"):
        if hasattr(observer, name):
            setattr(observer, name, during.on(getattr(observer, name)))
    observer.end = last.on(observer.end)  # type: ignore[method-assign]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--updates", type=int, default=320)
    parser.add_argument("--repeat", type=int, default=3)
    given = parser.parse_args()
    print(f"{given.updates} updates, one thread; median of {given.repeat}, goal under {GOAL:g} %")
    for label, path, model in MODELS:
        for watch in ("trace", "ledger"):
            runs = [shares(path, model, given.updates, watch) for _ in range(given.repeat)]
            share, update, setup = (statistics.median(x) for x in zip(*runs, strict=True))
            print(f"  {label:10} {watch:7} {share:5.2f} %, an update {update:.2f} ms, "
                  f"{setup:.2f} s before the first  {'met' if share < GOAL else 'NOT met'}",
                  flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
