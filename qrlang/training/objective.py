"""A model, what it is given and what it is held to: the loss of batches at its present weights."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from qrlang.analysis.own import own_weights
from qrlang.backends.emit.names import arguments
from qrlang.backends.torch.emit.names import state_name
from qrlang.errors import TrainingError
from qrlang.ir.program import Program
from qrlang.ir.types import Type
from qrlang.training import losses, segments
from qrlang.training.feed import Array, Batch, Feed
from qrlang.training.flat import slope
from qrlang.training.metrics import Tally
from qrlang.training.segments import State
from qrlang.training.world import World

STRETCH = 20  # moments
ON_DEVICE = 256  # sequences that go through a device together when they are only looked at


@dataclass
class Objective:
    model: Any  # a torch module
    program: Program
    loss: losses.Loss
    world: World
    truncate: int = 0  # moments that gradients go back; 0: all
    washout: int = 0  # first moments of each sequence that count nowhere

    @property
    def target(self) -> str:
        return self.program.targets[-1].name if self.program.targets else ""

    @property
    def kind(self) -> Type:
        return self.program.targets[-1].type if self.program.targets else Type("real")

    def tally(self) -> Tally:
        return Tally(self.kind, untrue=not self.target)

    @cached_property
    def device(self) -> Any:
        return next(iter(self.model.state_dict().values())).device

    @cached_property
    def arguments(self) -> dict[str, str]:
        """What the module calls each column that it is given, which may be a word of Python; all
        but the target, if it does not say."""
        return arguments(self.program, self.model) if hasattr(self.model, "inputs") else {}

    @cached_property
    def angles(self) -> list[Any]:
        """Those of the parameters that are a circuit's own."""
        own = {state_name(name) for name in own_weights(self.program)}
        named = self.model.named_parameters()
        return [p for name, p in named if name in own and p.requires_grad]

    @cached_property
    def parameters(self) -> list[Any]:
        return [p for p in self.model.parameters() if p.requires_grad]

    def forward(self, batch: Batch, states: list[State] | None = None) -> tuple[Any, Any, Any]:
        """The output, the target, and which moments lie within their sequence (None: all).
        `states`: of a segment, the one that it begins with; the one that it leaves follows."""
        given = {k: torch.as_tensor(v).to(self.device) for k, v in batch.values.items()}
        called = self.arguments or {n: n for n in given if n != self.target}
        names = list(called)
        missing = [n for n in names if n not in given]
        if missing:
            raise TrainingError(f"the data has no column for `{missing[0]}`")
        lengths = {
            called[k]: torch.as_tensor(n).to(self.device)
            for k, n in batch.lengths.items()
            if k in called
        }
        more: dict[str, Any] = {"lengths": lengths} if lengths else {}
        if states is None:
            output = self.model(*(given[n] for n in names), **more)
        else:
            output, left = self.model(*(given[n] for n in names), **more, state=states[-1])
            states.append(left)
        if isinstance(output, dict):
            output = output.get("", next(iter(output.values())))
        target = given.get(self.target, output.new_zeros(output.shape))
        inside = None
        if self.kind.seq and self.target in batch.lengths:
            ends = torch.as_tensor(batch.lengths[self.target]).to(self.device)
            inside = torch.arange(target.shape[1], device=self.device) < ends[:, None]
        return output, target, inside

    def sums(
        self, batch: Batch, tally: Tally, series: bool = False, states: list[State] | None = None
    ) -> Any:
        """The summed loss of a batch, which has a gradient; the tally gets all its sums.
        `series`: a single row is one long series, and has a sum for each stretch of it."""
        output, target, inside = self.forward(batch, states)
        counted = inside
        if self.kind.seq and batch.counted is not None:
            counted = torch.as_tensor(batch.counted).to(self.device).bool()
            counted = counted if inside is None else inside & counted
            if series:  # what warms the state up is no part of the loss either
                inside = counted
        if self.kind.seq and self.washout:
            after = torch.arange(target.shape[1], device=self.device) >= self.washout
            after = after.expand(target.shape[:2])
            inside = after if inside is None else inside & after
            counted = after if counted is None else counted & after
        tally.keep(output, target, counted)
        if series and self.kind.seq and len(target) == 1:
            output, target, inside, counted = _stretches(output, target, inside, counted)
        loss = self.loss if self.model.training else losses.measured(self.loss)
        each, terms = losses.per_sequence(output, target, self.kind, inside, loss)
        with torch.no_grad():
            tally.add(each, terms, output.detach(), target, counted)
        return each.sum()

    def _try(
        self, batch: Batch, tally: Tally, series: bool, states: list[State] | None = None
    ) -> None:
        """A loss that is none is NaN here: a wild model has a figure too."""
        try:
            self.sums(batch, tally, series, states)
        except FloatingPointError as error:
            if _said_of_data(error):
                raise TrainingError(str(error), "mend the data") from None
            # Each of them is counted, and none of them has a figure.
            tally.rows.append(np.tile([math.nan, 1.0, math.nan, 1.0], (batch.size, 1)))

    def at_once(self, batch: int) -> int:
        """Sequences in a batch without slopes: on a device each batch has jobs of its own."""
        return batch if getattr(self.model, "processor", None) is None else max(batch, ON_DEVICE)

    def evaluate(
        self, feed: Feed, split: str, batch: int, limit: int = 0, keep: bool = False
    ) -> Tally:
        """A whole split, without gradients. In several processes each takes its share, and the
        sums are those of all. `keep`: its first answers, where they are numbers."""
        tally = self.tally()
        tally.scores, tally.kept = [], [] if keep else None
        batch = self.at_once(batch)
        state: State = None
        was = self.model.training
        self.model.eval()
        try:
            with torch.no_grad():
                for k, one in enumerate(feed.batches(split, batch, seed=0, epoch=0, shuffle=False)):
                    if limit and k >= limit:
                        break
                    part = one.part(self.world.rank, self.world.size)
                    if part.size and self.truncate and feed.streaming:
                        states = [segments.begin(state, part, slice(0, part.size))]
                        self._try(part, tally, True, states)
                        state = states[-1]
                    elif part.size:
                        self._try(part, tally, feed.streaming)
            self._settle()
        finally:
            self.model.train(was)
        return merged(tally, self.world)

    def _settle(self) -> None:
        """What a model on a GPU has yet to say. That something became NaN shows in the figures."""
        try:
            getattr(self.model, "settle", lambda: None)()
        except FloatingPointError as error:
            if _said_of_data(error):
                raise TrainingError(str(error), "mend the data") from None


