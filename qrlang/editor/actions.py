"""Ways out of what is wrong that an editor can write itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from qrlang.check.standard import standard_items
from qrlang.diagnostics import Diagnostic
from qrlang.diagnostics.words import nearest
from qrlang.editor.document import Document
from qrlang.source import Span
from qrlang.syntax import ast


@dataclass(frozen=True)
class Action:
    title: str
    diagnostic: Diagnostic
    span: Span
    text: str


def actions(document: Document, start: int, end: int) -> Iterator[Action]:
    """Those of what is wrong between two offsets."""
    for d in document.diagnostics:
        if d.span.source is not document.source or d.span.end < start or d.span.start > end:
            continue
        if d.fix is not None:
            old, new = d.fix.span.text, d.fix.text
            title = (
                f"Write `{new.strip()}`" if not old.strip()
                else f"Remove `{old.strip()}`" if not new.strip()
                else f"Write `{new.strip()}` for `{old.strip()}`"
            )  # fmt: skip
            yield Action(title, d, d.fix.span, new)
        elif (meant := _meant(d)) is not None:
            place, word = meant
            yield Action(f"Write `{word}` for `{place.text}`", d, place, word)
        where = standard_items().get(d.span.text) if d.code == "E0201" else None
        if where is not None:
            at = use_line(document)
            yield Action(f"Add `use {where}`", d, at, f"use {where}\n")


def _meant(d: Diagnostic) -> tuple[Span, str] | None:
    """Of a message with "did you mean": the word that is wrong, and the other. The one that is
    most like it, or else the last one that the message quotes."""
    said = re.match(r"did you mean `([\w.]+)`\?", d.help)
    if said is None:
        return None
    word = r"[\w.]+" if "." in said[1] else r"\w+"
    words = {m[0]: m.start() for m in reversed([*re.finditer(word, d.span.text)])}
    quoted = [w for w in re.findall(rf"`({word})`", d.message) if w in words]
    wrong = nearest(said[1], words) or (quoted[-1] if quoted else None)
    if wrong is None or wrong == said[1]:
        return None
    start = d.span.start + words[wrong]
    return Span(d.span.source, start, start + len(wrong)), said[1]


def use_line(document: Document) -> Span:
    """Where one more `use` line goes: below the others, else above the first item and its doc."""
    source, items = document.source, document.file.items
    at = 0
    if uses := [i for i in items if isinstance(i, ast.Use)]:
        line, _ = source.line_column(uses[-1].span.end)
        if line == len(source.line_starts):  # no line's end to go behind
            line = source.line_column(uses[-1].span.start)[0] - 1
        at = source.line_starts[line]
    elif items:
        line, _ = source.line_column(items[0].span.start)
        while line > 1 and source.line_text(line - 1).lstrip().startswith("///"):
            line -= 1
        at = source.line_starts[line - 1]
    return Span(source, at, at)
