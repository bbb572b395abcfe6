"""Records as they come from a table of one's own, whatever held it: cells for each port, then
columns as the model wants them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from qrlang.diagnostics.words import plural
from qrlang.errors import DataError
from qrlang.training.data.batches import frozen
from qrlang.training.data.columns import Column, Dense, Ragged
from qrlang.training.data.ports import Array, Port, moment_shape
from qrlang.training.data.request import Loaded, Request
from qrlang.training.data.series import cut
from qrlang.training.data.sources import Records
from qrlang.training.data.vocabulary import PRODUCED, SEPARATE, Vocabulary, encode

SPLIT_WORDS = {
    "train": "train", "training": "train", "0": "train",
    "validation": "validation", "valid": "validation", "val": "validation", "dev": "validation",
    "1": "validation", "test": "test", "2": "test",
}  # fmt: skip


@dataclass
class Cells:
    """What the records hold for one port: numbers, or words."""

    port: Port
    numbers: list[float] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)


class Columns:
    """From cells to columns. Texts get a vocabulary (that of the training records), classes with
    names get numbers."""

    def __init__(self, request: Request, by: str) -> None:
        self.request = request
        self.by = by
        self.vocabularies: dict[str, Vocabulary] = dict(request.vocabularies)
        self.labels: tuple[str, ...] = request.labels

    def texts(self, texts: Sequence[str], port: Port, train: Array | None) -> Ragged:
        """`train`: which of them the vocabulary is made of; None: all."""
        vocabulary = self.vocabularies.get(port.name)
        size, longest = self.request.size(port), self.request.longest
        if vocabulary is None and self.request.answering:
            raise self._unnamed(port, next(iter(texts), "")[:20], "tokens")
        if vocabulary is None:
            chosen = texts if train is None else [texts[k] for k in train]
            vocabulary = encode(chosen, self.by, None, size, SEPARATE, longest=longest).vocabulary
            self.vocabularies[port.name] = vocabulary
        # Of a run on sentences that a model produces: those end with a token, and none is cut.
        ended = vocabulary.symbols[: len(PRODUCED)] == PRODUCED
        found = encode(texts, self.by, vocabulary, size, SEPARATE, longest=0 if ended else longest,
                       ended=ended)  # fmt: skip
        return Ragged(found.flat, found.offsets, port, f"`{port.name}`")

    def classes(self, words: list[str], port: Port) -> Array:
        """Numbers from 0 on as they are; other labels in the order of the alphabet."""
        kinds = sorted(set(words))
        names = self._names(port)
        whole = all(w.isdecimal() and int(w) < port.type.size for w in kinds)
        if whole and not names:
            return np.array([int(w) for w in words], np.int32)
        if not names and self.request.answering:
            raise self._unnamed(port, next(w for w in kinds if not w.isdecimal()), "classes")
        if not names and len(kinds) > port.type.size:
            word = "target" if port.target else "input"
            help = f"write `{word} {port.name}: class[{len(kinds)}]`"
            if words.count(words[0]) == 1:
                help += f"; or, if the first row holds names, call this column `{port.name}`"
            raise DataError(
                "wrong-column",
                f"`{port.name}` has {len(kinds)} different labels "
                f"({', '.join(kinds[:6])}{', …' if len(kinds) > 6 else ''}); {port} has "
                f"{port.type.size}",
                help,
            )
        if not names:
            names = tuple(kinds)
            if port.target:
                self.labels = names
            else:
                self.vocabularies[port.name] = Vocabulary(names)
        unknown = [k for k in kinds if k not in names]
        if unknown:
            raise DataError(
                "bad-value",
                f"`{port.name}` has the label {unknown[0]!r} only outside of training",
                f"in training there were {', '.join(names[:20])}{', …' * (len(names) > 20)}",
            )
        number = {w: k for k, w in enumerate(names)}
        return np.array([number[w] for w in words], np.int32)

    def _names(self, port: Port) -> tuple[str, ...]:
        """Of the classes of a port, where they are known; `labels` are the target's."""
        if port.target:
            return self.labels
        known = self.vocabularies.get(port.name)
        return () if known is None else known.symbols

    def _unnamed(self, port: Port, word: str, what: str) -> DataError:
        """A run on numbers: what a word means in it nobody can say."""
        return DataError(
            "bad-value",
            f"`{port.name}` has {word!r}, and in training its {what} were numbers",
            f"give the numbers of its {what}" + ": in an x.npz" * (what == "tokens"),
        )

    def moments(self, cells: Cells) -> Array:
        """[moment, …] of all records, one after another."""
        port = cells.port
        if port.type.kind == "class":
            flat: Array = self.classes(cells.words, port)
        elif port.type.kind == "token":
            flat = np.array([int(w) for w in cells.words], np.int64)
        else:
            flat = np.array(cells.numbers, np.float32)
        return flat.reshape(-1, *moment_shape(port.type))

    def column(self, cells: Cells, train: Array | None) -> Column:
        port, where = cells.port, f"`{cells.port.name}`"
        if port.type.kind == "token" and port.type.seq:
            return self.texts(cells.words, port, train)
        flat = self.moments(cells)
        if not port.type.seq:
            return Dense(flat, port, where)
        offsets = np.concatenate([[0], np.cumsum(cells.lengths)]).astype(np.int64)
        return Ragged(flat, offsets, port, where)


