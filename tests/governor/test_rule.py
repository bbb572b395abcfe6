"""The rule on numbers: when it fires, and when it lets go."""

from __future__ import annotations

from qrlang.governor.bounds import Bounds
from qrlang.governor.rule import Rule, Verdict


def after(rule: Rule, cycles: list[tuple[float, float]]) -> list[Verdict]:
    found, before = [], 3.0
    for action, entropy in cycles:
        found.append(rule.judge(action, before, entropy))
        before = entropy
    return found


def test_learning_is_let_alone() -> None:
    falling = [(0.02 * k, 3 - 0.1 * k) for k in range(20)]
    assert not any(v.frozen for v in after(Rule(Bounds(allow=0.0)), falling))


def test_growth_that_burns_nothing_freezes() -> None:
    verdicts = after(Rule(Bounds(allow=0.25)), [(0.01, 3.0), (0.02, 3.0), (0.5, 3.1)])
    assert [v.frozen for v in verdicts] == [False, False, True]
    assert verdicts[-1].changed


def test_the_window_forgets() -> None:
    # Slow growth: 0.1 bits a cycle is 0.3 over three cycles, and 0.8 over eight.
    slow = [(0.1 * k, 3.0) for k in range(1, 12)]
    assert not any(v.frozen for v in after(Rule(Bounds(window=3, allow=0.4)), slow))
    assert any(v.frozen for v in after(Rule(Bounds(window=8, allow=0.4)), slow))


def test_it_listens_until_a_whole_window_is_calm() -> None:
    bounds = Bounds(window=3, allow=0.1)
    rule = Rule(bounds)
    assert after(rule, [(2.0, 3.0)])[0].frozen
    calm, wild = (0.05, 3.0), (0.5, 3.0)
    verdicts = after(rule, [calm, calm, wild, calm, calm, calm, calm])
    assert [v.frozen for v in verdicts] == [True, True, True, True, True, False, False]
    assert [v.changed for v in verdicts] == [False, False, False, False, False, True, False]


def test_its_state_is_all_of_it() -> None:
    one = Rule(Bounds(window=2))
    after(one, [(0.1, 3.0), (0.9, 3.0), (0.2, 3.0)])
    other = Rule(Bounds(window=2))
    other.load(one.state())
    more = [(0.1, 2.9), (0.1, 2.8), (0.7, 2.8), (0.9, 2.8)]
    assert after(one, more) == after(other, more)
