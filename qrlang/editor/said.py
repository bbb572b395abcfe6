"""Messages as an editor takes them."""

from __future__ import annotations

from typing import Any

from lsprotocol import types as lsp
from pygls.uris import from_fs_path

from qrlang.check.library import drawn_on
from qrlang.diagnostics import Diagnostic
from qrlang.editor.document import Document
from qrlang.editor.names import path_of
from qrlang.editor.places import Places
from qrlang.source import Source, Span
from qrlang.syntax import ast

UNUSED = ("W0201", "W0202", "W0203", "W0204", "W0205")


def diagnostic(uri: str, document: Document, places: Places, d: Diagnostic) -> Any:
    span, message, beside = d.span, d.message, []
    if d.span.source is not document.source:  # where the file is drawn in that it is in
        span, message = _use_of(document, d.span.source), f"{d.span}: {d.message}"
        beside.append((d.span, d.message))
    message += f"\n{d.label}" if d.label else ""
    for note in d.notes:
        if note.span is None:
            message += f"\nnote: {note.text}"
        else:
            beside.append((note.span, note.text))
    message += f"\nhelp: {d.help}" if d.help else ""
    found = [(location(uri, document, places, at), text) for at, text in beside]
    notes = [lsp.DiagnosticRelatedInformation(at, text) for at, text in found if at]
    error = lsp.DiagnosticSeverity.Error
    return lsp.Diagnostic(
        places.range(span), message,
        error if d.severity == "error" else lsp.DiagnosticSeverity.Warning,
        d.code, source="qrlc", related_information=notes or None,
        tags=[lsp.DiagnosticTag.Unnecessary] if d.code in UNUSED else None,
    )  # fmt: skip


def location(uri: str, document: Document, places: Places, span: Span) -> Any:
    """Of something in a text, or in a file that it draws on; None if that has no file."""
    if span.source is not document.source:
        module = next(
            (m for m in drawn_on(document.module) if m.file.source.name == span.source.name),
            None,
        )
        path = path_of(module) if module is not None else None
        uri = from_fs_path(str(path)) if path is not None else ""
    return lsp.Location(uri, places.range(span)) if uri else None


def _use_of(document: Document, source: Source) -> Span:
    """The line that draws a file in, or the beginning."""
    for item in document.file.items:
        if isinstance(item, ast.Use):
            for use in item.names:
                found = document.module.uses.get(use.alias or use.name)
                if found is None or found[0].file.source.name == source.name:
                    return item.span
    return Span(document.source, 0, 0)
