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
    return place_of(name, node.span) or header(node)


def end_of(span: Span, name: str) -> Span:
    """A name that something ends with."""
    return Span(span.source, span.end - len(name), span.end)


def place_of(name: str, span: Span) -> Span | None:
    """Where a name first stands by itself."""
    text = span.source.text
    at = span.start
    while True:
        at = text.find(name, at, span.end)
        if at < 0:
            return None
        before = text[at - 1] if at > 0 else " "
        after = text[at + len(name)] if at + len(name) < len(text) else " "
        if not (before.isalnum() or before == "_" or after.isalnum() or after == "_"):
            return Span(span.source, at, at + len(name))
        at += 1
