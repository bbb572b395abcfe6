"""What a trained model answers to data of one's own, of which nobody knows the truth yet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from qrlang.check.training.data_sets import DATA_SETS, Number, kind_of_file
from qrlang.errors import TrainingError
from qrlang.ir.program import Program
from qrlang.rights.gate import free
from qrlang.training import decode, losses, room
from qrlang.training.asked import trained
from qrlang.training.asked.trained import AS_TRAINED, Use
from qrlang.training.data import own
from qrlang.training.data.ports import ports_of
from qrlang.training.data.request import Request
from qrlang.training.data.vocabulary import Vocabulary
from qrlang.training.feed import Array, Batch
from qrlang.training.objective import Objective
from qrlang.training.settings import Settings

Cell = int | float | str | None  # None: no finite number came out


@dataclass(frozen=True)
class Answers:
    """A row for each record of the file, or for each of its moments if the model has a value at
    every step."""

    columns: list[str]
    rows: list[list[Cell]]


def answers(
    path: str, data: str, use: Use = AS_TRAINED, batch: int | None = None, beam: int = 1
) -> Answers:
    made = trained.opened(path, use)
    settings, objective, program = made.settings, made.objective, made.program
    said = made.run.data()
    request = request_of(Path(data), program, settings, said)
    if objective.target in objective.arguments and not decode.produces(program):
        raise TrainingError(
            f"{program.name} is given its own target, one moment late: it cannot answer without",
            f"its figures on data with a target: qrlc eval {path}",
        )
    speak = _Speaker(objective, said, settings.loss[0], beam)
    found: dict[int, list[list[Cell]]] = {}
    size = batch or room.together(objective, settings, False)
    for one in _batches(request, said, size):
        assert one.rows is not None
        found |= zip(one.rows.tolist(), speak.of(one), strict=True)
    rows = [[k, *row] for k in sorted(found) for row in found[k]]
    return Answers(["record", *speak.columns], rows)


def request_of(
    path: Path, program: Program, settings: Settings, said: Mapping[str, Any]
) -> Request:
    """The file by the vocabularies and labels of the run."""
    kind = kind_of_file(str(path))
    if kind not in ("csv", "npz"):
        raise TrainingError(f"'{path}' is no file of data", "give an x.csv, x.tsv or x.npz")
    free(path)
    arguments: dict[str, Number] = {
        a.name: a.default for a in DATA_SETS[kind].arguments if a.default is not None
    }
    before = said.get("arguments", {})
    arguments |= {"path": str(path.absolute()), "longest": before.get("longest", 0)}
    if said.get("name") == kind == "csv":  # its columns are as they were
        arguments |= {k: before[k] for k in ("columns", "ahead", "window") if k in before}
    return Request(
        kind, arguments, ports_of(program), max_length=settings.length,
        vocabularies={k: Vocabulary.of(v) for k, v in said.get("vocabularies", {}).items()},
        labels=tuple(said.get("labels", ())), answering=True,
    )  # fmt: skip


def _batches(request: Request, said: Mapping[str, Any], size: int) -> Iterator[Batch]:
    """In the units in which the model was trained."""
    names = [p.name for p in request.ports if not p.target]
    scale = said.get("scale", {})
    for one in own.inputs(request).batches(size):
        values = dict(zip(names, one.arrays, strict=True))
        for name in values.keys() & scale.keys():
            by = scale[name]
            values[name] = ((values[name] - by["shift"]) / by["divisor"]).astype(np.float32)
        lengths = {k: n for k, n in zip(names, one.lengths, strict=True) if n is not None}
        yield Batch(values, lengths, rows=one.rows)


def numbered(name: str, width: int) -> list[str]:
    """What the columns of so many numbers are called."""
    return [name] if width == 1 else [f"{name}[{k}]" for k in range(width)]


class _Speaker:
    """The model's outputs in the words and units of its data."""

    def __init__(self, objective: Objective, said: Mapping[str, Any], loss: str, beam: int) -> None:
        self.objective, self.loss, self.beam = objective, loss, beam
        self.kind, self.name = objective.kind, objective.target or "output"
        self.produces = decode.produces(objective.program)
        words = said.get("vocabularies", {}).get(self.name)
        self.vocabulary = None if words is None else Vocabulary.of(words)
        self.labels: list[str] = said.get("labels", [])
        self.scale = said.get("scale", {}).get(self.name)
        self.columns: list[str] = []  # known with the first answer

    def of(self, batch: Batch) -> list[list[list[Cell]]]:
        """Of each record the rows of the table, without its number."""
        if self.produces:
            self.columns = [self.name]
            return [[[self._text(s)]] for s in decode.sentences(self.objective, batch, self.beam)]
        with torch.no_grad():
            output, _, _ = self.objective.forward(batch)
        if self.kind.kind in ("class", "token"):
            output = losses.scores(output, self.kind)
        values: Array = output.double().cpu().numpy()
        if not self.kind.seq:
            return [[row] for row in self._cells(values)]
        self.columns = ["moment"]
        ends = np.full(len(values), values.shape[1])
        for lengths in batch.lengths.values():  # the last moments of a shorter one are padding
            ends = np.minimum(ends, values.shape[1] - (lengths.max() - lengths))
        return [
            [[t, *row] for t, row in enumerate(self._cells(one[:end]))]
            for one, end in zip(values, ends.tolist(), strict=True)
        ]

    def _cells(self, values: Array) -> list[list[Cell]]:
        """[row, …] -> the cells of each."""
        first = self.columns[: int(self.kind.seq)]
        if self.kind.kind in ("class", "token"):
            self.columns = [*first, self.name, "probability"]
            chances = values if self.loss == "nll" else _softmax(values)
            best = chances.argmax(-1)
            pairs = zip(best.tolist(), chances, strict=True)
            return [[self._symbol(k), float(p[k])] if np.isfinite(p).all() else [None, None]
                    for k, p in pairs]  # fmt: skip
        if self.kind.kind == "bit":
            values = torch.sigmoid(torch.as_tensor(values)).numpy()  # exp would overflow
        elif self.scale is not None:
            values = values * self.scale["divisor"] + self.scale["shift"]
        flat = values.reshape(len(values), -1)
        names = numbered(self.name, flat.shape[1])
        self.columns = [*first, *(f"probability of {n}" if self.kind.kind == "bit" else n
                                  for n in names)]  # fmt: skip
        return [[float(x) if np.isfinite(x) else None for x in row] for row in flat]

    def _symbol(self, number: int) -> Cell:
        names = self.labels if self.vocabulary is None else self.vocabulary.symbols
        return names[number] if number < len(names) else number

    def _text(self, symbols: Array) -> str:
        if self.vocabulary is None:
            return " ".join(map(str, symbols.tolist()))
        known = symbols < len(self.vocabulary)  # a model may have room for more
        return self.vocabulary.decode(np.where(known, symbols, decode.UNKNOWN))


def _softmax(values: Array) -> Array:
    found: Array = torch.softmax(torch.as_tensor(values), -1).numpy()
    return found
