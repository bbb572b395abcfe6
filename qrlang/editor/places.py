"""Places as an editor counts them, in lines and mostly in units of UTF-16, and as a text does."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lsprotocol import types as lsp

from qrlang.source import Source, Span


class Places:
    def __init__(self, codec: Any) -> None:
        self.codec = codec  # of pygls, for the units that were agreed on

    def offset(self, source: Source, place: Any) -> int:
        """At most the line's end, and the text's."""
        if place.line >= len(source.line_starts):
            return len(source.text)
        line = source.line_text(place.line + 1)
        here = lsp.Position(0, place.character)
        column: int = self.codec.position_from_client_units([line + "\n"], here).character
        return int(source.line_starts[place.line] + min(column, len(line)))

    def position(self, source: Source, offset: int) -> Any:
        line, column = source.line_column(min(offset, len(source.text)))
        before = source.line_text(line)[: column - 1]
        return lsp.Position(line - 1, self.codec.client_num_units(before))

    def range(self, span: Span) -> Any:
        start, end = (self.position(span.source, at) for at in (span.start, span.end))
        return lsp.Range(start, end)

    def changed(self, text: str, changes: Iterable[Any]) -> str:
        """Each change is of the text that those before left; one without a range is all of it."""
        for c in changes:
            if isinstance(c, lsp.TextDocumentContentChangePartial):
                source = Source("", text)
                start, end = (self.offset(source, p) for p in (c.range.start, c.range.end))
                text = text[:start] + c.text + text[end:]
            else:
                text = c.text
        return text
