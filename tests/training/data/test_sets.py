"""Every data set that has a name opens, fits its model, and gives each record once."""

from __future__ import annotations

from pathlib import Path

import data_tools
import numpy as np
import pytest
from data_tools import MODELS, opened

from qrlang.check.training.data_sets import DATA_SETS
from qrlang.training.data import SPLITS, DataError, open_data
from qrlang.training.data.opening import LOADERS
from qrlang.training.data.ports import dtype_of, moment_shape

OWN = {"csv", "npz", "text", "hf"}
ELSEWHERE = {"etth1"}  # has no sample: tested with the real file, and with one written here


def test_table_and_loaders_agree() -> None:
    assert set(DATA_SETS) == set(LOADERS)
    assert set(DATA_SETS) == set(MODELS) | OWN | ELSEWHERE


@pytest.mark.parametrize("name", MODELS)
def test_batches_fit_the_model(name: str, samples: Path) -> None:
    data = opened(name, samples)
    for split in SPLITS:
        segment = 10 if data.streaming else None
        seen = []
        for batch in data.batches(split, 16, segment=segment):
            for array, lengths, port in zip(batch.arrays, batch.lengths, data.ports, strict=True):
                time = array.shape[1:2] if port.type.seq else ()
                assert array.shape == (len(batch), *time, *moment_shape(port.type))
                assert array.dtype == dtype_of(port.type)
                assert np.isfinite(array).all()
                if port.type.kind in ("token", "class"):
                    assert array.min() >= 0 and array.max() < port.type.size
                if lengths is not None:
                    assert port.type.seq and lengths.min() >= 1
                    assert lengths.max() == array.shape[1]
                    assert not array[np.arange(array.shape[1]) >= lengths[:, None]].any()
            seen.append(batch.rows)
        assert len(seen) == data.batch_count(split, 16, segment)
        if not data.streaming:
            assert sorted(np.concatenate(seen)) == list(range(data.count(split)))


@pytest.mark.parametrize("name", [n for n in MODELS if n not in ("adding", "lorenz")])
def test_wrong_model_names_both_sides(name: str, samples: Path) -> None:
    arguments, _ = MODELS[name]
    wrong = data_tools.ports(data_tools.real(3), data_tools.label(77))
    with pytest.raises(DataError, match=r"`input x: real\[3\]`") as error:
        open_data(name, arguments, wrong, data_dir=samples)
    assert error.value.code == "wrong-column"


@pytest.mark.parametrize("name", ["mnist_rows", "sst2", "multi30k", "ucr", "imdb"])
def test_no_record_in_two_splits(name: str, samples: Path) -> None:
    data = opened(name, samples)
    held, kept = data.source("validation"), data.source("train")
    if getattr(held, "columns", 0) is getattr(kept, "columns", 1):
        assert not set(held.index) & set(kept.index)  # type: ignore[attr-defined]
        again = opened(name, samples).source("validation")
        assert np.array_equal(held.index, again.index)  # type: ignore[attr-defined]


def test_permutation_is_fixed_and_the_same_for_all(samples: Path) -> None:
    plain = data_tools.whole(opened("mnist_pixels", samples), "test")[0]
    mixed = data_tools.whole(opened("mnist_permuted", samples), "test")[0]
    order = np.random.RandomState(0).permutation(784)
    assert np.array_equal(mixed, plain[:, order])
    other = data_tools.whole(opened("mnist_permuted", samples, seed=1), "test")[0]
    assert not np.array_equal(mixed, other)
    assert np.array_equal(np.sort(mixed, 1), np.sort(other, 1))


def test_validation_can_be_asked_for(samples: Path) -> None:
    types = data_tools.ports(*MODELS["mnist_rows"][1])
    data = open_data("mnist_rows", {}, types, data_dir=samples, validation=0.25)
    assert (data.count("train"), data.count("validation")) == (150, 50)
    none = open_data("mnist_rows", {}, types, data_dir=samples, validation=0.0)
    assert (none.count("train"), none.count("validation")) == (200, 0)
    with pytest.raises(DataError, match="validation split of `mnist_rows` is empty"):
        none.batches("validation", 10)


def test_labels_and_scale_are_told(samples: Path) -> None:
    data = opened("ucr", samples)
    assert data.decode("y", [0, 8]) == "1 9"
    shift, divisor = data.scale["x"]
    one = data.records("test", [0])
    raw = np.load(samples / "ucr_JapaneseVowels.npz")
    length = raw["length_test"][0]
    assert one.arrays[0][0] == pytest.approx(
        (raw["x_test"][0, :length] - shift) / divisor, abs=1e-5
    )


def test_samples_say_that_they_are_no_real_data(samples: Path) -> None:
    for name in ("mnist_rows", "imdb", "ptb", "multi30k", "ucr", "weather"):
        assert any("generated sample" in n for n in opened(name, samples).notes)


def test_oil_temperature(tmp_path: Path) -> None:
    rows = [f"2016-07-01,{','.join(str(k + c) for c in range(7))}" for k in range(15_000)]
    head = "date,HUFL,HULL,MUFL,MULL,LUFL,LULL,OT"
    (tmp_path / "ETTh1.csv").write_text("\n".join([head, *rows]))
    model = data_tools.ports(data_tools.seq(data_tools.real(7)), data_tools.VALUE)
    data = open_data("etth1", {"window": 24, "ahead": 3}, model, data_dir=tmp_path)
    shift, divisor = (np.array(v) for v in data.scale["y"])
    batch = data.records("test", [0])
    ot = 20 * 24 * 30 - 4 * 24 * 30 + 23 + 3 + 6  # the last moment of the window, 3 hours on
    assert batch.arrays[1][0] * divisor + shift == pytest.approx([ot], rel=1e-4)
    assert batch.arrays[0].shape == (1, 24, 7)
    (tmp_path / "ETTh1.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="is not ETTh1"):
        open_data("etth1", {}, model, data_dir=tmp_path)


@pytest.mark.parametrize("name", [n for n, d in DATA_SETS.items() if n in MODELS])
def test_the_table_names_its_file(name: str, samples: Path) -> None:
    file = opened(name, samples).about()["file"]
    assert (file or "") == DATA_SETS[name].file.replace("NAME", "JapaneseVowels")
