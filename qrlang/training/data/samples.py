"""A folder of small generated files in the form of the real ones, for tests and first steps.

    python -m qrlang.training.data.samples FOLDER

Nothing in it is real: images are drawn, sentences come from a grammar of a few dozen words, series
from formulas. Each file says so with an array `generated`, and a data set opened from it in its
notes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from qrlang.training.data.batches import frozen
from qrlang.training.data.drawn import draw_digits
from qrlang.training.data.files import write_atomically
from qrlang.training.data.origins import folds_of
from qrlang.training.data.ports import Array

Arrays = dict[str, Array]

_THINGS = (
    ("mann", "man"), ("hund", "dog"), ("ball", "ball"), ("baum", "tree"), ("fluss", "river"),
    ("tisch", "table"), ("zug", "train"), ("stein", "stone"), ("vogel", "bird"), ("hut", "hat"),
)  # fmt: skip
_KINDS = (
    ("alter", "old"), ("junger", "young"), ("roter", "red"), ("kleiner", "small"),
    ("grosser", "big"), ("stiller", "quiet"), ("schneller", "fast"), ("weisser", "white"),
)  # fmt: skip
_DEEDS = (
    ("sieht", "sees"), ("findet", "finds"), ("sucht", "seeks"), ("kennt", "knows"),
    ("malt", "paints"), ("meidet", "avoids"),
)  # fmt: skip
_PRAISE = ("superb", "moving", "funny", "wise", "charming", "fresh")
_BLAME = ("dull", "empty", "tedious", "clumsy", "stale", "silly")


def _text(items: list[str]) -> Array:
    return np.frombuffer("\n".join(items).encode(), np.uint8)


def _pairs(count: int, key: int) -> tuple[list[str], list[str]]:
    """German and English; the German verb comes last, so that the order matters."""
    random = frozen(key, 60)
    german, english = [], []
    for _ in range(count):
        kinds = [_KINDS[random.randint(len(_KINDS))] for _ in range(2)]
        things = [_THINGS[random.randint(len(_THINGS))] for _ in range(2)]
        deed = _DEEDS[random.randint(len(_DEEDS))]
        second = random.rand() < 0.5
        words: list[list[str]] = []
        for k in range(2):
            whole = [kinds[0][k], things[0][k]]
            other = [*([kinds[1][k]] if second else []), things[1][k]]
            article = ("ein", "a")[k]
            a, b = [article, *whole], [article, *other]
            words.append([*a, *b, deed[k], "."] if k == 0 else [*a, deed[k], *b, "."])
        german.append(" ".join(words[0]))
        english.append(" ".join(words[1]))
    return german, english


def _reviews(count: int, key: int) -> tuple[list[str], Array]:
    """Negative ones first; `not` in front of a judgement turns it round."""
    random = frozen(key, 61)
    labels = np.repeat(np.arange(2, dtype=np.uint8), [count - count // 2, count // 2])
    texts = []
    for label in labels:
        turned = random.rand() < 0.25
        words = _PRAISE if bool(label) != turned else _BLAME
        word = words[random.randint(len(words))]
        thing = ("film", "story", "cast", "plot")[random.randint(4)]
        more = " and so is the ending" * int(random.rand() < 0.3)
        texts.append(f"the {thing} is {'not ' * turned}{word}{more} .")
    return texts, labels


def _prose(count: int, key: int) -> Array:
    """Running text as in the Penn Treebank: a sentence a line, blanks around it."""
    _, english = _pairs(count, key)
    return np.frombuffer("".join(f" {s.rstrip(' .')} \n" for s in english).encode(), np.uint8)


def _images(count: int) -> Arrays:
    out: Arrays = {}
    for key, (split, n) in enumerate((("train", count), ("test", max(10, count // 5)))):
        out[f"x_{split}"], out[f"y_{split}"] = draw_digits(n, 28, 70 + key)
    return out


def _digits(count: int) -> Arrays:
    images, label = draw_digits(count, 8, 72)
    split = np.repeat(np.arange(3, dtype=np.uint8), [count - 2 * (count // 5), *[count // 5] * 2])
    return {"images": np.round(images / 255 * 16).astype(np.uint8), "label": label, "split": split}


def _imdb(count: int) -> Arrays:
    out: Arrays = {}
    for key, split in enumerate(("train", "test")):
        texts, out[f"{split}_label"] = _reviews(count, 80 + key)
        out[f"{split}_text"] = _text([t.capitalize().replace(" .", ".<br />") for t in texts])
    out["train_valid_mask"] = (np.arange(count) % 10 == 9).astype(np.uint8)
    return out


def _sst2(count: int) -> Arrays:
    out: Arrays = {}
    sizes = {"train": count, "valid": count // 4, "test": count // 4, "phrase": 2 * count}
    for key, (split, n) in enumerate(sizes.items()):
        texts, out[f"{split}_label"] = _reviews(n, 90 + key)
        out[f"{split}_text"] = _text(texts)
    return out


def _mr(count: int) -> Arrays:
    texts, label = _reviews(count, 100)
    return {"text": _text(texts), "label": label, "fold": folds_of(label)}


def _running(count: int) -> Arrays:
    sizes = {"train": count, "valid": count // 5, "test": count // 5}
    return {f"{s}_text": _prose(n, 110 + k) for k, (s, n) in enumerate(sizes.items())}


def _captions(count: int) -> Arrays:
    out: Arrays = {}
    parts = ("train", "valid", "test2016", "test2017", "testcoco2017", "test2018")
    for key, part in enumerate(parts):
        german, english = _pairs(count if part == "train" else max(10, count // 5), 120 + key)
        for language, texts in (("de", german), ("en", english)):
            out[f"{part}_tok_{language}"] = _text(texts)
            out[f"{part}_{language}"] = _text([t.capitalize() for t in texts])
    return out


def _cases(channels: int, classes: int) -> Callable[[int], Arrays]:
    def make(count: int) -> Arrays:
        """Waves, each class faster than the one before; several channels: of unequal length."""
        random = frozen(channels, 130)
        out: Arrays = {"label_names": _text([str(k + 1) for k in range(classes)])}
        for split in ("train", "test"):
            y = random.randint(0, classes, count).astype(np.uint8)
            lengths = random.randint(15, 31, count) if channels > 1 else np.full(count, 30)
            t = np.arange(30)[None, :, None]
            phase = random.uniform(0, 6.3, (count, 1, channels))
            x = np.sin(t * (0.3 * (y + 1))[:, None, None] + phase)
            x += random.normal(0, 0.1, x.shape)
            x[np.arange(30) >= lengths[:, None]] = 0
            out[f"x_{split}"], out[f"y_{split}"] = x.astype(np.float32), y
            out[f"length_{split}"] = lengths.astype(np.uint16)
        return out

    return make


def _series(count: int) -> Arrays:
    years = np.arange(61) + 1950
    months = np.arange(61 * 12)
    random = frozen(140)
    sea = 23 + 3 * np.sin(months / 6 * np.pi) + random.normal(0, 0.4, len(months))
    spots = 50 + 45 * np.sin(np.arange(309) * 0.57) + random.normal(0, 5, 309)
    return {
        "elnino_monthly": np.column_stack([years, sea.reshape(61, 12)]),
        "sunspots_yearly": np.column_stack([np.arange(309) + 1700.0, spots]),
    }


FILES: dict[str, Callable[[int], Arrays]] = {
    "mnist.npz": _images,
    "fashion_mnist.npz": _images,
    "digits8x8.npz": _digits,
    "imdb.npz": _imdb,
    "sst2.npz": _sst2,
    "mr_polarity.npz": _mr,
    "ptb.npz": _running,
    "wikitext2.npz": _running,
    "tinyshakespeare.npz": _running,
    "multi30k_en_de.npz": _captions,
    "ucr_GunPoint.npz": _cases(1, 2),
    "ucr_JapaneseVowels.npz": _cases(12, 9),
    "timeseries_small.npz": _series,
}


def write_samples(folder: Path, count: int = 400) -> None:
    """All files, each with about `count` records."""
    for name, make in FILES.items():
        arrays = make(count) | {"generated": np.ones(1, np.uint8)}
        write_atomically(folder / name, lambda f, a=arrays: np.savez(f, **a))  # type: ignore[misc]


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    write_samples(Path(sys.argv[1]))
