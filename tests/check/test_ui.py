"""A program and the exact messages that it draws. `QRL_UPDATE=1` writes them anew."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from qrlang.analysis.warnings import warnings_of
from qrlang.check import check_file
from qrlang.diagnostics import has_errors
from qrlang.diagnostics.render import render_text
from qrlang.ir.verify import verify
from qrlang.source import Source
from qrlang.syntax.parser import parse

FOLDER = Path(__file__).resolve().parent.parent / "ui"
CASES = sorted(FOLDER.glob("*.qrl"))


@pytest.mark.parametrize("case", CASES, ids=lambda p: p.stem)
def test_messages(case: Path) -> None:
    file, syntax = parse(Source(str(case), case.read_text(encoding="utf-8")))
    checked, found = check_file(file)
    out = [*syntax, *found]
    for model in checked.models.values():
        assert not verify(model.program)
        if not has_errors(out):
            out.extend(warnings_of(model))
    prefix = str(FOLDER) + os.sep
    text = render_text(out).replace(prefix, "")
    # A relative `use` is shown from where the tests run.
    text = text.replace(os.path.relpath(FOLDER) + os.sep, "")
    expected = case.with_suffix(".stderr")
    if os.environ.get("QRL_UPDATE"):
        expected.write_text(text, encoding="utf-8")
    assert text == expected.read_text(encoding="utf-8")


def test_each_case_says_something() -> None:
    assert len(CASES) >= 80
    assert all(case.with_suffix(".stderr").read_text(encoding="utf-8").strip() for case in CASES)
