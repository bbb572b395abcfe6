"""Token 0 is the border; what is rare is `<unk>`; what was saved comes back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from data_tools import label, opened, ports, token

from qrlang.training.data import DataError, Vocabulary, open_data
from qrlang.training.data.vocabulary import CHARACTERS, PRODUCED, RUNNING, SEPARATE, encode

TEXTS = ["b a a c", "a b", ""]


def test_by_frequency_then_alphabet() -> None:
    found = encode(TEXTS, "space", None, 5, SEPARATE)
    assert found.vocabulary.symbols == ("<pad>", "<unk>", "a", "b", "c")
    assert found.flat.tolist() == [3, 2, 2, 4, 2, 3, 1]  # an empty text is one unknown token
    assert found.offsets.tolist() == [0, 4, 6, 7]
    assert encode(TEXTS, "space", None, 4, SEPARATE).flat.tolist() == [3, 2, 2, 1, 2, 3, 1]


def test_borders() -> None:
    words = encode(["x y"], "space", None, 9, PRODUCED, ended=True)
    assert words.vocabulary.table["<bos>"] == words.vocabulary.table["<pad>"] == 0
    assert words.flat.tolist() == [3, 4, 2]
    assert words.vocabulary.decode([3, 4, 2, 0, 0]) == "x y"
    assert words.vocabulary.end == 2
    running = encode(["x <unk> <eos>"], "space", None, 9, RUNNING)
    assert running.flat.tolist() == [2, 1, 0]
    assert running.vocabulary.end == 0


def test_characters_need_no_unknown_when_all_are_known() -> None:
    full = encode(["ab\n"], "character", None, 3, CHARACTERS).vocabulary
    assert full.symbols == ("\n", "a", "b") and full.unknown is None
    with pytest.raises(DataError, match="'c' has no number") as error:
        full.encode("abc")
    assert "one larger: 4" in error.value.help
    roomy = encode(["ab\n"], "character", None, 9, CHARACTERS).vocabulary
    assert roomy.symbols == ("\n", "<unk>", "a", "b")
    assert roomy.encode("ac") == [2, 1]
    tight = encode(["abbc\n"], "character", None, 3, CHARACTERS).vocabulary
    assert tight.symbols == ("\n", "<unk>", "b")


def test_long_texts_are_cut_where_asked() -> None:
    last = encode(["a b c d"], "space", None, 9, SEPARATE, longest=2)
    assert last.vocabulary.decode(last.flat) == "c d"
    first = encode(["a b c d"], "space", None, 9, SEPARATE, longest=2, keep="first")
    assert first.vocabulary.decode(first.flat) == "a b"


def test_words_and_marks() -> None:
    got = encode(["It's fine, isn't it?\x85No"], "word", None, 20, SEPARATE)
    symbols = [got.vocabulary.symbols[k] for k in got.flat]
    assert symbols == ["it's", "fine", ",", "isn't", "it", "?", "no"]


def test_a_vocabulary_comes_back_from_json() -> None:
    made = encode(["ä \n ß"], "character", None, 9, CHARACTERS).vocabulary
    assert Vocabulary.of(json.loads(json.dumps(made.data()))) == made


def test_a_run_takes_its_vocabulary_back(samples: Path, tmp_path: Path) -> None:
    first = opened("multi30k", samples)
    # Other training texts, the same numbers.
    z = dict(np.load(samples / "multi30k_en_de.npz"))
    z["train_tok_de"] = np.frombuffer(b"etwas anderes\n" * 9 + b"etwas", np.uint8)
    z["train_tok_en"] = np.frombuffer(b"something else\n" * 9 + b"some", np.uint8)
    np.savez(tmp_path / "multi30k_en_de.npz", **z)
    model = ports(token(8000), token(6000))
    again = open_data("multi30k", {}, model, data_dir=tmp_path, saved=first.about())
    assert again.vocabularies == first.vocabularies
    assert again.decode("x", again.records("train", [0]).arrays[0][0]) == "<unk> <unk>"


def test_the_model_limits_the_vocabulary(samples: Path) -> None:
    data = open_data("sst2", {}, ports(token(10), label(2)), data_dir=samples)
    assert len(data.vocabularies["x"]) == 10
    data = open_data("sst2", {"vocabulary": 8}, ports(token(10), label(2)), data_dir=samples)
    assert len(data.vocabularies["x"]) == 8
    with pytest.raises(DataError, match="a vocabulary of 2 is too small"):
        open_data("sst2", {"vocabulary": 2}, ports(token(10), label(2)), data_dir=samples)


def test_references_go_with_the_records(samples: Path) -> None:
    data = open_data("multi30k", {"longest": 8}, ports(token(8000), token(6000)), data_dir=samples)
    said = data.references("test")
    assert len(said) == data.count("test") > 0
    for k in (0, len(said) - 1):
        assert data.decode("y", data.records("test", [k]).arrays[1][0]) == said[k]
    assert all(len(t.split()) <= 8 for t in said)
    assert any("pairs have at most 8 words" in n for n in data.notes)
