"""How far a run is, and watching it: one line that is written over on a terminal, plain lines
elsewhere."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Protocol, TextIO

_SHOWN = ("accuracy", "perplexity", "bits_per_token", "nrmse", "bleu", "fidelity")
_NAMES = {"bits_per_token": "bits"}


@dataclass
class Progress:
    """What a run has to remember, apart from tensors."""

    step: int = 0
    epoch: int = 0
    batch: int = 0  # within the epoch: how many have been used
    skipped: int = 0
    listened: int = 0  # updates that a governor has taken back
    in_a_row: int = 0
    best: float | None = None
    best_loss: float | None = None  # of the best: accuracies are often equal
    best_epoch: int = 0
    since_best: int = 0
    since_fall: int = 0  # of the rate, or since the best; by the schedule `plateau`
    falls: int = 0
    runs: int = 0  # of sequences through the model, for its updates
    circuits: int = 0  # that a device would have had to run for them; counted without gradients
    seconds: float = 0.0
    cpu: float = 0.0  # seconds of it, of all cores: what others do on the machine hardly counts
    rate: float = 0.0  # of the last update, for the next line of metrics
    norm: float = 0.0
    listening: bool = False
    wild: bool = False  # a gradient was, and it has been said
    finished: bool = False


@dataclass(frozen=True, slots=True)
class Moment:
    """Where a run is."""

    step: int
    steps: int
    epoch: int  # counted from 1
    epochs: int
    figures: dict[str, float]  # of the updates since the last line
    sequences: float  # a second
    left: float  # seconds
    listening: bool = False  # parameters are frozen
    metric: str = ""  # that decides


class Watcher(Protocol):
    """Whoever looks on."""

    def updated(self, at: Moment) -> None: ...

    def evaluated(self, at: Moment, split: str, figures: dict[str, float]) -> None: ...

    def note(self, text: str) -> None: ...


def duration(seconds: float) -> str:
    """`4 s`, `3:07`, `2:03:04`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    hours, rest = divmod(whole, 3600)
    if hours:
        return f"{hours}:{rest // 60:02}:{rest % 60:02}"
    return f"{rest // 60}:{rest % 60:02}"


def number(name: str, value: float | None) -> str:
    if value is None:
        return "none"
    if name in ("accuracy", "balanced_accuracy", "f1"):
        return f"{100 * value:.2f} %"
    if name == "bleu":
        return f"{value:.2f}"
    return f"{value:.4g}"


def shown(figures: dict[str, float], metric: str = "") -> str:
    parts = [f"loss {figures['loss']:.4f}"] if "loss" in figures else []
    parts += [
        f"{_NAMES.get(k, k)} {number(k, figures[k])}"
        for k in (*_SHOWN, *{metric} - {*_SHOWN, "loss"})
        if k in figures and math.isfinite(figures[k])
    ]
    return "  ".join(parts)


class Screen:
    """For people. Where there is no terminal, a line every `every` seconds."""

    def __init__(self, stream: TextIO, every: float = 10.0, width: int = 100) -> None:
        self.stream = stream
        self.terminal = stream.isatty()
        self.every = 0.1 if self.terminal else every
        self.width = width
        self._last = time.perf_counter() if not self.terminal else 0.0
        self._open = False  # a line that will be written over

    def updated(self, at: Moment) -> None:
        now = time.perf_counter()
        if now - self._last < self.every:
            return
        self._last = now
        text = (
            f"epoch {at.epoch}/{at.epochs}  step {at.step}/{at.steps}  {shown(at.figures)}  "
            f"{at.sequences:.0f} sequences/s  {duration(at.left)} left"
            + ("  listening" if at.listening else "")
        )
        if not self.terminal:
            self._say(text)
            return
        done = at.step / max(at.steps, 1)
        room = min(40, max(10, self.width - len(text) - 2))
        full = round(room * done)
        bar = "█" * full + "░" * (room - full)
        self.stream.write("\r\x1b[2K" + f"{bar} {text}"[: self.width])
        self.stream.flush()
        self._open = True

    def evaluated(self, at: Moment, split: str, figures: dict[str, float]) -> None:
        self._say(
            f"epoch {at.epoch - (at.step < at.steps)}/{at.epochs}  {split}: "
            f"{shown(figures, at.metric)}"
        )

    def note(self, text: str) -> None:
        self._say(text)

    def _say(self, text: str) -> None:
        if self._open:
            self.stream.write("\r\x1b[2K")
            self._open = False
        self.stream.write(text + "\n")
        self.stream.flush()


class Silent:
    """For the other processes, and for tests."""

    def updated(self, at: Moment) -> None:
        pass

    def evaluated(self, at: Moment, split: str, figures: dict[str, float]) -> None:
        pass

    def note(self, text: str) -> None:
        pass
