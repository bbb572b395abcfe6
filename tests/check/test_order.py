"""The checker's files and folders stand on one another: no import leads back, not even a late one
inside a function or one for types alone."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

Module = tuple[str, ...]


def imported(path: Path, known: set[Module]) -> set[Module]:
    """The checker's modules that a file imports, wherever in it."""
    found: set[Module] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [f"{node.module}.{a.name}" for a in node.names] + [node.module]
        elif isinstance(node, ast.Import):
            names = [a.name for a in node.names]
        else:
            continue
        paths = (tuple(n.split(".")[2:]) for n in names if n.startswith("qrlang.check."))
        found |= {p for p in paths if p in known}
    return found


@pytest.mark.parametrize("depth", [1, 2], ids=["folders", "files"])
def test_imports_run_one_way(root: Path, depth: int) -> None:
    top = root / "qrlang/check"
    files = {p.relative_to(top).with_suffix("").parts: p for p in top.rglob("*.py")}
    below: dict[Module, set[Module]] = {}
    for module, path in files.items():
        others = {m[:depth] for m in imported(path, set(files))} - {module[:depth]}
        below.setdefault(module[:depth], set()).update(others)
    assert sum(map(len, below.values())) > 50
    TopologicalSorter(below).prepare()  # raises, with the circle, where there is one
