"""The data sets that have a name: what their columns hold. The loaders live with the training.

A column is a type whose sizes may be open (None): the vocabulary of a text depends on how it is cut
into tokens, so `token` goes with a vocabulary of any size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from qrlang.ir.types import Type

Number = int | float | bool | str


@dataclass(frozen=True, slots=True)
class Column:
    """`real[28]`, `class[10]`, `seq[token]`: what one column holds. `shape` None: any."""

    kind: str  # real, token, class, bit, state, unitary
    shape: tuple[int, ...] | None = ()
    size: int | None = None
    seq: bool | None = False  # None: one at each moment, or one at the end

    def holds(self, type: Type) -> bool:
        """What an `input` or `target` line asks for."""
        if type.kind != self.kind or self.seq not in (None, type.seq):
            return False
        if self.kind in ("real", "bit"):
            return self.shape is None or type.shape == self.shape
        return self.size is None or type.size == self.size

    def beside(self, seq: bool) -> str:
        """As a line of the model says it that is, or is not, a sequence."""
        return str(self if self.seq is not None else replace(self, seq=seq))

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
    most: float | None = None


@dataclass(frozen=True, slots=True)
class DataSet:
    name: str
    doc: str
    columns: Callable[[Mapping[str, Number]], tuple[Column, ...] | None]
    """The columns, inputs first; None: known only when the data is opened."""
    arguments: tuple[Argument, ...] = ()
    file: str = ""  # that it is read from; "": made on the spot, or one's own


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

_MNIST_ROWS = _fixed(_rows(28), _classes(10))
_MNIST_PIXELS = _fixed(_rows(1), _classes(10))
_NEXT = _fixed(_TOKENS, _TOKENS)
_REVIEWS = _fixed(_TOKENS, _classes(2))
_FORECAST = _fixed(_SERIES, Column("real", (1,), seq=None))


def _symbols(arguments: Mapping[str, Number]) -> tuple[Column, ...]:
    size = int(arguments.get("symbols", 10))
    return (Column("token", (), size, seq=True), Column("token", (), size, seq=True))


def _quantum(kind: str) -> Callable[[Mapping[str, Number]], tuple[Column, ...]]:
    return lambda a: (Column(kind, (), int(a.get("qubits", 0)) or None), _classes(2))


def _blobs(arguments: Mapping[str, Number]) -> tuple[Column, ...]:
    features, classes = int(arguments.get("features", 8)), int(arguments.get("classes", 3))
    return (Column("real", (features,)), _classes(classes))


def _words(arguments: Mapping[str, Number]) -> tuple[Column, ...]:
    bits = int(arguments.get("bits", 2))
    return (_rows(bits), Column("class", (), 2**bits, seq=True))


def _size(default: int) -> Argument:
    """Sequences in an epoch of generated data; a tenth as many for validation and test."""
    return Argument("size", "int", default, 1)


def _length(default: int) -> Argument:
    """Points of a whole series, all splits together."""
    return Argument("length", "int", default, 10)


def _window(default: int) -> Argument:
    """How long the sequences are where the target is a single value."""
    return Argument("window", "int", default, 0)


_AHEAD = Argument("ahead", "int", 1, 1)
_VOCABULARY = Argument("vocabulary", "int", 10_000, 2)
_LONGEST = Argument("longest", "int", 0, 0)  # 0: as long as they are
_TEST = Argument("test", "string", "test2016")
_CAPTIONS = (_VOCABULARY, _LONGEST, Argument("tokens", "string", "space"), _TEST)
_PATH = (Argument("path", "string"), Argument("tokens", "string", "word"),
         Argument("scale", "bool", False), Argument("stratified", "bool", False),
         Argument("folds", "int", 0, 0), Argument("fold", "int", 0, 0))  # fmt: skip

DATA_SETS: dict[str, DataSet] = {
    d.name: d
    for d in (
        DataSet("mnist", "MNIST, an image as one vector of 784 numbers",
                _fixed(Column("real", (784,)), _classes(10)), file="mnist.npz"),
        DataSet("mnist_rows", "MNIST, an image as 28 rows of 28 pixels", _MNIST_ROWS,
                file="mnist.npz"),
        DataSet("mnist_pixels", "MNIST, an image as 784 pixels", _MNIST_PIXELS, file="mnist.npz"),
        DataSet("mnist_permuted", "MNIST, 784 pixels in one random order that `seed` fixes",
                _MNIST_PIXELS, (Argument("seed", "int", 0, 0),), file="mnist.npz"),
        DataSet("fashion", "Fashion-MNIST, an image as one vector of 784 numbers",
                _fixed(Column("real", (784,)), _classes(10)), file="fashion_mnist.npz"),
        DataSet("fashion_rows", "Fashion-MNIST, an image as 28 rows", _MNIST_ROWS,
                file="fashion_mnist.npz"),
        DataSet("digits8x8", "handwritten digits as 8 rows of 8 pixels",
                _fixed(_rows(8), _classes(10)), file="digits8x8.npz"),
        DataSet("drawn_digits", "digits drawn by a program as 8 rows of 8 pixels: no file needed",
                _fixed(_rows(8), _classes(10)), (_size(4000),)),
        DataSet("copying", "symbols, a silence, and the same symbols again", _symbols,
                (Argument("delay", "int", 100, 1), Argument("symbols", "int", 10, 4),
                 Argument("length", "int", 10, 1), _size(25_600))),
        DataSet("adding", "two marked numbers in a long sequence; their sum",
                _fixed(_rows(2), _VALUE), (Argument("length", "int", 100, 2), _size(10_000))),
        DataSet("parity", "bits, and whether their number is odd", _fixed(_SERIES, _classes(2)),
                (Argument("length", "int", 16, 2), _size(10_000))),
        DataSet("temporal_parity", "bits, and whether the last `order` of them are odd",
                _fixed(_SERIES, Column("class", (), 2, seq=True)),
                (Argument("order", "int", 3, 1), _length(2000))),
        DataSet("blobs", "points around `groups` centres of each class", _blobs,
                (Argument("features", "int", 8, 1), Argument("classes", "int", 3, 2),
                 Argument("groups", "int", 2, 1), _size(2000))),
        DataSet("travelling_wave", "a wave passes over sensors: from which end",
                lambda a: (_rows(int(a.get("sensors", 4))), _classes(2)),
                (Argument("sensors", "int", 4, 2), Argument("length", "int", 12, 2), _size(2000))),
        DataSet("spirals", "a point that runs outwards, clockwise or not",
                _fixed(_rows(2), _classes(2)), (Argument("length", "int", 16, 2), _size(2000))),
        DataSet("warped", "two hills or three, at a speed that changes on the way",
                _fixed(_SERIES, _classes(2)), (Argument("length", "int", 32, 4), _size(2000))),
        DataSet("elman_xor", "words of bits, every third the exclusive or of the two before",
                _words, (Argument("bits", "int", 2, 1), Argument("length", "int", 11, 3),
                         _size(2000))),
        DataSet("phases", "ground states of a ring of qubits: in the cluster phase or not",
                _quantum("state"), (Argument("qubits", "int", 4, 3), _size(1000))),
        DataSet("evolutions", "a unitary: the evolution of an Ising or a Heisenberg chain",
                _quantum("unitary"), (Argument("qubits", "int", 2, 2), _size(1000))),
        DataSet("phase_evolutions", "a unitary: how a ring evolves, in the cluster phase or not",
                _quantum("unitary"), (Argument("qubits", "int", 3, 3), _size(1000))),
        DataSet("ground_states", "the field of an Ising chain, and the chain's ground state",
                lambda a: (Column("real", (1,)), Column("state", (), int(a.get("qubits", 4)))),
                (Argument("qubits", "int", 4, 2), _size(1000))),
        DataSet("syndromes", "of a repetition code, round by round; did the first qubit flip?",
                lambda a: (_rows(int(a.get("distance", 3)) - 1), _classes(2)),
                (Argument("distance", "int", 3, 2), Argument("rounds", "int", 8, 1),
                 Argument("flip", "real", 0.05, 0), Argument("misread", "real", 0.05, 0),
                 _size(20_000))),
        DataSet("imdb", "film reviews, kind or not", _REVIEWS, (_VOCABULARY, _LONGEST),
                file="imdb.npz"),
        DataSet("sst2", "sentences of film reviews, kind or not", _REVIEWS,
                (_VOCABULARY, _LONGEST, Argument("phrases", "bool", False)), file="sst2.npz"),
        DataSet("mr", "film reviews in a sentence each, kind or not; `fold` is the test", _REVIEWS,
                (_VOCABULARY, _LONGEST, Argument("fold", "int", 9, 0)), file="mr_polarity.npz"),
        DataSet("rotten_tomatoes", "the same as `mr`", _REVIEWS,
                (_VOCABULARY, _LONGEST, Argument("fold", "int", 9, 0)), file="mr_polarity.npz"),
        DataSet("ptb", "Penn Treebank, the next word", _NEXT, (_VOCABULARY,), file="ptb.npz"),
        DataSet("ptb_words", "Penn Treebank, the next word", _NEXT, (_VOCABULARY,), file="ptb.npz"),
        DataSet("ptb_characters", "Penn Treebank, the next character", _NEXT,
                (Argument("vocabulary", "int", 50, 2),), file="ptb.npz"),
        DataSet("wikitext2", "WikiText-2, the next word", _NEXT,
                (Argument("vocabulary", "int", 33_278, 2),), file="wikitext2.npz"),
        DataSet("shakespeare", "Shakespeare, the next character", _NEXT,
                (Argument("vocabulary", "int", 65, 2),), file="tinyshakespeare.npz"),
        DataSet("multi30k", "captions of pictures, German to English", _NEXT,
                _CAPTIONS, file="multi30k_en_de.npz"),
        DataSet("multi30k_de_en", "captions of pictures, German to English", _NEXT,
                _CAPTIONS, file="multi30k_en_de.npz"),
        DataSet("multi30k_en_de", "captions of pictures, English to German", _NEXT,
                _CAPTIONS, file="multi30k_en_de.npz"),
        DataSet("ucr", "a data set of the UCR archive of time series", _any,
                (Argument("name", "string"),), file="ucr_NAME.npz"),
        DataSet("damped_sine", "a damped oscillation, one step ahead", _FORECAST,
                (_window(4), _length(1000))),
        DataSet("weather", "monthly temperatures of the sea at the equator", _FORECAST,
                (_window(12), _AHEAD), file="timeseries_small.npz"),
        DataSet("sunspots", "the yearly number of sunspots", _FORECAST, (_window(11), _AHEAD),
                file="timeseries_small.npz"),
        DataSet("etth1", "oil temperature of a transformer, hourly, from 7 series or its own",
                _fixed(Column("real", None, seq=True), Column("real", (1,), seq=None)),
                (_window(96), _AHEAD), file="ETTh1.csv.gz"),
        DataSet("mackey_glass", "the Mackey-Glass series, `ahead` steps ahead", _FORECAST,
                (Argument("tau", "int", 17, 1), _length(2000), _window(20), _AHEAD)),
        DataSet("narma", "a nonlinear moving average of noise", _FORECAST,
                (Argument("order", "int", 10, 2), _length(2000), _window(0))),
        DataSet("lorenz", "the Lorenz system, `ahead` steps ahead",
                _fixed(_rows(3), Column("real", (3,), seq=None)),
                (_length(2000), _window(20), _AHEAD)),
        DataSet("csv", "columns of a CSV file of your own, or of two that are joined", _any,
                (*_PATH, Argument("columns", "string", ""), Argument("ahead", "int", 0, 0),
                 Argument("window", "int", 0, 0), Argument("foretell", "string", ""),
                 Argument("join", "string", ""), Argument("on", "string", ""),
                 Argument("purpose", "string", ""))),
        DataSet("npz", "arrays of a NumPy file of your own", _any, _PATH),
        DataSet("text", "a text of your own, and what comes next in it", _NEXT,
                (Argument("path", "string"), Argument("tokens", "string", "character"))),
        DataSet("hf", "a data set of the Hugging Face hub", _any,
                (Argument("name", "string"), Argument("config", "string", ""),
                 Argument("columns", "string", ""), Argument("tokens", "string", "word"))),
    )
}  # fmt: skip

_ENDINGS = {"csv": (".csv", ".tsv", ".csv.gz", ".tsv.gz"), "npz": (".npz",),
            "text": (".txt", ".txt.gz")}  # fmt: skip


def kind_of_file(path: str) -> str:
    """By which data set a file of one's own is read; "" if its name does not say."""
    lower = path.lower()
    return next((kind for kind, ends in _ENDINGS.items() if lower.endswith(ends)), "")
