"""Losses and metrics against NumPy, with sequences of different lengths."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
from training_tools import Arrays

torch = pytest.importorskip("torch")

from qrlang.errors import TrainingError  # noqa: E402
from qrlang.hardware.batch import score as hardware_score  # noqa: E402
from qrlang.ir.types import Type, real, seq  # noqa: E402
from qrlang.training import losses, metrics  # noqa: E402
from qrlang.training.asked.evaluate import page, report  # noqa: E402
from qrlang.training.feed import Batch  # noqa: E402
from qrlang.training.metrics import Tally, area  # noqa: E402
from qrlang.training.objective import Objective  # noqa: E402
from qrlang.training.progress import shown  # noqa: E402
from qrlang.training.world import World  # noqa: E402

LOT = np.random.default_rng(5)
LENGTHS = np.array([3, 5, 1])
INSIDE = torch.as_tensor(np.arange(5) < LENGTHS[:, None])


def test_cross_entropy_counts_what_lies_inside() -> None:
    scores = LOT.normal(size=(3, 5, 4))
    target = LOT.integers(0, 4, (3, 5))
    sums, counts = losses.per_sequence(
        torch.as_tensor(scores), torch.as_tensor(target), seq(Type("token", (), 4)), INSIDE,
        ("cross_entropy", {"smoothing": 0.0}),
    )  # fmt: skip
    logp = scores - np.log(np.exp(scores).sum(-1, keepdims=True))
    for k, n in enumerate(LENGTHS):
        expected = -sum(logp[k, t, target[k, t]] for t in range(n))
        assert float(sums[k]) == pytest.approx(expected)
        assert float(counts[k]) == n


def test_smoothing_is_for_training_alone() -> None:
    """What is evaluated is the loss that perplexities and other people's figures are of."""
    model = torch.nn.Linear(3, 4)
    program = SimpleNamespace(targets=[SimpleNamespace(name="y", type=Type("class", (), 4))])
    values = {"x": LOT.normal(size=(6, 3)).astype(np.float32), "y": LOT.integers(0, 4, 6)}
    feed = Arrays({"validation": Batch(values)})

    def worth(smoothing: float) -> tuple[float, float]:
        loss = ("cross_entropy", {"smoothing": smoothing})
        objective = Objective(model, program, loss, World())  # type: ignore[arg-type]
        trained = objective.sums(Batch(values), objective.tally()).detach()
        found = objective.evaluate(feed, "validation", 4).figures()
        return float(trained) / 6, found["loss"]

    plain, smooth = worth(0.0), worth(0.5)
    assert plain[0] == pytest.approx(plain[1]) == pytest.approx(smooth[1])
    assert abs(smooth[0] - smooth[1]) > 1e-3


@pytest.mark.parametrize(
    ("name", "options", "one"),
    [
        ("mse", {}, lambda d: d**2),
        ("mae", {}, abs),
        ("huber", {"delta": 0.5}, lambda d: d * d / 2 if abs(d) < 0.5 else 0.5 * (abs(d) - 0.25)),
    ],
)
def test_numbers(name, options, one) -> None:
    x, y = LOT.normal(size=(3, 5, 2)), LOT.normal(size=(3, 5, 2))
    sums, counts = losses.per_sequence(
        torch.as_tensor(x), torch.as_tensor(y), seq(real(2)), INSIDE, (name, options)
    )
    for k, n in enumerate(LENGTHS):
        expected = sum(one(d) for d in (x - y)[k, :n].reshape(-1))
        assert float(sums[k]) == pytest.approx(expected)
        assert float(counts[k]) == 2 * n


def test_a_scalar_goes_with_one_number() -> None:
    x, y = LOT.normal(size=(3, 1)), LOT.normal(size=3)
    sums, _ = losses.per_sequence(torch.as_tensor(x), torch.as_tensor(y), real(), None, ("mse", {}))
    np.testing.assert_allclose(sums.numpy(), (x[:, 0] - y) ** 2)


def test_probabilities_bits_and_overlaps() -> None:
    p = np.array([[0.25, 0.75], [0.5, 0.5]])
    sums, _ = losses.per_sequence(
        torch.as_tensor(p), torch.tensor([1, 0]), Type("class", (), 2), None, ("nll", {})
    )
    np.testing.assert_allclose(sums.numpy(), [-math.log(0.75), -math.log(0.5)])
    sums, _ = losses.per_sequence(
        torch.tensor([[0.3]]), torch.tensor([1]), Type("class", (), 2), None, ("bce", {})
    )
    assert float(sums) == pytest.approx(-math.log(1 / (1 + math.exp(-0.3))))
    sums, _ = losses.per_sequence(
        torch.tensor([[0.9]]), torch.zeros(1, 1), real(1), None, ("fidelity", {})
    )
    assert float(sums) == pytest.approx(0.1)


