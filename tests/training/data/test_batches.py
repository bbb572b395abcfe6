"""The same numbers for the same seed and epoch, from any batch on; by length."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from data_tools import opened

from qrlang.training.data import DataSet, RecordBatch

SETS = ["mnist_rows", "imdb", "multi30k", "copying", "ptb_characters", "ucr", "mackey_glass"]


def same(a: RecordBatch, b: RecordBatch) -> bool:
    lengths = zip(a.lengths, b.lengths, strict=True)
    return (
        a.number == b.number
        and a.carried == b.carried
        and np.array_equal(a.rows, b.rows)
        and all(np.array_equal(x, y) for x, y in zip(a.arrays, b.arrays, strict=True))
        and all((x is None and y is None) or np.array_equal(x, y) for x, y in lengths)
    )


def epoch(data: DataSet, number: int, start: int = 0, seed: int = 7) -> list[RecordBatch]:
    segment = 30 if data.streaming else None
    return list(data.batches("train", 8, seed=seed, epoch=number, start=start, segment=segment))


@pytest.mark.parametrize("name", SETS)
def test_any_batch_can_be_gone_on_from(name: str, samples: Path) -> None:
    first = epoch(opened(name, samples), 3)
    other = epoch(opened(name, samples), 3, start=2)
    assert [b.number for b in first] == list(range(len(first)))
    assert len(other) == len(first) - 2
    assert all(same(a, b) for a, b in zip(first[2:], other, strict=True))


@pytest.mark.parametrize("name", ["mnist_rows", "imdb", "copying"])
def test_epochs_and_seeds_differ(name: str, samples: Path) -> None:
    data = opened(name, samples)
    assert not same(epoch(data, 0)[0], epoch(data, 1)[0])
    assert not same(epoch(data, 0)[0], epoch(data, 0, seed=8)[0])


def test_similar_lengths_share_a_batch(samples: Path) -> None:
    data = opened("imdb", samples)
    batches = epoch(data, 0)
    lengths = [
        b.lengths[0] if b.lengths[0] is not None else [b.arrays[0].shape[1]] for b in batches
    ]
    spread = np.mean([int(np.max(n) - np.min(n)) for n in lengths])
    everything = np.concatenate([np.atleast_1d(n) for n in lengths])
    assert everything.max() - everything.min() >= 4
    assert spread < 1.5
    # … and yet the lengths don't grow through the epoch.
    means = [float(np.mean(n)) for n in lengths]
    assert means != sorted(means)


def test_records_by_number_are_those_of_the_batches(samples: Path) -> None:
    for name in ("mnist_rows", "imdb", "multi30k", "drawn_digits"):
        data = opened(name, samples)
        batch = epoch(data, 0)[1]
        assert all(
            np.array_equal(a, b)
            for a, b in zip(data.records("train", batch.rows).arrays, batch.arrays, strict=True)
        )


@pytest.mark.parametrize("lanes", [1, 3, 8])
@pytest.mark.parametrize("segment", [1, 7, 40, None])
def test_a_stream_gives_every_moment_once_and_in_order(
    samples: Path, lanes: int, segment: int | None
) -> None:
    data = opened("shakespeare", samples)
    told: dict[int, list[int]] = {}
    for batch in data.batches("train", lanes, segment=segment):
        assert batch.carried == (batch.number > 0)
        for k, lane in enumerate(batch.rows):
            assert lane == k  # those that are left are the first
            lengths = batch.lengths[1]
            length = batch.arrays[1].shape[1] if lengths is None else lengths[k]
            told.setdefault(int(lane), []).extend(batch.arrays[1][k, :length])
    text = "".join(data.vocabularies["y"].symbols[n] for k in range(lanes) for n in told[k])
    raw = np.load(samples / "tinyshakespeare.npz")["train_text"]
    assert text == bytes(raw).decode()


def test_a_streams_inputs_are_its_targets_a_moment_later(samples: Path) -> None:
    data = opened("ptb_words", samples)
    x, y = (a[0] for a in next(data.batches("train", 1)).arrays)
    assert x[0] == 0  # the border
    assert np.array_equal(x[1:], y[:-1])


def test_a_generated_sequence_does_not_depend_on_the_batch(samples: Path) -> None:
    data = opened("copying", samples)
    small = np.concatenate([b.arrays[0] for b in data.batches("train", 7, seed=1, epoch=2)])
    large = np.concatenate([b.arrays[0] for b in data.batches("train", 150, seed=1, epoch=2)])
    assert np.array_equal(small, large)
