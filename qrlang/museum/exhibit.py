"""A run as the museum shows it: what is recorded of it, and nothing else."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from qrlang.training.progress import number
from qrlang.training.run import Run
from qrlang.training.settings import Settings, lower_is_better, written

POINTS = 120  # of a curve, at most: the picture is small
Curve = list[tuple[float, float]]


@dataclass
class Exhibit:
    id: str  # its folder in the site
    name: str  # of the run folder
    model: str
    task: str  # what it was to learn, in words
    account: str  # what became of it, in words
    state: str  # finished, stopped, not started
    data: str
    core: str
    optimizer: str
    seed: int
    metric: str
    best: str  # "high" or "low": which values of the metric are good
    value: float | None  # of the metric, on the test split
    interval: tuple[float, float] | None
    loss: float | None
    parameters: int | None
    seconds: float | None
    steps: int
    epochs: int
    listened: int  # updates that a governor took back
    sizes: dict[str, Any]  # the model's own parameters
    settings: dict[str, str]
    curves: dict[str, dict[str, Curve]]  # metric -> split -> points
    files: dict[str, str] = field(default_factory=dict)  # what it is -> where in the site

    def to_data(self) -> dict[str, Any]:
        return asdict(self)


def exhibit(run: Run, id: str) -> Exhibit:
    settings, about = run.settings(), run.about()
    lines = run.lines(run.metrics)
    result = run.outcome()
    metric = settings.metric
    shown = _figure(result, metric)
    model = str(about.get("model", "model"))
    steps = int(result.get("steps") or (lines[-1]["step"] if lines else 0))
    state = "finished" if result else "stopped" if lines else "not started"
    found = Exhibit(
        id=id,
        name=run.folder.resolve().name,
        model=model,
        task=_task(settings),
        account="",
        state=state,
        data=settings.data[0] if "path" not in settings.data[1] else str(settings.data[1]["path"]),
        core=settings.core,
        optimizer=settings.optimizer[0],
        seed=settings.seed,
        metric=metric,
        best="low" if lower_is_better(metric) else "high",
        value=shown[0],
        interval=shown[1],
        loss=_figure(result, "loss")[0],
        parameters=result.get("parameters"),
        seconds=result.get("seconds"),
        steps=steps,
        epochs=int(result.get("epochs") or (lines[-1]["epoch"] if lines else 0)),
        listened=int(max((x.get("listened", 0) for x in lines), default=0)),
        sizes=dict(about.get("parameters", {})),
        settings=_words(settings),
        curves=_curves(lines, ("loss", metric)),
    )
    found.account = _account(run, found, lines)
    return found


def _figure(
    result: Mapping[str, Any], metric: str
) -> tuple[float | None, tuple[float, float] | None]:
    found = result.get("figures", {}).get(metric)
    if not isinstance(found, Mapping) or not _real(found.get("value")):
        return None, None
    ends = found.get("interval")
    if not (isinstance(ends, list) and len(ends) == 2 and all(map(_real, ends))):
        return float(found["value"]), None
    return float(found["value"]), (float(ends[0]), float(ends[1]))


def _real(x: Any) -> bool:
    """A number that can be shown."""
    return isinstance(x, (int, float)) and math.isfinite(x)


def _task(settings: Settings) -> str:
    loss = settings.loss[0].replace("_", " ")
    data = settings.data[1].get("path") or settings.data[0].replace("_", " ")
    return f"{data}, by {loss}"


def _words(settings: Settings) -> dict[str, str]:
    """Every setting as text, those that two runs may differ in."""
    found: dict[str, str] = {}
    for key, value in settings.to_data().items():
        if key in ("threads",):
            continue
        pair = isinstance(value, (tuple, list)) and len(value) == 2
        if pair and isinstance(value[1], dict):
            found[key] = written((value[0], value[1]))
        else:
            found[key] = "" if value is None else str(value)
    return found


def _account(run: Run, found: Exhibit, lines: Sequence[Mapping[str, Any]]) -> str:
    """In words, from recorded facts only: the run's own account if it has left one."""
    own = run.folder / "scar.txt"
    if own.is_file():
        return own.read_text(encoding="utf-8", errors="replace").strip()
    if found.state == "not started":
        why = ", ".join(_restless(run))
        return "It did not start." + (f" The sky before it was not calm: {why}." if why else "")
    name = found.metric.replace("_", " ")
    if found.value is not None:
        said = [f"After {found.steps} updates it reached {number(found.metric, found.value)} "
                f"{name} on data it had not seen."]  # fmt: skip
    else:
        last = next((x for x in reversed(lines) if x.get("loss") is not None), None)
        loss = f" at a loss of {last['loss']:.4g}" if last else ""
        said = [f"It was stopped after {found.steps} updates{loss}."]
    if found.listened:
        said.append(f"The governor took {found.listened} updates back.")
    return " ".join(said)


def _restless(run: Run) -> Iterator[str]:
    """The bands that kept a run from starting: `entropy 0.999, at most 0.9`."""
    sky = next((x for x in run.lines(run.ledger) if x.get("kind") == "sky"), {})
    if sky.get("calm", True):
        return
    for name, value in sky["bands"].items():
        bound = sky["bounds"][name]
        least = name == "consent"
        if not (value >= bound if least else value <= bound):  # what is none is not calm
            yield f"{name} {value:.3g}, at {'least' if least else 'most'} {bound:g}"


def _curves(
    lines: Sequence[Mapping[str, Any]], metrics: Sequence[str]
) -> dict[str, dict[str, Curve]]:
    found: dict[str, dict[str, Curve]] = {}
    for metric in dict.fromkeys(metrics):
        for split in ("train", "validation"):
            points = [
                (float(x["step"]), float(x[metric]))
                for x in lines
                if x.get("split") == split and _real(x.get(metric))
            ]
            if points:
                found.setdefault(metric, {})[split] = thinned(points)
    return found


def thinned(points: Curve, most: int = POINTS) -> Curve:
    """A curve of at most so many points: of each stretch the mean, the ends as they are."""
    if len(points) <= most:
        return points
    inner, count = points[1:-1], most - 2
    found = [points[0]]
    for k in range(count):
        part = inner[k * len(inner) // count : (k + 1) * len(inner) // count]
        found.append((sum(p[0] for p in part) / len(part), sum(p[1] for p in part) / len(part)))
    return [*found, points[-1]]