def tally_of(kind: Type, output, target, inside=None) -> Tally:
    tally = Tally(kind)
    n = len(target)
    tally.add(np.ones(n), np.ones(n), torch.as_tensor(output), torch.as_tensor(target), inside)
    return tally


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_weights_of_classes_as_in_torch(smoothing: float) -> None:
    scores, target = LOT.normal(size=(3, 5, 4)), LOT.integers(0, 4, (3, 5))
    weights = [0.5, 2.0, 1.0, 3.0]
    sums, counts = losses.per_sequence(
        torch.as_tensor(scores), torch.as_tensor(target), seq(Type("class", (), 4)), INSIDE,
        ("cross_entropy", {"smoothing": smoothing, "weights": torch.tensor(weights)}),
    )  # fmt: skip
    expected = torch.nn.functional.cross_entropy(
        torch.as_tensor(scores)[INSIDE], torch.as_tensor(target)[INSIDE],
        weight=torch.tensor(weights, dtype=torch.float64), label_smoothing=smoothing,
    )  # fmt: skip
    if not smoothing:  # torch divides by the weights of the true classes either way
        assert float(counts.sum()) == pytest.approx(np.array(weights)[target[INSIDE]].sum())
    assert float(sums.sum() / counts.sum()) == pytest.approx(float(expected))
    p = torch.softmax(torch.as_tensor(scores[:, 0]), -1)
    sums, counts = losses.per_sequence(
        p,
        torch.as_tensor(target[:, 0]),
        Type("class", (), 4),
        None,
        ("nll", {"weights": torch.tensor(weights)}),
    )
    other = torch.nn.NLLLoss(torch.tensor(weights, dtype=torch.float64))
    found = float(sums.sum() / counts.sum())
    assert found == pytest.approx(float(other(p.log(), torch.as_tensor(target[:, 0]))))
    said, yes = torch.as_tensor(scores[:, 0, :1]), torch.as_tensor(target[:, 0] % 2)
    sums, counts = losses.per_sequence(
        said, yes, Type("class", (), 2), None, ("bce", {"weights": torch.tensor([1.0, 3.0])})
    )
    other = torch.nn.functional.binary_cross_entropy_with_logits(
        said[:, 0], yes.double(), pos_weight=torch.tensor(3.0), reduction="sum"
    )
    assert float(sums.sum()) == pytest.approx(float(other))


def test_balanced_classes_weigh_the_same() -> None:
    """In the training split, of moments that lie inside; what is evaluated has no weights."""
    labels = np.array([[0, 0, 1, 0, 2], [0, 0, 0, 1, 1], [2, 1, 1, 1, 1]])
    values = {"x": LOT.normal(size=(3, 5, 2)).astype(np.float32), "y": labels}
    feed = Arrays({"train": Batch(values, {"y": LENGTHS})})
    name, options = losses.balanced(("nll", {"balanced": True}), feed, "y", 4, torch.zeros(1))
    counts = np.bincount(labels[INSIDE.numpy()], minlength=4)
    assert counts.tolist() == [5, 3, 1, 0] and options["weights"][3] == 0
    np.testing.assert_allclose(counts * options["weights"].numpy(), [3, 3, 3, 0])
    assert "weights" not in losses.measured((name, options))[1]
    assert losses.balanced(("nll", {"balanced": False}), feed, "y", 4, None)[1] == {
        "balanced": False
    }
    one = Arrays({"train": Batch({"y": np.ones(4, int)})})
    with pytest.raises(TrainingError, match="one class only"):
        losses.balanced(("bce", {"balanced": True}), one, "y", 2, None)


