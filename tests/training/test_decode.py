"""Produced sentences: greedy and beam search against looking at all of them."""

from __future__ import annotations

import csv
import json
import sys
from importlib.machinery import ModuleSpec
from itertools import product
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from cli_tools import qrlc  # noqa: E402

from qrlang.driver import Compilation  # noqa: E402
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
        model=model,
        device="cpu",
        target="words",
        kind=seq(Type("token", (), SIZE)),
        arguments={name: name for name in model.inputs},
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


@pytest.mark.parametrize("beam", [1, 3])
def test_sentences_that_end_early_change_nothing_for_the_others(beam: int) -> None:
    model = Chain(4)
    model.table[..., decode.END] += 1.0
    together = decode.sentences(objective(model), batch([[0], [1], [2], [3]]), beam)
    assert len({len(words) for words in together}) > 2
    for k, words in enumerate(together):
        (alone,) = decode.sentences(objective(model), batch([[k]]), beam)
        assert words.tolist() == alone.tolist()


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


DECODER = """model M {{
  {0}
  target words: seq[token[4]]
  recurrent d over {1} {{
    layer e = embedding(4)
    carry h: real[4] = 0
    step {2} {{
      h <- tanh(h + {3})
      emit h
    }}
  }}
}}
"""


@pytest.mark.parametrize(
    ("columns", "over", "names", "told", "produced"),
    [
        ("input source: seq[real[4]]", "shifted(words)", "w", "e(w) + mean(source)", True),
        ("input source: seq[token[4]]", "source", "w", "e(w)", False),  # a mark for each
        ("input source: seq[token[4]]", "shifted(words), source", "w, s", "e(w) + e(s)", False),
        ("", "shifted(words)", "w", "e(w)", False),  # the next word of a text, and no source
    ],
)
def test_what_counts_as_production(
    columns: str, over: str, names: str, told: str, produced: bool, tmp_path: Path
) -> None:
    """Anything else can be trained and evaluated too."""
    path, data = tmp_path / "m.qrl", tmp_path / "d.npz"
    path.write_text(DECODER.format(columns, over, names, told), encoding="utf-8")
    made = Compilation.of_bytes(str(path), path.read_bytes())
    assert not made.diagnostics, made.diagnostics
    program = made.models()[0].program
    assert decode.produces(program) == produced
    lot = np.random.default_rng(0)
    words = {"words": lot.integers(0, 4, (20, 5))}
    if program.inputs:
        numbers = program.inputs[0].type.kind == "real"
        words["source"] = lot.uniform(size=(20, 5, 4)) if numbers else lot.integers(0, 4, (20, 5))
    np.savez(data, **words)
    run = tmp_path / "run"
    done = qrlc("train", path, "--data", data, "--epochs", 1, "--out", run, "--threads", 1)
    assert done.code == 0, done.err
    done = qrlc("eval", run)
    assert done.code == 0 and ("said" in done.out) == produced, done.err


def test_bleu() -> None:
    pytest.importorskip("sacrebleu")
    said = ["the cat sat on the mat", "a dog runs in the park"]

    def score(meant: list[str]) -> dict[str, Any]:
        both = zip(said, meant, strict=True)
        return decode.bleu([decode.Translation("", *pair) for pair in both])

    assert score(said)["value"] == pytest.approx(100)
    found = score(["the cat sat on a mat", "one dog runs in the park"])
    assert 30 < found["value"] < 90
    assert found["interval"][0] <= found["value"] + 15 and "tok:none" in found["note"]


class _Score:
    """Stands in for sacrebleu's: the share of words that are in place, times a hundred."""

    def __init__(self, **_: Any) -> None:
        pass

    def corpus_score(self, said: list[str], meant: list[list[str]], n_bootstrap: int) -> Any:
        pairs = [zip(a.split(), b.split(), strict=False) for a, b in zip(said, *meant, strict=True)]
        hits = sum(x == y for pair in pairs for x, y in pair)
        score = 100 * hits / max(sum(len(b.split()) for b in meant[0]), 1)
        return SimpleNamespace(score=score, _mean=score, _ci=1.0)

    def get_signature(self) -> str:
        return "stand-in"


def test_the_best_weights_by_bleu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    from qrlang.cli.main import run as qrlc
    from qrlang.training.data.samples import write_samples

    found = ModuleType("sacrebleu")
    found.__spec__ = ModuleSpec("sacrebleu", None)
    metrics = ModuleType("sacrebleu.metrics")
    metrics.BLEU = _Score  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sacrebleu", found)
    monkeypatch.setitem(sys.modules, "sacrebleu.metrics", metrics)
    write_samples(tmp_path / "data", 60)
    example = Path(__file__).parents[2] / "examples" / "translation" / "translation.qrl"
    run = tmp_path / "run"
    line = ["train", example, "--data-dir", tmp_path / "data", "--out", run, "--threads", 1,
            "--set", "n=2", "--set", "d=8", "--set", "layers=1", "--length", 8, "--limit", 20,
            "--batch", 10, "--epochs", 3, "--lr", 0.02, "--warmup", 0, "--metric", "bleu"]  # fmt: skip
    assert qrlc([str(x) for x in line]) == 0
    lines = [json.loads(x) for x in (run / "metrics.jsonl").read_text().splitlines()]
    scores = [x["bleu"] for x in lines if x["split"] == "validation"]
    assert len(scores) == 3 and max(scores) > 0
    best = json.loads((run / "result.json").read_text())["best_epoch"]
    assert scores[best - 1] == max(scores)
    capsys.readouterr()
    assert qrlc(["eval", str(run), "--beam", "3", "--split", "validation", "--format", "json"]) == 0
    shown = json.loads(capsys.readouterr().out)["samples"]
    with np.load(tmp_path / "data" / "multi30k_en_de.npz") as z:
        texts = [bytes(z[f"valid_tok_{k}"]).decode().strip().split("\n") for k in ("de", "en")]
    pairs = set(zip(*texts, strict=True))
    assert len(shown) == 5 and all(t["said"] for t in shown)
    assert all((t["source"], t["meant"]) in pairs for t in shown)
    with open(tmp_path / "new.csv", "w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([["source"], *([t["source"]] for t in shown)])
    line = ["predict", run, tmp_path / "new.csv", "--beam", 3, "--format", "json"]
    assert qrlc([str(x) for x in line]) == 0
    answered = json.loads(capsys.readouterr().out)
    assert [t["words"] for t in answered] == [t["said"] for t in shown]
    assert qrlc(["eval", str(run), "--split", "validation"]) == 0
    said = capsys.readouterr().out
    assert f"  source  {shown[0]['source']}\n  meant   {shown[0]['meant']}\n  said" in said


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--metric", "bleu"), "`bleu` cannot be said of the target, which is class[2]"),
        (("--metric", "nrmse"), "its metrics are loss, accuracy, balanced_accuracy, f1, auc"),
    ],
)
def test_metrics_that_make_no_sense(tmp_path: Path, capsys: Any, args: Any, said: str) -> None:
    from training_tools import project

    from qrlang.cli.main import run as qrlc

    line = ["train", str(project(tmp_path)), "--out", str(tmp_path / "run"), *args]
    assert qrlc(line) == 1
    assert said in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
