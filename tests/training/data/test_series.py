"""A series or a text of one's own against itself, some moments later."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_tools import ports, token, whole

from qrlang.check.training.data_sets import DATA_SETS
from qrlang.ir.types import Type, real, seq
from qrlang.training.data import DataError, open_data
from qrlang.training.data.foretold import Foretold, series
from qrlang.training.data.own import inputs
from qrlang.training.data.request import Request

LOT = np.random.default_rng(5)
TABLE = LOT.permutation(600).reshape(200, 3) / 64


def weather(folder: Path, sequence: bool = False) -> Path:
    """Three columns of numbers, with a date that nobody wants to read."""
    head = "date,temp,wind,rain" + ",sequence" * sequence
    rows = [
        f"2020-01-01 {k:03d},{a},{b},{c}" + f",{k // 20}" * sequence
        for k, (a, b, c) in enumerate(TABLE)
    ]
    path = folder / "weather.csv"
    path.write_text("\n".join([head, *rows]) + "\n")
    return path


def opened(path: Path, *types: Type, **more: Any) -> Any:
    return open_data("csv", {"path": str(path), **more}, ports(*types))


def asked(path: Path, *types: Type, **more: Any) -> Request:
    defaults = {a.name: a.default for a in DATA_SETS["csv"].arguments if a.default is not None}
    return Request("csv", {**defaults, "path": str(path), **more}, ports(*types))


def parts(data: Any) -> list[np.ndarray[Any, Any]]:
    """Each column of the stream, without the moments that only warm a state up."""
    found = []
    for split in ("train", "validation", "test"):
        source = data.source(split)
        found.append([c[source.lead :] for c in source.columns])
    return [np.concatenate(column) for column in zip(*found, strict=True)]


@pytest.mark.parametrize("ahead", [1, 7])
def test_each_moment_foretells(tmp_path: Path, ahead: int) -> None:
    data = opened(weather(tmp_path), seq(real(2)), seq(real(2)), columns="wind, temp", ahead=ahead)
    x, y = parts(data)
    wanted = TABLE[:, [1, 0]].astype(np.float32)
    np.testing.assert_array_equal(x, wanted[:-ahead])
    np.testing.assert_array_equal(y, wanted[ahead:])
    assert data.foretells == Foretold(ahead, 0, True)


def test_one_column_from_all(tmp_path: Path) -> None:
    more = {"columns": "temp, wind, rain", "foretell": "rain", "ahead": 2, "scale": True}
    data = opened(weather(tmp_path), seq(real(3)), seq(real(1)), **more)
    x, y = parts(data)
    shift, divisor = (np.array(part) for part in data.scale["x"])
    np.testing.assert_allclose(x * divisor + shift, TABLE[:-2], atol=1e-5)
    shift, divisor = (np.array(part) for part in data.scale["y"])
    np.testing.assert_allclose(y * divisor + shift, TABLE[2:, [2]], atol=1e-5)
    np.testing.assert_allclose(x[: data.count("train")].std(0), 1, atol=1e-3)
    assert data.foretells is None


def test_from_windows(tmp_path: Path) -> None:
    more = {"columns": "temp", "foretell": "wind", "ahead": 3, "window": 6}
    data = opened(weather(tmp_path), seq(real(1)), real(1), **more)
    for split, begin in (("train", 0), ("test", 157)):
        x, y = whole(data, split)
        for k in (0, 4, len(x) - 1):
            at = begin + k
            np.testing.assert_allclose(x[k, :, 0], TABLE[at : at + 6, 0], rtol=1e-6)
            np.testing.assert_allclose(y[k], TABLE[at + 8, [1]], rtol=1e-6)
    assert len(x) == 40 - 5  # no window reaches into another split


@pytest.mark.parametrize("window", [0, 4])
def test_several_sequences(tmp_path: Path, window: int) -> None:
    """None goes on in the next one, and no split has a part of one."""
    target = real(1) if window else seq(real(1))
    more = {"columns": "rain", "ahead": 2, **({"window": window} if window else {})}
    data = opened(weather(tmp_path, sequence=True), seq(real(1)), target, **more)
    seen = []
    for split in ("train", "validation", "test"):
        source = data.source(split)
        for k in range(len(source)):
            x, y = (a[0].astype(float) for a in source.take(np.array([k])).arrays)
            [at] = np.flatnonzero(np.isclose(TABLE[:, 2], x[0, 0]))
            seen.append((split, at // 20))
            wanted = TABLE[at : at + len(x), [2]]
            np.testing.assert_allclose(x, wanted, rtol=1e-6)
            later = TABLE[at + 2 : at + 2 + len(x), [2]]
            np.testing.assert_allclose(y, later[-1] if window else later, rtol=1e-6)
            assert (at + len(x) + 1) // 20 == at // 20
    assert len(seen) == (10 * (18 - 3) if window else 10)
    owners = {split: {who for s, who in seen if s == split} for split, _ in seen}
    assert sum(map(len, owners.values())) == 10
    assert data.foretells == Foretold(2, window, False)


def test_new_data_comes_in_windows_or_whole(tmp_path: Path) -> None:
    path = weather(tmp_path)
    request = asked(path, seq(real(1)), real(1), columns="temp", ahead=1, window=5)
    found = inputs(request)
    assert len(found) == 196
    x = found.take(np.arange(196)).arrays[0][:, :, 0]
    wanted = np.lib.stride_tricks.sliding_window_view(TABLE[:, 0], 5)
    np.testing.assert_allclose(x, wanted, rtol=1e-6)
    series = inputs(request, moments=True)
    assert len(series) == 1 and series.take(np.array([0])).arrays[0].shape == (1, 200, 1)


def test_columns_of_any_table(tmp_path: Path) -> None:
    """By the names that a file has, in the order of the model's lines; new data lacks targets."""
    path = tmp_path / "t.csv"
    path.write_text("id,mood,age,x\n" + "7,well,3,1\n8,ill,4,2\n9,well,5,3\n" * 9)
    data = opened(path, real(2), Type("class", (), 2), columns="age, id, mood")
    x, _ = whole(data, "train")
    assert {tuple(row) for row in x} == {(3, 7), (4, 8), (5, 9)}
    assert data.labels == ("ill", "well")
    new = tmp_path / "new.csv"
    new.write_text("age,id\n1,2\n")
    found = inputs(asked(new, real(2), Type("class", (), 2), columns="age, id, mood"))
    assert found.take(np.array([0])).arrays[0].tolist() == [[1, 2]]