def test_areas_recalls_and_explained_variance() -> None:
    """Of a few cases, by hand and by counting pairs."""
    score, label = np.array([0.1, 0.4, 0.35, 0.8, 0.4]), np.array([0, 0, 1, 1, 1])
    assert area(np.stack([score, label], 1)) == pytest.approx((1 + 0 + 1 + 1 + 1 + 0.5) / 6)
    score, label = LOT.integers(0, 9, 60), LOT.integers(0, 2, 60)
    pairs = [(a > b) + (a == b) / 2 for a in score[label == 1] for b in score[label == 0]]
    assert area(np.stack([score, label], 1)) == pytest.approx(np.mean(pairs))
    assert math.isnan(area(np.stack([score, label * 0], 1)))
    tally = Tally(Type("class", (), 2), scores=[])
    assert math.isnan(tally.figures()["auc"])  # of a model that has become NaN, for one
    logits = LOT.normal(size=(60, 2))
    tally.add(np.ones(60), np.ones(60), torch.as_tensor(logits), torch.as_tensor(label), None)
    found, said = tally.figures(), logits.argmax(1)
    each = [np.mean(said[label == k] == k) for k in (0, 1)]
    assert found["balanced_accuracy"] == pytest.approx(np.mean(each))
    ahead = np.stack([logits[:, 1] - logits[:, 0], label], 1)
    assert found["auc"] == pytest.approx(area(ahead))
    x, y = LOT.normal(size=(40, 1)), LOT.normal(3, 2, size=(40, 1))
    rest = ((x - y) ** 2).sum() / ((y - y.mean()) ** 2).sum()
    assert tally_of(real(1), x, y).figures()["r2"] == pytest.approx(1 - rest)


@pytest.mark.parametrize("wide", [(), (1,)])
@pytest.mark.parametrize("lead", [(2,), (7,), (3, 2)])
def test_two_classes_by_one_number(lead: tuple[int, ...], wide: tuple[int, ...]) -> None:
    """`read Z(q[0])` of two sequences, or of two moments, is not the two scores of one."""
    kind = Type("class", (), 2)
    kind = seq(kind) if len(lead) > 1 else kind
    score, label = LOT.normal(size=(*lead, *wide)), LOT.integers(0, 2, lead)
    tally = Tally(kind, scores=[])
    sums, counts = losses.per_sequence(
        torch.as_tensor(score), torch.as_tensor(label), kind, None, ("bce", {})
    )
    tally.add(sums, counts, torch.as_tensor(score), torch.as_tensor(label), None)
    found, flat = tally.figures(), score.reshape(-1)
    assert found["accuracy"] == pytest.approx(np.mean((flat > 0) == label.reshape(-1)))
    pairs = np.stack([flat, label.reshape(-1)], 1)
    assert found["auc"] == pytest.approx(area(pairs), nan_ok=True)
    on_device = hardware_score([{"": one} for one in score], list(label), "class")
    assert on_device["accuracy"] == pytest.approx(found["accuracy"])


def test_accuracy_confusion_and_f1() -> None:
    said = np.eye(3)[[0, 0, 1, 2, 2, 2]]
    target = np.array([0, 1, 1, 2, 2, 0])
    tally = tally_of(Type("class", (), 3), said, target)
    np.testing.assert_array_equal(tally.confusion, [[1, 0, 1], [1, 1, 0], [0, 0, 2]])
    found = tally.figures()
    assert found["accuracy"] == pytest.approx(4 / 6)
    each = [2 * 1 / (2 + 2), 2 * 1 / (2 + 1), 2 * 2 / (2 + 3)]
    assert found["f1"] == pytest.approx(np.mean(each))


def test_nrmse_is_in_units_of_the_spread() -> None:
    y = LOT.normal(size=(40, 1)) * 3 + 7
    tally = tally_of(real(1), np.full_like(y, y.mean()), y)
    assert tally.figures()["nrmse"] == pytest.approx(1.0)
    assert tally.figures()["rmse"] == pytest.approx(y.std())


@pytest.mark.parametrize("value", [429.86370849609375, 6.333526134490967, 0.1, 0.0])
def test_targets_that_are_all_the_same_have_no_spread(value: float) -> None:
    """Whatever rounding makes of them."""
    for count in (55, 231, 398):
        tally = Tally(real(1))
        for part in torch.full((count, 1), value).split(64):
            ones = torch.ones(len(part)).double()
            tally.add(ones, ones, part + 0.01, part, None)
        found = tally.figures()
        assert math.isnan(found["nrmse"]) and math.isnan(found["r2"])


def test_perplexity_is_that_of_the_mean_loss() -> None:
    tally = Tally(seq(Type("token", (), 4)))
    tally.rows.append(np.array([[6.0, 3.0, 1.0, 3.0], [4.0, 2.0, 0.0, 2.0]]))
    found = tally.figures()
    assert found["perplexity"] == pytest.approx(math.exp(2.0))
    assert found["bits_per_token"] == pytest.approx(2 / math.log(2))
    assert found["accuracy"] == pytest.approx(0.2)


