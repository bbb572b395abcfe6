"""Texts as numbers.

Token 0 is the border: what stands before the first symbol. `shifted(words)` of the language starts
with it, padding is filled with it (padding is known by the lengths, never by its number), and in
running text it is the end of the sentence before. So:

- separate texts: 0 `<pad>` (also called `<bos>`), 1 `<unk>`, and 2 `<eos>` where sentences are
  produced (translation);
- running text by word: 0 `<eos>`, 1 `<unk>`;
- running text by character: 0 the line break; `<unk>` is 1 unless the size leaves no room for it.

Further symbols come by frequency in the training text, equals in the order of the alphabet; pieces
of words (`bpe`) in the order in which they were joined.
"""

from __future__ import annotations

import re
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qrlang.diagnostics.words import did_you_mean
from qrlang.errors import DataError
from qrlang.training.data.ports import Array
from qrlang.training.data.subwords import cutter, learn

SEPARATE = ("<pad>", "<unk>")
PRODUCED = ("<pad>", "<unk>", "<eos>")
RUNNING = ("<eos>", "<unk>")
CHARACTERS = ("\n",)

_WORD = re.compile(r"\w+(?:'\w+)?|[^\w\s]")


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


RULES: dict[str, Callable[[str], list[str]]] = {
    "space": str.split,  # already cut into tokens
    "word": _words,  # lower case; words, and every other mark on its own
    "character": list,
}
PIECES = "bpe"  # depends on the symbols, which are learned


def rule(name: str, symbols: Sequence[str] = ()) -> Callable[[str], list[str]]:
    if name == PIECES:
        return cutter(symbols)
    if name not in RULES:
        known = (*RULES, PIECES)
        raise DataError(
            "bad-argument",
            f"there is no way `{name}` to cut a text into tokens",
            did_you_mean(name, known) or "there are " + ", ".join(known),
        )
    return RULES[name]


@dataclass(frozen=True)
class Vocabulary:
    symbols: tuple[str, ...]
    rule: str = "space"
    specials: int = 0  # the first symbols, which are no text

    def __len__(self) -> int:
        return len(self.symbols)

    @property
    def unknown(self) -> int | None:
        return 1 if len(self.symbols) > 1 and self.symbols[1] == "<unk>" else None

    @property
    def end(self) -> int | None:
        """What ends a produced sentence."""
        if self.symbols[0] == "<eos>":
            return 0
        return 2 if self.specials > 2 else None

    @property
    def table(self) -> dict[str, int]:
        """From a symbol to its number; `<bos>` is another name of `<pad>`."""
        table = {s: k for k, s in enumerate(self.symbols)}
        if self.symbols[0] == "<pad>":
            table["<bos>"] = 0
        return table

    def cut(self) -> Callable[[str], list[str]]:
        """What cuts a text into symbols, and remembers words that it has cut."""
        return rule(self.rule, self.symbols[self.specials :])

    def encode(self, text: str) -> list[int]:
        return _Numbers(self).of(self.cut()(text))

    def decode(self, numbers: Iterable[int]) -> str:
        """The text up to `<eos>`; `<pad>` is left out."""
        found = []
        for n in map(int, numbers):
            if self.specials > 2 and n == self.end:
                break
            if n or self.symbols[0] != "<pad>":
                found.append(self.symbols[n])
        if self.rule == PIECES:
            return "".join(found).removeprefix(" ")
        return ("" if self.rule == "character" else " ").join(found)

    def data(self) -> dict[str, Any]:
        return {"rule": self.rule, "specials": self.specials, "symbols": list(self.symbols)}

    @staticmethod
    def of(data: Mapping[str, Any]) -> Vocabulary:
        return Vocabulary(tuple(data["symbols"]), str(data["rule"]), int(data["specials"]))


