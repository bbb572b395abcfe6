"""The data sets that have a name: what their columns hold. The loaders live with the training.

A column is a type whose sizes may be open (None): the vocabulary of a text depends on how it is cut
into tokens, so `token` goes with a vocabulary of any size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

Number = int | float | bool | str


@dataclass(frozen=True, slots=True)
class Column:
    """`real[28]`, `class[10]`, `seq[token]`: what one column holds. `shape` None: any."""

    kind: str  # real, token, class, bit, state, unitary
    shape: tuple[int, ...] | None = ()
    size: int | None = None
    seq: bool | None = False  # None: one at each moment, or one at the end

    def __str__(self) -> str:
        if self.kind in ("real", "bit"):
            dims = "..." if self.shape is None else ", ".join(map(str, self.shape))
        else:
            dims = "" if self.size is None else str(self.size)
        text = self.kind + (f"[{dims}]" if dims else "")
        if self.seq is None:
            return f"{text} or seq[{text}]"
        return f"seq[{text}]" if self.seq else text


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of a data set; a default of None must be given."""

    name: str
    type: str  # int real string bool
    default: Number | None = None
    least: float | None = None


@dataclass(frozen=True, slots=True)
class DataSet:
    name: str
    doc: str
    columns: Callable[[Mapping[str, Number]], tuple[Column, ...] | None]
    """The columns, inputs first; None: known only when the data is opened."""
    arguments: tuple[Argument, ...] = ()


def _rows(width: int) -> Column:
    return Column("real", (width,), seq=True)


def _fixed(*columns: Column) -> Callable[[Mapping[str, Number]], tuple[Column, ...]]:
    return lambda _: columns


def _any(_: Mapping[str, Number]) -> None:
    return None


def _classes(count: int) -> Column:
    return Column("class", (), count)


_TOKENS = Column("token", seq=True)
_SERIES = _rows(1)
_VALUE = Column("real", (1,))
_LENGTH = Argument("length", "int", 1000, 2)

_MNIST_ROWS = _fixed(_rows(28), _classes(10))
_MNIST_PIXELS = _fixed(_rows(1), _classes(10))
_NEXT = _fixed(_TOKENS, _TOKENS)
_REVIEWS = _fixed(_TOKENS, _classes(2))
_FORECAST = _fixed(_SERIES, Column("real", (1,), seq=None))


def _symbols(arguments: Mapping[str, Number]) -> tuple[Column, ...]:
    size = int(arguments.get("symbols", 10))
    return (Column("token", (), size, seq=True), Column("token", (), size, seq=True))


def _windows(arguments: Mapping[str, Number]) -> tuple[Column, ...]:
    return (_SERIES, Column("real", (1,), seq=None))


_VOCABULARY = Argument("vocabulary", "int", 10_000, 2)

DATA_SETS: dict[str, DataSet] = {
    d.name: d
    for d in (
        DataSet("mnist", "MNIST, an image as one vector of 784 numbers",
                _fixed(Column("real", (784,)), _classes(10))),
        DataSet("mnist_rows", "MNIST, an image as 28 rows of 28 pixels", _MNIST_ROWS),
        DataSet("mnist_pixels", "MNIST, an image as 784 pixels", _MNIST_PIXELS),
        DataSet("mnist_permuted", "MNIST, 784 pixels in one random order", _MNIST_PIXELS,
                (Argument("seed", "int", 0, 0),)),
        DataSet("fashion_rows", "Fashion-MNIST, an image as 28 rows", _MNIST_ROWS),
        DataSet("digits8x8", "handwritten digits as 8 rows of 8 pixels",
                _fixed(_rows(8), _classes(10))),
        DataSet("copying", "symbols, a silence, and the same symbols again", _symbols,
                (Argument("delay", "int", 100, 0), Argument("symbols", "int", 10, 3),
                 Argument("length", "int", 10, 1))),
        DataSet("adding", "two marked numbers in a long sequence; their sum",
                _fixed(_rows(2), _VALUE), (Argument("length", "int", 100, 2),)),
        DataSet("parity", "bits, and whether their number is odd", _fixed(_SERIES, _classes(2)),
                (Argument("length", "int", 16, 1),)),
        DataSet("imdb", "film reviews, kind or not", _REVIEWS, (_VOCABULARY,)),
        DataSet("sst2", "sentences of film reviews, kind or not", _REVIEWS, (_VOCABULARY,)),
        DataSet("mr", "film reviews in a sentence each, kind or not", _REVIEWS, (_VOCABULARY,)),
        DataSet("rotten_tomatoes", "film reviews in a sentence each, kind or not", _REVIEWS,
                (_VOCABULARY,)),
        DataSet("ptb", "Penn Treebank, the next word", _NEXT, (_VOCABULARY,)),
        DataSet("ptb_words", "Penn Treebank, the next word", _NEXT, (_VOCABULARY,)),
        DataSet("ptb_characters", "Penn Treebank, the next character", _NEXT),
        DataSet("wikitext2", "WikiText-2, the next word", _NEXT, (_VOCABULARY,)),
        DataSet("shakespeare", "Shakespeare, the next character", _NEXT),
        DataSet("multi30k", "captions of pictures in German and English", _NEXT, (_VOCABULARY,)),
        DataSet("multi30k_de_en", "captions of pictures, German to English", _NEXT,
                (_VOCABULARY,)),
        DataSet("ucr", "a data set of the UCR archive of time series", _any,
                (Argument("name", "string"),)),
        DataSet("damped_sine", "a damped oscillation: the value after a window of it", _windows,
                (Argument("window", "int", 4, 1), _LENGTH)),
        DataSet("weather", "daily temperatures: the value after a window of them", _any,
                (Argument("window", "int", 7, 1),)),
        DataSet("mackey_glass", "the Mackey-Glass series, one step ahead", _FORECAST,
                (Argument("tau", "int", 17, 1), _LENGTH)),
        DataSet("narma", "a nonlinear moving average of noise", _FORECAST,
                (Argument("order", "int", 10, 1), _LENGTH)),
        DataSet("lorenz", "the Lorenz system, one step ahead", _fixed(_rows(3), Column("real", (3,), seq=None)),
                (_LENGTH,)),
        DataSet("csv", "columns of a CSV file of your own", _any, (Argument("path", "string"),)),
        DataSet("npz", "arrays of a NumPy file of your own", _any, (Argument("path", "string"),)),
        DataSet("hf", "a data set of the Hugging Face hub", _any,
                (Argument("name", "string"), Argument("split", "string", "train"))),
    )
}  # fmt: skip
