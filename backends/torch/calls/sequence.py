"""Values over time: [..., batch, time, …] with the length of each sequence."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor


class Sequence:
    """`rank` axes follow the time axis. `lengths` [batch]: None if all are full."""

    def __init__(self, data: Tensor, lengths: Tensor | None, rank: int) -> None:
        self.data = data
        self.lengths = lengths
        self.rank = rank

    @property
    def axis(self) -> int:
        return self.data.dim() - self.rank - 1

    @property
    def time(self) -> int:
        return self.data.shape[self.axis]

    def at(self, t: int) -> Tensor:
        return self.data.select(self.axis, t)

    def with_data(self, data: Tensor, rank: int | None = None) -> Sequence:
        return Sequence(data, self.lengths, self.rank if rank is None else rank)

    def inside(self) -> Tensor | None:
        """[batch, time]: which moments belong to their sequence."""
        if self.lengths is None:
            return None
        return torch.arange(self.time, device=self.data.device) < self.lengths[:, None]

    def filled(self, value: float) -> Tensor:
        """The data, with this value after each sequence's end."""
        inside = self.inside()
        if inside is None:
            return self.data
        inside = inside.reshape(*inside.shape, *(1,) * self.rank)
        return torch.where(inside, self.data, torch.full_like(self.data, value))

    def clean(self) -> Sequence:
        """Zeros after each sequence's end."""
        return self if self.lengths is None else self.with_data(self.filled(0))

    # --- functions of whole sequences -----------------------------------------------------------

    def shifted(self, start: int = 0) -> Sequence:
        """One moment later, beginning with `start`: teacher forcing."""
        first = torch.zeros_like(self.data.narrow(self.axis, 0, 1))
        if start:
            first = first + start
        rest = self.data.narrow(self.axis, 0, self.time - 1)
        return self.with_data(torch.cat([first, rest], self.axis)).clean()

    def reversed(self) -> Sequence:
        """Backwards, each sequence within its own length."""
        if self.lengths is None:
            return self.with_data(self.data.flip(self.axis))
        t = torch.arange(self.time, device=self.data.device)
        back = self.lengths[:, None] - 1 - t
        return self.with_data(self._pick(torch.where(back >= 0, back, t)))

    def last(self, count: int) -> Tensor:
        """The last `count` moments, oldest first: [batch, count, …]; zeros before the start."""
        if self.lengths is None:
            kept = self.data.narrow(self.axis, max(self.time - count, 0), min(count, self.time))
            missing = count - kept.shape[self.axis]
            return torch.nn.functional.pad(kept, (*(0, 0) * self.rank, missing, 0))
        t = self.lengths[:, None] - count + torch.arange(count, device=self.data.device)
        kept = self._pick(t.clamp_min(0))
        there = (t >= 0).reshape(*t.shape, *(1,) * self.rank)
        return torch.where(there, kept, torch.zeros_like(kept))

    def _pick(self, t: Tensor) -> Tensor:
        """The moments t [batch, k] of each sequence."""
        data, axis = self.data, self.axis
        index = t.reshape(*t.shape, *(1,) * self.rank)
        index = index.expand(*data.shape[: axis - 1], *t.shape, *data.shape[axis + 1 :])
        return data.gather(axis, index)

    def sum(self) -> Tensor:
        return self.filled(0).sum(self.axis)

    def mean(self) -> Tensor:
        if self.lengths is None:
            return self.data.mean(self.axis)
        return self.sum() / self.lengths.clamp_min(1).reshape(-1, *(1,) * self.rank)

    def max(self) -> Tensor:
        return self.filled(-math.inf).amax(self.axis)

    def softmax(self) -> Sequence:
        """Over time, of a sequence of scalars."""
        return self.with_data(torch.softmax(self.filled(-math.inf), -1)).clean()

    def weighted(self, values: Sequence) -> Tensor:
        """Sum over time of these scalars times the values."""
        weights = self.filled(0)
        weights = weights.reshape(*weights.shape, *(1,) * values.rank)
        return (weights * values.filled(0)).sum(-1 - values.rank)

    def attend(
        self, score: Callable[[Tensor, Tensor], Tensor], query: Tensor, values: Sequence
    ) -> Tensor:
        """Soft attention: `score(query [..., 1, d], keys [..., time, d])` is [..., time]."""
        keys = self.data.flatten(self.axis + 1) if self.rank else self.data[..., None]
        scores = self.with_data(score(query.unsqueeze(-2), keys), 0)
        return scores.softmax().weighted(values)


def dot(query: Tensor, keys: Tensor) -> Tensor:
    return (query * keys).sum(-1)


def scaled(query: Tensor, keys: Tensor) -> Tensor:
    return dot(query, keys) / math.sqrt(keys.shape[-1])


def bilinear(w: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    """q · (W k)"""
    return lambda query, keys: dot(query, keys @ w.mT)


def additive(a: Tensor, b: Tensor, bias: Tensor, v: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    """v · tanh(A q + B k + bias)"""
    return lambda query, keys: torch.tanh(query @ a.mT + keys @ b.mT + bias) @ v
