"""Words cut into pieces by byte-pair encoding, so that a vocabulary of a few thousand pieces has
every word: rare ones, and compounds that are new, in several.

A word begins with a space, which is part of its first piece: the pieces of a text put one after
the other are the text. At first every character is a piece. Learning joins the two neighbours that
stand side by side most often, over and over, until there are as many pieces as wanted. Cutting
joins in the same order; as a piece's number is its place in that order, the list of pieces is all
there is to keep.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

Pair = tuple[str, str]


def words_of(text: str) -> list[str]:
    """The words of a text, each with the space before it."""
    return [f" {word}" for word in text.split()]


def learn(texts: Iterable[str], count: int) -> list[str]:
    """At most `count` pieces: characters by frequency, then what is joined of them in order.
    Fewer where nothing stands side by side twice. Equals go by the alphabet."""
    words: Counter[str] = Counter()
    for text in texts:
        words.update(words_of(text))
    letters: Counter[str] = Counter()
    for word, times in words.items():
        for letter in word:
            letters[letter] += times
    found = sorted(letters, key=lambda s: (-letters[s], s))[:count]
    known = set(found)
    joins = _Joins([list(w) for w in words], list(words.values()))
    while len(found) < count:
        pair = joins.most()
        if pair is None:
            break
        joins.join(pair)
        both = pair[0] + pair[1]
        if both not in known:  # two other halves may have made it already
            known.add(both)
            found.append(both)
    return found


class _Joins:
    """How often every two pieces are neighbours, kept up to date while they are joined."""

    def __init__(self, words: list[list[str]], times: list[int]) -> None:
        self.words, self.times = words, times
        self.count: Counter[Pair] = Counter()
        self.where: defaultdict[Pair, set[int]] = defaultdict(set)  # or where it once was
        for k, word in enumerate(words):
            for pair in pairwise(word):
                self.count[pair] += times[k]
                self.where[pair].add(k)
        self.heap = [(-n, pair) for pair, n in self.count.items()]
        heapq.heapify(self.heap)

    def most(self) -> Pair | None:
        """The most frequent pair; None where each is there once at most."""
        while self.heap:
            n, pair = heapq.heappop(self.heap)
            if -n == self.count[pair]:  # else it was counted again since
                return pair if -n > 1 else None
        return None

    def join(self, pair: Pair) -> None:
        changed: set[Pair] = set()
        for k in self.where.pop(pair):
            before = self.words[k]
            after = joined(before, pair)
            for word, sign in ((before, -1), (after, 1)):
                for p in pairwise(word):
                    self.count[p] += sign * self.times[k]
                    if sign > 0:
                        self.where[p].add(k)
                    changed.add(p)
            self.words[k] = after
        for p in changed:
            if self.count[p] > 0:
                heapq.heappush(self.heap, (-self.count[p], p))


def joined(word: Sequence[str], pair: Pair) -> list[str]:
    """From left to right, without overlap."""
    found: list[str] = []
    k = 0
    while k < len(word):
        both = tuple(word[k : k + 2]) == pair
        found.append(pair[0] + pair[1] if both else word[k])
        k += 1 + both
    return found


def cutter(pieces: Sequence[str]) -> Callable[[str], list[str]]:
    """Cuts texts into these pieces; a character that is none of them stays one by itself."""
    rank = {s: k for k, s in enumerate(pieces)}
    known: dict[str, list[str]] = {}

    def cut(word: str) -> list[str]:
        parts = list(word)
        while len(parts) > 1:
            pairs = list(pairwise(parts))
            first = min(pairs, key=lambda p: rank.get(p[0] + p[1], len(rank)))
            if first[0] + first[1] not in rank:
                break
            parts = joined(parts, first)
        return parts

    def text(whole: str) -> list[str]:
        found: list[str] = []
        for word in words_of(whole):
            if word not in known:
                known[word] = cut(word)
            found += known[word]
        return found

    return text
