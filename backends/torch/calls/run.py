"""One call of a model: its batch, its qubits, its recurrences."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from qrlang.backends.torch.calls.ends import same_ends
from qrlang.backends.torch.calls.segment import Segment
from qrlang.backends.torch.calls.sequence import Sequence
from qrlang.backends.torch.ops import broadcast_shapes, may_look
from qrlang.backends.torch.reversible.qubits import ReversibleQubits
from qrlang.backends.torch.states.density import MixedQubits
from qrlang.backends.torch.states.lanes import How, Lanes
from qrlang.backends.torch.states.state import Qubits, qubits_limit


class Run(Lanes):
    def __init__(self, how: How, batch: int, *, stepwise: bool, locate: bool = False) -> None:
        super().__init__(how, batch, locate=locate)
        self.stepwise = stepwise
        self.processor: Any = None  # a quantum device in place of all simulation
        self.call: Any = None  # lengths and inputs of this run
        self.segment: Segment | None = None  # of a longer time; None: all of it
        self.going: list[Steps] = []  # recurrences, one in the other, that are being run

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
            return ReversibleQubits(self, n, name)
        return Qubits(self, n, name)

    def steps(
        self, *sequences: Sequence, extra: int = 0, name: str = "", merge: bool = True
    ) -> Steps:
        """The moments of sequences that go in step, then `extra` more."""
        return Steps(self, sequences, extra, name, merge)

    def living(self, reading: Tensor) -> Tensor:
        """What is read [batch, k]: of sequences that have ended, what they read last. It counts
        nothing, but what is made of it has to have a slope, or 0 * NaN spoils the others'."""
        for steps in self.going:
            reading = steps.living(reading)
        return reading


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
        if self.lengths is not None and may_look(self.lengths):
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
            run.segment.give(run.states, run.batch)
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
                run.segment.take(run.states, run.axes)
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
            self.run.segment.end(self.run.batch, carried, ranks or (1,) * len(carried))

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
