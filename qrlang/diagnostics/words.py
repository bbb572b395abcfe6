"""Words for messages: what was probably meant, and how many there are."""

from __future__ import annotations

from collections.abc import Iterable


def distance(a: str, b: str, limit: int) -> int:
    """Edits (insert, delete, replace, swap neighbours) from one word to another, up to `limit`."""
    if abs(len(a) - len(b)) > limit:
        return limit + 1
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        new = [i]
        for j, y in enumerate(b, 1):
            cost = min(row[j] + 1, new[j - 1] + 1, row[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                cost = min(cost, before[j - 2] + 1)
            new.append(cost)
        if min(new) > limit:
            return limit + 1
        before, row = row, new
    return row[-1]


def nearest(word: str, words: Iterable[str]) -> str | None:
    """The word that was probably meant."""
    limit = min(max(1, len(word) // 3), len(word) - 1)
    best, best_distance = None, (limit + 1, 0)
    for other in sorted(words):
        d = distance(word.lower(), other.lower(), limit)
        if d <= limit and (d, distance(word, other, limit)) < best_distance:
            best, best_distance = other, (d, distance(word, other, limit))
    return best


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """A help text, or nothing."""
    other = nearest(word, words)
    return f"did you mean `{other}`?" if other else ""


def suggestion(word: str, words: Iterable[str]) -> str:
    """What follows "there is no …": the one that was probably meant, or those that there are."""
    words = sorted(words)
    if other := nearest(word, words):
        return f"; did you mean `{other}`?"
    return f"; there are: {', '.join(words)}" if 0 < len(words) <= 16 else ""


def plural(count: int, word: str) -> str:
    """`1 thread`, `4,096 threads`."""
    if count != 1:
        word = f"{word[:-1]}ies" if word.endswith("ty") else f"{word}s"
    return f"{count:,} {word}"
