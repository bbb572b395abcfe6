"""One call of a model: its batch, its recurrences, its shots.

Every value has its batch axis in front: a `real[28]` is [batch, 28], a sequence of them
[batch, time, 28]. In front of the batch there can be axes of shots: two outcomes for each
measured bit (newest first), or one axis of trajectories. Right-aligned broadcasting then does
the rest, so a model's text never mentions them.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from qrlang.backends.torch.circuits.matrices import complex_of
from qrlang.backends.torch.ops import broadcast_shapes, may_look
from qrlang.backends.torch.states.density import MixedQubits
from qrlang.backends.torch.states.ends import same_ends
from qrlang.backends.torch.states.sequence import Sequence
from qrlang.backends.torch.states.state import Qubits, qubits_limit

if TYPE_CHECKING:
    from qrlang.backends.torch.carried import Segment
    from qrlang.backends.torch.model import Model

MOST_BITS = 10  # measured bits that are alive at once: 2^10 branches


class Run:
    def __init__(self, model: Model, batch: int, *, stepwise: bool, locate: bool) -> None:
        self.batch = batch
        self.like: Tensor = model.like
        self.stepwise = stepwise
        self.shots: int = model.shots
        self.readout_error: float = model.readout_error
        self.gate_error: float = model.gate_error
        self.generator: torch.Generator | None = model.generator
        self._states: list[weakref.ref[Any]] = []
        self.mask: Tensor | None = None  # which lanes the present operation changes
        self.axes = 0  # axes of shots in front of the batch
        self.weight: Tensor | None = None  # of each shot; they add up to 1
        self.trajectories: int = model.trajectories
        self.step: str = ""
        self.call: Any = None  # lengths and inputs of this run
        self.processor: Any = model.processor
        self._locate = locate
        self.segment: Segment | None = None  # of a longer time; None: all of it
        self.going: list[Steps] = []  # recurrences, one in the other, that are being run
        # Who looks at states: after each step of a recurrence ("step"), before a state's life ends
        # ("free"), when there is a result ("end").
        self.look: Callable[[str, list[Any]], None] | None = model._look
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

    # --- tensors --------------------------------------------------------------------------------

    def zeros(self, *shape: int) -> Tensor:
        """Complex zeros."""
        dtype = complex_of(self.like.dtype)
        return torch.zeros(*shape, dtype=dtype, device=self.like.device)

    def tensor(self, data: Any, dtype: torch.dtype | None = None) -> Tensor:
        """A constant, the same for every sequence."""
        return torch.tensor(data, dtype=dtype or self.like.dtype, device=self.like.device)

    def qubits(self, n: int, name: str = "qubits", mixed: bool = False) -> Any:
        """`n` fresh qubits for each sequence, in |0…0⟩. `mixed`: their state won't stay pure."""
        if self.processor is not None:
            return self.processor.qubits(self, n, name)
        mixed = mixed or bool(self.gate_error)
        density = mixed and not self.trajectories
        qubits_limit(n, density, self.batch * max(self.trajectories, 1), self.like)
        if density:
            return MixedQubits(self, n, name)
        if self.stepwise and not mixed:
            from qrlang.backends.torch.reversible.qubits import ReversibleQubits

            return ReversibleQubits(self, n, name)
        return Qubits(self, n, name)

    # --- steps ----------------------------------------------------------------------------------

    def steps(
        self, *sequences: Sequence, extra: int = 0, name: str = "", merge: bool = True
    ) -> Steps:
        """The moments of sequences that go in step, then `extra` more."""
        return Steps(self, sequences, extra, name, merge)

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
        """What is read [batch, k]: of sequences that have ended, what they read last. It counts
        nothing, but what is made of it has to have a slope, or 0 * NaN spoils the others'."""
        for steps in self.going:
            reading = steps.living(reading)
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