@pytest.mark.parametrize(
    ("types", "more", "why"),
    [
        ((seq(real(1)), seq(real(1))), {"ahead": 1}, "4 cells"),
        ((seq(real(1)), seq(real(1))), {"columns": "tmp", "ahead": 1}, "no column `tmp`"),
        ((real(2), real(1)), {"columns": "temp, wind"}, "names 2 columns of"),
        ((seq(real(1)), seq(real(1))), {"columns": "temp", "ahead": 200}, "longer than the series"),
        ((seq(real(2)), seq(real(1))), {"columns": "temp, wind", "ahead": 1}, "is not what"),
        ((real(1), real(1)), {"columns": "temp", "ahead": 1}, "`ahead` is for a series"),
        ((seq(real(1)), seq(real(1))), {"window": 3}, "`window` is of a series that foretells"),
        ((seq(real(1)), seq(real(1))), {"foretell": "x"}, "`foretell` is of a series"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, types: Any, more: Any, why: str) -> None:
    with pytest.raises(DataError, match=why):
        opened(weather(tmp_path), *types, **more)


# --- texts ---

TEXT = "\n".join(" ".join(LOT.choice(["one", "two", "three."], 6)) for _ in range(80)) + "\n"


def text(folder: Path, size: int = 20, content: str = TEXT, **more: Any) -> Any:
    path = folder / "book.txt"
    path.write_text(content, encoding="utf-8")
    return open_data("text", {"path": str(path), **more}, ports(token(size), token(size)))


@pytest.mark.parametrize(
    ("tokens", "size", "wanted"),
    [
        ("character", 20, TEXT),
        ("space", 20, TEXT.replace("\n", " <eos> ")),
        ("word", 20, TEXT.replace(".", " . ")),
        ("bpe", 60, TEXT),
    ],
)
def test_a_text_of_ones_own(tmp_path: Path, tokens: str, size: int, wanted: str) -> None:
    """All of it is in one of the splits, in its order, and each token foretells the next."""
    data = text(tmp_path, size, tokens=tokens)
    found = []
    for split in ("train", "validation", "test"):
        x, y = data.source(split).columns
        assert x[0] == 0 and np.array_equal(x[1:], y[:-1])
        found.append(data.decode("y", y))
    assert "".join("".join(found).split()) == "".join(wanted.split())
    if tokens == "character":
        assert "".join(found) == wanted
    counts = [data.count(s) for s in ("train", "validation", "test")]
    assert 0.65 < counts[0] / sum(counts) < 0.75 and 0.15 < counts[2] / sum(counts) < 0.25
    assert data.foretells == Foretold(1, 0, True)


def test_a_text_without_spaces(tmp_path: Path) -> None:
    data = text(tmp_path, content="ACGT" * 250, tokens="character")
    assert [data.count(s) for s in ("train", "validation", "test")] == [700, 100, 200]


def test_a_text_by_its_path_alone(tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text(TEXT.replace("\n", "\r\n"))
    data = open_data(str(tmp_path / "book.txt"), {}, ports(token(20), token(20)))
    assert data.name == "text" and "\r" not in data.vocabularies["x"].symbols
    (tmp_path / "bad.txt").write_bytes(b"caf\xe9 " * 50)
    for name, why in (("bad.txt", "UTF-8"), ("none.txt", "no file")):
        with pytest.raises(DataError, match=why):
            open_data(str(tmp_path / name), {}, ports(token(20), token(20)))
    with pytest.raises(DataError, match="is empty"):
        text(tmp_path, content=" \n")
    with pytest.raises(DataError, match="no way `words`"):
        text(tmp_path, tokens="words")


@pytest.mark.parametrize("once", [False, True])
@pytest.mark.parametrize("sequence", [False, True])
def test_how_far_ahead_is_seen_in_units_of_their_spread(
    tmp_path: Path, sequence: bool, once: bool
) -> None:
    path = weather(tmp_path, sequence)
    head, *lines = [line.split(",") for line in path.read_text().splitlines()]
    far = [[day, f"{float(temp) + 20000}", *rest] for day, temp, *rest in lines]
    path.write_text("\n".join(map(",".join, [head, *far])) + "\n")
    data = opened(path, seq(real(1)), real(1) if once else seq(real(1)), columns="temp", ahead=3,
                  window=6, scale=True)  # fmt: skip
    assert data.foretells == Foretold(3, 6 * once, not (sequence or once))


@pytest.mark.parametrize("window", [1, 4])
def test_windows_of_several_series_are_not_joined_by_chance(tmp_path: Path, window: int) -> None:
    """The end of one may look like the beginning of the next."""
    rows = [f"{k},{(k + t // 10) % 2}" for k in range(40) for t in range(20)]
    (tmp_path / "bits.csv").write_text("sequence,b\n" + "\n".join(rows) + "\n")
    bit = Type("bit", (), 0)
    data = opened(tmp_path / "bits.csv", seq(bit), bit, columns="b", ahead=2, window=window)
    assert data.foretells == Foretold(2, window, False)
    found = series(data.source("test"), data.ports, data.scale, 2)
    assert [len(x) for x in found] == [20] * 8


def test_some_windows_by_lot_show_it_too(tmp_path: Path) -> None:
    data = open_data("csv", {"path": str(weather(tmp_path)), "columns": "temp", "ahead": 1},
                     ports(seq(real(1)), real(1)), limit=5)  # fmt: skip
    assert data.count("train") == 5 and data.foretells == Foretold(1, 20, False)


def test_a_window_that_is_longer_than_every_series(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no series has the 25 moments that a window of 22"):
        opened(weather(tmp_path, sequence=True), seq(real(1)), real(1), columns="temp", ahead=3,
               window=22)  # fmt: skip


def test_classes_of_a_series_keep_their_names(tmp_path: Path) -> None:
    (tmp_path / "sky.csv").write_text("sky\n" + "\n".join(["sun", "rain", "sun"] * 40) + "\n")
    kind = Type("class", (), 2, True)
    data = opened(tmp_path / "sky.csv", kind, kind, columns="sky", ahead=1)
    assert data.labels == data.vocabularies["x"].symbols == ("rain", "sun")


@pytest.mark.parametrize("once", [False, True])
def test_a_series_is_split_as_its_table_says(tmp_path: Path, once: bool) -> None:
    words = ["train"] * 120 + ["valid"] * 30 + ["test"] * 50
    rows = [f"{k},{word}" for k, word in enumerate(words)]
    path = tmp_path / "s.csv"
    path.write_text("\n".join(["x,split", *rows]) + "\n")
    types = (seq(real(1)), real(1) if once else seq(real(1)))
    data = opened(path, *types, ahead=1, window=5)
    begins = {"train": 0, "validation": 120, "test": 150}
    for split, count in (("train", 120), ("validation", 30), ("test", 49)):
        assert data.count(split) == (count - 4 if once else count)
        one = next(iter(data.batches(split, 200 if once else 1, shuffle=False)))
        given, wanted = one.arrays
        if once:
            assert given[0, 0, 0] == begins[split] and wanted[0, 0] == begins[split] + 5
        else:
            counted = slice(None) if one.counted is None else one.counted
            assert wanted[counted].reshape(-1)[0] == begins[split] + 1
    path.write_text(path.read_text().replace("valid", "train"))
    held = opened(path, *types, ahead=1, window=5)
    assert held.count("validation") == (15 - 4 if once else 15)
    assert opened(path, *types, ahead=1).notes == [
        "numbers of `x` go as far as 198: `scale: true` makes units of their spread of them",
        "numbers of `y` go as far as 199: `scale: true` makes units of their spread of them",
    ]
    path.write_text("\n".join(["x,split", *rows, "7,train", "8,train"]) + "\n")
    with pytest.raises(DataError, match="line 122: the train split of a series is one stretch"):
        opened(path, *types, ahead=1)
    path.write_text("\n".join(["x,split", *rows, "7,later", "8,test"]) + "\n")
    with pytest.raises(DataError, match="line 202: the split is 'later'"):
        opened(path, seq(real(1)), seq(real(1)), ahead=1)
