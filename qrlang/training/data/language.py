"""Reviews with a label, and running text."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial

import numpy as np

from qrlang.errors import DataError
from qrlang.training.data.columns import Dense, Ragged
from qrlang.training.data.files import Archive, opened
from qrlang.training.data.ports import Array, dtype_of
from qrlang.training.data.request import Loaded, Request, held_out
from qrlang.training.data.series import cut
from qrlang.training.data.sources import Records, Source, Stream
from qrlang.training.data.vocabulary import (
    CHARACTERS,
    RUNNING,
    SEPARATE,
    Encoded,
    Vocabulary,
    encode,
    rule,
)

_OPINIONS = ("negative", "positive")

_SPACE = re.compile(r"\s")
_LONGEST = 100  # characters of a word

Texts = Callable[[], Iterable[str]]


class _Reviews:
    """Texts and labels as records; the vocabulary is that of the training texts."""

    def __init__(self, request: Request, by: str) -> None:
        self.request = request
        self.by = by
        self.text, self.label = request.ports
        self.vocabulary: Vocabulary | None = request.vocabularies.get(self.text.name)

    def records(self, texts: Iterable[str], labels: Array) -> Records:
        found = encode(
            texts,
            self.by,
            self.vocabulary,
            self.request.size(self.text),
            SEPARATE,
            longest=self.request.longest,
        )
        self.vocabulary = found.vocabulary
        if len(found.offsets) - 1 != len(labels):
            raise DataError(
                "malformed-file",
                f"`{self.request.name}` has {len(found.offsets) - 1} texts, {len(labels)} labels",
            )
        text = Ragged(found.flat, found.offsets, self.text, "the texts")
        return Records((text, Dense(labels, self.label, "the labels")))

    def loaded(self, train: Records, rest: Mapping[str, Callable[[], Source]]) -> Loaded:
        assert self.vocabulary is not None
        return Loaded(
            {"train": lambda: train, **rest},
            vocabularies={self.text.name: self.vocabulary},
            labels=_OPINIONS,
        )


def _imdb(request: Request) -> Loaded:
    archive = request.archive("imdb.npz")
    reviews = _Reviews(request, "word")

    def part(split: str) -> Records:
        texts = (t.replace("<br />", " ") for t in archive.lines(f"{split}_text"))
        return reviews.records(texts, archive.array(f"{split}_label", "ui", 1))

    whole = part("train")
    if request.validation is None:
        held = archive.array("train_valid_mask", "ui", 1) == 1
        train, validation = (whole.subset(np.flatnonzero(m)) for m in (~held, held))
    else:
        train, validation = held_out(request, whole)
    loaded = reviews.loaded(train, {"validation": lambda: validation, "test": lambda: part("test")})
    loaded.counts["test"] = len(archive.array("test_label", "ui", 1))
    return loaded.of(archive)


def _sst2(request: Request) -> Loaded:
    archive = request.archive("sst2.npz")
    reviews = _Reviews(request, "space")

    def part(split: str) -> Records:
        return reviews.records(
            archive.lines(f"{split}_text"), archive.array(f"{split}_label", "ui", 1)
        )

    train = part("phrase" if request.arguments["phrases"] else "train")
    rest = {"validation": lambda: part("valid"), "test": lambda: part("test")}
    return reviews.loaded(train, rest).of(archive)


def _mr(request: Request) -> Loaded:
    """Ten folds: one is the test, the one before it is held out."""
    archive = request.archive("mr_polarity.npz")
    fold = archive.array("fold", "ui", 1)
    test = request.whole("fold")
    if test > 9:
        raise DataError("bad-argument", f"the folds are 0 to 9, found {test}")
    role = np.where(fold == test, 2, np.where(fold == (test - 1) % 10, 1, 0))
    labels = archive.array("label", "ui", 1)
    reviews = _Reviews(request, "space")

    def part(k: int) -> Records:
        texts = (t for t, r in zip(archive.lines("text"), role, strict=True) if r == k)
        return reviews.records(texts, labels[role == k])

    rest = {"validation": lambda: part(1), "test": lambda: part(2)}
    return reviews.loaded(part(0), rest).of(archive)


# --- running text ---


def running(request: Request, parts: dict[str, Texts], by: str) -> Loaded:
    """The next token at each moment. Every token of a split is foretold once: the first one from
    the border."""
    given, wanted = request.ports
    size = request.size(given, wanted)
    specials = CHARACTERS if by == "character" else RUNNING
    saved = request.vocabularies.get(given.name)
    train = encode(parts["train"](), by, saved, size, specials)
    dtypes = [dtype_of(p.type) for p in request.ports]

    def stream(split: str) -> Source:
        found: Encoded = train
        if split != "train":
            found = encode(parts[split](), by, train.vocabulary, size, specials)
        flat = np.concatenate([np.zeros(1, found.flat.dtype), found.flat])
        return Stream([flat[:-1], flat[1:]], dtypes)

    return Loaded(
        {
            "train": lambda: stream("train"),
            "validation": lambda: stream("validation"),
            "test": lambda: stream("test"),
        },
        vocabularies=dict.fromkeys((given.name, wanted.name), train.vocabulary),
    )


def _own(request: Request) -> Loaded:
    """A text of one's own: the splits are its beginning, its middle and its end."""
    path, rights = request.own(request.text("path"))
    if rights is not None:
        rights.whole()  # a text has no records
    by = request.text("tokens")
    rule(by)
    try:
        with opened(path) as f:
            text = f.read().replace("\r\n", "\n")
    except UnicodeDecodeError as e:
        raise DataError("malformed-file", f"{path} is not UTF-8 text",
                        "save it with the encoding UTF-8") from e  # fmt: skip
    except (OSError, EOFError, zlib.error) as e:
        raise DataError("malformed-file", f"{path} can't be read: {e}") from e
    if not text.strip():
        raise DataError("empty-split", f"{path} is empty")

    def pieces(begin: int, end: int) -> Iterator[str]:
        begin, end = (_word_ends(text, k) for k in (begin, end))
        for line in text[begin:end].splitlines(keepends=True):
            if by == "space":
                yield _ends(line)
            elif by == "character" or line.strip():
                yield line

    parts = cut(len(text), request.validation)
    loaded = running(request, {s: partial(pieces, *ends) for s, ends in parts.items()}, by)
    loaded.file = path
    return loaded


