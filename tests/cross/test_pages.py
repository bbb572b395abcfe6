"""The pages of codes that targets give: the bad example gives exactly that code, the good none."""

from __future__ import annotations

import re

import pytest
from catalogue_tools import examples

from qrlang.diagnostics import catalogue
from qrlang.driver import Compilation
from qrlang.features import FEATURES
from qrlang.format import format_text
from qrlang.source import Source
from qrlang.targets import defaults, load

PAGES = [code for code in catalogue.codes() if code.startswith("E07")]


def codes(code: str, example: str) -> list[str]:
    found = re.search(r"^Target: (\w+)$", catalogue.page(code), re.MULTILINE)
    assert found, "a page says which target refuses its example"
    target = load(found[1])
    made = Compilation(Source("page.qrl", examples(code)[example]))
    assert not made.diagnostics, [d.message for d in made.diagnostics]
    return [d.code for m in made.models() for d in target.check(m, defaults(target))]


@pytest.mark.parametrize("code", PAGES)
def test_bad_and_good(code: str) -> None:
    assert codes(code, "Bad") == [code]
    assert codes(code, "Good") == []


@pytest.mark.parametrize("code", PAGES)
def test_formatted(code: str) -> None:
    for text in examples(code).values():
        assert format_text(Source("page.qrl", text))[0] == text


def test_every_code_of_a_feature_has_a_page() -> None:
    assert {f.code for f in FEATURES.values()} == set(PAGES)