def _stretches(output: Any, target: Any, inside: Any, counted: Any) -> tuple[Any, Any, Any, Any]:
    """One long series as rows of STRETCH moments, so that an interval can be drawn from them."""
    time = target.shape[1]
    rows = -(-time // STRETCH)
    if rows < 2:
        return output, target, inside, counted
    full = torch.ones(1, time, dtype=torch.bool, device=target.device)

    def cut(x: Any) -> Any:
        more = x.new_zeros(1, rows * STRETCH - time, *x.shape[2:])
        return torch.cat([x, more], 1).reshape(rows, STRETCH, *x.shape[2:])

    return (cut(output), cut(target), cut(full if inside is None else inside),
            cut(full if counted is None else counted))  # fmt: skip


def _said_of_data(error: FloatingPointError) -> bool:
    return str(error).startswith("input ")


def merged(tally: Tally, world: World) -> Tally:
    """Of all processes."""
    if world.size == 1:
        return tally
    parts = world.gather((tally.table, tally.moments, tally.confusion, tally.scores))
    rows, moments = [table for table, *_ in parts], sum(m for _, m, *_ in parts)
    found = Tally(tally.kind, tally.untrue, rows, moments, kept=tally.kept)
    if tally.confusion is not None:
        found.confusion = sum(c for _, _, c, _ in parts)
    if tally.scores is not None:
        found.scores = [x for *_, scores in parts for x in scores]
    return found


class Work:
    """The batches of one update. The loss is the mean over all their terms, in all processes."""

    def __init__(
        self, objective: Objective, batches: Sequence[Batch], streaming: bool = False,
        state: State = None,
    ) -> None:  # fmt: skip
        self.objective = objective
        self.batches = batches
        self.streaming = streaming
        self.state = state  # what goes on from the update before, where the data is a stream
        self.left: State = None  # what goes on after this one
        self.runs = 0  # of a sequence through the model, in all processes
        self.tally: Tally | None = None  # of the first pass

    def gradient(self) -> float:
        """Sets `grad` of every parameter; returns the loss. Not finite: NaN."""
        parameters = self.objective.parameters
        for p in parameters:
            p.grad = None
        with torch.enable_grad():
            total, tally = self._pass(backward=True)
        if self.objective.world.size == 1:
            terms = _terms(tally) or math.nan
            for p in parameters:
                p.grad = torch.zeros_like(p) if p.grad is None else p.grad.div_(terms)
            return float(total) / terms
        flat = torch.cat(
            [*(_grad(p).reshape(-1) for p in parameters), total.new_tensor(_terms(tally))[None],
             total.detach()[None]]
        )  # fmt: skip
        flat = self.objective.world.sum(flat)
        terms, loss = float(flat[-2]) or math.nan, float(flat[-1])
        slope(parameters, flat[:-2] / terms)
        return loss / terms

    def late(self) -> tuple[Any, Any]:
        """As `gradient`, but of the sum and not of the mean, and without waiting for a device:
        what to divide by and the loss are tensors there. [loss, terms, hits, counts], moments."""
        self.runs += sum(b.size for b in self.batches)
        for p in self.objective.parameters:
            p.grad = None
        tally = self.objective.tally()
        with torch.enable_grad():
            state = self.state
            for batch, rows in self._parts():
                begun = None if rows is None else segments.begin(state, batch, rows)

                def sums(batch: Batch = batch, rows: Any = rows, begun: State = begun) -> Any:
                    states = None if rows is None else [begun]
                    return self.objective.sums(batch, tally, states=states), states

                try:
                    summed, states = sums()
                except FloatingPointError as error:
                    if _said_of_data(error):
                        raise TrainingError(
                            str(error), "mend the data: every number must be finite"
                        ) from None
                    # It may be of an update before, which was skipped for it.
                    try:
                        summed, states = sums()
                    except FloatingPointError:
                        tally.rows.append(np.full((1, 4), math.nan))
                        continue
                summed.backward()
                if states is not None:
                    state = segments.finite(states[-1], begun)
            self.left = state
        return tally.late(self.objective.parameters[0])

    def value(self) -> float:
        """The loss, without gradients."""
        with torch.no_grad():
            total, tally = self._pass(backward=False)
        both = torch.stack([total.double(), total.new_tensor(_terms(tally)).double()])
        both = self.objective.world.sum(both)
        return float(both[0]) / (float(both[1]) or math.nan)

    def _pass(self, backward: bool) -> tuple[Any, Tally]:
        tally = self.objective.tally()
        self.runs += sum(b.size for b in self.batches)
        like = self.objective.parameters[0]
        total = like.new_zeros(())
        state = self.state
        for batch, rows in self._parts():
            try:
                if rows is None:
                    summed = self.objective.sums(batch, tally)
                else:
                    states = [segments.begin(state, batch, rows)]
                    summed = self.objective.sums(batch, tally, states=states)
                    state = states[-1]
            except FloatingPointError as error:
                if _said_of_data(error):
                    raise TrainingError(str(error), "mend the data: every number must be finite") \
                        from None  # fmt: skip
                state = state if self.streaming else None
                total = total + float("nan")
                continue
            if backward:
                summed.backward()
            total = total + summed.detach()
        if self.tally is None:
            self.tally = tally
        self.left = state
        return total, tally

    def _parts(self) -> Iterator[tuple[Batch, Array | slice | None]]:
        """This process's share of each batch, or of its segments with the rows that go on."""
        world = self.objective.world
        for batch in self.batches:
            part = batch.part(world.rank, world.size)
            if part.size and self.objective.truncate:
                yield from segments.cut(part, self.objective.truncate, self.streaming)
            elif part.size:
                yield part, None


def _grad(p: Any) -> Any:
    return torch.zeros_like(p) if p.grad is None else p.grad


def _terms(tally: Tally) -> float:
    return float(tally.table[:, 1].sum())
