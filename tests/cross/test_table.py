"""The page about targets is the one that the targets make."""

import importlib.util
from pathlib import Path


def test_the_page_is_up_to_date(root: Path) -> None:
    spec = importlib.util.spec_from_file_location("docs_build", root / "docs" / "build.py")
    assert spec and spec.loader
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    text = (root / "docs" / "targets-table.md").read_text(encoding="utf-8")
    assert text == build.built(text), "run: python docs/build.py"
