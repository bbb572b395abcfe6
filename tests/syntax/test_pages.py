"""Each code has a page, whose bad program gives that code alone and whose good one gives none."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from qrlang.source import Source
from qrlang.syntax.codes import CODES, WITHOUT_EXAMPLE
from qrlang.syntax.parser import parse

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("code", CODES)
def test_page(code: str) -> None:
    page = (ROOT / "qrlang/diagnostics/pages" / f"{code}.md").read_text(encoding="utf-8")
    assert page.startswith(f"# {code}: {CODES[code]}\n")
    programs = re.findall(r"## (Bad|Good)\n\n```qrl\n(.*?)```", page, re.DOTALL)
    if code in WITHOUT_EXAMPLE:
        assert not programs
        return
    (bad, bad_text), (good, good_text) = programs
    assert (bad, good) == ("Bad", "Good")
    assert [d.code for d in parse(Source("bad", bad_text))[1]] == [code]
    assert parse(Source("good", good_text))[1] == ()


def test_every_code_in_use_is_listed() -> None:
    used: set[str] = set()
    for folder in ("qrlang/syntax", "qrlang/format"):
        for path in (ROOT / folder).glob("*.py"):
            used |= set(re.findall(r'"([EW]01\d\d)"', path.read_text(encoding="utf-8")))
    assert used == set(CODES)
