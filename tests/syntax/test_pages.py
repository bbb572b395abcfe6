"""Each code has a page, whose bad program gives that code alone and whose good one gives none."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from catalogue_tools import examples

from qrlang.diagnostics.catalogue import codes, page, title
from qrlang.source import Source
from qrlang.syntax.parser import parse

ROOT = Path(__file__).resolve().parents[2]


# E0100 is of bytes that are no text, before any of this.
CODES = [code for code in codes() if code[1:3] == "01" and code != "E0100"]
WITHOUT_EXAMPLE = ("E0117", "E0118", "E0199")  # no short program shows these


@pytest.mark.parametrize("code", CODES)
def test_page(code: str) -> None:
    assert page(code).startswith(f"# {code}: {title(code)}\n") and title(code)
    if code in WITHOUT_EXAMPLE:
        assert not examples(code)
        return
    programs = examples(code)
    assert list(programs) == ["Bad", "Good"]
    assert [d.code for d in parse(Source("bad", programs["Bad"]))[1]] == [code]
    assert parse(Source("good", programs["Good"]))[1] == ()


def test_every_code_in_use_is_listed() -> None:
    used: set[str] = set()
    for folder in ("qrlang/syntax", "qrlang/format"):
        for path in (ROOT / folder).glob("*.py"):
            used |= set(re.findall(r'"([EW]01\d\d)"', path.read_text(encoding="utf-8")))
    assert used == set(CODES)
