"""Numbers of one's own files in units of their spread, where that is asked for: `scale: true`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from qrlang.training.data.columns import Column
from qrlang.training.data.ports import Array, Port
from qrlang.training.data.request import Loaded, Request
from qrlang.training.data.sources import Records, Source

_AT_ONCE = 4096  # records that are looked at together
_LARGE = 30.0  # ten half turns: no angle means that


class Scaled:
    """A column of which a batch gets `(x - shift) / divisor`."""

    def __init__(self, inner: Column, shift: Array, divisor: Array) -> None:
        self.inner, self.lengths = inner, inner.lengths
        self.shift, self.divisor = shift.astype(np.float32), divisor.astype(np.float32)

    def __len__(self) -> int:
        return len(self.inner)

    def take(self, rows: Array) -> tuple[Array, Array | None]:
        x, lengths = self.inner.take(rows)
        x = (x - self.shift) / self.divisor
        if lengths is not None:
            x[np.arange(x.shape[1]) >= lengths[:, None]] = 0
        return x, lengths


def hint(port: Port, numbers: Array) -> list[str]:
    """What is to be said of numbers as they are."""
    most = float(np.abs(numbers).max(initial=0)) if port.type.kind == "real" else 0.0
    if most <= _LARGE:
        return []
    return [f"numbers of `{port.name}` go as far as {most:.3g}: "
            "`scale: true` makes units of their spread of them"]  # fmt: skip


def scaled(found: Loaded, request: Request) -> Loaded:
    """By the mean and the deviation of the training records, each number of a moment by its own.
    Not asked for, but wanted by the numbers: a note."""
    train = found.splits["train"]()
    assert isinstance(train, Records)
    real = [k for k, port in enumerate(request.ports) if port.type.kind == "real"]
    if not request.arguments.get("scale"):
        for k in real if len(train) else ():
            few = train.columns[k].take(train.index[:_AT_ONCE])[0]
            found.notes += hint(request.ports[k], few)
        return found
    by = {}
    for k in real:
        port = request.ports[k]
        by[k] = known(request, port) or _spread(train.columns[k], train.index, port.type.seq)

    def split(build: Callable[[], Source]) -> Callable[[], Source]:
        def built() -> Source:
            source = build()
            assert isinstance(source, Records)
            columns = [Scaled(c, *by[k]) if k in by else c for k, c in enumerate(source.columns)]
            return Records(columns, source.index, source.last, source.owners)

        return built

    return replace(
        found,
        splits={name: split(build) for name, build in found.splits.items()},
        scale={request.ports[k].name: (a.tolist(), b.tolist()) for k, (a, b) in by.items()},
    )


def known(request: Request, port: Port) -> tuple[Array, Array] | None:
    """What a run that goes on was trained in, whatever its file holds by now."""
    one = request.scale.get(port.name)
    return None if one is None else (np.array(one["shift"]), np.array(one["divisor"]))


def _spread(column: Column, rows: Array, seq: bool) -> tuple[Array, Array]:
    def each(value: Callable[[Array], Array]) -> tuple[int, Array]:
        """How many moments there are, and a sum over them."""
        count, total = 0, np.zeros(())
        for k in range(0, len(rows), _AT_ONCE):
            x, lengths = column.take(rows[k : k + _AT_ONCE])
            if lengths is not None:
                x = x[np.arange(x.shape[1]) < lengths[:, None]]
            elif seq:
                x = x.reshape(-1, *x.shape[2:])
            count, total = count + len(x), total + value(x.astype(np.float64)).sum(0)
        return count, total

    count, total = each(lambda x: x)
    mean = total / max(count, 1)
    _, squares = each(lambda x: (x - mean) ** 2)
    deviation = np.sqrt(squares / max(count, 1))
    return mean, np.where(deviation > 0, deviation, 1.0)
