"""The tables of docs/study.md. All of their runs lie in one folder, so that a row that several
tables have is trained once."""

from __future__ import annotations

import re
import statistics
from typing import Any

from figures_tasks import Row, Task, _cores

from qrlang.plot import Chart, Panel, Series
from qrlang.plot.shapes import Picture

PAGE = "docs/study.md"
PICTURE = "docs/pictures/study.svg"
_STUDY = "examples/study/study.qrl"
_READOUTS = "examples/study/readouts.qrl"
_RATES = ("", "1e-2")  # 5e-3 without any


def _set(name: str, *options: str, program: str = _STUDY) -> Row:
    return Row(name, program, tuple(x for o in options for x in ("--set", o)))


def _more(row: Row, *options: str) -> Row:
    return Row(row.name, row.program, (*row.options, *options))


def _study(name: str, head: str, *rows: Row, tests: tuple[tuple[str, str], ...] = ()) -> Task:
    return Task(
        f"study_{name}", PAGE, head, "accuracy", "test accuracy", rows, runs="study", tests=tests
    )


_SHOTS = tuple(
    (f"{s} shots", f"eval --shots {s.replace(',', '')}") for s in ("100", "300", "1,000", "10,000")
)
_SMALL = ("--data", "digits8x8", "--epochs", "12", "--lr", "1e-2")
_NOISE = ("0.0", "0.005", "0.02")
_KINDS = (
    ("exact", "m=4"),
    ("weak, strength 0.3", "m=4", "kind=weak", "g=0.3"),
    ("weak, strength 1", "m=4", "kind=weak", "g=1.0"),
    ("projective", "m=4", "kind=projective"),
    ("projective, of one qubit only", "m=1", "kind=projective"),
)
_FOUR = ("--set", "n=4", "--set", "layers=1")
_DEVICE = "run --set p=0.0 --limit 100"

STUDY: dict[str, Task] = {
    t.name: t
    for t in (
        _study(
            "controller",
            "controller, MNIST by rows, 3 epochs",
            _set("linear", "act=identity"),
            Row("relu", _STUDY),
            _set("gelu", "act=gelu"),
            _set("glu", "act=glu", "hidden=45"),
            _set("linear, nothing fed back", "act=identity", "fed=0.0"),
            _set("relu, nothing fed back", "fed=0.0"),
        ),
        _study(
            "core",
            "core, MNIST by rows, 3 epochs",
            Row("quantum, 8 qubits", _STUDY),
            *_cores("", _STUDY, cores="rnn gru lstm orthogonal", rates=_RATES),
        ),
        _study(
            "readouts",
            "what is read, MNIST by rows, 3 epochs",
            Row("Z", _STUDY),
            _set("Z, and ZZ of every pair", "seen=z_and_zz", "hidden=46"),
            _set("X, Y, Z", "seen=each_xyz", "hidden=52"),
        ),
        _study(
            "shots",
            "trained",
            Row("exactly", _STUDY),
            Row("with 1,000 shots", _STUDY, ("--shots", "1000")),
            Row("with 100 shots", _STUDY, ("--shots", "100")),
            tests=(*_SHOTS, ("exact", "eval --shots 0")),
        ),
        _study(
            "noise",
            "trained with",
            *(_more(_set(f"p = {p}", "n=4", f"p={p}"), *_SMALL) for p in _NOISE),
            tests=tuple((f"p = {p}", f"eval --set p={p}") for p in (*_NOISE, "0.05")),
        ),
        _study(
            "disturb",
            "readouts, 4 qubits, 8 by 8 digits",
            *(_set(name, *options, program=_READOUTS) for name, *options in _KINDS),
        ),
        _study(
            "device",
            "trained with",
            *(
                Row(f"p = {p}", _STUDY, (*_FOUR, "--set", f"p={p}", *_SMALL))
                for p in ("0.0", "0.02")
            ),
            tests=(
                ("exact readouts", f"{_DEVICE} --shots 0"),
                ("0.3 % a gate", f"{_DEVICE} --shots 1000 --noise 0.003"),
                ("fake_manila", f"{_DEVICE} --shots 1000 --device fake_manila"),
                (
                    "fake_manila, mitigated",
                    f"{_DEVICE} --shots 1000 --device fake_manila --mitigate readout,zne",
                ),
            ),
        ),
    )
}

# Rows of other tables that stand on the page as well.
LONG = {
    "permuted": ("QRNN n=8", "LSTM core, the size of n=8"),
    "copying": (
        "QRNN n=8, delay 100",
        "LSTM core, delay 100",
        "QRNN n=8, delay 400",
        "LSTM core, delay 400",
    ),
}


def drawn(found: dict[str, list[dict[str, Any]]]) -> Picture:
    """Accuracy against shots and against noise: the tables `shots` and `noise` as a picture."""
    panels = []
    for name, word in (("study_shots", "shots a readout"), ("study_noise", "p in testing")):
        shots = name == "study_shots"
        lines = []
        for k, row in enumerate(found[name]):
            tests = {t: [100 * v for v in values] for t, values in row["tests"].items()}
            exact = tests.pop("exact", [])
            xs = [float(re.sub(r"[^\d.]", "", t)) for t in tests]
            means = [statistics.fmean(v) for v in tests.values()]
            spreads = [statistics.stdev(v) for v in tests.values()]
            label = f"trained {row['name']}" if shots else f"trained with {row['name']}"
            lines.append(Series(label, xs, means, spreads, colour=k))
            if exact:
                level = [statistics.fmean(exact)] * 2
                lines.append(Series("", [xs[0], xs[-1]], level, colour=k, dashed=True))
        panels.append(Panel(word, "test accuracy (%)", lines, log_x=shots))
    seeds = len(found["study_shots"][0]["values"])
    note = f"mean ± s.d. of {seeds} runs; dashed: read exactly"
    return Chart("", panels, width=380, note=note).picture()
