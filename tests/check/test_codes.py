"""Every code has a page, and its examples do what they say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from catalogue_tools import examples

from qrlang.analysis.warnings import warnings_of
from qrlang.check import check_file
from qrlang.diagnostics import Diagnostic, catalogue, has_errors
from qrlang.source import Source
from qrlang.syntax.parser import parse

# No single text shows these: they need several files, a setting from outside, a target, or are
# about the tool itself.
ELSEWHERE = {"E0100", "E0117", "E0118", "E0199", "E0206", "E0207", "E0908"}


def diagnostics(text: str) -> list[Diagnostic]:
    """Everything that the front end says about a text."""
    file, syntax = parse(Source("page.qrl", text))
    if has_errors(syntax):
        return list(syntax)
    checked, found = check_file(file)
    out = [*syntax, *found]
    if not has_errors(out):
        for model in checked.models.values():
            out.extend(warnings_of(model))
    return out


def shown(code: str) -> bool:
    return code not in ELSEWHERE and not code.startswith("E07")


PAGES = [c for c in catalogue.codes() if shown(c)]


@pytest.mark.parametrize("code", PAGES)
def test_bad_example_gives_the_code_and_no_other(code: str) -> None:
    found = diagnostics(examples(code)["Bad"])
    assert {d.code for d in found} == {code}, [(d.code, d.message) for d in found]


@pytest.mark.parametrize("code", PAGES)
def test_good_example_is_good(code: str) -> None:
    found = diagnostics(examples(code)["Good"])
    assert not found, [(d.code, d.message) for d in found]


def test_every_code_in_use_has_a_page(root: Path) -> None:
    used: set[str] = set()
    for path in [*(root / "qrlang").rglob("*.py"), *(root / "backends").rglob("*.py")]:
        used |= set(re.findall(r'"([EW]0\d{3})"', path.read_text(encoding="utf-8")))
    assert used - {"E0100"} <= set(catalogue.codes())


def test_no_page_without_use(root: Path) -> None:
    text = "".join(p.read_text(encoding="utf-8") for p in (root / "qrlang").rglob("*.py"))
    text += "".join(p.read_text(encoding="utf-8") for p in (root / "backends").rglob("*.py"))
    unused = [c for c in catalogue.codes() if c not in text]
    assert not unused


def test_titles_are_one_line_of_plain_words() -> None:
    for code in catalogue.codes():
        title = catalogue.title(code)
        assert title and not title.endswith(".") and len(title) < 80, code