class _Numbers(dict[str, int]):
    """A vocabulary's table that knows what to do with the rest."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        super().__init__(vocabulary.table)
        self.unknown = vocabulary.unknown

    def __missing__(self, symbol: str) -> int:
        if self.unknown is None:
            raise DataError(
                "outside-vocabulary",
                f"{symbol!r} has no number: it does not occur in the training text, and the "
                f"vocabulary of {len(self)} symbols leaves no room for `<unk>`",
                f"make the vocabulary one larger: {len(self) + 1}",
            )
        return self.unknown

    def of(self, symbols: Iterable[str]) -> list[int]:
        return list(map(self.__getitem__, symbols))


@dataclass(frozen=True)
class Encoded:
    """Texts as numbers, one after another: text k from `offsets[k]` on."""

    flat: Array
    offsets: Array
    vocabulary: Vocabulary


def encode(
    texts: Iterable[str],
    by: str,
    vocabulary: Vocabulary | None,
    size: int,
    specials: Sequence[str],
    *,
    longest: int = 0,
    keep: str = "last",
    ended: bool = False,
) -> Encoded:
    """Texts, read once and forgotten; without a vocabulary one of at most `size` is made of them.

    Of texts with more than `longest` tokens the `keep` ("first", "last") ones stay. `ended`:
    `<eos>` after each.
    """
    if vocabulary is None and by == PIECES:
        texts = list(texts)
        vocabulary = _pieces(texts, size, specials)
    cut = rule(by) if vocabulary is None else vocabulary.cut()
    number: Callable[[str], int]
    if vocabulary is None:
        seen: defaultdict[str, int] = defaultdict()
        seen.default_factory = seen.__len__
        for s in specials:
            seen[s]
        number = seen.__getitem__
    else:
        number = _Numbers(vocabulary).__getitem__
    end = [2] if ended else []
    ids = array("i")
    offsets = array("q", [0])
    for text in texts:
        tokens = cut(text)
        if longest and len(tokens) > longest:
            tokens = tokens[-longest:] if keep == "last" else tokens[:longest]
        ids.extend(map(number, tokens))
        ids.extend(end)
        if len(ids) == offsets[-1]:
            ids.append(min(1, len(specials) - 1))  # an empty text is one unknown token
        offsets.append(len(ids))
    flat = np.frombuffer(ids, np.int32) if ids else np.zeros(0, np.int32)
    edges = np.frombuffer(offsets, np.int64)
    if vocabulary is None:
        vocabulary, renamed = _ranked(flat, list(seen), size, specials, by)
        flat = renamed[flat]
    flat = flat.astype(_width(len(vocabulary)), copy=False)
    return Encoded(flat, edges, vocabulary)


def _pieces(texts: Iterable[str], size: int, specials: Sequence[str]) -> Vocabulary:
    first = tuple(specials)
    if size < len(first) + 1:
        raise _too_small(size, first)
    return Vocabulary(first + tuple(learn(texts, size - len(first))), PIECES, len(first))


def _too_small(size: int, specials: Sequence[str]) -> DataError:
    return DataError(
        "bad-argument", f"a vocabulary of {size} is too small: it begins with {list(specials)}"
    )


def _ranked(
    flat: Array, symbols: list[str], size: int, specials: Sequence[str], by: str
) -> tuple[Vocabulary, Array]:
    """The vocabulary by frequency, and the new number of each old one."""
    special = list(specials)
    if "<unk>" not in special and len(symbols) != size:
        special.insert(1, "<unk>")
    if size < len(special) + 1:
        raise _too_small(size, special)
    counts = np.bincount(flat, minlength=len(symbols))
    rest = [k for k in range(len(symbols)) if symbols[k] not in special]
    rest.sort(key=lambda k: (-int(counts[k]), symbols[k]))
    kept = rest[: size - len(special)]
    final = special + [symbols[k] for k in kept]
    unknown = special.index("<unk>") if "<unk>" in special else 0
    renamed = np.full(len(symbols), unknown, _width(len(final)))
    renamed[kept] = np.arange(len(special), len(final))
    for k, s in enumerate(symbols[: len(specials)]):
        renamed[k] = special.index(s)
    return Vocabulary(tuple(final), by, len(special)), renamed


def _width(size: int) -> type[np.generic]:
    """Short integers where they hold a vocabulary of this size."""
    return np.uint16 if size <= 1 << 16 else np.int32


def lines(text: str) -> Iterator[str]:
    """One item a line; other line breaks belong to the text."""
    return iter(text.split("\n"))
