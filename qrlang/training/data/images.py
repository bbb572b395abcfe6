"""Handwritten digits and clothes: bytes in memory, numbers from 0 to 1 in a batch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from qrlang.errors import DataError
from qrlang.training.data.columns import Dense
from qrlang.training.data.drawn import draw_digits
from qrlang.training.data.ports import Array
from qrlang.training.data.request import Loaded, Request, with_validation
from qrlang.training.data.sources import Records

_DIGITS = tuple("0123456789")
_CLOTHES = (
    "T-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "trainer", "bag", "boot",
)  # fmt: skip


def pixel_order(seed: int, count: int = 784) -> Array:
    """The order of the pixels in `mnist_permuted`: a shuffle that `seed` fixes for ever."""
    return np.random.RandomState(seed).permutation(count)


def _mnist(file: str, labels: tuple[str, ...]) -> Callable[[Request], Loaded]:
    def load(request: Request) -> Loaded:
        archive = request.archive(file)
        archive.need("x_train", "y_train", "x_test", "y_test")

        def split(which: str) -> Records:
            x = archive.array(f"x_{which}", "u")
            y = archive.array(f"y_{which}", "ui", 1)
            if x.shape[1:] != (28, 28):
                raise DataError(
                    "malformed-file",
                    f"`x_{which}` of {archive.path} is [{', '.join(map(str, x.shape))}], "
                    "images are 28 by 28",
                )
            x = x.reshape(-1, 784)
            if request.name == "mnist_permuted":
                x = _permuted(x, pixel_order(request.whole("seed")))
            return _records(request, x, y)

        # 5,000 of 60,000 images are held out.
        splits = with_validation(request, lambda: split("train"), lambda: split("test"), 1 / 12)
        return Loaded(splits, labels=labels, notes=archive.notes(), file=archive.path)

    return load


def _permuted(x: Array, order: Array) -> Array:
    """A piece at a time and in place, so that the images are not in memory twice over."""
    out = x if x.flags.writeable else np.empty_like(x)
    for k in range(0, len(x), 4096):
        out[k : k + 4096] = x[k : k + 4096, order]
    return out


def _records(request: Request, x: Array, y: Array, most: int = 255) -> Records:
    image, label = request.ports
    # [records, pixels] as the model cuts them: whole, in rows, one by one.
    width = image.type.shape[0]
    x = x.reshape(len(x), -1, width) if image.type.seq else x.reshape(len(x), width)
    return Records((Dense(x, image, "the images", factor=1 / most), Dense(y, label, "the labels")))


def _digits(request: Request) -> Loaded:
    archive = request.archive("digits8x8.npz")
    x = archive.array("images", "u", 3)
    y = archive.array("label", "ui", 1)
    split = archive.array("split", "ui", 1)
    whole = _records(request, x, y, 16)

    def part(k: int) -> Records:
        return whole.subset(np.flatnonzero(split == k))

    return Loaded(
        {"train": lambda: part(0), "validation": lambda: part(1), "test": lambda: part(2)},
        labels=_DIGITS,
        notes=archive.notes(),
        file=archive.path,
    )


def _drawn(request: Request) -> Loaded:
    size = request.whole("size")

    def split(count: int, key: int) -> Records:
        x, y = draw_digits(count, 8, key)
        return _records(request, x, y)

    splits = with_validation(request, lambda: split(size, 1), lambda: split(max(1, size // 4), 2))
    return Loaded(splits, labels=_DIGITS)


LOADERS: dict[str, Callable[[Request], Loaded]] = {
    **dict.fromkeys(
        ("mnist", "mnist_rows", "mnist_pixels", "mnist_permuted"), _mnist("mnist.npz", _DIGITS)
    ),
    **dict.fromkeys(("fashion", "fashion_rows"), _mnist("fashion_mnist.npz", _CLOTHES)),
    "digits8x8": _digits,
    "drawn_digits": _drawn,
}
