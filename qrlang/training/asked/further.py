"""What follows after data, by a model that goes on by itself: `qrlc generate`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from qrlang.errors import TrainingError
from qrlang.plot.chart import Chart, Panel, Series
from qrlang.training.asked import generate, trained
from qrlang.training.asked.predict import Answers, Cell, numbered, request_of
from qrlang.training.asked.trained import AS_TRAINED, Use
from qrlang.training.data import own
from qrlang.training.data.foretold import inside, series
from qrlang.training.data.ports import Array, Port, ports_of
from qrlang.training.data.vocabulary import Vocabulary
from qrlang.training.feed import split_of

_DRAWN = 3  # records


def further(
    path: str, data: str | None, prompt: str | None, moments: int, temperature: float, seed: int,
    use: Use = AS_TRAINED, data_dir: str | None = None,
) -> Further:  # fmt: skip
    made = trained.opened(path, use)
    settings, objective = made.settings, made.objective
    said = made.run.data()
    going = generate.generator(objective, settings, said, temperature,
                               np.random.default_rng(seed))  # fmt: skip
    words = _Words(ports_of(objective.program), said)
    if prompt is not None:
        known = [words.tokens(prompt)]
    elif data is not None:
        records = own.inputs(request_of(Path(data), objective.program, settings, said), True)
        known = [words.given(inside(records.take(np.array([k])), 0)) for k in range(len(records))]
    else:
        feed = made.feed(data_dir)
        source = feed.data.source(split_of(feed, None))
        known = series(source, feed.data.ports, feed.data.scale, going.ahead)
    for k, x in enumerate(known):
        if len(x) < going.ahead:
            raise TrainingError(f"record {k} has {len(x)} moments, and "
                                f"{objective.program.name} foretells {going.ahead} ahead",
                                "it has to see as many before it can go on")  # fmt: skip
    return Further(words, known, going(known, moments), objective.program.name, prompt)


@dataclass(frozen=True)
class Further:
    """What follows, after what was known."""

    words: _Words
    known: list[Array]
    said: Array  # [records, moments, …]
    name: str  # of the model
    prompt: str | None

    def text(self) -> str | None:
        """After a prompt: that, and what follows."""
        if self.prompt is None:
            return None
        return self.prompt + self.words.text(self.said[0], apart=bool(self.prompt))

    def table(self) -> Answers:
        return self.words.table(self.said, [len(x) for x in self.known])

    def chart(self) -> Chart:
        """The end of what was known, and what follows: of the first few records."""
        if not self.words.numbers:
            raise TrainingError(f"{self.name} says no numbers, so there is nothing to draw")
        pairs = zip(self.known[:_DRAWN], self.said[:_DRAWN], strict=True)
        return Chart(self.name, [self._panel(*x) for x in pairs])

    def _panel(self, known: Array, said: Array) -> Panel:
        before = self.words.units(known[-len(said) :]).reshape(min(len(known), len(said)), -1)
        after = np.concatenate([before[-1:], self.words.units(said).reshape(len(said), -1)])
        names = numbered(self.words.wanted.name, after.shape[1])
        series = []
        for k, name in enumerate(names):
            end = int(np.isfinite(after[:, k]).sum())
            past = list(range(len(known) - len(before), len(known)))
            future = list(range(len(known) - 1, len(known) - 1 + end))
            series.append(Series(name, past, before[:, k].tolist(), colour=k))
            series.append(Series("", future, after[:end, k].tolist(), colour=k, dashed=True))
        return Panel("moment", names[0] if len(names) == 1 else "", series)


class _Words:
    """Between the data and the model: words and numbers, units."""

    def __init__(self, ports: tuple[Port, ...], said: Any) -> None:
        self.given_port, self.wanted = ports[0], ports[-1]
        self.numbers = self.given_port.type.kind == "real"
        found = said.get("vocabularies", {}).get(self.given_port.name)
        self.vocabulary = None if found is None else Vocabulary.of(found)
        scale = said.get("scale", {}).get(self.given_port.name, {"shift": 0.0, "divisor": 1.0})
        self.shift, self.divisor = np.array(scale["shift"]), np.array(scale["divisor"])
        self.running = bool(said["foretells"]["stream"])

    def tokens(self, text: str) -> Array:
        if self.vocabulary is None:
            raise TrainingError(f"a prompt is a text, and the model is given {self.given_port}",
                                "give it a file of data")  # fmt: skip
        return self._begun(np.array(self.vocabulary.encode(text), np.int64))

    def given(self, x: Array) -> Array:
        if self.numbers:
            scaled: Array = ((x - self.shift) / self.divisor).astype(np.float32)
            return scaled
        return self._begun(x) if self.given_port.type.kind == "token" else x

    def _begun(self, tokens: Array) -> Array:
        """Running text begins at a border."""
        return np.concatenate([np.zeros(1, tokens.dtype), tokens]) if self.running else tokens

    def text(self, tokens: Array, apart: bool = False) -> str:
        assert self.vocabulary is not None
        between = " " * (apart and self.vocabulary.rule not in ("character", "bpe"))
        return between + self.vocabulary.decode(tokens)

    def units(self, x: Array) -> Array:
        """Those of the data."""
        found: Array = x * self.divisor + self.shift
        return found

    def table(self, said: Array, lengths: list[int]) -> Answers:
        """A row for each moment, in the units of the data; of texts, for each text."""
        if self.given_port.type.kind == "token" and self.vocabulary is not None:
            texts: list[list[Cell]] = [[k, self.text(x)] for k, x in enumerate(said)]
            return Answers(["record", self.wanted.name], texts)
        if self.numbers:
            said = self.units(said)
        wide = said.reshape(*said.shape[:2], -1)
        rows: list[list[Cell]] = [
            [record, length + k, *map(self._cell, cells)]
            for record, (length, x) in enumerate(zip(lengths, wide, strict=True))
            for k, cells in enumerate(x)
        ]
        return Answers(["record", "moment", *numbered(self.wanted.name, wide.shape[2])], rows)

    def _cell(self, value: Any) -> Cell:
        if isinstance(value, np.floating):
            return float(value) if np.isfinite(value) else None
        names = () if self.vocabulary is None else self.vocabulary.symbols
        return names[value] if value < len(names) else int(value)
