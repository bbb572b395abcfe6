"""What to point at in a statement or an item: its first line, or its name."""

from __future__ import annotations

from qrlang.source import Span
from qrlang.syntax import ast


def header(node: ast.Node) -> Span:
    """The line that it begins with."""
    span = node.span
    end = len(span.text.split("\n", 1)[0].rstrip().removesuffix("{").rstrip())
    return Span(span.source, span.start, span.start + max(end, 1))


def name_span(node: ast.Node, name: str) -> Span:
    """Where a declaration says its name."""
    text = node.span.source.text
    at = node.span.start
    while True:
        at = text.find(name, at, node.span.end)
        if at < 0:
            return header(node)
        before = text[at - 1] if at > 0 else " "
        after = text[at + len(name)] if at + len(name) < len(text) else " "
        if not (before.isalnum() or before == "_" or after.isalnum() or after == "_"):
            return Span(node.span.source, at, at + len(name))
        at += 1
