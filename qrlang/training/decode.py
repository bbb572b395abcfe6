"""Sentences that a model produces: greedily, or with the best few beginnings kept.

A model that is given its own target, one moment late, is asked again for each word, with what it
has said so far as the target. That takes a call for each word and needs nothing of the model.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch

from qrlang.errors import DataError
from qrlang.ir.program import Loop, Program, Shift
from qrlang.ir.walk import walk
from qrlang.training.feed import Array, Batch, Feed
from qrlang.training.objective import Objective

END = 2  # the token that ends a produced sentence
UNKNOWN = 1


def produces(program: Program) -> bool:
    """Whether the target is a sequence of tokens that the model sees one moment late, alone, and
    something else comes in: translation, not the next word of a text or a mark for each word."""
    target = program.targets[-1] if program.targets else None
    if target is None or target.type.kind != "token" or not target.type.seq or not program.inputs:
        return False
    ops = list(walk(program.body))
    late = {op.out.id for op in ops if isinstance(op, Shift) and op.x.id == target.id}
    beside = any(
        len(op.items) > 1 and any(item.sequence.id in late for item in op.items)
        for op in ops
        if isinstance(op, Loop)
    )
    return bool(late) and not beside


@dataclass(frozen=True)
class Translation:
    source: str
    said: str
    meant: str


def translations(
    objective: Objective, feed: Feed, split: str, batch: int, beam: int
) -> list[Translation]:
    """What is said, and what should have been: for every record of a split, in its order."""
    data: Any = getattr(feed, "data", None)
    port, source = objective.target, _source(objective)
    found: dict[int, Translation] = {}
    for one in feed.batches(split, batch, seed=0, epoch=0, shuffle=False):
        rows = one.rows if one.rows is not None else np.arange(one.size) + len(found)
        said = sentences(objective, one, beam)
        for k, row in enumerate(rows):
            true = one.row(k)
            found[int(row)] = Translation(
                _text(data, source, true[source]) if source else "",
                _text(data, port, said[k]),
                _text(data, port, true[port]),
            )
    references = _references(data, split)
    return [
        replace(found[k], meant=references[k]) if references else found[k] for k in sorted(found)
    ]


def _source(objective: Objective) -> str:
    """The input that is a sequence of tokens; "" if what is told of is no text."""
    inputs: dict[str, Any] = objective.model.inputs
    called = objective.arguments
    names = [n for n in called if n != objective.target]
    return next((n for n in names if str(inputs[called[n]]).startswith("seq[token")), "")


def few(found: list[Translation], count: int = 5) -> list[dict[str, str]]:
    """Some to look at: from the whole split, at equal distances."""
    every = max(len(found) // count, 1)
    return [asdict(t) for t in found[every // 2 :: every][:count]]


def _references(data: Any, split: str) -> list[str]:
    """The sentences themselves, where the data set has them: words that the vocabulary lacks
    count as wrong."""
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


def bleu(found: list[Translation]) -> dict[str, Any]:
    """Of sentences whose tokens stand apart; the interval is sacrebleu's bootstrap."""
    try:
        from sacrebleu.metrics import BLEU
    except ImportError:
        return {"value": None, "interval": None, "note": "needs: pip install 'qrlang[train]'"}
    measure = BLEU(tokenize="none", force=True)
    said, meant = [t.said for t in found], [[t.meant for t in found]]
    score = measure.corpus_score(said, meant, n_bootstrap=1000)
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
    called = objective.arguments
    names = [n for n in called if n != objective.target]
    longest = max((given[n].shape[1] for n in names if given[n].dim() > 1), default=10)
    lengths = {called[n]: torch.as_tensor(batch.lengths[n]).to(device) for n in names
               if n in batch.lengths}  # fmt: skip
    given = {n: given[n].repeat_interleave(beam, 0) for n in names}
    lengths = {n: x.repeat_interleave(beam, 0) for n, x in lengths.items()}
    found: list[Array] = [np.zeros(0, np.int64)] * batch.size
    rows = torch.arange(batch.size, device=device)  # that still go on
    beams = _Beams.begin(batch.size, beam, device)
    try:
        with torch.no_grad():
            for last in reversed(range(longest * 3 // 2 + 10)):
                words = torch.cat([beams.words, beams.words.new_zeros(len(rows) * beam, 1)], 1)
                every = {**given, objective.target: words}
                output = model(*(every[n] for n in called),
                               **({"lengths": lengths} if lengths else {}))  # fmt: skip
                beams = beams.grown(torch.log_softmax(output[:, -1].double(), -1))
                over = beams.ended.all(1) | (last == 0)
                if not bool(over.any()):
                    continue
                for k, sentence in zip(rows[over].tolist(), beams.of(over).best(), strict=True):
                    found[k] = sentence
                rows, beams = rows[~over], beams.of(~over)
                if not len(rows):
                    break
                on = (~over).repeat_interleave(beam)
                given = {n: x[on] for n, x in given.items()}
                lengths = {n: x[on] for n, x in lengths.items()}
    finally:
        model.train(was)
    return found


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

    def of(self, rows: Any) -> _Beams:
        """Those of some rows."""
        each = rows.repeat_interleave(self.score.shape[1])
        return _Beams(self.words[each], self.score[rows], self.ended[rows], self.length[rows])

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
