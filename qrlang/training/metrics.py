"""What a split comes to: sums of every sequence, and the figures that follow from them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from qrlang.ir.types import Type

Array = np.ndarray[Any, Any]


WHOLE = ("f1", "mae", "balanced_accuracy", "auc")  # no means over sequences that are kept apart
KEPT = 300  # moments that a picture shows
_ROUNDING = 1e-13  # of squares: what is left of numbers that are all the same
MOMENTS = 5  # of targets: how many, their sum, their squares, absolute errors, squared errors


@dataclass
class Tally:
    """Sums for each sequence of a split, in the order in which they came."""

    kind: Type
    untrue: bool = False  # nothing is true to compare with: the loss is all there is
    rows: list[Array] = field(default_factory=list)  # [sequences, 4]: see `add`
    moments: Array = field(default_factory=lambda: np.zeros(0))  # of each number of a target
    confusion: Array | None = None
    # Of numbers the first answers and what was true, for each sequence; None: not kept.
    kept: list[tuple[Array, Array]] | None = None
    scores: list[Array] | None = None  # [n, 2] of one of two classes: score, label; None: not kept
    waiting: list[tuple[str, Any]] = field(default_factory=list)  # on a device

    def __post_init__(self) -> None:
        if not self.moments.size:
            self.moments = np.zeros(MOMENTS * self.width)
        if self.kind.kind == "class":
            self.confusion = np.zeros((self.kind.size, self.kind.size), np.int64)

    @property
    def discrete(self) -> bool:
        return self.kind.kind in ("class", "token", "bit")

    @property
    def two(self) -> bool:
        """One of two classes is asked for."""
        return self.kind.kind == "class" and self.kind.size == 2

    @property
    def width(self) -> int:
        """Numbers of a target, each with a spread of its own."""
        return self.kind.count if self.kind.kind == "real" else 1

    def add(self, loss: Any, terms: Any, output: Any, target: Any, inside: Any) -> None:
        """One batch, as tensors. Rows: loss, its terms, correct answers or squared errors, and of
        how many. On a GPU all of it stays there until somebody looks."""
        import torch

        from qrlang.training import losses

        if self.discrete:
            said = losses.choices(output, self.kind)
            right = said.reshape(target.shape) == target
            hits, counts = _summed(right.double(), inside)
            if self.confusion is not None:
                at = target.reshape(-1).long() * self.kind.size + said.reshape(-1)
                one = at.new_ones(len(at)) if inside is None else inside.reshape(-1).to(at)
                empty = at.new_zeros(self.kind.size**2)
                self._add("confusion", empty.index_add_(0, at, one))
            if self.scores is not None and self.two:
                found = losses.lead(output, self.kind).reshape(-1), target.reshape(-1)
                pairs = torch.stack([x.double() for x in found], 1)
                self._add("scores", pairs if inside is None else pairs[inside.reshape(-1)])
        elif self.untrue:
            hits = counts = terms
        else:
            goal = target.to(output.dtype).reshape(output.shape).double()
            off = output.double() - goal
            hits, counts = _summed(off**2, inside)
            terms_of = (torch.ones_like(goal), goal, goal**2, off.abs(), off**2)
            parts = [_by_number(x, inside, self.width) for x in terms_of]
            self._add("moments", torch.cat(parts))
        self._add("rows", _stacked([loss, terms, hits, counts], 1))

    def keep(self, output: Any, target: Any, counted: Any) -> None:
        """[sequences, (moments,) …] of a batch, until there are enough."""
        if self.kept is None or self.discrete or self.untrue:
            return
        there = sum(len(y) for y, _ in self.kept)
        for k in range(min(len(target), KEPT - there)):
            if there >= KEPT:
                return
            at = slice(None) if counted is None else counted[k].bool()
            y, z = (x[k][None] if not self.kind.seq else x[k][at] for x in (output, target))
            n = min(len(z), KEPT - there)
            y, z = (x.detach().double().cpu().numpy()[:n] for x in (y, z))
            self.kept.append((y.reshape(n, -1), z.reshape(n, -1)))
            there += n

    def _add(self, what: str, tensor: Any) -> None:
        self.waiting.append((what, tensor))
        if tensor.device.type == "cpu":
            self.settle()

    def settle(self) -> None:
        """Fetches what lies on a device."""
        waiting, self.waiting = self.waiting, []
        for what, tensor in waiting:
            array = tensor.cpu().numpy()
            if what == "rows":
                self.rows.append(array)
            elif what == "moments":
                self.moments = self.moments + array
            elif what == "scores":
                assert self.scores is not None
                self.scores.append(array)
            else:
                assert self.confusion is not None
                self.confusion += array.reshape(self.confusion.shape)

    def late(self, like: Any) -> tuple[Any, Any]:
        """The sums of what was added, [loss, terms, hits, counts] and moments, as tensors where
        they are."""
        rows, moments = like.new_zeros(4).double(), like.new_zeros(self.moments.size).double()
        for what, tensor in self.waiting:
            if what == "rows":
                rows = rows + tensor.sum(0)
            elif what == "moments":
                moments = moments + tensor
        for array in self.rows:  # of a CPU: nothing is sent to a device, which would wait
            rows = rows + rows.new_tensor(array).sum(0)
        if self.moments.any():
            moments = moments + moments.new_tensor(self.moments)
        return rows, moments

    @property
    def table(self) -> Array:
        self.settle()
        return np.concatenate(self.rows) if self.rows else np.zeros((0, 4))

    def figures(self) -> dict[str, float]:
        """Every metric that makes sense for this target."""
        return figures(self.table.sum(0), self)

    def apart(self) -> tuple[Array, Array]:
        """Of each number of a target the mean squared error and the variance."""
        self.settle()
        n, total, squares, _, off = self.moments.reshape(MOMENTS, -1)
        n = np.maximum(n, 1)
        mean = total / n
        variance = squares / n - mean**2
        return off / n, np.where(variance > _ROUNDING * mean**2, variance, 0.0)

    def spread(self) -> float:
        """The standard deviation of the targets, each number's from a mean of its own."""
        return math.sqrt(float(self.apart()[1].mean()))


