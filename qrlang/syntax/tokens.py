"""The tokens of a text, as `qrlc compile --emit tokens` shows them."""

from __future__ import annotations

from qrlang.source import Source, Span
from qrlang.syntax.lexer import lex
from qrlang.syntax.table import table


def tokens(source: Source) -> list[tuple[str, str, Span]]:
    """Kind, text and place of each token; the kinds are the grammar's terminals. Comments and
    doc comments are among them, as COMMENT and DOC."""
    lexed = lex(source)
    symbols = table().symbols
    out = [(symbols[kind], lexed.text(i), lexed.span(i)) for i, kind in enumerate(lexed.kinds[:-1])]
    out += [("COMMENT", c.text, c.span) for c in lexed.comments]
    out += [("DOC", c.text, c.span) for lines in lexed.docs.values() for c in lines]
    return sorted(out, key=lambda token: token[2].start)