def test_without_a_target_only_what_makes_sense_is_said() -> None:
    tally = Tally(Type("real"), untrue=True)
    each = torch.tensor([0.1, 0.3, 0.2])
    tally.add(each, torch.ones(3), 1 - each, torch.zeros(3), None)
    found = tally.figures()
    assert found.keys() == {"loss", "fidelity"}
    assert (found["loss"], found["fidelity"]) == (pytest.approx(0.2), pytest.approx(0.8))
    low, high = metrics.interval(tally, "fidelity")
    assert (low, high) == (pytest.approx(0.7, abs=0.03), pytest.approx(0.9, abs=0.03))
    assert "fidelity" in shown(found) and "nan" not in shown(found)


def test_wilson() -> None:
    # Newcombe (1998), table 1: 81 of 263.
    low, high = metrics.wilson(81, 263)
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)
    assert metrics.wilson(0, 10)[0] == pytest.approx(0, abs=1e-12)


def test_the_bootstrap_covers_what_the_normal_law_says() -> None:
    tally = Tally(real(1))
    errors = LOT.normal(size=400) ** 2
    tally.rows.append(np.stack([errors, np.ones(400), errors, np.ones(400)], 1))
    low, high = metrics.bootstrap(tally, "loss")
    half = 1.96 * errors.std() / 20
    assert (low, high) == (
        pytest.approx(errors.mean() - half, rel=0.05), pytest.approx(errors.mean() + half, rel=0.05)
    )  # fmt: skip


def test_one_answer_a_sequence_has_wilsons_interval() -> None:
    tally = tally_of(Type("class", (), 2), np.eye(2)[[0, 1, 1, 0]], np.array([0, 1, 0, 0]))
    assert metrics.interval(tally, "accuracy") == metrics.wilson(3, 4)
    assert metrics.interval(tally, "f1") is None


def test_confusion_and_mae_leave_padding_out() -> None:
    tally = Tally(seq(Type("class", (), 2)))
    scores = torch.tensor([[[2.0, 0], [0, 1]], [[0, 1.0], [5, 0]]])
    target = torch.tensor([[0, 1], [1, 1]])
    inside = torch.tensor([[True, True], [True, False]])
    tally.add(torch.zeros(2), torch.ones(2), scores, target, inside)
    assert tally.confusion is not None and tally.confusion.tolist() == [[1, 0], [0, 2]]
    assert tally.figures()["f1"] == 1
    tally = Tally(seq(Type("real")))
    output, goal = torch.tensor([[1.0, 2], [3, 99]]), torch.tensor([[0.0, 4], [2, 0]])
    tally.add(torch.zeros(2), torch.ones(2), output, goal, inside)
    assert tally.figures()["mae"] == pytest.approx(4 / 3)
    assert metrics.interval(tally, "mae") is None


def test_each_number_of_a_target_has_a_spread_of_its_own() -> None:
    """Whoever says each one's mean explains nothing, however far apart the means are."""
    y = LOT.normal(size=(30, 7, 2)) * [1, 3] + [0, 100]
    inside = torch.as_tensor(LOT.uniform(size=(30, 7)) < 0.8)
    kept = y[inside.numpy()]
    means = np.broadcast_to(kept.mean(0), y.shape).copy()
    kind = seq(real(2))
    tally = Tally(kind)
    given = torch.as_tensor(means), torch.as_tensor(y)
    sums, counts = losses.per_sequence(*given, kind, inside, ("mse", {}))
    tally.add(sums, counts, *given, inside)
    assert tally.figures()["r2"] == pytest.approx(0, abs=1e-9)
    assert tally.figures()["nrmse"] == pytest.approx(1)
    assert tally.figures()["mae"] == pytest.approx(np.abs(kept - kept.mean(0)).mean())
    errors, spreads = tally.apart()
    np.testing.assert_allclose(errors, kept.var(0))
    np.testing.assert_allclose(spreads, kept.var(0))
    found = report(tally, "test")
    assert found["each"]["r2"] == pytest.approx([0, 0], abs=1e-9)
    assert "nrmse of each: 1, 1\n" in page(found)
    late = tally_of(kind, means, y).late(torch.zeros(1))[1]
    np.testing.assert_allclose(late, tally_of(kind, means, y).moments)
