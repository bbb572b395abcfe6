"""The lanes of a call, as its states see them: the sequences of a batch, and shots in front.

Every value has its batch axis in front: a `real[28]` is [batch, 28], a sequence of them
[batch, time, 28]. In front of the batch there can be axes of shots: two outcomes for each
measured bit (newest first), or one axis of trajectories. Right-aligned broadcasting then does
the rest, so a model's text never mentions them.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor

from qrlang.backends.torch.circuits.matrices import complex_of
from qrlang.backends.torch.ops import may_look
from qrlang.backends.torch.states.evolution import Evolutions

MOST_BITS = 10  # measured bits that are alive at once: 2^10 branches
Look = Callable[[str, list[Any]], None]


class How(Protocol):
    """What a module says of its calls; see `Model`."""

    shots: int
    trajectories: int
    readout_error: float
    gate_error: float
    generator: torch.Generator | None

    @property
    def like(self) -> Tensor: ...


class Lanes:
    def __init__(self, how: How, batch: int, *, locate: bool = False) -> None:
        self.batch = batch
        self.like: Tensor = how.like
        self.shots = how.shots
        self.readout_error = how.readout_error
        self.gate_error = how.gate_error
        self.generator = how.generator
        self.trajectories = how.trajectories
        self.evolutions = Evolutions()
        self._states: list[weakref.ref[Any]] = []
        self.mask: Tensor | None = None  # which lanes the present operation changes
        self.axes = 0  # axes of shots in front of the batch
        self.weight: Tensor | None = None  # of each shot; they add up to 1
        self.step: str = ""
        self._locate = locate
        # Who looks at states: after each step of a recurrence ("step"), before a state's life ends
        # ("free"), when there is a result ("end").
        self.look: Look | None = None
        if self.trajectories:
            self.axes = 1
            share = torch.full_like(self.like, 1 / self.trajectories, device=self.like.device)
            self.weight = share.new_full((self.trajectories, batch), 1 / self.trajectories)

    @property
    def states(self) -> list[Any]:
        """Weakly held: a state has its run, and a circle of the two would keep both, and all of
        their graph, until Python next looks for circles."""
        return [s for s in (ref() for ref in self._states) if s is not None]

    def add(self, state: Any) -> None:
        self._states.append(weakref.ref(state))

    def zeros(self, *shape: int) -> Tensor:
        """Complex zeros."""
        dtype = complex_of(self.like.dtype)
        return torch.zeros(*shape, dtype=dtype, device=self.like.device)

    def tensor(self, data: Any, dtype: torch.dtype | None = None) -> Tensor:
        """A constant, the same for every sequence."""
        return torch.tensor(data, dtype=dtype or self.like.dtype, device=self.like.device)

    @contextmanager
    def when(self, bit: Tensor, value: int = 1) -> Iterator[None]:
        """Only for the shots where a measured bit has this value."""
        outer = self.mask
        here = bit > 0.5 if value else bit <= 0.5
        self.mask = here if outer is None else here & outer
        try:
            yield
        finally:
            self.mask = outer

    def living(self, reading: Tensor) -> Tensor:
        """What is read [batch, k]: of sequences that have ended, what they read last."""
        return reading

    # --- shots ----------------------------------------------------------------------------------

    def average(self, value: Tensor) -> Tensor:
        """What a read gives of something [..., batch, k]: its mean over the shots that are here."""
        if self.weight is None:
            return value
        weight = self.weight
        if self.mask is not None:
            here = weight * self.mask
            total = here.sum(tuple(range(here.dim() - 1)), keepdim=True)
            share = here / torch.where(total > 0, total, torch.ones_like(total))
            weight = torch.where(total > 0, share, weight)
        return _weighted(weight, value, 1)

    def mean(self, value: Tensor, rank: int) -> Tensor:
        """The mean over all shots of a value with `rank` axes behind the batch."""
        if self.weight is None or value.dim() <= rank + 1:
            return value
        return _weighted(self.weight, value, rank)

    def choose(self, p: Tensor) -> tuple[Tensor, Tensor]:
        """A bit with probabilities p [..., 2]: both values on a new axis, or one by lot for each
        trajectory. Also how probable the value was."""
        if self.trajectories:
            drawn, weight = self.draw(p)
            return drawn.to(p.dtype), weight
        if self.axes >= MOST_BITS:
            raise RuntimeError(
                f"more than {MOST_BITS} measured bits are in use at once{self.where()}: over "
                f"2^{MOST_BITS} branches for each sequence. Set `model.trajectories` to sample them"
            )
        lead = (1,) * (self.axes + 2 - p.dim() + 1)
        p = p.reshape(*lead[1:], *p.shape)
        chance = torch.stack([p[..., 0], p[..., 1]])
        value = self.tensor([0.0, 1.0]).reshape(2, *(1,) * (chance.dim() - 1))
        self.axes += 1
        self.weight = chance if self.weight is None else chance * self.weight
        return value.expand_as(chance), chance

    def draw(self, p: Tensor) -> tuple[Tensor, Tensor]:
        """One outcome by lot for each trajectory. Its weight keeps the gradient unbiased: its
        value is unchanged, its slope that of the logarithm of the probability."""
        if not self.trajectories or self.weight is None:
            raise RuntimeError(
                "noise and resets on state vectors are sampled: set `model.trajectories`"
            )
        p = p.expand(self.trajectories, self.batch, p.shape[-1])
        flat = p.detach().reshape(-1, p.shape[-1]).clamp_min(0)
        flat = torch.nan_to_num(flat) + (flat.sum(-1, keepdim=True) == 0)
        index = torch.multinomial(flat, 1, generator=self.generator).reshape(p.shape[:-1])
        chance = p.gather(-1, index[..., None])[..., 0]
        safe = torch.where(chance > 0, chance, torch.ones_like(chance))
        ratio = safe / safe.detach()
        if self.mask is not None:
            ratio = torch.where(self.mask, ratio, torch.ones_like(ratio))
        self.weight = self.weight * ratio
        return index, chance

    def flipped(self, bit: Tensor, error: float) -> Tensor:
        """A bit that is read wrongly with this probability: only by lot."""
        if not self.trajectories:
            raise RuntimeError("`readout_error` on measured bits needs `model.trajectories`")
        wrong = torch.rand(bit.shape, generator=self.generator, device=bit.device) < error
        return torch.where(wrong, 1 - bit, bit)

    def keep_shots(self, weight: Tensor, name: str) -> Tensor:
        """After post-selection: the shots' weights, and the share that was kept, [batch]."""
        if self.weight is None:
            kept = left = weight
        else:
            share = self.average(weight[..., None])[..., 0]
            kept = share if share.dim() == 1 else share.reshape(-1)
            new = self.weight * weight
            left = new.sum(tuple(range(new.dim() - 1)))
            self.weight = new / torch.where(left > 0, left, torch.ones_like(left))
        if may_look(left) and not bool((left > 0).all()):
            raise ValueError(f"post-selection on {name!r} keeps nothing{self.where()}")
        return kept

    def merge(self, axes: int) -> None:
        """Forget the newest measured bits, down to this number: their branches are added up."""
        if self.trajectories or self.axes <= axes or self.weight is None:
            return
        lanes = self.axes + 1
        touched = [
            s for s in self.states
            if s.alive and s.tensor.dim() - (2 if s.density else 1) > axes + 1
        ]  # fmt: skip
        if len(touched) > 1 or any(not s.density for s in touched):
            return  # their states are correlated through the bits
        front = tuple(range(self.axes - axes))
        total = self.weight.sum(front)
        safe = torch.where(total > 0, total, torch.ones_like(total))
        for state in touched:
            weight = self.weight.reshape(*self.weight.shape, 1, 1)
            rho = state.tensor
            rho = rho.reshape(*(1,) * (lanes + 2 - rho.dim()), *rho.shape)
            state.tensor = (weight * rho).sum(front) / safe[..., None, None]
        self.weight = total if axes else None
        self.axes = axes

    # --- errors ---------------------------------------------------------------------------------

    def where(self) -> str:
        return f" ({self.step})" if self.step else ""

    def watch(self, name: str, vectors: Mapping[str, Tensor], always: bool = False) -> None:
        """While an error is being located: NaN and infinity, where they first come up."""
        if not (self._locate or always):
            return
        for vector, value in vectors.items():
            finite = (
                torch.isfinite(value.real) & torch.isfinite(value.imag)
                if value.is_complex()
                else torch.isfinite(value)
            )
            if self.mask is not None:
                finite = finite | ~self.mask[..., None]
            if not bool(finite.all()):
                at = (~finite).nonzero()[0].tolist()
                bad = "NaN or infinite"
                raise FloatingPointError(
                    f"`{vector}`, on its way into `{name}`, is {bad} at element {at[-1]}"
                    f"{self.where()}"
                )


def _weighted(weight: Tensor, value: Tensor, rank: int) -> Tensor:
    """The sum over the axes of shots; impossible shots count nothing, whatever they hold."""
    weight = weight.reshape(*weight.shape, *(1,) * rank)
    total = torch.where(weight != 0, weight * value, torch.zeros_like(weight * value))
    return total.sum(tuple(range(total.dim() - rank - 1)))