def _word_ends(text: str, at: int) -> int:
    """The end of the word there; where no word ends soon (a genome, Chinese), there."""
    if not 0 < at < len(text):
        return at
    found = _SPACE.search(text, at - 1, at + _LONGEST)
    return at if found is None else found.end()


_STORED = {"train": "train_text", "validation": "valid_text", "test": "test_text"}


def _running(file: str, by: str, prepare: Callable[[str], str]) -> Callable[[Request], Loaded]:
    def load(request: Request) -> Loaded:
        archive = request.archive(file)
        archive.need(*_STORED.values())

        def texts(name: str) -> Texts:
            return lambda: _pieces(archive, name, prepare)

        return running(request, {s: texts(n) for s, n in _STORED.items()}, by).of(archive)

    return load


def _pieces(archive: Archive, name: str, prepare: Callable[[str], str]) -> Iterator[str]:
    """Line after line, each but the last with its end."""
    before: str | None = None
    for line in archive.lines(name):
        if before is not None:
            yield prepare(before + "\n")
        before = line
    if before:
        yield prepare(before)


def _ends(line: str) -> str:
    return line.replace("\n", " <eos> ")


def _stripped(line: str) -> str:
    return line.strip() + "\n"


def _as_it_is(line: str) -> str:
    return line


LOADERS: dict[str, Callable[[Request], Loaded]] = {
    "imdb": _imdb,
    "sst2": _sst2,
    **dict.fromkeys(("mr", "rotten_tomatoes"), _mr),
    **dict.fromkeys(("ptb", "ptb_words"), _running("ptb.npz", "space", _ends)),
    "ptb_characters": _running("ptb.npz", "character", _stripped),
    "wikitext2": _running("wikitext2.npz", "space", _ends),
    "text": _own,
    "shakespeare": _running("tinyshakespeare.npz", "character", _as_it_is),
}