def figures(sums: Array, tally: Tally) -> dict[str, float]:
    loss, terms, hits, counts = (float(s) for s in sums)
    mean = loss / terms if terms else math.nan
    found = {"loss": mean}
    if tally.untrue:
        found["fidelity"] = 1 - mean  # the one loss without a target
    elif tally.discrete:
        found["accuracy"] = hits / counts if counts else math.nan
        if tally.kind.kind == "token":
            found["perplexity"] = math.exp(min(mean, 700.0))
            found["bits_per_token"] = mean / math.log(2)
        if tally.confusion is not None:
            found["f1"] = macro_f1(tally.confusion)
            found["balanced_accuracy"] = mean_recall(tally.confusion)
        if tally.scores is not None and tally.two:
            found["auc"] = area(np.concatenate([*tally.scores, np.zeros((0, 2))]))
    else:
        square = hits / counts if counts else math.nan
        spread = tally.spread()
        found |= {"mse": square, "rmse": math.sqrt(square)}
        n, _, _, far, _ = tally.moments.reshape(MOMENTS, -1).sum(1)
        found["mae"] = far / n if n else math.nan
        found["nrmse"] = math.sqrt(square) / spread if spread else math.nan
        found["r2"] = 1 - square / spread**2 if spread else math.nan
    return found


def macro_f1(confusion: Array) -> float:
    """The mean over classes that occur."""
    right = np.diag(confusion).astype(float)
    truly, said = confusion.sum(1), confusion.sum(0)
    both = truly + said
    occurs = truly > 0
    return float((2 * right[occurs] / np.maximum(both[occurs], 1)).mean()) if occurs.any() else 0.0


def mean_recall(confusion: Array) -> float:
    """The share of right answers of each class that occurs, and of these the mean."""
    truly = confusion.sum(1)
    occurs = truly > 0
    shares = np.diag(confusion)[occurs] / truly[occurs]
    return float(shares.mean()) if occurs.any() else math.nan


def area(scores: Array) -> float:
    """Under the receiver's curve: how often a case of class 1 has the higher score, of a pair of
    both classes; ties count one half."""
    score, label = scores[:, 0], scores[:, 1] > 0.5
    ones, zeros = int(label.sum()), int((~label).sum())
    if not ones or not zeros or not np.isfinite(score).all():
        return math.nan
    _, at, counts = np.unique(score, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2
    return float((ranks[at][label].sum() - ones * (ones + 1) / 2) / (ones * zeros))


def _summed(terms: Any, inside: Any) -> tuple[Any, Any]:
    """Over all but the batch, where `inside`; and how many terms those were."""
    flat = terms.reshape(terms.shape[0], -1)
    if inside is None:
        return flat.sum(1), flat.new_full((flat.shape[0],), float(flat.shape[1]))
    each = flat.shape[1] // inside.shape[1]
    mask = inside[..., None].expand(*inside.shape, each).reshape(flat.shape)
    return (flat * mask).sum(1), mask.sum(1).double()


def _by_number(terms: Any, inside: Any, width: int) -> Any:
    """[width], over all sequences and their moments, where `inside`."""
    if inside is None:
        return terms.reshape(-1, width).sum(0)
    flat = terms.reshape(inside.numel(), width, -1).sum(-1)
    return (flat * inside.reshape(-1, 1)).sum(0)


def _stacked(parts: list[Any], dim: int = 0) -> Any:
    import torch

    return torch.stack([torch.as_tensor(x).double() for x in parts], dim)


# --- intervals ----------------------------------------------------------------------------------


def wilson(hits: float, n: float, z: float = 1.959964) -> tuple[float, float]:
    """The 95 % interval of a share of independent cases."""
    if n == 0:
        return 0.0, 1.0
    p = hits / n
    middle = p + z * z / (2 * n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return (middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)


def bootstrap(tally: Tally, metric: str, draws: int = 1000, seed: int = 0) -> tuple[float, float]:
    """The 95 % interval of a figure, whole sequences drawn again with replacement."""
    table = tally.table
    n = len(table)
    lot = np.random.default_rng(seed)
    means = replace(tally, scores=None)
    found = []
    for _ in range(draws):
        counts = np.bincount(lot.integers(0, n, n), minlength=n)
        found.append(figures(counts @ table, means)[metric])
    low, high = np.nanpercentile(found, (2.5, 97.5))
    return float(low), float(high)


def interval(tally: Tally, metric: str) -> tuple[float, float] | None:
    """By Wilson for one answer a sequence, by bootstrap otherwise; None where there is none."""
    table = tally.table
    table = table[table[:, 3] > 0]
    if len(table) < 2 or metric in (
        "f1",
        "mae",
        "balanced_accuracy",
        "auc",
    ):  # not a mean over sequences that is kept apart
        return None
    if metric == "accuracy" and bool((table[:, 3] == 1).all()):
        return wilson(float(table[:, 2].sum()), len(table))
    return bootstrap(tally, metric)
