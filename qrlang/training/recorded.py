"""A whole update as one CUDA graph: with QRLANG_CUDA_GRAPH=1, for models so small that launching
takes as long as computing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from qrlang.training.feed import Batch
from qrlang.training.objective import Objective, Work

FIRST = 3  # updates that are done as usual before one is recorded
Key = tuple[tuple[str, ...], tuple[tuple[int, ...], ...]]


def _tensors(batch: Batch) -> list[Any]:
    """What is another in every batch."""
    return [*batch.values.values(), *([] if batch.counted is None else [batch.counted])]


class Recorded:
    """Graphs by the shapes of a batch. A batch of another shape is done as usual, until it too has
    come often enough."""

    def __init__(self, objective: Objective, update: Callable[[Work, Any], Any]) -> None:
        """`update`: what is recorded; work and rate to the numbers that it finds."""
        self.objective, self.update = objective, update
        self.seen: dict[Key, int] = {}
        self.graphs: dict[Key, tuple[Any, Batch, Any, Any]] = {}

    def takes(self, work: Work) -> bool:
        key = self._key(work)
        if key is None:
            return False
        self.seen[key] = self.seen.get(key, 0) + 1
        return self.seen[key] > FIRST

    def _key(self, work: Work) -> Key | None:
        """None for what a graph can't do over: lots that are drawn, several batches or processes,
        a state that goes on, lengths, which decide how many steps there are."""
        objective = self.objective
        program = getattr(objective.model, "program", "")
        several = len(work.batches) != 1 or objective.world.size > 1 or objective.truncate
        if several or "dropout" in program:
            return None
        (batch,) = work.batches
        tensors = _tensors(batch)
        if batch.lengths or not all(isinstance(x, torch.Tensor) for x in tensors):
            return None
        if objective.model.shots or objective.model.trajectories:
            return None
        return tuple(batch.values), tuple(tuple(x.shape) for x in tensors)

    def run(self, work: Work, rate: Any) -> Any:
        key = self._key(work)
        assert key is not None
        (batch,) = work.batches
        if key not in self.graphs:
            self.graphs[key] = self._record(batch, rate)
        graph, held, at, numbers = self.graphs[key]
        for still, x in zip(_tensors(held), _tensors(batch), strict=True):
            still.copy_(x)
        at.copy_(rate)
        work.runs += batch.size
        graph.replay()
        return numbers.clone()

    def _record(self, batch: Batch, rate: Any) -> tuple[Any, Batch, Any, Any]:
        values: Any = batch.values
        counted: Any = batch.counted
        held = Batch(
            {k: v.clone() for k, v in values.items()}, {},
            None if counted is None else counted.clone(), batch.rows,
        )  # fmt: skip
        at = rate.clone()
        graph = torch.cuda.CUDAGraph()
        # Other threads may be bringing batches meanwhile.
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            numbers = self.update(Work(self.objective, [held]), at)
        return graph, held, at, numbers
