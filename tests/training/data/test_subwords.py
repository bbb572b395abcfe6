"""Byte-pair encoding against counting everything anew at each step; pieces make the text again."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from data_tools import opened, ports, token

from qrlang.training.data import DataError, Vocabulary, open_data
from qrlang.training.data.subwords import cutter, joined, learn
from qrlang.training.data.vocabulary import PRODUCED, encode


def drawn(seed: int, words: int = 60) -> list[str]:
    lot = np.random.default_rng(seed)
    made = ["".join(lot.choice(list("abcd"), lot.integers(1, 8))) for _ in range(words // 2)]
    return [" ".join(lot.choice(made, 5)) for _ in range(words)]


def by_hand(texts: list[str], count: int) -> list[str]:
    words = [list(f" {w}") for t in texts for w in t.split()]
    letters = Counter(s for w in words for s in w)
    found = sorted(letters, key=lambda s: (-letters[s], s))
    while len(found) < count:
        pairs = Counter(p for w in words for p in pairwise(w))
        times, best = min(((-n, p) for p, n in pairs.items()), default=(0, ("", "")))
        if times >= -1:
            break
        words = [joined(w, best) for w in words]
        if "".join(best) not in found:
            found.append("".join(best))
    return found


@pytest.mark.parametrize("seed", range(4))
def test_as_by_counting_anew(seed: int) -> None:
    texts = drawn(seed)
    for count in (5, 12, 40, 1000):
        assert learn(texts, count) == by_hand(texts, count)


def test_the_frequent_becomes_one_and_the_rare_stays_cut() -> None:
    pieces = learn(["lowest newest widest"] * 3 + ["low"] * 9, 18)
    cut = cutter(pieces)
    assert cut("low newest") == [" low", *cut("newest")]
    assert cut("fewest") == [" ", "f", "e", "w", "est"]  # a new word, with a letter that is new


@pytest.mark.parametrize("seed", range(3))
def test_pieces_are_the_text(seed: int) -> None:
    cut = cutter(learn(drawn(seed), 30))
    for text in [*drawn(seed + 10), "", "x abx  \t d"]:
        assert "".join(cut(text)) == "".join(f" {w}" for w in text.split())


def test_overlaps_are_joined_from_the_left() -> None:
    assert joined(list("aaaab"), ("a", "a")) == ["aa", "aa", "b"]
    assert joined(list("aaa"), ("a", "a")) == ["aa", "a"]


def test_fewer_pieces_than_letters() -> None:
    assert learn(["ab ab c"], 2) == [" ", "a"]
    found = encode(["ab ab c"], "bpe", None, 5, PRODUCED, ended=True)
    assert found.vocabulary.symbols == (*PRODUCED, " ", "a")
    assert found.vocabulary.decode(found.vocabulary.encode("a b")) == "a <unk>"
    with pytest.raises(DataError, match="a vocabulary of 3 is too small"):
        encode(["ab"], "bpe", None, 3, PRODUCED)


def test_a_vocabulary_comes_back() -> None:
    made = encode(iter(drawn(5)), "bpe", None, 40, PRODUCED, ended=True)
    again = Vocabulary.of(json.loads(json.dumps(made.vocabulary.data())))
    assert again == made.vocabulary and len(again) == 40
    texts = drawn(5)
    for k in (0, 7):
        mine = made.flat[made.offsets[k] : made.offsets[k + 1]]
        assert again.decode(mine) == texts[k]
        assert again.encode(texts[k]) == mine[:-1].tolist()


def test_captions_in_pieces(samples: Path) -> None:
    data = opened("multi30k", samples, tokens="bpe", vocabulary=90)
    assert {v.rule for v in data.vocabularies.values()} == {"bpe"}
    assert [len(v) for v in data.vocabularies.values()] == [90, 90]
    said = data.references("train")
    for k in (0, 3):
        assert data.decode("y", data.records("train", [k]).arrays[1][0]) == said[k]


def test_another_way_to_cut(samples: Path) -> None:
    model = ports(token(80), token(60))
    with pytest.raises(DataError, match="no way `bqe`") as error:
        open_data("multi30k", {"tokens": "bqe"}, model, data_dir=samples)
    assert "bpe" in error.value.help
