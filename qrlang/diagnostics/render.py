"""Diagnostics as text in the manner of rustc, and as plain data for JSON."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

from qrlang.diagnostics.diagnostic import Diagnostic, Fix
from qrlang.source import Span

WIDTH = 110  # of a shown source line
TAB = "    "

_RED, _YELLOW, _BLUE, _BOLD, _GREEN, _OFF = (
    "\x1b[1;31m", "\x1b[1;33m", "\x1b[1;34m", "\x1b[1m", "\x1b[1;32m", "\x1b[0m",
)  # fmt: skip


def render_text(diagnostics: Sequence[Diagnostic], *, color: bool = False) -> str:
    """All of them, and a last line that counts."""
    parts = [_one(d, color) for d in diagnostics]
    errors = sum(d.severity == "error" for d in diagnostics)
    warnings = len(diagnostics) - errors
    counts = []
    if errors:
        counts.append(_paint(_count(errors, "error"), _RED, color))
    if warnings:
        counts.append(_paint(_count(warnings, "warning"), _YELLOW, color))
    if counts:
        parts.append(", ".join(counts) + "\n")
    return "\n".join(parts)


def _count(n: int, word: str) -> str:
    return f"{n} {word}" + ("" if n == 1 else "s")


def _paint(text: str, paint: str, color: bool) -> str:
    return f"{paint}{text}{_OFF}" if color else text


def _one(d: Diagnostic, color: bool) -> str:
    paint = _RED if d.severity == "error" else _YELLOW
    placed = [n for n in d.notes if n.span is not None]
    gutter = max(
        [len(str(_line(d.span)))] + [len(str(_line(n.span))) for n in placed if n.span is not None]
    )
    head = _paint(f"{d.severity}[{d.code}]", paint, color)
    lines = [f"{head}{_paint(': ' + _clean(d.message), _BOLD, color)}"]
    lines += _snippet(d.span, d.label, "^", paint, gutter, color, "-->")
    for note in placed:
        assert note.span is not None
        lines.append(_rule(gutter, color))
        lines.append(f"{' ' * gutter} {_paint('=', _BLUE, color)} note: {_clean(note.text)}")
        lines += _snippet(note.span, "", "-", _BLUE, gutter, color, ":::")
    free = [f"note: {_clean(n.text)}" for n in d.notes if n.span is None]
    if d.help:
        free.append(_paint("help", _GREEN, color) + f": {_clean(d.help)}")
    if free:
        lines.append(_rule(gutter, color))
    for text in free:
        lines.append(f"{' ' * gutter} {_paint('=', _BLUE, color)} {text}")
    return "\n".join(lines) + "\n"


def _rule(gutter: int, color: bool) -> str:
    return " " * gutter + " " + _paint("|", _BLUE, color)


def _line(span: Span) -> int:
    return span.source.line_column(min(span.start, len(span.source.text)))[0]


def _snippet(
    span: Span, label: str, mark: str, paint: str, gutter: int, color: bool, arrow: str
) -> list[str]:
    """The line of a place, with a mark under the place."""
    source = span.source
    start = min(span.start, len(source.text))
    number, column = source.line_column(start)
    text = source.line_text(number)
    column = min(column, len(text) + 1)
    length = max(min(span.end - start, len(text) - column + 1), 1)
    text, column, length = _clip(text, column, length)
    before, inside = _shown(text[: column - 1]), _shown(text[column - 1 : column - 1 + length])
    shown = before + inside + _shown(text[column - 1 + length :])
    under = " " * _width(before) + mark * max(_width(inside), 1)
    if label:
        under += " " + _clean(label)
    where = f"{source.name}:{number}:{source.line_column(start)[1]}"
    rule = _paint("|", _BLUE, color)
    numbered = _paint(str(number).rjust(gutter), _BLUE, color)
    return [
        f"{' ' * gutter}{_paint(arrow, _BLUE, color)} {where}",
        _rule(gutter, color),
        f"{numbered} {rule} {shown}".rstrip(),
        f"{' ' * gutter} {rule} {_paint(under, paint, color)}",
    ]


def _clip(text: str, column: int, length: int) -> tuple[str, int, int]:
    """The part of a long line around the place."""
    if len(text) <= WIDTH:
        return text, column, length
    first = max(0, min(column - 1 - WIDTH // 3, len(text) - WIDTH))
    last = first + WIDTH
    head, tail = ("…" if first else ""), ("…" if last < len(text) else "")
    length = min(length, last - (column - 1))
    return head + text[first:last] + tail, column - first + len(head), max(length, 1)


def _shown(text: str) -> str:
    """As a terminal can show it: tabs as blanks, nothing that moves the cursor."""
    return "".join(TAB if c == "\t" else c if c.isprintable() else "�" for c in text)


def _clean(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)


def _width(text: str) -> int:
    """Columns that a text takes: wide signs two, marks on others none."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


# --- JSON -----------------------------------------------------------------------------------------


def to_data(d: Diagnostic) -> dict[str, Any]:
    """One diagnostic as JSON takes it. Lines and columns count from 1, offsets from 0, all in code
    points; an end is the first place after."""
    return {
        "code": d.code,
        "severity": d.severity,
        "message": d.message,
        "label": d.label,
        "help": d.help,
        "span": _span(d.span),
        "notes": [
            {"text": n.text, "span": None if n.span is None else _span(n.span)} for n in d.notes
        ],
        "fix": None if d.fix is None else _fix(d.fix),
    }


def _fix(fix: Fix) -> dict[str, Any]:
    return {"span": _span(fix.span), "text": fix.text}


def _span(span: Span) -> dict[str, Any]:
    last = len(span.source.text)
    start, end = min(span.start, last), min(max(span.end, span.start), last)
    line, column = span.source.line_column(start)
    end_line, end_column = span.source.line_column(end)
    return {
        "file": span.source.name,
        "start": start,
        "end": end,
        "line": line,
        "column": column,
        "end_line": end_line,
        "end_column": end_column,
    }
