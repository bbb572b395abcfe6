"""Tasks that a rule makes: copying, adding, parity. No sequence is in two splits."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from qrlang.errors import DataError
from qrlang.training.data.batches import frozen
from qrlang.training.data.ports import Array, dtype_of
from qrlang.training.data.request import Loaded, Request
from qrlang.training.data.sources import Generated, Make, Source

_SMALL = 4096  # so many different sequences are shared out one by one, more by a hash
_PARTS = {"train": (0, 8), "validation": (8, 9), "test": (9, 10)}


def loaded(request: Request, make: Callable[[str], Make], last: int | None = None) -> Loaded:
    """Training sequences are new in each epoch; the others always the same, a tenth as many."""
    size = request.whole("size")
    dtypes = [dtype_of(p.type) for p in request.ports]

    def split(name: str, key: int) -> Source:
        count = size if name == "train" else max(1, size // 10)
        return Generated(make(name), dtypes, count, key, last)

    return Loaded(
        {
            "train": lambda: split("train", 41),
            "validation": lambda: split("validation", 42),
            "test": lambda: split("test", 43),
        }
    )


def _apart(values: int, length: int, split: str) -> Callable[[np.random.RandomState, int], Array]:
    """Sequences of `length` numbers below `values` that belong to this split alone."""
    low, high = _PARTS[split]
    if length * np.log2(values) <= np.log2(_SMALL):
        mine = _shared_out(values, length, split)
        powers = values ** np.arange(length)
        return lambda random, count: (
            mine[random.randint(0, len(mine), count)][:, None] // powers % values
        )

    def draw(random: np.random.RandomState, count: int) -> Array:
        found: list[Array] = []
        while sum(map(len, found)) < count:
            some = random.randint(0, values, (count * 12 // (high - low) + 4, length))
            tenth = _hash(some) % 10
            found.append(some[(tenth >= low) & (tenth < high)])
        return np.concatenate(found)[:count]

    return draw


@lru_cache
def _shared_out(values: int, length: int, split: str) -> Array:
    total = values**length
    if total < 3:
        raise DataError(
            "bad-argument",
            f"{length} symbols of {values} kinds make {total} sequences: too few for three splits",
        )
    order = frozen(values, length, 44).permutation(total)
    held = max(1, total // 10)
    parts = {"test": order[:held], "validation": order[held : 2 * held], "train": order[2 * held :]}
    return parts[split]


def _hash(rows: Array) -> Array:
    """A number for each row that its content alone decides."""
    mixed = np.zeros(len(rows), np.uint64)
    for column in rows.T.astype(np.uint64):
        mixed = (mixed ^ column) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    return mixed >> np.uint64(8)


def _copying(request: Request) -> Loaded:
    """`length` symbols, blanks, a mark, then blanks while the symbols are to be said again.

    Of the `symbols` tokens 0 is the blank and the last one the mark; `delay` moments lie between
    the last symbol and the first answer, the mark being the last of them.
    """
    delay, length = request.whole("delay"), request.whole("length")
    mark = request.whole("symbols") - 1

    def make(split: str) -> Make:
        draw = _apart(mark - 1, length, split)

        def block(random: np.random.RandomState, count: int) -> tuple[Array, ...]:
            symbols = draw(random, count) + 1
            seen = np.zeros((count, 2 * length + delay), np.uint8 if mark < 256 else np.int32)
            said = np.zeros_like(seen)
            seen[:, :length] = symbols
            seen[:, length + delay - 1] = mark
            said[:, length + delay :] = symbols
            return seen, said

        return block

    return loaded(request, make, length)


def _adding(request: Request) -> Loaded:
    """Numbers from 0 to 1, two of them marked, one in each half; their sum."""
    length = request.whole("length")

    def make(split: str) -> Make:
        def block(random: np.random.RandomState, count: int) -> tuple[Array, ...]:
            x = np.zeros((count, length, 2), np.float32)
            x[:, :, 0] = random.random_sample((count, length))
            rows = np.arange(count)
            first = random.randint(0, length // 2, count)
            second = random.randint(length // 2, length, count)
            x[rows, first, 1] = 1
            x[rows, second, 1] = 1
            return x, (x[rows, first, 0] + x[rows, second, 0])[:, None]

        return block

    return loaded(request, make)


def _parity(request: Request) -> Loaded:
    length = request.whole("length")

    def make(split: str) -> Make:
        draw = _apart(2, length, split)

        def block(random: np.random.RandomState, count: int) -> tuple[Array, ...]:
            bits = draw(random, count)
            return bits[:, :, None], bits.sum(1) % 2

        return block

    return loaded(request, make)


LOADERS: dict[str, Callable[[Request], Loaded]] = {
    "copying": _copying,
    "adding": _adding,
    "parity": _parity,
}
