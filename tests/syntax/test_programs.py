"""Good programs and their trees, bad programs and their messages: pairs on disk."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from qrlang.source import Source
from qrlang.syntax.dump import dump
from qrlang.syntax.parser import parse

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from listing import listing, matches  # noqa: E402

GOOD = sorted((HERE / "good").glob("*.qrl"))
BAD = sorted((HERE / "bad").glob("*.qrl"))


@pytest.mark.parametrize("path", GOOD, ids=lambda p: p.stem)
def test_good(path: Path) -> None:
    file, diagnostics = parse(Source(path.name, path.read_text(encoding="utf-8")))
    assert listing(diagnostics).strip() == ""
    matches(dump(file), path.with_suffix(".ast"))


@pytest.mark.parametrize("path", BAD, ids=lambda p: p.stem)
def test_bad(path: Path) -> None:
    _, diagnostics = parse(Source(path.name, path.read_text(encoding="utf-8")))
    assert diagnostics
    matches(listing(diagnostics), path.with_suffix(".stderr"))
