"""Which runs make up the tables of figures.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One line of a table: a program and options. With several rates the best is taken by the
    validation split."""

    name: str
    program: str
    options: tuple[str, ...] = ()
    rates: tuple[str, ...] = ("",)
    evaluated: tuple[str, ...] = ()  # options of `qrlc eval`


def _percent(value: float) -> str:
    return f"{100 * value:.2f}"


def _plain(digits: int) -> Callable[[float], str]:
    return lambda value: f"{value:.{digits}f}"


@dataclass(frozen=True)
class Task:
    name: str
    readme: str
    head: str  # of the first column
    metric: str
    word: str  # of the metric
    rows: tuple[Row, ...]
    number: Callable[[float], str] = _percent
    by: str = ""  # what is chosen by; empty: the metric itself
    runs: str = ""  # where its runs lie, by their options: tasks that share it share runs
    tests: tuple[tuple[str, str], ...] = ()  # columns: a name, and `qrlc` what of the run

    @property
    def unit(self) -> str:
        return " %" if self.number is _percent else ""

    @property
    def selected(self) -> str:
        return self.by or self.metric


_RATES = ("3e-3", "5e-3", "1e-2")


def _cores(
    label: str, program: str, options: tuple[str, ...] = (), *, cores: str = "lstm rnn orthogonal",
    rates: tuple[str, ...] = _RATES,
) -> tuple[Row, ...]:  # fmt: skip
    """The same file with classical cores."""
    names = {"lstm": "LSTM core", "gru": "GRU core", "rnn": "tanh RNN core",
             "orthogonal": "orthogonal RNN core"}  # fmt: skip
    return tuple(
        Row(f"{names[c]}{label}", program, (*options, "--core", c), rates) for c in cores.split()
    )


_ROWS = "examples/qrnn/rows.qrl"
_WIDE = "examples/qrnn/rows_xyz.qrl"
_PERMUTED = "examples/qrnn/permuted.qrl"
_PERMUTED_WIDE = "examples/qrnn/permuted_xyz.qrl"
_COPYING = "examples/copying/copying.qrl"
_CAPTIONS = "examples/translation/captions.qrl"
_BEAM = ("--beam", "5")
_LOGISTIC = "examples/qrnn/logistic.qrl"
_NODES = "examples/reservoir/virtual_nodes.qrl"


def _rows() -> tuple[Row, ...]:
    found: list[Row] = []
    for epochs in ("1", "3", "10"):
        label = f", {epochs} epoch" + "s" * (epochs != "1")
        options = ("--epochs", epochs)
        found.append(Row(f"QRNN n=8{label}", _ROWS, options))
        found += _cores(label, _ROWS, options, cores="lstm rnn")
    found.append(Row("QRNN n=8, X, Y and Z read, 10 epochs", _WIDE))
    found += _cores(", X, Y and Z read, 10 epochs", _WIDE, cores="lstm rnn")
    found += _cores(
        ", 10 epochs", _ROWS, ("--epochs", "10", "--road", "plain"),
        cores="orthogonal", rates=("5e-3",),
    )  # fmt: skip
    found.append(Row("logistic regression on all pixels at once, 10 epochs", _LOGISTIC))
    return tuple(found)


def _copying() -> tuple[Row, ...]:
    found: list[Row] = []
    for delay, epochs in (("100", "60"), ("400", "40")):
        label = f", delay {delay}"
        options = ("--data", f"copying(delay: {delay})", "--epochs", epochs)
        found.append(Row(f"QRNN n=8{label}", _COPYING, options))
        found += _cores(label, _COPYING, options, cores="lstm rnn", rates=("1e-2",))
    return tuple(found)


def _sentiment() -> tuple[Row, ...]:
    program, bag = "examples/sentiment/sentiment.qrl", "examples/sentiment/bag.qrl"
    rates = ("1e-3", "3e-3")
    return (
        Row("QRNN n=8", program),
        *_cores("", program, cores="lstm rnn", rates=rates),
        Row("logistic regression on a bag of words", bag, rates=("3e-3", "1e-2")),
    )


def _characters() -> tuple[Row, ...]:
    program = "examples/language_model/shakespeare.qrl"
    return (
        Row("QRNN n=8", program),
        Row("QRNN n=10", program, ("--set", "n=10")),
        *_cores("", program, cores="lstm rnn", rates=("",)),
    )