class Steps:
    """A recurrence: what each step sees, and what it leaves behind."""

    def __init__(
        self, run: Run, sequences: tuple[Sequence, ...], extra: int, name: str, merge: bool
    ) -> None:
        self.run = run
        self.sequences = sequences
        self.extra = extra
        self.name = name or "step"
        self._merge = merge
        self.lengths = next((s.lengths for s in sequences if s.lengths is not None), None)
        times = {s.time for s in sequences}
        if len(times) > 1:
            raise ValueError(
                f"`{self.name}` runs over sequences in step, and they have "
                f"{' and '.join(map(str, sorted(times)))} moments"
            )
        self.time = times.pop() if times else 0
        if len(sequences) > 1:
            ends = [(s.lengths, s.time) for s in sequences]
            same_ends(f"the sequences of `{self.name}`", ends)
        self.padded = self.time
        if self.lengths is not None:
            self.time = int(self.lengths.max())
        self.flag: Tensor = run.like.new_zeros(run.batch)
        self._alive: Tensor | None = None  # at the present step; None: all
        self._read: list[Tensor] = []  # reading by reading of a step, at the last one
        self._reading = 0
        self._after = [] if self.lengths is None else [self._over(s) for s in sequences]

    def __len__(self) -> int:
        return self.time + self.extra

    def __iter__(self) -> Iterator[Any]:
        run, outer, place, axes = self.run, self.run.mask, self.run.step, self.run.axes
        if run.segment is not None:
            run.segment.give(run)
        run.going.append(self)
        try:
            for t in range(len(self)):
                if self._merge:
                    run.merge(axes)
                run.step = (
                    f"{place}, " * bool(place) + f"`{self.name}`, step {t + 1} of {len(self)}"
                )
                alive = self._alive = self._set_time(t)
                self._reading = 0
                run.mask = outer if alive is None else alive if outer is None else outer & alive
                items = [self._item(i, t) for i in range(len(self.sequences))]
                yield items[0] if len(items) == 1 else tuple(items)
                if run.look is not None:
                    run.look("step", [s for s in run.states if s.alive])
            if self._merge:
                run.merge(axes)
            if run.segment is not None:
                run.segment.take(run)
        finally:
            run.mask, run.step = outer, place
            run.going.remove(self)

    def _set_time(self, t: int) -> Tensor | None:
        """Which sequences are still going (None: all)."""
        if self.lengths is None:
            if t == self.time:
                self.flag = torch.ones_like(self.flag)
            return None
        self.flag = (t >= self.lengths).to(self.run.like.dtype)
        return t < self.lengths + self.extra

    def living(self, reading: Tensor) -> Tensor:
        """See `Run.living`."""
        if self._alive is None:
            return reading
        if self._reading < len(self._read):
            reading = torch.where(self._alive[..., None], reading, self._read[self._reading])
            self._read[self._reading] = reading.detach()
        else:
            self._read.append(reading.detach())
        self._reading += 1
        return reading

    def _over(self, sequence: Sequence) -> Tensor:
        """What a sequence that is over sees. It counts nothing, but what is made of it has to have
        a slope, or 0 * NaN spoils the others': so, what it has seen before."""
        last = sequence.last(1).select(sequence.axis, 0)
        return torch.zeros_like(last) if self.extra else last

    def _item(self, number: int, t: int) -> Tensor:
        sequence = self.sequences[number]
        if self.lengths is None:
            return sequence.at(t) if t < self.time else torch.zeros_like(sequence.at(0))
        item = sequence.at(min(t, sequence.time - 1))
        going = (t < self.lengths).reshape(-1, *(1,) * sequence.rank)
        return torch.where(going, item, self._after[number])

    def begin(self, *carried: Tensor) -> Any:
        """What is carried, at the first step: as the program begins it, or as the segment before
        has left it."""
        segment = self.run.segment
        given = carried if segment is None else segment.begin(carried)
        return given if len(given) > 1 else given[0]

    def end(self, *carried: Tensor, ranks: tuple[int, ...] = ()) -> None:
        """What is carried, after the last step. `ranks`: the axes of each; none said: one."""
        if self.run.segment is not None:
            self.run.segment.end(self.run, carried, ranks or (1,) * len(carried))

    def keep(self, old: Tensor, new: Tensor, rank: int = 1) -> Tensor:
        """A carried value: the new one, or still the old one where the sequence has ended."""
        mask = self.run.mask
        if mask is None:
            return new
        return torch.where(mask.reshape(*mask.shape, *(1,) * rank), new, old)

    def stack(self, values: list[Tensor], rank: int = 1) -> Sequence:
        """One value for each step, as a sequence with the lengths of this recurrence."""
        lengths = None if self.lengths is None else self.lengths + self.extra
        if not values:
            raise ValueError(f"`{self.name}` ran over no moments at all")
        shape = broadcast_shapes(*(v.shape for v in values))
        if len(shape) == rank:
            shape = (self.run.batch, *shape)
        data = torch.stack([v.expand(shape) for v in values], -1 - rank)
        if self.padded > self.time:  # no sequence is that long
            data = torch.nn.functional.pad(data, (*(0, 0) * rank, 0, self.padded - self.time))
        return Sequence(data, lengths, rank).clean()


def _weighted(weight: Tensor, value: Tensor, rank: int) -> Tensor:
    """The sum over the axes of shots; impossible shots count nothing, whatever they hold."""
    weight = weight.reshape(*weight.shape, *(1,) * rank)
    total = torch.where(weight != 0, weight * value, torch.zeros_like(weight * value))
    return total.sum(tuple(range(total.dim() - rank - 1)))
