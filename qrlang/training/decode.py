"""Sentences that a model produces: greedily, or with the best few beginnings kept.

A model that is given its own target, one moment late, is asked again for each word, with what it
has said so far as the target. That takes a call for each word and needs nothing of the model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from qrlang.training.feed import Array, Batch, Feed
from qrlang.training.objective import Objective

END = 2  # the token that ends a produced sentence
UNKNOWN = 1


def produces(objective: Objective) -> bool:
    """Whether the target is a sequence of tokens that the model sees one moment late, and an
    input is one too: translation, not the next word of a text."""
    inputs = getattr(objective.model, "inputs", {})
    return objective.kind.kind == "token" and objective.kind.seq and objective.target in inputs


def texts(
    objective: Objective, feed: Feed, split: str, batch: int, beam: int
) -> tuple[list[str], list[str]]:
    """What is said, and what should have been: for every record of a split."""
    data: Any = getattr(feed, "data", None)
    port = objective.target
    said: dict[int, str] = {}
    meant: dict[int, str] = {}
    for one in feed.batches(split, batch, seed=0, epoch=0, shuffle=False):
        rows = one.rows if one.rows is not None else np.arange(one.size) + len(said)
        lengths = one.lengths.get(port, np.full(one.size, one.values[port].shape[1]))
        for row, words, true, n in zip(
            rows, sentences(objective, one, beam), one.values[port], lengths, strict=True
        ):
            said[int(row)] = _text(data, port, words)
            meant[int(row)] = _text(data, port, true[: int(n)])
    order = sorted(said)
    references = _references(data, split)
    return [said[k] for k in order], [references[k] if references else meant[k] for k in order]


def _references(data: Any, split: str) -> list[str]:
    """The sentences themselves, where the data set has them: words that the vocabulary lacks
    count as wrong."""
    from qrlang.training.data.errors import DataError

    try:
        return list(data.references(split)) if data is not None else []
    except DataError:
        return []


def _text(data: Any, port: str, words: Array) -> str:
    if data is not None:
        if port in data.vocabularies:  # a model may have room for more words than there are
            words = np.where(words < len(data.vocabularies[port]), words, UNKNOWN)
        return str(data.decode(port, words))
    ends = np.flatnonzero(words == END)
    return " ".join(str(int(w)) for w in (words[: ends[0]] if len(ends) else words))


def bleu(said: list[str], meant: list[str]) -> dict[str, Any]:
    """Of sentences whose tokens stand apart; the interval is sacrebleu's bootstrap."""
    try:
        from sacrebleu.metrics import BLEU
    except ImportError:
        return {"value": None, "interval": None, "note": "needs: pip install 'qrlang[train]'"}
    measure = BLEU(tokenize="none", force=True)
    score = measure.corpus_score(said, [meant], n_bootstrap=1000)
    middle, half = float(score._mean), float(score._ci)
    return {
        "value": float(score.score),
        "interval": [middle - half, middle + half],
        "note": str(measure.get_signature()),
    }


def sentences(objective: Objective, batch: Batch, beam: int = 1) -> list[Array]:
    """For each row the tokens that are said, up to the end token or the longest time."""
    model, device = objective.model, objective.device
    was = model.training
    model.eval()
    given = {k: torch.as_tensor(v).to(device) for k, v in batch.values.items()}
    names = [n for n in model.inputs if n != objective.target]
    longest = max((given[n].shape[1] for n in names if given[n].dim() > 1), default=10)
    lengths = {n: torch.as_tensor(batch.lengths[n]).to(device) for n in names
               if n in batch.lengths}  # fmt: skip
    given = {n: given[n].repeat_interleave(beam, 0) for n in names}
    lengths = {n: x.repeat_interleave(beam, 0) for n, x in lengths.items()}
    try:
        with torch.no_grad():
            beams = _Beams.begin(batch.size, beam, device)
            for _ in range(longest * 3 // 2 + 10):
                words = torch.cat([beams.words, beams.words.new_zeros(batch.size * beam, 1)], 1)
                every = {**given, objective.target: words}
                output = model(*(every[n] for n in model.inputs),
                               **({"lengths": lengths} if lengths else {}))  # fmt: skip
                beams = beams.grown(torch.log_softmax(output[:, -1].double(), -1))
                if bool(beams.ended.all()):
                    break
    finally:
        model.train(was)
    return beams.best()


@dataclass
class _Beams:
    words: Any  # [rows * beam, time]
    score: Any  # [rows, beam]: the sum of logarithms
    ended: Any  # [rows, beam]
    length: Any  # [rows, beam]: words said, the end included

    @classmethod
    def begin(cls, rows: int, beam: int, device: Any) -> _Beams:
        score = torch.full((rows, beam), -torch.inf, dtype=torch.float64, device=device)
        score[:, 0] = 0  # all beginnings are the same one
        return cls(
            torch.zeros(rows * beam, 0, dtype=torch.int64, device=device),
            score,
            torch.zeros(rows, beam, dtype=torch.bool, device=device),
            torch.zeros(rows, beam, dtype=torch.int64, device=device),
        )

    def grown(self, chance: Any) -> _Beams:
        """One word longer: the best of all ways to go on. What has ended stays as it is."""
        rows, beam = self.score.shape
        size = chance.shape[-1]
        chance = chance.reshape(rows, beam, size)
        stay = torch.full_like(chance, -torch.inf)
        stay[..., 0] = 0
        total = self.score[..., None] + torch.where(self.ended[..., None], stay, chance)
        score, at = total.reshape(rows, -1).topk(beam, dim=1)
        parent, word = at // size, at % size
        old = self.words.reshape(rows, beam, -1)
        old = old.gather(1, parent[..., None].expand(rows, beam, old.shape[-1]))
        words = torch.cat([old, word[..., None]], -1).reshape(rows * beam, -1)
        ended = self.ended.gather(1, parent)
        length = self.length.gather(1, parent) + (~ended).long()
        return _Beams(words, score, ended | (word == END), length)

    def best(self) -> list[Array]:
        """By the mean logarithm a word, so that short ones have no advantage."""
        rows, beam = self.score.shape
        mean = self.score / self.length.clamp_min(1)
        at = mean.argmax(1)
        words = self.words.reshape(rows, beam, -1)
        return [
            words[k, int(at[k]), : int(self.length[k, int(at[k])])].cpu().numpy()
            for k in range(rows)
        ]