def _words() -> tuple[Row, ...]:
    program = "examples/language_model/word.qrl"
    return (
        Row("QRNN n=8", program, rates=("3e-3", "6e-3")),
        *_cores("", program, cores="lstm rnn", rates=("3e-3", "6e-3")),
    )


def _mackey() -> tuple[Row, ...]:
    found: list[Row] = []
    reservoir, linear = "examples/reservoir/mackey_glass.qrl", "examples/reservoir/linear.qrl"
    qlstm = "examples/qlstm/qlstm.qrl"
    for ahead in ("1", "10"):
        label = ", one step ahead" if ahead == "1" else f", {ahead} steps ahead"
        data = ("--data", f"mackey_glass(ahead: {ahead})")
        found.append(Row(f"spin reservoir, 4 qubits{label}", reservoir, data))
        found.append(Row(f"the same head on the last 20 values{label}", linear, data))
        if ahead == "1":
            trained = (*data, "--epochs", "300")
            found.append(Row(f"QLSTM, 4 qubits a gate{label}", qlstm, trained))
            found.append(Row(f"QLSTM, 8 qubits a gate{label}", qlstm, (*trained, "--set", "n=8")))
            found.append(Row(f"RNN core, the size of 8{label}", qlstm,
                             (*trained, "--set", "n=8", "--core", "rnn")))  # fmt: skip
    return tuple(found)


TASKS: dict[str, Task] = {
    t.name: t
    for t in (
        Task("rows", "examples/qrnn/README.md", "MNIST by rows", "accuracy", "test accuracy",
             _rows()),
        Task(
            "permuted", "examples/qrnn/README.md", "permuted pixels, 8 epochs", "accuracy",
            "test accuracy",
            (
                Row("QRNN n=6", _PERMUTED, ("--set", "n=6")),
                Row("QRNN n=8", _PERMUTED),
                Row("QRNN n=6, X, Y and Z read", _PERMUTED_WIDE, ("--set", "n=6")),
                Row("QRNN n=8, X, Y and Z read", _PERMUTED_WIDE),
                *_cores(", the size of n=8", _PERMUTED, cores="lstm", rates=("1e-2",)),
                Row("logistic regression on all pixels at once, 10 epochs", _LOGISTIC),
            ),
        ),
        Task("sentiment", "examples/sentiment/README.md", "SST-2, sentences", "accuracy",
             "test accuracy", _sentiment()),
        Task("characters", "examples/language_model/README.md", "tiny Shakespeare",
             "bits_per_token", "bits a character", _characters(), _plain(3)),
        Task("words", "examples/language_model/README.md", "Penn Treebank, by word",
             "perplexity", "perplexity", _words(), _plain(1)),
        Task("mackey", "examples/reservoir/README.md", "Mackey-Glass", "nrmse", "NRMSE",
             _mackey(), _plain(5)),
        Task(
            "narma", "examples/reservoir/README.md", "NARMA of order 5", "nrmse", "NRMSE",
            (
                Row("five spins, ten virtual nodes", _NODES),
                Row("five spins, one", _NODES, ("--set", "nodes=1")),
                Row("the same head on the last 20 values", "examples/reservoir/linear.qrl",
                    ("--data", "narma(order: 5)")),
            ),
            _plain(3),
        ),
        Task(
            "translation", "examples/translation/README.md", "Multi30k, at most 10 words", "bleu",
            "BLEU, greedy",
            (
                Row("with attention", "examples/translation/short.qrl"),
                Row("without", "examples/translation/short_without.qrl"),
                Row("with attention, LSTM core", "examples/translation/short.qrl",
                    ("--core", "lstm")),
            ),
            _plain(1), "perplexity",
        ),
        Task(
            "multi30k", "examples/translation/README.md", "Multi30k, the whole of test 2016",
            "bleu", "BLEU, beam 5",
            (
                Row("with attention", _CAPTIONS, evaluated=_BEAM),
                Row("without", "examples/translation/captions_without.qrl",
                    evaluated=_BEAM),
                Row("with attention, LSTM core", _CAPTIONS, ("--core", "lstm"),
                    evaluated=_BEAM),
            ),
            _plain(1), "perplexity",
        ),
        Task("copying", "examples/copying/README.md", "copying memory", "accuracy",
             "symbols recalled", _copying()),
    )
}  # fmt: skip
