"""What the checker says of a `train` block is what the data then holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from qrlang.check import check_file
from qrlang.check.library import Library
from qrlang.check.model import Checked
from qrlang.source import Source
from qrlang.syntax.parser import parse
from qrlang.training.data import open_data, ports_of

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = sorted((ROOT / "examples").glob("*/*.qrl"))


def checked(name: str, text: str) -> Checked:
    file, _ = parse(Source(name, text))
    found, diagnostics = check_file(file, Library())
    assert not [d.message for d in diagnostics if d.severity == "error"]
    return found


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_data_of_the_examples_opens(path: Path, samples: Path) -> None:
    found = checked(str(path), path.read_text(encoding="utf-8"))
    for train in found.trains:
        data = train.settings["data"]
        if isinstance(data, str):
            assert data.endswith((".csv", ".npz"))  # of one's own
            continue
        name, arguments = data  # type: ignore[misc]
        ports = ports_of(found.models[train.model].program)
        opened = open_data(name, arguments, ports, data_dir=samples)
        assert len(next(opened.batches("train", 4, segment=8))) == 4


@pytest.mark.parametrize(
    ("data", "size"), [("shakespeare", 65), ("ptb_words", 10_000), ("ptb(vocabulary: 30)", 30)]
)
def test_an_open_vocabulary_is_bound_by_the_data(data: str, size: int, samples: Path) -> None:
    text = f"""
model Next(vocab: int) {{
  input  words: seq[token[vocab]]
  target next:  seq[token[vocab]]
  layer embed = embedding(4)
  layer head  = linear(vocab)
  step word in words {{ emit head(embed(word)) }}
}}
train Next {{ data = {data} }}
"""
    found = checked("next.qrl", text)
    ports = ports_of(found.models["Next"].program)
    assert [p.type.size for p in ports] == [size, size]
    [train] = found.trains
    name, arguments = train.settings["data"]  # type: ignore[misc]
    assert len(open_data(name, arguments, ports, data_dir=samples).vocabularies["words"]) <= size
