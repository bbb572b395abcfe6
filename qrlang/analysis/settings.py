"""Measurement settings: the fewest bases, qubit by qubit, in which every Pauli word of an
expectation can be measured.

Words go together when no qubit needs two letters; if every two of some words do, all of them do.
So this is graph colouring: exact for a handful of words, else DSATUR.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qrlang.ir.program import Expect, PauliString

_TRIES = 20_000  # steps of the exact search; past them the best colouring so far is taken


@dataclass(frozen=True, slots=True)
class Setting:
    """A basis for some qubits, and the words (observable, index in it) that it measures."""

    basis: PauliString
    words: tuple[tuple[int, int], ...]


def measurement_settings(op: Expect) -> tuple[Setting, ...]:
    """The settings of an expectation; an identity needs none."""
    where: dict[PauliString, list[tuple[int, int]]] = {}
    for i, observable in enumerate(op.observables):
        for j, (_, word) in enumerate(observable):
            if word:
                where.setdefault(word, []).append((i, j))
    out: list[Setting] = []
    for group in together(list(where)):
        basis: dict[int, str] = {}
        for word in group:
            basis.update(word)
        found = sorted(place for word in group for place in where[word])
        out.append(Setting(tuple(sorted(basis.items())), tuple(found)))
    return tuple(out)


def observable_settings(op: Expect) -> tuple[tuple[int, ...], ...]:
    """Whole observables that are measured together; empty if one of them needs several settings
    by itself."""
    bases: list[PauliString] = []
    for observable in op.observables:
        basis: dict[int, str] = {}
        for _, word in observable:
            for q, letter in word:
                if basis.setdefault(q, letter) != letter:
                    return ()
        bases.append(tuple(sorted(basis.items())))
    colours = colour([_clashes(a, bases) for a in bases])
    groups: dict[int, list[int]] = {}
    for i, c in enumerate(colours):
        groups.setdefault(c, []).append(i)
    return tuple(tuple(group) for group in groups.values())


def together(words: Sequence[PauliString]) -> list[list[PauliString]]:
    groups: dict[int, list[PauliString]] = {}
    # Words that others contain need no colour of their own: they go wherever those go.
    for word, c in zip(words, colour([_clashes(w, words) for w in words]), strict=True):
        groups.setdefault(c, []).append(word)
    return list(groups.values())


def _clashes(word: PauliString, words: Sequence[PauliString]) -> set[int]:
    letters = dict(word)
    return {
        i
        for i, other in enumerate(words)
        if any(letters.get(q, letter) != letter for q, letter in other)
    }


def colour(clashes: Sequence[set[int]]) -> list[int]:
    """A colour for each node, neighbours different, with few colours (the fewest, if the search
    ends in time), numbered in order of first use."""
    if not any(clashes):
        return [0] * len(clashes)
    best = _dsatur(clashes)
    most = max(best) + 1
    order = sorted(range(len(clashes)), key=lambda i: -len(clashes[i]))
    tries = _TRIES
    colours = [-1] * len(clashes)

    def search(at: int, used: int) -> None:
        nonlocal best, most, tries
        tries -= 1
        if tries < 0 or used >= most:
            return
        if at == len(order):
            best, most = colours.copy(), used
            return
        node = order[at]
        taken = {colours[other] for other in clashes[node]}
        for c in range(min(used + 1, most - 1)):
            if c not in taken:
                colours[node] = c
                search(at + 1, max(used, c + 1))
                colours[node] = -1

    if most > 2 and len(clashes) <= 400:  # two are the fewest as soon as anything clashes
        search(0, 0)
    seen: dict[int, int] = {}
    return [seen.setdefault(c, len(seen)) for c in best]


def _dsatur(clashes: Sequence[set[int]]) -> list[int]:
    colours = [-1] * len(clashes)
    taken: list[set[int]] = [set() for _ in clashes]
    left = set(range(len(clashes)))
    while left:
        node = min(left, key=lambda i: (-len(taken[i]), -len(clashes[i]), i))
        left.discard(node)
        c = 0
        while c in taken[node]:
            c += 1
        colours[node] = c
        for other in clashes[node]:
            taken[other].add(c)
    return colours
