"""Diagnostics as text, and pairs of files: a program and what is expected of it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from qrlang.diagnostics.diagnostic import Diagnostic
from qrlang.source import Span


def listing(diagnostics: Iterable[Diagnostic]) -> str:
    lines: list[str] = []
    for d in diagnostics:
        lines.append(f"{d.code} {_place(d.span)} {d.message}")
        if d.label:
            lines.append(f"  label: {d.label}")
        if d.help:
            lines.append(f"  help: {d.help}")
        for note in d.notes:
            place = f" {_place(note.span)}" if note.span else ""
            lines.append(f"  note{place}: {note.text}")
        if d.fix:
            lines.append(f"  fix {_place(d.fix.span)}: {d.fix.text!r}")
    return "\n".join(lines) + "\n"


def _place(span: Span) -> str:
    line, column = span.source.line_column(span.start)
    return f"{line}:{column}+{span.end - span.start}"


def matches(found: str, expected: Path) -> None:
    """Asserts that a file holds this text. `QRL_UPDATE=1` writes it instead."""
    if os.environ.get("QRL_UPDATE") == "1":
        expected.write_text(found, encoding="utf-8")
    assert found == expected.read_text(encoding="utf-8"), f"QRL_UPDATE=1 rewrites {expected.name}"
