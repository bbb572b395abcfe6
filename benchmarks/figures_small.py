"""The tables of the smaller examples, one task each: seconds a run."""

from __future__ import annotations

from figures_tasks import Row, Task, _plain

_SEQUENCES = "examples/linear/sequences.qrl"
_POINTS = "examples/linear/points.qrl"
_SERIES = "examples/linear/series.qrl"


def _line(data: str, window: int) -> Row:
    options = ("--data", data, "--set", f"window={window}")
    return Row("logistic regression on the whole sequence", _SEQUENCES, options)


def _accuracy(name: str, head: str, *rows: Row, folder: str = "") -> Task:
    readme = f"examples/{folder or name}/README.md"
    return Task(name, readme, head, "accuracy", "test accuracy", rows)


def _nrmse(name: str, head: str, *rows: Row) -> Task:
    return Task(name, f"examples/{name}/README.md", head, "nrmse", "NRMSE", rows, _plain(3))


_MACKEY = ("--data", "mackey_glass(ahead: 10)")
_WINDOW = Row("a straight line through the last 20 values", _SERIES, _MACKEY)
_QLSTM = (*_MACKEY, "--lr", "3e-2", "--epochs", "60")
_CLOUDS = ("--data", "blobs(groups: 6)")
_POINT = Row("logistic regression", _POINTS, _CLOUDS)
_WEAK, _PROJECTIVE = "examples/ancilla/weak.qrl", "examples/ancilla/projective.qrl"
_STACKED, _BOTH = "examples/deep/stacked.qrl", "examples/deep/bidirectional.qrl"
_EMCZ = "examples/exchange_memory/emcz.qrl"
_QCNN, _QRENN = "examples/qcnn/qcnn.qrl", "examples/reuploading/qrenn.qrl"
_QGRU = "examples/qgru/qgru.qrl"
_TWI = "examples/warping/twi.qrl"

SMALL: dict[str, Task] = {
    t.name: t
    for t in (
        _accuracy(
            "ancilla", "clockwise or not",
            Row("weak readouts, 6 moments", _WEAK),
            Row("weak readouts, LSTM core", _WEAK, ("--core", "lstm")),
            _line("spirals(length: 6)", 6),
            Row("two outcomes, one probe, 5 moments", _PROJECTIVE),
        ),
        _accuracy(
            "attention", "film reviews (MR)",
            Row("a circuit's score", "examples/attention/score.qrl"),
            Row("a bag of words", "examples/sentiment/bag.qrl",
                ("--data", "rotten_tomatoes", "--epochs", "10")),
        ),
        _accuracy(
            "values", "clockwise or not, 6 moments",
            Row("values from a circuit", "examples/attention/value.qrl"),
            _line("spirals(length: 6)", 6), folder="attention",
        ),
        _accuracy("bausch", "exclusive or, bit by bit",
                  Row("quantum neurons", "examples/bausch/bausch.qrl")),
        _accuracy(
            "deep", "MNIST by rows, 1 epoch",
            Row("stacked, n=6", _STACKED), Row("stacked, LSTM core", _STACKED, ("--core", "lstm")),
            Row("both ways, n=6", _BOTH), Row("both ways, LSTM core", _BOTH, ("--core", "lstm")),
        ),
        _nrmse("exchange_memory", "Mackey-Glass, one step ahead", Row("EMCZ, 3 qubits", _EMCZ),
               Row("a straight line through the last 20 values", _SERIES)),
        _nrmse("fast_weights", "Mackey-Glass, 10 steps ahead",
               Row("fast weights", "examples/fast_weights/fast_weights.qrl"), _WINDOW),
        _accuracy("mixed", "clockwise or not, 8 moments",
                  Row("one clean qubit", "examples/mixed/dqc1.qrl"),
                  _line("spirals(length: 8)", 8)),
        _accuracy(
            "noise", "clockwise or not, 6 moments",
            Row("noise of 0.5 %", "examples/noise/noisy.qrl"),
            Row("noise of 5 %", "examples/noise/noisy.qrl", ("--set", "p=0.05")),
            _line("spirals(length: 6)", 6),
        ),
        _accuracy("overlap", "clockwise or not, 4 moments",
                  Row("two prototypes", "examples/overlap/overlap.qrl"),
                  _line("spirals(length: 4)", 4)),
        _accuracy(
            "qcnn", "cluster phase or not",
            Row("QCNN", _QCNN),
            Row("its circuit as drawn by lot, head trained", _QCNN,
                ("--freeze", "[c1, c2, p1, p2]")),
        ),
        _nrmse(
            "qlstm", "Mackey-Glass, 10 steps ahead",
            Row("QLSTM, 6 qubits", "examples/qlstm/qlstm.qrl", (*_QLSTM, "--set", "n=6")),
            Row("LSTM, 4 units", "examples/qlstm/lstm.qrl"), _WINDOW,
        ),
        _nrmse(
            "qgru", "Mackey-Glass, 10 steps ahead",
            Row("QGRU, 4 qubits", _QGRU), Row("GRU, 4 units", "examples/qgru/gru.qrl"),
            Row("QGRU, 8 qubits", _QGRU, ("--set", "n=8")),
            Row("the same, GRU core", _QGRU, ("--set", "n=8", "--core", "gru")), _WINDOW,
        ),
        _accuracy("reuploading", "points around 18 centres, 3 classes",
                  Row("re-uploading", "examples/reuploading/residual.qrl"), _POINT),
        _accuracy(
            "embedding", "Ising or Heisenberg", Row("QRENN", _QRENN),
            Row("its rotations as drawn by lot, head trained", _QRENN, ("--freeze", "[w]")),
            folder="reuploading",
        ),
        _nrmse(
            "staggered", "sea temperature, one month ahead",
            Row("plain", "examples/staggered/plain.qrl"),
            Row("staggered", "examples/staggered/staggered.qrl"),
            Row("a straight line through the last 12 months", _SERIES,
                ("--data", "weather", "--set", "window=12")),
        ),
        _accuracy(
            "tensor_train", "MNIST, 3 epochs",
            Row("tensor train and circuit", "examples/tensor_train/tensor_train.qrl"),
            Row("logistic regression", "examples/qrnn/logistic.qrl", ("--epochs", "3")),
        ),
        _accuracy("warping", "two hills or three", Row("time-warping QRNN", _TWI),
                  Row("tanh RNN core", _TWI, ("--core", "rnn")), _line("warped(length: 16)", 16)),
        _accuracy("weights", "points around 18 centres, 3 classes",
                  Row("weights from a circuit", "examples/weights/vqc_mlp.qrl"), _POINT),
    )
}  # fmt: skip