def split_rows(
    request: Request, count: int, given: Sequence[str] | None, where: Callable[[int], str],
    classes: Sequence[str] | Array | None,
) -> dict[str, Array]:  # fmt: skip
    """Which records are in which split: as a column says, or a tenth for validation and a fifth for
    the test. `classes`: of the records, if the target has some."""
    unsplit(request, bool(given), "the column `split` says what is in which split")
    if given:
        named = _said(given, where)
        array = np.array(named)
        rows = {s: np.flatnonzero(array == s) for s in ("train", "validation", "test")}
        if len(rows["validation"]):
            return rows
        part = 0.1 if request.validation is None else request.validation
        order = frozen(count, 50).permutation(len(rows["train"]))
        held = round(part * len(order))
        train = rows["train"]
        return rows | {"train": np.sort(train[order[held:]]), "validation": train[order[:held]]}
    order = frozen(count, 51).permutation(count)
    folds, stratified = request.whole("folds"), bool(request.arguments["stratified"])
    if stratified and classes is None:
        raise DataError("bad-argument", "`stratified` goes by the classes of the target, and it "
                        "has none", "leave it out")  # fmt: skip
    if (stratified or folds) and classes is not None:
        order = order[_evenly(np.asarray(classes)[order])]
    if folds or request.whole("fold"):
        return _fold(request, order, folds, request.whole("fold"))
    parts = cut(count, request.validation)
    return {name: np.sort(order[begin:end]) for name, (begin, end) in parts.items()}


def stretches(
    request: Request, given: Sequence[str], where: Callable[[int], str]
) -> dict[str, tuple[int, int]]:
    """Where each split of a series begins and ends, by what its moments say. What is held out of
    training is its end."""
    array = np.array(_said(given, where))
    found = {}
    for split in ("train", "validation", "test"):
        at = np.flatnonzero(array == split)
        begin, end = (int(at[0]), int(at[-1]) + 1) if len(at) else (0, 0)
        if end - begin != len(at):
            other = begin + int(np.flatnonzero(array[begin:end] != split)[0])
            raise DataError(
                "bad-row",
                f"{where(other)}: the {split} split of a series is one stretch of time, and it is "
                f"interrupted here",
                "a column `sequence` makes several series of a table",
            )
        found[split] = begin, end
    begin, end = found["train"]
    if "validation" not in array:
        part = 0.1 if request.validation is None else request.validation
        past = end - round(part * (end - begin))
        found |= {"train": (begin, past), "validation": (past, end)}
    return found


def _said(given: Sequence[str], where: Callable[[int], str]) -> list[str]:
    found = []
    for k, word in enumerate(given):
        split = SPLIT_WORDS.get(word.strip().lower())
        if split is None:
            raise DataError(
                "bad-row",
                f"{where(k)}: the split is {word!r}",
                "a split is train, validation or test",
            )
        found.append(split)
    return found


def unsplit(request: Request, split: bool, why: str) -> None:
    """Folds and classes have a say only where splits are drawn here."""
    for name in ("folds", "fold", "stratified"):
        if split and request.arguments[name]:
            raise DataError("bad-argument", f"`{name}` is of splits that are drawn, and {why}",
                            f"leave `{name}` out")  # fmt: skip


def _fold(request: Request, order: Array, folds: int, fold: int) -> dict[str, Array]:
    """One part of `folds` for the test; of the others the usual share for validation."""
    count = len(order)
    if not (2 <= folds <= count and fold < folds):
        raise DataError(
            "bad-argument",
            f"`fold` is {fold} of {folds}, and there are {plural(count, 'record')}",
            f"folds are 2 to {count}, counted from 0",
        )
    begin, end = fold * count // folds, (fold + 1) * count // folds
    rest = np.concatenate([order[:begin], order[end:]])
    share = 0.1 if request.validation is None else request.validation
    past = len(rest) - round(share * len(rest))
    parts = {"train": rest[:past], "validation": rest[past:], "test": order[begin:end]}
    return {name: np.sort(rows) for name, rows in parts.items()}


def _evenly(labels: Array) -> Array:
    """An order in which every stretch has of each class what is its share."""
    _, at, counts = np.unique(labels, return_inverse=True, return_counts=True)
    by_class = np.argsort(at, kind="stable")
    rank = np.empty(len(at), int)
    rank[by_class] = np.arange(len(at)) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.argsort((rank + 0.5) / counts[at], kind="stable")


def loaded(columns: Columns, records: Records, rows: dict[str, Array]) -> Loaded:
    if not len(rows["train"]):
        held = f"{len(rows['validation'])} for validation and {len(rows['test'])} for the test"
        raise DataError(
            "empty-split",
            f"no record is left for training: there are {held}",
            "give more records, say which are to train in a column `split`, or hold out a smaller "
            "share: validation = 0.1",
        )

    def part(split: str) -> Records:
        return records.subset(rows[split])

    return Loaded(
        {
            "train": lambda: part("train"),
            "validation": lambda: part("validation"),
            "test": lambda: part("test"),
        },
        vocabularies=columns.vocabularies,
        labels=columns.labels,
    )
