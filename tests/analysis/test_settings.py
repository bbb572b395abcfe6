"""The fewest settings, against a search over all partitions."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from qrlang.analysis.settings import colour, measurement_settings, observable_settings
from qrlang.ir.program import Expect, PauliString, Value
from qrlang.ir.types import real

words = st.dictionaries(st.integers(0, 3), st.sampled_from("XYZ"), min_size=1, max_size=4).map(
    lambda letters: tuple(sorted(letters.items()))
)


def expect(*observables: tuple[PauliString, ...]) -> Expect:
    return Expect(
        Value(0, real(len(observables))), tuple(tuple((1.0, w) for w in o) for o in observables)
    )


def agree(a: PauliString, b: PauliString) -> bool:
    other = dict(b)
    return all(other.get(q, letter) == letter for q, letter in a)


def fewest(items: list[PauliString]) -> int:
    """By trying every assignment with one class more at a time."""

    def fits(k: int, rest: list[PauliString], classes: list[list[PauliString]]) -> bool:
        if not rest:
            return True
        for group in classes:
            if all(agree(rest[0], other) for other in group):
                group.append(rest[0])
                if fits(k, rest[1:], classes):
                    return True
                group.pop()
        if len(classes) < k:
            return fits(k, rest[1:], [*classes, [rest[0]]])
        return False

    return next(k for k in range(len(items) + 1) if fits(k, items, []))


@given(st.lists(words, min_size=1, max_size=7, unique=True))
@settings(max_examples=60)
def test_as_few_as_can_be(some: list[PauliString]) -> None:
    found = measurement_settings(expect(*((w,) for w in some)))
    assert len(found) == fewest(some)
    assert sorted(place for s in found for place in s.words) == [(i, 0) for i in range(len(some))]
    for setting in found:
        for i, _ in setting.words:
            assert set(some[i]) <= set(setting.basis)


def test_well_known_ones() -> None:
    def each(letter: str, n: int) -> list[tuple[PauliString, ...]]:
        return [(((q, letter),),) for q in range(n)]

    assert len(measurement_settings(expect(*each("Z", 20)))) == 1
    assert len(measurement_settings(expect(*each("X", 9), *each("Y", 9), *each("Z", 9)))) == 3
    # Transverse-field Ising: ZZ on a ring, X on each, in one observable: two settings.
    ring = tuple(tuple(sorted(((q, "Z"), ((q + 1) % 8, "Z")))) for q in range(8))
    energy = expect((*ring, *(((q, "X"),) for q in range(8))))
    assert len(measurement_settings(energy)) == 2
    assert observable_settings(energy) == ()
    assert observable_settings(expect(*each("X", 2), *each("Z", 2))) == ((0, 1), (2, 3))


def test_an_identity_needs_none() -> None:
    assert measurement_settings(expect(((),))) == ()


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=120))
@settings(max_examples=30)
def test_neighbours_differ(edges: list[tuple[int, int]]) -> None:
    clashes: list[set[int]] = [set() for _ in range(31)]
    for a, b in edges:
        if a != b:
            clashes[a].add(b)
            clashes[b].add(a)
    found = colour(clashes)
    assert all(found[a] != found[b] for a, b in combinations(range(31), 2) if b in clashes[a])
