"""A tree as text, as `qrlc compile --emit ast` shows it."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from qrlang.syntax import ast

_LONG = 50  # links of a chain
_HIDDEN = {"span", "source", "comments", "lost"}


def dump(node: Any) -> str:
    """One line for each node, fields below it; what is empty is left out."""
    lines: list[str] = []
    _dump(node, "", 0, lines)
    return "\n".join(lines) + "\n"


def _dump(value: Any, label: str, indent: int, lines: list[str]) -> None:
    margin = "  " * indent + label
    if isinstance(value, tuple):
        lines.append(margin.rstrip())
        for item in value:
            _dump(item, "", indent + 1, lines)
    elif isinstance(value, (ast.Node, ast.File)):
        place = ""
        if isinstance(value, ast.Node):
            line, column = value.span.source.line_column(value.span.start)
            place = f"  @{line}:{column}"
        plain, nested = [], []
        for f in fields(value):
            part = getattr(value, f.name)
            if f.name in _HIDDEN or part is None or part == () or part == "" or part is False:
                continue
            if isinstance(part, (ast.Node, tuple)) and not _plain(part):
                nested.append((f.name, part))
            else:
                plain.append(f"{f.name}={part!r}")
        lines.append(f"{margin}{type(value).__name__} {' '.join(plain)}".rstrip() + place)
        if isinstance(value, ast.Binary) and len(links := _chain(value)) > _LONG:
            # As a list: a level for each link would be a line of blanks.
            _dump(links[-1].left, "first: ", indent + 1, lines)
            for link in reversed(links):
                _dump(link.right, f"{link.op} ", indent + 1, lines)
            return
        for name, part in nested:
            _dump(part, f"{name}: ", indent + 1, lines)
    else:
        lines.append(f"{margin}{value!r}")


def _chain(node: ast.Binary) -> list[ast.Binary]:
    links = [node]
    while links[-1].continues:
        left = links[-1].left
        assert isinstance(left, ast.Binary)
        links.append(left)
    return links


def _plain(value: Any) -> bool:
    """A tuple of texts, such as a path."""
    return isinstance(value, tuple) and all(isinstance(item, str) for item in value)
