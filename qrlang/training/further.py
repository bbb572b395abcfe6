"""What follows after data, by a model that goes on by itself: `qrlc generate`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from qrlang.errors import TrainingError
from qrlang.training import evaluate, generate, start
from qrlang.training.data import own
from qrlang.training.data.foretold import inside, series
from qrlang.training.data.ports import Array, Port, ports_of
from qrlang.training.data.vocabulary import Vocabulary
from qrlang.training.feed import split_of
from qrlang.training.predict import Answers, Cell, request_of


def further(
    path: str, data: str | None, prompt: str | None, moments: int, temperature: float, seed: int,
    which: str = "best", data_dir: str | None = None, threads: int = 0, road: str = "",
) -> Answers | str:  # fmt: skip
    """A table; after a prompt, its text and what follows."""
    run, settings, objective = evaluate.at_its_weights(path, which, threads, road)
    said = run.data()
    going = generate.generator(objective, settings, said, temperature,
                               np.random.default_rng(seed))  # fmt: skip
    words = _Words(ports_of(objective.program), said)
    if prompt is not None:
        known = [words.tokens(prompt)]
    elif data is not None:
        records = own.inputs(request_of(Path(data), objective.program, settings, said), True)
        known = [words.given(inside(records.take(np.array([k])), 0)) for k in range(len(records))]
    else:
        feed = start.reopen(run, settings, objective.program, run.about(), data_dir)
        known = series(feed.data.source(split_of(feed, None)), feed.data.ports)
    for k, x in enumerate(known):
        if len(x) < going.ahead:
            raise TrainingError(f"record {k} has {len(x)} moments, and "
                                f"{objective.program.name} foretells {going.ahead} ahead",
                                "it has to see as many before it can go on")  # fmt: skip
    found = going(known, moments)
    if prompt is not None:
        return prompt + words.text(found[0], apart=bool(prompt))
    return words.table(found, [len(x) for x in known])


class _Words:
    """Between the data and the model: words and numbers, units."""

    def __init__(self, ports: tuple[Port, ...], said: Any) -> None:
        self.given_port, self.wanted = ports[0], ports[-1]
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
        if self.given_port.type.kind == "real":
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

    def table(self, said: Array, lengths: list[int]) -> Answers:
        """A row for each moment, in the units of the data; of texts, for each text."""
        kind, name = self.given_port.type.kind, self.wanted.name
        if kind == "token" and self.vocabulary is not None:
            texts: list[list[Cell]] = [[k, self.text(x)] for k, x in enumerate(said)]
            return Answers(["record", name], texts)
        if kind == "real":
            said = said * self.divisor + self.shift
        wide = said.reshape(*said.shape[:2], -1)
        width = wide.shape[2]
        names = [name] if width == 1 else [f"{name}[{k}]" for k in range(width)]
        rows: list[list[Cell]] = [
            [record, length + k, *map(self._cell, cells)]
            for record, (length, x) in enumerate(zip(lengths, wide, strict=True))
            for k, cells in enumerate(x)
        ]
        return Answers(["record", "moment", *names], rows)

    def _cell(self, value: Any) -> Cell:
        if isinstance(value, np.floating):
            return float(value) if np.isfinite(value) else None
        names = () if self.vocabulary is None else self.vocabulary.symbols
        return names[value] if value < len(names) else int(value)
