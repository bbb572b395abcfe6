"""Produced sentences: greedy and beam search against looking at all of them."""

from __future__ import annotations

from itertools import product
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from qrlang.ir.types import Type, seq  # noqa: E402
from qrlang.training import decode  # noqa: E402
from qrlang.training.feed import Batch  # noqa: E402

SIZE = 4


class Chain(torch.nn.Module):
    """The next word depends on the last one, and on the first word of the source."""

    inputs = {"source": "seq[token[4]]", "words": "seq[token[4]]"}  # noqa: RUF012

    def __init__(self, seed: int) -> None:
        super().__init__()
        lot = np.random.default_rng(seed)
        self.table = torch.as_tensor(lot.normal(size=(SIZE, SIZE, SIZE)) * 2)

    def forward(self, source: Any, words: Any) -> Any:
        before = torch.cat([torch.zeros_like(words[:, :1]), words[:, :-1]], 1)
        return self.table[source[:, :1].expand_as(before), before]


def objective(model: Any) -> Any:
    return SimpleNamespace(
        model=model, device="cpu", target="words", kind=seq(Type("token", (), SIZE))
    )


def batch(source: list[list[int]]) -> Batch:
    return Batch({"source": np.array(source), "words": np.zeros((len(source), 1), np.int64)})


def logarithm(model: Chain, first: int, words: tuple[int, ...]) -> float:
    table = torch.log_softmax(model.table[first], -1).numpy()
    return float(sum(table[a, b] for a, b in zip((0, *words), words, strict=False)))


def test_greedy_takes_the_likeliest_word_each_time() -> None:
    model = Chain(1)
    for k, words in enumerate(decode.sentences(objective(model), batch([[0], [1], [2], [3]]))):
        last = 0
        for w in words:
            assert w == int(model.table[k, last].argmax())
            last = int(w)
        assert decode.END not in words[:-1]


@pytest.mark.parametrize("seed", range(5))
def test_a_wide_beam_finds_the_best_of_all(seed: int) -> None:
    """Among all sentences of up to four words that end; the mean logarithm a word decides."""
    model = Chain(seed)
    model.table[..., decode.END] += 2.0
    found = decode.sentences(objective(model), batch([[0], [1]]), beam=64)
    for first, words in enumerate(found):
        every = [
            (*w, decode.END)
            for n in range(4)
            for w in product([0, 1, 3], repeat=n)
        ]  # fmt: skip
        best = max(logarithm(model, first, w) / len(w) for w in every)
        assert logarithm(model, first, tuple(words)) / len(words) >= best - 1e-9


def test_what_counts_as_production() -> None:
    assert decode.produces(objective(Chain(0)))
    other = objective(Chain(0))
    other.target = "elsewhere"
    assert not decode.produces(other)


def test_bleu() -> None:
    pytest.importorskip("sacrebleu")
    from qrlang.training.evaluate import bleu

    said = ["the cat sat on the mat", "a dog runs in the park"]
    assert bleu(said, said)["value"] == pytest.approx(100)
    found = bleu(said, ["the cat sat on a mat", "one dog runs in the park"])
    assert 30 < found["value"] < 90
    assert found["interval"][0] <= found["value"] + 15 and "tok:none" in found["note"]
