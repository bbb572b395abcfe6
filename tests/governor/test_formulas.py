"""The formulas of docs/governor.md, and the same ones from outside, against the code."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from qrlang.governor.behaviour import RESOLUTION, observe, reach  # noqa: E402
from qrlang.governor.bounds import Bounds  # noqa: E402
from qrlang.governor.rule import Rule  # noqa: E402
from qrlang.governor.sky import bands, share  # noqa: E402
from qrlang.ir.types import Type  # noqa: E402

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "governor.md"


def said() -> dict[str, Any]:
    """The plain Python of the page."""
    (text,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    found: dict[str, Any] = {}
    exec(text, found)
    return found


def classes(logits: Any, inside: Any = None) -> Any:
    kind = Type("class", (), len(logits[0]))
    target = torch.zeros(logits.shape[:-1], dtype=torch.long)
    each = torch.zeros(len(logits))
    return observe(logits, target, kind, "cross_entropy", inside, each)


def band(after: Any, before: Any, bounds: Bounds | None = None) -> Any:
    """That of entropy, of an update that takes one to the other."""
    now, then = classes(before), classes(after)
    found = bands(
        bounds or Bounds(), moved=then.entropy() - now.entropy(), way=now.way(), touched=1,
        hesitation=1, consent=1,
    )  # fmt: skip
    return next(b for b in found if b.name == "entropy")


@pytest.mark.parametrize("seed", range(5))
def test_the_page_computes_what_the_code_computes(seed: int) -> None:
    lot = torch.Generator().manual_seed(seed)
    before = torch.randn(20, 7, generator=lot) * 3
    after = before + torch.randn(20, 7, generator=lot)
    p, q = (x.double().softmax(-1).tolist() for x in (after, before))
    page = said()
    assert classes(before).entropy() == pytest.approx(page["entropy"](q), abs=1e-12)
    assert reach(classes(after), classes(before)) == pytest.approx(
        page["action_space"](p, q), abs=1e-12
    )
    assert band(after, before).value == pytest.approx(page["entropy_band"](p, q), abs=1e-12)


@pytest.mark.parametrize("seed", range(20))
def test_the_rule_of_the_page_is_the_rule(seed: int) -> None:
    lot = torch.Generator().manual_seed(seed)
    bounds = Bounds(window=1 + seed % 5, allow=0.1 * (seed % 3))
    rule = Rule(bounds)
    actions, entropies = [0.0], [2.0]
    for _ in range(40):
        new = (torch.rand(2, generator=lot) * 0.4).tolist()
        frozen = rule.judge(new[0], entropies[0], 2 - new[1]).frozen
        actions.append(new[0])
        entropies.append(2 - new[1])
        assert frozen == said()["fires"](actions, entropies, bounds.window, bounds.allow)
        if frozen:
            break


@pytest.mark.parametrize("outcomes", [2, 3, 50])
def test_any_number_of_classes_can_be_refused(outcomes: int) -> None:
    """Whatever a model is sure of: half of it, or nothing."""
    undecided = torch.zeros(8, outcomes)
    sure = 1000 * torch.eye(outcomes)[torch.arange(8) % outcomes]
    half = torch.cat([undecided[:4], sure[:4]])
    for before, after in ((undecided, sure), (half, sure), (half, undecided), (sure, undecided)):
        assert band(after, before).value == pytest.approx(1)
        assert not band(after, before).calm
    assert band(half, undecided).value == pytest.approx(0.5) and band(half, undecided).calm
    assert band(sure, sure).value == 0


def test_numbers_that_explode_are_refused() -> None:
    goal = torch.randn(64, generator=torch.Generator().manual_seed(0)).double()
    kind, each = Type("real"), torch.zeros(64)
    before, after, wild = (observe(k * goal, goal, kind, "mse", None, each) for k in (0, 0.5, 1e4))
    assert before.entropy() == pytest.approx(before.most(), abs=1e-2)

    def value(then: Any) -> float:
        return float(share(then.entropy() - before.entropy(), before.way()))

    assert value(after) < 0.2 and value(wild) > 1


def test_numbers_against_torch() -> None:
    lot = torch.Generator().manual_seed(3)
    goal = torch.randn(50, generator=lot).double()
    kind, each = Type("real"), torch.zeros(50)
    outputs = [goal + s * torch.randn(50, generator=lot).double() for s in (0.5, 0.3)]
    before, after = (observe(o, goal, kind, "mse", None, each) for o in outputs)
    floor = (RESOLUTION * goal.std(unbiased=False)) ** 2
    normal = torch.distributions.Normal
    widths = [(((o - goal) ** 2).mean() + floor).sqrt() for o in outputs]
    exact = torch.distributions.kl_divergence(
        normal(outputs[1], widths[1]), normal(outputs[0], widths[0])
    )
    assert reach(after, before) == pytest.approx(float(exact.mean()) / math.log(2), rel=1e-9)
    # Against a number that is known as well as can be.
    bits = (normal(0.0, widths[0]).entropy() - normal(0.0, floor.sqrt()).entropy()) / math.log(2)
    assert before.entropy() == pytest.approx(float(bits), rel=1e-9)


def test_bits_and_fidelities_are_coins() -> None:
    scores = torch.tensor([[0.3], [-2.0], [8.0]])
    each = torch.zeros(3)
    bit = observe(scores, torch.zeros(3, 1), Type("bit"), "bce", None, each)
    coins = torch.distributions.Bernoulli(logits=scores.double())
    assert bit.entropy() == pytest.approx(float(coins.entropy().mean()) / math.log(2), rel=1e-9)
    overlap = observe(scores.sigmoid(), torch.zeros(3, 1), Type("real"), "fidelity", None, each)
    assert overlap.entropy() == pytest.approx(bit.entropy(), rel=1e-5)


def test_only_moments_within_a_sequence_count() -> None:
    logits = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0))
    inside = torch.tensor([[True, True, False, False], [True, False, False, False]])
    kept = torch.cat([logits[0, :2], logits[1, :1]])
    assert classes(logits, inside).entropy() == pytest.approx(classes(kept).entropy())


def test_certain_outputs_have_no_entropy_and_opposite_ones_a_finite_reach() -> None:
    yes, no = torch.tensor([[1000.0, -1000.0]]), torch.tensor([[-1000.0, 1000.0]])
    assert classes(yes).entropy() == 0
    assert 100 < reach(classes(yes), classes(no)) < 1e4
    assert reach(classes(yes), classes(yes)) == 0
